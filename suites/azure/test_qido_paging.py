"""Searching: limit, offset, fuzzymatching as parameters, and the order of pages."""

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import requirement
from suites.azure.data import Made, Maker
from suites.azure.searching import SERIES_UID, SOP_UID, STUDY_UID, TOP, ask, find, keep, nested, refused, uids

_MANY = 102


@pytest.fixture(scope="module")
def three(v2: DicomWeb, make: Maker) -> list[Made]:
    """Three studies of one patient, stored one after the other."""
    patient = make.patient_id()
    made = [make(PatientID=patient) for _ in range(3)]
    for one in made:
        keep(v2, one)
    return made


@pytest.fixture(scope="module")
def many(v2: DicomWeb, make: Maker) -> list[Made]:
    """One series of 102 instances without pixels worth mentioning."""
    made = make.series(_MANY, Rows=1, Columns=1, PixelData=b"\0\0")
    keep(v2, *made)
    return made


def _own(made: list[Made]) -> str:
    return f"PatientID={made[0].dataset.PatientID}"


@requirement("QIDO-015")
def test_default_limit(web: DicomWeb, many: list[Made]) -> None:
    """Without limit 100 results come back, with one all 102 (QIDO-015)."""
    for path, query in (("/instances", _own(many)), (nested(many[0])[1], ""), (nested(many[0])[2], "")):
        assert len(find(web, path, query)) == 100, path
        assert len(find(web, path, f"{query}&limit=200".strip("&"))) == _MANY, path


@requirement("QIDO-016", "QIDO-120")
def test_maximum_limit(web: DicomWeb, three: list[Made]) -> None:
    """The limit is 1 to 200; others answer 400 naming Limit and the range, never 413 (QIDO-016, QIDO-120)."""
    for good in (1, 3, 200):
        assert ask(web, "/studies", f"{_own(three)}&limit={good}").status == 200
    for path in TOP + nested(three[0]):
        for limit in ("201", "0", "-1", "2147483647"):
            refused(ask(web, path, f"limit={limit}"), "limit", "1", "200")


@requirement("QIDO-017")
@pytest.mark.parametrize("limit", ["abc", "1.5", "2147483648", "99999999999999999999", "1e2", "0x10"])
def test_non_numeric_limit(web: DicomWeb, three: list[Made], limit: str) -> None:
    """A limit that is no 32-bit number answers 400 naming Limit (QIDO-017)."""
    refused(ask(web, "/studies", f"{_own(three)}&limit={limit}"), "limit")
    assert ask(web, "/studies", f"{_own(three)}&limit=2").status == 200


@requirement("QIDO-018")
def test_limit_cuts_the_result(web: DicomWeb, three: list[Made], many: list[Made]) -> None:
    """limit=k gives exactly k of n matches, counted in objects of the searched level (QIDO-018)."""
    for k in (1, 2):
        for resource in TOP:
            assert len(find(web, resource, f"{_own(three)}&limit={k}")) == k
    assert len(find(web, nested(many[0])[2], "limit=101")) == 101
    assert len(find(web, "/studies", f"{_own(many)}&limit=2")) == 1, (
        "instances do not use up a page of studies"
    )


@requirement("QIDO-019", "QIDO-020")
def test_offset_pages_visit_every_match_once(web: DicomWeb, three: list[Made], many: list[Made]) -> None:
    """Pages of one visit each match once; an offset at or past the end answers 204 (QIDO-019, QIDO-020)."""
    for resource, tag in zip(TOP, (STUDY_UID, SERIES_UID, SOP_UID), strict=True):
        whole = uids(find(web, resource, _own(three)), tag)
        pages = [find(web, resource, f"{_own(three)}&limit=1&offset={at}") for at in range(3)]
        assert [len(page) for page in pages] == [1, 1, 1]
        assert sorted(uids(page, tag)[0] for page in pages) == sorted(whole)
        for offset in (3, 4, 1_000_000):
            assert find(web, resource, f"{_own(three)}&offset={offset}") == []
    pages = [find(web, nested(many[0])[1], f"limit=50&offset={at}") for at in (0, 50, 100)]
    assert [len(page) for page in pages] == [50, 50, 2]
    assert {uid for page in pages for uid in uids(page, SOP_UID)} == {made.instance for made in many}


@requirement("QIDO-021")
def test_bad_offset(web: DicomWeb, three: list[Made]) -> None:
    """A negative or non-integer offset answers 400 naming Offset; 64-bit numbers are taken (QIDO-021)."""
    for offset in ("-1", "abc", "1.5", "9223372036854775808"):
        refused(ask(web, "/studies", f"{_own(three)}&offset={offset}"), "offset")
    assert ask(web, "/studies", f"{_own(three)}&offset=4294967296").status == 204
    assert ask(web, "/studies", f"{_own(three)}&offset=0").status == 200


@requirement("QIDO-022")
def test_control_parameters_in_any_case(web: DicomWeb, three: list[Made]) -> None:
    """limit, offset, fuzzymatching and includefield work in any letter case (QIDO-022)."""
    own = _own(three)
    assert len(find(web, "/studies", f"{own}&LIMIT=2")) == 2
    assert len(find(web, "/studies", f"{own}&Offset=1")) == 2
    assert len(find(web, "/studies", f"{own}&FuzzyMatching=TRUE&PatientName=Conform")) == 3
    assert find(web, "/studies", f"{own}&FuzzyMatching=False&PatientName=Conform") == []
    shown = find(web, "/studies", f"{own}&IncludeField=PatientSex&limit=1")
    assert shown[0]["00100040"]["Value"] == ["F"]


@requirement("QIDO-023")
def test_repeated_control_parameter(web: DicomWeb, three: list[Made]) -> None:
    """Of a repeated limit or offset the first value counts (QIDO-023)."""
    assert len(find(web, "/studies", f"{_own(three)}&limit=2&limit=1")) == 2
    assert len(find(web, "/studies", f"{_own(three)}&offset=2&offset=0")) == 1


@requirement("QIDO-024")
@pytest.mark.parametrize("word", ["1", "yes", "on", "truefalse"])
def test_bad_fuzzymatching(web: DicomWeb, three: list[Made], word: str) -> None:
    """The parameter fuzzymatching takes true and false only, else 400 naming FuzzyMatching (QIDO-024)."""
    refused(ask(web, "/studies", f"{_own(three)}&fuzzymatching={word}"), "fuzzymatching")
    for good in ("true", "false", "True"):
        assert ask(web, "/studies", f"{_own(three)}&fuzzymatching={good}").status == 200


@requirement("QIDO-125")
@pytest.mark.parametrize("name", ["limit", "offset", "fuzzymatching"])
@pytest.mark.parametrize("blank", ["", "%20"])
def test_empty_control_parameter(web: DicomWeb, three: list[Made], name: str, blank: str) -> None:
    """An empty control parameter answers 400 naming it; the default is not used in its place (QIDO-125)."""
    refused(ask(web, "/studies", f"{_own(three)}&{name}={blank}"), name)
    assert ask(web, "/studies", f"{_own(three)}").status == 200


@requirement("QIDO-103")
def test_pages_are_cut_newest_first(web: DicomWeb, make: Maker) -> None:
    """Pages come newest first: instances by storage, studies and series by creation (QIDO-103)."""
    patient = make.patient_id()
    old, new = make(PatientID=patient), make(PatientID=patient)
    late = make(like=old)
    for made in (old, new, late):
        keep(web, made)

    def order(resource: str, tag: str, count: int) -> list[str]:
        pages = [find(web, resource, f"PatientID={patient}&limit=1&offset={at}") for at in range(count)]
        return [uids(page, tag)[0] for page in pages]

    assert order("/instances", SOP_UID, 3) == [late.instance, new.instance, old.instance]
    assert order("/studies", STUDY_UID, 2) == [new.study, old.study], "a new instance moves no old study up"
    assert order("/series", SERIES_UID, 2) == [new.series, old.series], "nor an old series"
