"""Searching: what each searchable attribute filters, where, and how strings are compared."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import requirement
from suites.azure.data import Made, Maker
from suites.azure.searching import SOP_UID, TOP, ask, find, keep, nested, refused, studies, uids


@dataclass(frozen=True)
class Pair:
    """Two instances that differ in every searchable attribute, and a third one like `wanted` in the same study."""

    wanted: Made
    sibling: Made
    other: Made


@pytest.fixture(scope="module")
def pair(v2: DicomWeb, make: Maker) -> Pair:
    """What the filters have to tell apart."""
    wanted = make(
        PatientName="Wanted^Wilma", PatientBirthDate="19510203", AccessionNumber="WANTED-1", StudyDate="20110607",
        ReferringPhysicianName="Asking^Anna", StudyDescription="Wanted study", Modality="MR",
        PerformedProcedureStepStartDate="20110608", ManufacturerModelName="Model W",
    )  # fmt: skip
    sibling = make(
        like=wanted, SeriesInstanceUID=make.uid(), PatientName="Wanted^Wilma", PatientBirthDate="19510203",
        AccessionNumber="WANTED-1", StudyDate="20110607", ReferringPhysicianName="Asking^Anna",
        StudyDescription="Wanted study", Modality="SR", PerformedProcedureStepStartDate="20110609",
        ManufacturerModelName="Model S",
    )  # fmt: skip
    other = make(PerformedProcedureStepStartDate="20110610")
    keep(v2, wanted, sibling, other)
    return Pair(wanted, sibling, other)


_STUDY = [
    ("QIDO-036", "StudyInstanceUID"), ("QIDO-037", "PatientName"), ("QIDO-038", "PatientID"),
    ("QIDO-039", "PatientBirthDate"), ("QIDO-040", "AccessionNumber"), ("QIDO-041", "ReferringPhysicianName"),
    ("QIDO-042", "StudyDate"), ("QIDO-043", "StudyDescription"),
]  # fmt: skip
_SERIES = [
    ("QIDO-045", "SeriesInstanceUID"), ("QIDO-046", "Modality"), ("QIDO-047", "PerformedProcedureStepStartDate"),
    ("QIDO-048", "ManufacturerModelName"),
]  # fmt: skip


def _cases(pairs: Iterable[tuple[str, str]]) -> list[object]:
    return [pytest.param(keyword, marks=requirement(id_), id=keyword) for id_, keyword in pairs]


def _finds(web: DicomWeb, path: str, query: str, wanted: Made, *others: Made) -> None:
    """Assert that the wanted study is found and the others are not, with the studies of the module alone in view."""
    found = {item["0020000D"]["Value"][0] for item in find(web, path, f"{query}&limit=200")}
    assert wanted.study in found, f"{path}?{query} does not find the study"
    assert not found & {other.study for other in others}, f"{path}?{query} finds a study it must not"


def _filter(made: Made, keyword: str) -> str:
    return f"{keyword}={quote(str(made.dataset[keyword].value))}"


@pytest.mark.parametrize("keyword", _cases(_STUDY))
def test_study_attributes(web: DicomWeb, pair: Pair, keyword: str) -> None:
    """Study attributes filter the three top resources and are not searchable below (QIDO-036 to QIDO-043)."""
    here = "" if keyword == "PatientID" else f"&PatientID={pair.wanted.dataset.PatientID}"
    elsewhere = f"&PatientID={pair.other.dataset.PatientID}"
    for resource in TOP:
        _finds(web, resource, _filter(pair.wanted, keyword) + here, pair.wanted, pair.other)
        if keyword != "PatientID":
            assert find(web, resource, _filter(pair.wanted, keyword) + elsewhere) == [], (
                "the other has another value"
            )
    for path in nested(pair.wanted):
        refused(ask(web, path, _filter(pair.wanted, keyword)), f"AttributeId {keyword} is not queryable")
        assert ask(web, path).status == 200


@requirement("QIDO-044", "QIDO-051")
def test_modalities_in_study(web: DicomWeb, pair: Pair) -> None:
    """ModalitiesInStudy finds the studies with a series of it, whatever the other series are (QIDO-044, QIDO-051)."""
    own, other = f"PatientID={pair.wanted.dataset.PatientID}", f"PatientID={pair.other.dataset.PatientID}"
    for modality in ("MR", "SR", "mr"):
        assert studies(web, f"{own}&ModalitiesInStudy={modality}") == {pair.wanted.study}
        assert studies(web, f"{other}&ModalitiesInStudy={modality}") == set()
        for resource in TOP[1:]:
            assert len(find(web, resource, f"{own}&ModalitiesInStudy={modality}")) == 2, "both of the study"
    assert studies(web, f"{own}&ModalitiesInStudy=CT") == set()
    for path in nested(pair.wanted):
        refused(ask(web, path, "ModalitiesInStudy=MR"), "ModalitiesInStudy is not queryable")


@pytest.mark.parametrize("keyword", _cases(_SERIES))
def test_series_attributes(web: DicomWeb, pair: Pair, keyword: str) -> None:
    """Series attributes filter series and instances, not /studies nor instances of a series (QIDO-045 to QIDO-048)."""
    sent, own = _filter(pair.wanted, keyword), f"PatientID={pair.wanted.dataset.PatientID}"
    series, of_study, of_series = nested(pair.wanted)
    for path, query in (
        ("/series", f"{sent}&{own}"),
        ("/instances", f"{sent}&{own}"),
        (series, sent),
        (of_study, sent),
    ):
        found = find(web, path, query)
        assert {item["0020000E"]["Value"][0] for item in found} == {pair.wanted.series}, f"{path}?{query}"
        assert len(found) == 1
    assert find(web, "/series", f"{sent}&PatientID={pair.other.dataset.PatientID}") == []
    for path in ("/studies", of_series):
        refused(ask(web, path, sent), f"AttributeId {keyword} is not queryable")


@requirement("QIDO-049")
def test_sop_instance_uid(web: DicomWeb, pair: Pair) -> None:
    """SOPInstanceUID filters the three instance searches and no other (QIDO-049)."""
    sent = f"SOPInstanceUID={pair.wanted.instance}"
    series, of_study, of_series = nested(pair.wanted)
    for path in ("/instances", of_study, of_series):
        assert uids(find(web, path, sent), SOP_UID) == [pair.wanted.instance]
    assert find(web, nested(pair.other)[1], sent) == []
    for path in ("/studies", "/series", series):
        refused(ask(web, path, sent), "SOPInstanceUID is not queryable")


@requirement("QIDO-052")
def test_filters_are_combined_with_and(web: DicomWeb, pair: Pair) -> None:
    """All filters must hold; each is evaluated on the index of its level (QIDO-052)."""
    own = f"PatientID={pair.wanted.dataset.PatientID}"
    assert studies(web, f"{own}&AccessionNumber=WANTED-1&StudyDate=20110607") == {pair.wanted.study}
    assert studies(web, f"{own}&AccessionNumber=WANTED-1&StudyDate=20110608") == set()
    assert studies(web, f"{own}&AccessionNumber=ACC-1&StudyDate=20110607") == set()
    both = find(web, "/instances", f"{own}&StudyDescription=Wanted%20study&Modality=SR")
    assert uids(both, SOP_UID) == [pair.sibling.instance]
    assert find(web, "/instances", f"{own}&Modality=SR&ManufacturerModelName=Model%20W") == []
    assert find(web, "/instances", f"{own}&Modality=SR&SOPInstanceUID={pair.wanted.instance}") == []


@requirement("QIDO-053")
def test_strings_match_whole_and_in_any_case(web: DicomWeb, pair: Pair) -> None:
    """A string filter is the whole value, letter case aside (QIDO-053)."""
    own = f"PatientID={pair.wanted.dataset.PatientID.lower()}"
    for sent in (
        "AccessionNumber=wanted-1",
        "StudyDescription=WANTED%20STUDY",
        "StudyDescription=wanted%20study",
    ):
        assert studies(web, f"{own}&{sent}") == {pair.wanted.study}, sent
    assert len(find(web, "/series", f"{own}&Modality=mr")) == 1
    assert len(find(web, "/series", f"{own}&ManufacturerModelName=MODEL%20w")) == 1
    for sent in (
        "AccessionNumber=WANTED",
        "AccessionNumber=ANTED-1",
        "AccessionNumber=WANTED-11",
        "StudyDescription=study",
    ):
        assert studies(web, f"{own}&{sent}") == set(), f"{sent} is no whole value"


@requirement("QIDO-056")
@pytest.mark.parametrize("sent", ["AccessionNumber=WANTED*", "AccessionNumber=WANTED-?", "AccessionNumber=*",
                                  "PatientName=Wan*", "PatientName=Wanted%5EWilm?", "StudyDescription=Wanted%25",
                                  "StudyDescription=Wanted_study", "PatientName=%25"])  # fmt: skip
def test_no_wildcards(web: DicomWeb, pair: Pair, sent: str) -> None:
    """*, ?, % and _ are ordinary characters (QIDO-056)."""
    own = f"PatientID={pair.wanted.dataset.PatientID}"
    assert studies(web, f"{own}&{sent}") == set(), "no DICOM wildcard matching, and none of SQL"
    assert studies(web, f"{own}&AccessionNumber=WANTED-1") == {pair.wanted.study}


@requirement("QIDO-056")
def test_a_star_matches_itself(web: DicomWeb, make: Maker) -> None:
    """A stored * is found by *, as the ordinary character it is (QIDO-056)."""
    made = make(StudyDescription="Six*seven?")
    keep(web, made)
    own = f"PatientID={made.dataset.PatientID}"
    assert studies(web, f"{own}&StudyDescription=six*seven?") == {made.study}
    assert studies(web, f"{own}&StudyDescription=six*") == set()


@requirement("QIDO-057")
def test_no_uid_lists(web: DicomWeb, pair: Pair) -> None:
    """A list of UIDs is one literal value and matches nothing (QIDO-057)."""
    for separator in (",", "%5C", "%2C"):
        assert studies(web, f"StudyInstanceUID={pair.wanted.study}{separator}{pair.other.study}") == set()
    for one in (pair.wanted, pair.other):
        assert studies(web, f"StudyInstanceUID={one.study}") == {one.study}


@requirement("QIDO-058")
def test_bad_uid_as_filter_value(web: DicomWeb, pair: Pair) -> None:
    """A filter value that is no UID is not refused; it matches nothing (QIDO-058)."""
    for value in ("abc", "1.2.", f"{pair.wanted.study}."):
        assert ask(web, "/studies", f"StudyInstanceUID={value}").status == 204
    assert ask(web, "/studies", f"StudyInstanceUID={pair.wanted.study}").status == 200


@requirement("QIDO-128")
def test_over_long_filter(web: DicomWeb, pair: Pair, make: Maker) -> None:
    """A filter longer than its column is no error; at most it finds what equals its beginning (QIDO-128)."""
    made = make(AccessionNumber="SIXTEEN-LETTERS1")
    keep(web, made)
    own = f"PatientID={made.dataset.PatientID}"
    assert studies(web, f"{own}&AccessionNumber=sixteen-letters1") == {made.study}
    assert studies(web, f"{own}&AccessionNumber=SIXTEEN-LETTERS1-and-more") <= {made.study}
    assert studies(web, f"{own}&AccessionNumber=SIXTEEN-LETTERS2-and-more") == set()
    assert studies(web, f"PatientID={pair.wanted.dataset.PatientID}{'x' * 64}") <= {pair.wanted.study}
