"""Metadata: levels, Accept, unknown resources, ETags (META-001 to META-009, META-018 to META-025, META-029, META-031)."""

import json
import re

import pytest

from fixtures.clients.answers import Response
from fixtures.clients.dicomweb import DICOM_JSON, DicomWeb
from fixtures.traceability import requirement
from suites.azure.data import Made, Maker
from suites.azure.service import Service

pytestmark = pytest.mark.azure

LEVELS = ("study", "series", "instance")


@pytest.fixture(scope="module")
def stored(v2: DicomWeb, make: Maker) -> list[Made]:
    """A study of two series: two instances in the first, one in the second."""
    first = make.series(2)
    made = [*first, make(StudyInstanceUID=first[0].study, Modality="MR")]
    assert v2.store([one.part10 for one in made]).status == 200
    return made


def ask(web: DicomWeb, path: str, *, etag: str | None = None) -> Response:
    """The metadata of a resource, unless its ETag is still this one."""
    headers = [("Accept", DICOM_JSON), *([("If-None-Match", etag)] if etag is not None else [])]
    return web.request("GET", f"{path}/metadata", headers=headers)


def instances(answer: Response) -> list[str]:
    """The SOP Instance UIDs of an answer, sorted: their order is nobody's promise (META-030)."""
    assert answer.status == 200, answer.describe()
    return sorted(item["00080018"]["Value"][0] for item in answer.json())


@requirement("META-001", "META-002", "META-003")
def test_levels(web: DicomWeb, stored: list[Made]) -> None:
    """A study, a series and an instance give one object for each of their own instances (META-001 to META-003)."""
    first, second, other = stored
    assert instances(ask(web, first.path("study"))) == sorted(made.instance for made in stored)
    assert instances(ask(web, first.path("series"))) == sorted([first.instance, second.instance])
    assert instances(ask(web, other.path("series"))) == [other.instance]
    for made in stored:
        found = ask(web, made.path()).json()
        assert isinstance(found, list)
        assert len(found) == 1
        uids = [found[0][tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018")]
        assert tuple(uids) == made.uids


@requirement("META-004")
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("accept", [DICOM_JSON, "application/json", "*/*"])
def test_content_type(web: DicomWeb, stored: list[Made], level: str, accept: str) -> None:
    """The answer is application/dicom+json, whatever covers it in Accept (META-004)."""
    answer = web.get(stored[0].path(level) + "/metadata", accept=accept)
    assert answer.content_type.partition(";")[0] == DICOM_JSON, answer.describe()
    assert instances(answer)


@requirement("META-005")
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    "accept", ["application/data", "application/dicom", "application/dicom+xml", "text/html"]
)
def test_unsupported_accept(web: DicomWeb, stored: list[Made], level: str, accept: str) -> None:
    """An Accept that does not cover DICOM JSON is 406 with an empty body at all levels (META-005)."""
    path = stored[0].path(level) + "/metadata"
    answer = web.get(path, accept=accept)
    assert (answer.status, answer.body) == (406, b""), answer.describe()
    assert web.get(path, accept=f"{accept}, {DICOM_JSON}").status == 200


@requirement("META-006")
@pytest.mark.parametrize(
    ("accept", "status"),
    [
        (DICOM_JSON, 200),
        ("application/dicom+json; transfer-syntax=*", 200),
        ("APPLICATION/DICOM+JSON", 200),
        ("application/json", 200),
        ("application/*", 200),
        ("*/*", 200),
        ("text/html, application/dicom+json;q=0.1", 200),
        ("application/dicom+json;q=0", 200),
        (None, 406),
        ("application/xml", 406),
        ('multipart/related; type="application/dicom+json"', 406),
        ("application/dicom+json, nonsense", 406),
        ("application/dicom+json, /", 406),
    ],
)
def test_accept(web: DicomWeb, stored: list[Made], accept: str | None, status: int) -> None:
    """One entry that covers DICOM JSON is enough; none, or a malformed one, is 406 (META-006)."""
    headers = [("Accept", accept)] if accept is not None else []
    answer = web.request("GET", stored[0].path() + "/metadata", headers=headers)
    assert answer.status == status, answer.describe()
    if status == 200:
        assert answer.json()[0]["00080018"]["Value"] == [stored[0].instance]


@requirement("META-007", "META-009")
@pytest.mark.parametrize("bad", ["not-a-uid", "1.2.a", "9" * 65])
def test_accept_before_uids(web: DicomWeb, stored: list[Made], bad: str) -> None:
    """An invalid UID is 400, and 406 when Accept is wrong too (META-007, META-009)."""
    study, series, _ = stored[0].uids
    for path in (
        f"/studies/{bad}",
        f"/studies/{study}/series/{bad}",
        f"/studies/{study}/series/{series}/instances/{bad}",
    ):
        assert web.get(f"{path}/metadata", accept=DICOM_JSON).status == 400, path
        assert web.get(f"{path}/metadata", accept="application/dicom").status == 406, path


@requirement("META-008", "META-029")
def test_unknown_resources(web: DicomWeb, stored: list[Made], make: Maker) -> None:
    """What is not stored is 404 at each level, also with an If-None-Match (META-008, META-029)."""
    first, _, other = stored
    etag = ask(web, first.path("study")).header("ETag")
    for uids in (
        (make.uid(),),
        (make.uid(), first.series),
        (make.uid(), *first.uids[1:]),
        (first.study, make.uid()),
        (first.study, make.uid(), first.instance),
        (first.study, first.series, make.uid()),
        (first.study, first.series, other.instance),
    ):
        assert web.metadata(*uids).status == 404, uids
        levels = zip(("studies", "series", "instances"), uids, strict=False)
        path = "".join(f"/{name}/{uid}" for name, uid in levels)
        assert ask(web, path, etag=etag).status == 404, uids
    assert ask(web, first.path("study"), etag=etag).status == 304


@requirement("META-018", "META-019")
def test_etag(web: DicomWeb, stored: list[Made]) -> None:
    """Each level has an ETag: a number, and above instances the count of instances; without quotes (META-018, META-019)."""
    forms = {"study": r"\d+-3", "series": r"\d+-2", "instance": r"\d+"}
    for level, form in forms.items():
        etag = ask(web, stored[0].path(level)).header("ETag")
        assert etag, f"{level}: no ETag"
        assert re.fullmatch(form, etag), f"{level}: {etag}"
        assert ask(web, stored[0].path(level)).header("ETag") == etag, "it stays while nothing changes"


@requirement("META-020", "META-021", "META-022")
@pytest.mark.parametrize("level", LEVELS)
def test_if_none_match(web: DicomWeb, stored: list[Made], level: str) -> None:
    """The current ETag gives an empty 304 that does not repeat it; any other a 200 (META-020 to META-022)."""
    path = stored[0].path(level)
    full = ask(web, path)
    etag = full.header("ETag")
    same = ask(web, path, etag=etag)
    assert (same.status, same.body, same.header("ETag")) == (304, b"", ""), same.describe()
    assert same.header("Content-Length") in ("", "0")
    for other in ("0-0", etag + "1", "x"):
        answer = ask(web, path, etag=other)
        assert (answer.status, answer.header("ETag")) == (200, etag), answer.describe()
        assert answer.json() == full.json()


@requirement("META-023")
@pytest.mark.parametrize("form", ["*", '"{}"', "W/{}", 'W/"{}"', "{}, 1-1", "1-1, {}", "{},{}"])
def test_if_none_match_forms(web: DicomWeb, stored: list[Made], form: str) -> None:
    """The header is compared as a whole: *, quotes, W/ and lists never match (META-023)."""
    path = stored[0].path("study")
    etag = ask(web, path).header("ETag")
    assert ask(web, path, etag=form.replace("{}", etag)).status == 200
    assert ask(web, path, etag=etag).status == 304


@requirement("META-024", "META-025")
@pytest.mark.parametrize("level", ["study", "series"])
def test_etag_changes(web: DicomWeb, make: Maker, level: str) -> None:
    """Storing into a study or series, and deleting from it, makes the old ETag old (META-024, META-025)."""
    first, second = make.series(2)
    path = first.path(level)
    assert web.store([first.part10]).status == 200
    alone = ask(web, path).header("ETag")
    assert ask(web, path, etag=alone).status == 304

    assert web.store([second.part10]).status == 200
    answer = ask(web, path, etag=alone)
    assert instances(answer) == sorted([first.instance, second.instance])
    both = answer.header("ETag")
    assert both not in ("", alone)
    assert ask(web, path, etag=both).status == 304

    assert web.delete(*second.uids).status == 204
    answer = ask(web, path, etag=both)
    assert instances(answer) == [first.instance], "the ETag from before the delete is old"
    assert answer.header("ETag") != both


@requirement("META-031")
def test_no_urls(service: Service, web: DicomWeb, stored: list[Made]) -> None:
    """Metadata has no Retrieve URL, bulk data reference or other URL that the sender did not put there (META-031)."""
    answer = ask(web, stored[0].path("study"))
    assert stored[0].instance in {item["00080018"]["Value"][0] for item in answer.json()}
    assert all("00081190" not in item for item in answer.json())
    text = json.dumps(answer.json())
    assert "BulkDataURI" not in text
    assert "://" not in text
    assert service.deployment.cloud.url not in text
