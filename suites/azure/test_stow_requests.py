"""Storing: which requests are taken, by path, Accept and Content-Type."""

import pytest

from fixtures.clients.dicomweb import DICOM_JSON, DicomWeb
from fixtures.traceability import needs, requirement
from suites.azure import stow
from suites.azure.data import Maker
from suites.azure.service import VERSIONS, Service
from suites.azure.stow import RELATED, body, dicom_part, kept, post


@requirement("STOW-001", "STOW-013")
def test_store_without_study_takes_several_studies(web: DicomWeb, make: Maker) -> None:
    """POST /studies stores instances of different studies from one multipart body (STOW-001, STOW-013)."""
    first, second = make(), make()
    answer = web.store([first.part10, second.part10])
    assert (answer.status, set(answer.stored)) == (200, {first.instance, second.instance}), answer.describe()
    assert (kept(web, first), kept(web, second)) == (first.part10, second.part10)


@requirement("STOW-002", "STOW-059")
def test_store_with_study_takes_that_study_only(web: DicomWeb, make: Maker) -> None:
    """POST /studies/{study} stores only the instances of that study (STOW-002, STOW-059)."""
    mine, other = make(), make()
    also_mine = make(like=mine)
    answer = stow.stored(web, mine, other, also_mine, study=mine.study)
    assert (answer.status, set(answer.stored)) == (202, {mine.instance, also_mine.instance}), (
        answer.describe()
    )
    assert list(answer.failed) == [other.instance]
    assert (kept(web, mine), kept(web, also_mine)) == (mine.part10, also_mine.part10)
    assert kept(web, other) is None
    only_other = stow.stored(web, other, study=mine.study)
    assert (only_other.status, only_other.stored) == (409, ()), "STOW-059: all mismatch"


@needs("open-source")
@requirement("STOW-003")
def test_put_is_no_route(web: DicomWeb, make: Maker) -> None:
    """PUT /studies and PUT /studies/{study} answer 405 and change nothing (STOW-003)."""
    made = make()
    changed = make(like=made, SOPInstanceUID=made.instance, PatientName="Other^Name")
    assert stow.stored(web, made).status == 200
    for study in (None, made.study):
        answer = post(web, changed.part10, study=study, method="PUT")
        assert answer.status == 405, answer.describe()
    assert kept(web, made) == made.part10


@requirement("STOW-004")
@pytest.mark.parametrize("study", ["a" * 65, "abc", "1.2.3.%7C"])
def test_invalid_study_in_the_path(web: DicomWeb, make: Maker, study: str) -> None:
    """POST /studies/{study} with no valid UID answers 400 and stores nothing (STOW-004)."""
    made = make()
    answer = post(web, made.part10, study=study)
    assert answer.status == 400, answer.describe()
    assert kept(web, made) is None
    assert post(web, made.part10, study=made.study).status == 200


@requirement("STOW-005", "STOW-008", "STOW-009")
@pytest.mark.parametrize(
    "accept",
    [
        DICOM_JSON,
        "*/*",
        "application/*",
        "application/json",
        "APPLICATION/DICOM+JSON",
        "application/dicom+json; charset=utf-8",
        "image/png, application/dicom+json;q=0.1",
        "text/plain;q=1, */*;q=0.01",
    ],
)
def test_accepted_answers(web: DicomWeb, make: Maker, accept: str) -> None:
    """Every Accept that covers DICOM JSON gets application/dicom+json (STOW-005, STOW-008, STOW-009)."""
    made = make()
    answer = post(web, body([dicom_part(made.part10)]), RELATED, accept=accept)
    assert answer.status == 200, answer.describe()
    assert answer.content_type.partition(";")[0].strip().lower() == DICOM_JSON
    assert stow.as_store(answer).stored == (made.instance,)
    assert kept(web, made) == made.part10


@requirement("STOW-006", "STOW-007")
@pytest.mark.parametrize(
    "accept",
    ["application/dicom", "application/data", "image/*", None, "nonsense", "application/dicom+json, x"],
)
def test_refused_answers(web: DicomWeb, make: Maker, accept: str | None) -> None:
    """An Accept that covers no DICOM JSON, cannot be parsed or is missing gets 406 (STOW-006, STOW-007)."""
    made = make()
    answer = post(web, made.part10, accept=accept)
    assert answer.status == 406, answer.describe()
    assert answer.body == b"", "STOW-006: the body is empty"
    assert kept(web, made) is None
    assert post(web, made.part10).status == 200, "the same request with a good Accept"


@requirement("STOW-010", "STOW-011", "STOW-117")
def test_single_part(web: DicomWeb, make: Maker) -> None:
    """A Part 10 file as the body is stored as it is, with and without study (STOW-010, STOW-011, STOW-117)."""
    without, within = make(), make()
    assert post(web, without.part10).status == 200
    assert post(web, within.part10, study=within.study).status == 200
    assert (kept(web, without), kept(web, within)) == (without.part10, within.part10)
    own = "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
    assert web.get(without.path(), accept=own).body == without.part10


@requirement("STOW-012")
@pytest.mark.parametrize("parameter", ["; transfer-syntax=1.2.840.10008.1.2.1", ";charset=utf-8"])
def test_single_part_takes_no_parameters(web: DicomWeb, make: Maker, parameter: str) -> None:
    """application/dicom with a parameter answers 415, in capitals without one 200 (STOW-012)."""
    made = make()
    answer = post(web, made.part10, "application/dicom" + parameter)
    assert answer.status == 415, answer.describe()
    assert kept(web, made) is None
    assert post(web, made.part10, "Application/DICOM").status == 200


@requirement("STOW-014", "STOW-015", "STOW-016")
@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; boundary=frontier",
        "application/json",
        "application/dicom+json",
        "text/plain",
        None,
        "multipart/related",
        'multipart/related; type="application/dicom"; boundary=',
        'multipart/related; type="application/dicom"; boundary=""',
    ],
)
def test_other_content_types(web: DicomWeb, make: Maker, content_type: str | None) -> None:
    """Other, missing and boundary-less content types answer 415 (STOW-014, STOW-015, STOW-016)."""
    made = make()
    content = body([dicom_part(made.part10)])
    answer = post(web, content, content_type)
    assert answer.status == 415, answer.describe()
    assert kept(web, made) is None
    assert post(web, content, RELATED).status == 200, "the same body with the right type"


@requirement("STOW-017")
def test_start_parameter(web: DicomWeb, make: Maker) -> None:
    """multipart/related with a start parameter answers 400 (STOW-017)."""
    made = make()
    content = body([dicom_part(made.part10)])
    answer = post(web, content, f'{RELATED}; start="<one>"')
    assert answer.status == 400, answer.describe()
    assert kept(web, made) is None
    assert post(web, content, RELATED).status == 200


@requirement("STOW-131")
@pytest.mark.parametrize("version", VERSIONS)
def test_order_of_the_checks(service: Service, make: Maker, version: str) -> None:
    """A request with two defects gets the answer of the earlier check (STOW-131)."""
    made = make()
    owner, reader, nobody = (service.web(who, version) for who in ("owner", "reader", "anonymous"))
    text = stow.part(b"x", "Content-Type: text/plain")
    text_part = body([text])
    long_header = [("X-MS-AZUREDICOM-AUDIT-a", "x" * 2049)]
    seen = {
        "wrong type before 401": post(nobody, b"x", "text/plain").status,
        "401 before 406": post(nobody, made.part10, accept=None).status,
        "audit headers before 406": post(owner, made.part10, accept=None, headers=long_header).status,
        "406 before 403": post(reader, made.part10, accept=None).status,
        "403 before the study": post(reader, made.part10, study="abc").status,
        "study before boundary": post(owner, b"x", "multipart/related", study="abc").status,
        "study before missing type": post(owner, b"x", None, study="abc").status,
        "406 before missing type": post(owner, b"x", None, accept="image/png").status,
        "boundary before start": post(owner, b"x", "multipart/related; start=a").status,
        "start before the body": post(owner, text_part, f"{RELATED}; start=a").status,
        "body before instances": post(owner, body([dicom_part(b"x"), text]), RELATED).status,
        "no defect": post(owner, made.part10).status,
    }
    assert seen == {
        "wrong type before 401": 415,
        "401 before 406": 401,
        "audit headers before 406": 400,
        "406 before 403": 406,
        "403 before the study": 403,
        "study before boundary": 400,
        "study before missing type": 400,
        "406 before missing type": 406,
        "boundary before start": 415,
        "start before the body": 400,
        "body before instances": 415,
        "no defect": 200,
    }, "STOW-131"
