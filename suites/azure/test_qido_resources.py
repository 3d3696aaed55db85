"""Searching: the six resources, their media type, no match, and visibility of stores and deletes."""

import pytest

from fixtures.clients.dicomweb import DICOM_JSON, DicomWeb
from fixtures.traceability import requirement
from suites.azure.data import Made, Maker
from suites.azure.searching import SERIES_UID, SOP_UID, STUDY_UID, TOP, ask, find, keep, nested, refused, uids

_LEVEL_UID = {"studies": STUDY_UID, "series": SERIES_UID, "instances": SOP_UID}


@pytest.fixture(scope="module")
def tree(v2: DicomWeb, make: Maker) -> list[Made]:
    """One patient with two studies: the first has series of 2 and 1 instances, the second has one instance."""
    first, second = make.series(2)
    third = make(PatientID=first.dataset.PatientID, StudyInstanceUID=first.study)
    other = make(PatientID=first.dataset.PatientID)
    made = [first, second, third, other]
    keep(v2, *made)
    return made


def _top(resource: str, id_: str) -> object:
    return pytest.param(resource, marks=requirement(id_))


@pytest.mark.parametrize(
    "resource", [_top("/studies", "QIDO-001"), _top("/series", "QIDO-002"), _top("/instances", "QIDO-003")]
)
def test_top_resources(web: DicomWeb, tree: list[Made], resource: str) -> None:
    """Each top resource answers 200 and one object per match of its level (QIDO-001 to QIDO-003)."""
    level = resource.strip("/")
    expected = {
        {"studies": made.study, "series": made.series, "instances": made.instance}[level] for made in tree
    }
    answer = ask(web, resource, f"PatientID={tree[0].dataset.PatientID}")
    assert answer.status == 200, answer.describe()
    found = uids(answer.json(), _LEVEL_UID[level])
    assert sorted(found) == sorted(expected), "one object per match, none twice"


@requirement("QIDO-004", "QIDO-005", "QIDO-006")
def test_nested_resources(web: DicomWeb, tree: list[Made]) -> None:
    """The searches below a study and a series see only what lies there (QIDO-004, QIDO-005, QIDO-006)."""
    first, second, third, _ = tree
    series, of_study, of_series = nested(first)
    assert sorted(uids(find(web, series), SERIES_UID)) == sorted({first.series, third.series})
    assert sorted(uids(find(web, of_study), SOP_UID)) == sorted(made.instance for made in tree[:3])
    assert sorted(uids(find(web, of_series), SOP_UID)) == sorted([first.instance, second.instance])


@requirement("QIDO-007", "QIDO-112")
def test_media_type_and_no_pixels(web: DicomWeb, tree: list[Made]) -> None:
    """Every 200 is application/dicom+json and holds no pixel data, asked for or not (QIDO-007, QIDO-112)."""
    own = f"PatientID={tree[0].dataset.PatientID}"
    for path in TOP + nested(tree[0]):
        for query in ("", "includefield=all", "includefield=PixelData,7FE00010"):
            answer = ask(web, path, "&".join(filter(None, [own if path in TOP else "", query])))
            assert answer.status == 200, answer.describe()
            assert answer.content_type.split(";")[0].strip().lower() == DICOM_JSON, path
            assert all("7FE00010" not in item for item in answer.json()), f"pixel data in {path}?{query}"


@requirement("QIDO-008")
def test_no_match_is_204(web: DicomWeb, tree: list[Made], make: Maker) -> None:
    """A valid search without matches answers 204 and an empty body; with a match 200 (QIDO-008)."""
    nobody, somebody = make.patient_id(), tree[0].dataset.PatientID
    for resource in TOP:
        answer = ask(web, resource, f"PatientID={nobody}")
        assert (answer.status, answer.body) == (204, b""), answer.describe()
        assert ask(web, resource, f"PatientID={somebody}").status == 200


@requirement("QIDO-009")
def test_unknown_study_or_series_in_the_path(web: DicomWeb, tree: list[Made], make: Maker) -> None:
    """A nested search below an unknown study, or an unknown series of a known one, answers 204 (QIDO-009)."""
    study, known = make.uid(), tree[0].study
    for path in (
        f"/studies/{study}/series",
        f"/studies/{study}/instances",
        f"/studies/{study}/series/{tree[0].series}/instances",
        f"/studies/{known}/series/{study}/instances",
        f"/studies/{known}/series/{tree[3].series}/instances",
    ):
        answer = ask(web, path)
        assert (answer.status, answer.body) == (204, b""), f"{path}: {answer.describe()}"
    assert all(ask(web, path).status == 200 for path in nested(tree[0]))


@requirement("QIDO-010")
@pytest.mark.parametrize("bad", ["abc", "1.2.3a", "1.2.", "1.2.3-4", "1." + "2" * 63])
def test_bad_uid_in_the_path(web: DicomWeb, tree: list[Made], bad: str) -> None:
    """A nested search whose study or series is no UID answers 400; leading zeros are tolerated (QIDO-010)."""
    study = tree[0].study
    for path in (
        f"/studies/{bad}/series",
        f"/studies/{bad}/instances",
        f"/studies/{bad}/series/1.2.3/instances",
        f"/studies/{study}/series/{bad}/instances",
    ):
        refused(ask(web, path))
    assert ask(web, "/studies/1.02.003/series").status == 204, "UidValidation tolerates leading zeros"
    assert ask(web, f"/studies/{'1.' + '2' * 62}/series").status == 204, "64 characters are a UID"


@requirement("QIDO-014")
def test_no_conditions_list_everything(web: DicomWeb, tree: list[Made]) -> None:
    """Without filters every resource of the level is listed, subject to limit (QIDO-014)."""
    for path in nested(tree[0])[:2]:
        assert len(find(web, path)) == (2 if path.endswith("series") else 3)
    for resource in TOP:
        answer = ask(web, resource, "limit=1")
        assert (answer.status, len(answer.json())) == (200, 1), answer.describe()


@requirement("QIDO-104")
def test_a_store_is_visible_at_once(web: DicomWeb, make: Maker) -> None:
    """The search directly after a store finds what was stored, at every level (QIDO-104)."""
    made = make()
    assert find(web, "/instances", f"SOPInstanceUID={made.instance}") == []
    keep(web, made)
    for resource in TOP:
        assert uids(find(web, resource, f"PatientID={made.dataset.PatientID}"), STUDY_UID) == [made.study]
    assert uids(find(web, "/instances", f"SOPInstanceUID={made.instance}"), SOP_UID) == [made.instance]


@requirement("QIDO-105")
def test_a_delete_is_visible_at_once(web: DicomWeb, make: Maker) -> None:
    """What was deleted is gone from all searches, emptied series and studies with it (QIDO-105)."""
    first, second = make.series(2)
    third = make(PatientID=first.dataset.PatientID, StudyInstanceUID=first.study)
    keep(web, first, second, third)
    own = f"PatientID={first.dataset.PatientID}"

    def counts() -> list[int]:
        return [len(find(web, resource, own)) for resource in TOP]

    assert counts() == [1, 2, 3]
    for gone, expected in ((third, [1, 1, 2]), (second, [1, 1, 1]), (first, [0, 0, 0])):
        assert web.delete(*gone.uids).status == 204
        assert counts() == expected, "studies, series and instances left"
        assert find(web, "/instances", f"SOPInstanceUID={gone.instance}") == []
    assert all(find(web, path) == [] for path in nested(first))


@requirement("QIDO-108")
def test_one_store_for_both_versions(v1: DicomWeb, v2: DicomWeb, make: Maker) -> None:
    """What was stored through one version is found through both (QIDO-108)."""
    for storing in (v1, v2):
        made = make()
        keep(storing, made)
        own = f"PatientID={made.dataset.PatientID}"
        for searching in (v1, v2):
            for resource in TOP:
                assert uids(find(searching, resource, own), STUDY_UID) == [made.study]


@requirement("QIDO-121")
def test_search_is_get_only(web: DicomWeb, tree: list[Made], make: Maker) -> None:
    """POST /studies stores, and a search form sent to it is no search (QIDO-121)."""
    own = f"PatientID={tree[0].dataset.PatientID}"
    form = [("Content-Type", "application/x-www-form-urlencoded"), ("Accept", DICOM_JSON)]
    answer = web.request("POST", "/studies", query=own, headers=form, body=own.encode())
    assert answer.status == 415, f"POST /studies is STOW: {answer.describe()}"
    for path in ("/series", "/instances", *nested(tree[0])):
        answer = web.request("POST", path, query=own if path in TOP else "", headers=form, body=own.encode())
        assert answer.status in (404, 405), f"{path}: {answer.describe()}"
    made = make()
    keep(web, made)
    assert find(web, "/studies", f"PatientID={made.dataset.PatientID}")
