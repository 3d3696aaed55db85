"""Searching: how attributes are named, and what is wrong with names and values."""

from urllib.parse import quote

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import requirement
from suites.azure.data import Made, Maker
from suites.azure.searching import TOP, ask, keep, nested, refused, studies


@pytest.fixture(scope="module")
def pair(v2: DicomWeb, make: Maker) -> tuple[Made, Made]:
    """Two studies of one patient that differ in accession number and description."""
    patient = make.patient_id()
    first = make(PatientID=patient, AccessionNumber="IDS-1", StudyDescription="First thing")
    second = make(PatientID=patient, AccessionNumber="IDS-2", StudyDescription="Second thing")
    keep(v2, first, second)
    return first, second


def _own(pair: tuple[Made, Made]) -> str:
    return f"PatientID={pair[0].dataset.PatientID}"


@requirement("QIDO-025")
def test_keyword_form(web: DicomWeb, pair: tuple[Made, Made]) -> None:
    """Keywords name attributes, letter case included (QIDO-025)."""
    assert studies(web, f"{_own(pair)}&AccessionNumber=IDS-1") == {pair[0].study}
    assert studies(web, f"StudyInstanceUID={pair[1].study}") == {pair[1].study}
    for name in ("patientid", "PATIENTID", "patientID", "Patient ID"):
        refused(ask(web, "/studies", [(name, "1")]), "unknown query parameter", name)


@requirement("QIDO-026")
def test_hex_form(web: DicomWeb, pair: tuple[Made, Made]) -> None:
    """Eight hex digits in either letter case do what the keyword does (QIDO-026)."""
    for name in ("0020000D", "0020000d"):
        assert studies(web, f"{name}={pair[0].study}") == {pair[0].study}
    assert studies(web, f"{_own(pair)}&00080050=IDS-2") == {pair[1].study}
    assert studies(web, f"00100020={pair[0].dataset.PatientID}") == {pair[0].study, pair[1].study}


@requirement("QIDO-027")
@pytest.mark.parametrize(
    "name", ["0020,000D", "(0020000D)", "0x0020000D", "0020000", "(0020,000D)", "00020000D"]
)
def test_other_forms(web: DicomWeb, pair: tuple[Made, Made], name: str) -> None:
    """Tags with comma, parentheses, 0x or another length are unknown query parameters (QIDO-027)."""
    refused(ask(web, "/studies", [(name, pair[0].study)]), "unknown query parameter", name)
    assert studies(web, f"0020000D={pair[0].study}") == {pair[0].study}


@requirement("QIDO-028")
@pytest.mark.parametrize("name", ["foo", "00091FFG", "00080003", "NoSuchKeyword", "orderby"])
def test_unknown_query_parameter(web: DicomWeb, pair: tuple[Made, Made], name: str) -> None:
    """What is neither a control parameter nor an attribute answers 400 and is named (QIDO-028)."""
    for path in TOP + nested(pair[0]):
        refused(ask(web, path, f"{name}=1"), "unknown query parameter", name)
    assert ask(web, "/studies", _own(pair)).status == 200


@requirement("QIDO-029")
def test_attribute_that_is_not_searchable(web: DicomWeb, pair: tuple[Made, Made]) -> None:
    """A known attribute that this resource cannot search answers 400 with its name as sent (QIDO-029)."""
    for name in (
        "Modality",
        "00080060",
        "StudyTime",
        "PatientSex",
        "SOPClassUID",
        "00091001",
        "00110010",
        "0040a730",
    ):
        refused(ask(web, "/studies", f"{name}=1"), f"AttributeId {name} is not queryable")
    assert ask(web, "/series", f"{_own(pair)}&Modality=CT").status == 200, "Modality is searchable on /series"


@requirement("QIDO-030")
def test_sequence_path(web: DicomWeb, pair: tuple[Made, Made]) -> None:
    """A dotted attribute id answers 400; sequences are not searchable (QIDO-030)."""
    for name in (
        "RequestAttributesSequence.00400009",
        "00400275.00400009",
        "RequestAttributesSequence",
        "00400275",
    ):
        for path in TOP + nested(pair[0]):
            refused(ask(web, path, f"{name}=1"))
    assert ask(web, "/studies", _own(pair)).status == 200


@requirement("QIDO-031")
def test_attribute_twice_in_one_spelling(web: DicomWeb, pair: tuple[Made, Made]) -> None:
    """The same attribute twice answers 400 saying Duplicate AttributeId, even with equal values (QIDO-031)."""
    refused(ask(web, "/studies", "PatientID=a&PatientID=b"), "Duplicate AttributeId", "PatientID")
    refused(ask(web, "/studies", f"{_own(pair)}&{_own(pair)}"), "Duplicate AttributeId", "PatientID")
    assert ask(web, "/studies", _own(pair)).status == 200


@requirement("QIDO-032")
def test_attribute_twice_in_two_spellings(web: DicomWeb, pair: tuple[Made, Made]) -> None:
    """The same attribute as keyword and hex answers 400 saying so (QIDO-032)."""
    answer = ask(web, "/studies", "PatientID=a&00100020=b")
    refused(answer, "specified more than once", "different")
    refused(ask(web, "/studies", "0020000D=1.2&0020000d=1.2"), "specified more than once")
    assert ask(web, "/studies", f"00100020={pair[0].dataset.PatientID}").status == 200


@requirement("QIDO-033")
@pytest.mark.parametrize("blank", ["", "%20", "+", "%09"])
def test_empty_value(web: DicomWeb, pair: tuple[Made, Made], blank: str) -> None:
    """An attribute with an empty or blank value answers 400 (QIDO-033)."""
    for name in (
        "PatientID",
        "00100020",
        "StudyDate",
        "PatientName",
        "StudyInstanceUID",
        "ModalitiesInStudy",
    ):
        refused(ask(web, "/studies", f"{name}={blank}"), "empty string value is not supported")
    assert ask(web, "/studies", _own(pair)).status == 200


@requirement("QIDO-034")
def test_blanks_around_names_and_values(web: DicomWeb, pair: tuple[Made, Made]) -> None:
    """Blanks around name and value are removed, those inside a value count (QIDO-034)."""
    own = _own(pair)
    for query in (
        "StudyDescription=%20First%20thing%20",
        "%20StudyDescription%20=First%20thing",
        "StudyDescription=First+thing+",
    ):
        assert studies(web, f"{own}&{query}") == {pair[0].study}, query
    assert studies(web, f"{own}&StudyDescription=First%20%20thing") == set()


@requirement("QIDO-035")
def test_timezone_offset_is_not_searchable(web: DicomWeb, pair: tuple[Made, Made]) -> None:
    """TimezoneOffsetFromUTC as a filter answers 400 on every resource (QIDO-035)."""
    for path in TOP + nested(pair[0]):
        for name in ("00080201", "TimezoneOffsetFromUTC"):
            refused(ask(web, path, f"{name}={quote('+0100')}"), "not queryable")
    assert ask(web, "/studies", _own(pair)).status == 200


@requirement("QIDO-050")
def test_path_uid_repeated_as_filter(web: DicomWeb, pair: tuple[Made, Made]) -> None:
    """A UID of the path repeated as filter answers 400, also when it is equal (QIDO-050)."""
    series, of_study, of_series = nested(pair[0])
    for path in (series, of_study, of_series):
        refused(ask(web, path, f"StudyInstanceUID={pair[0].study}"), "not queryable")
        assert ask(web, path).status == 200
    refused(ask(web, of_series, f"SeriesInstanceUID={pair[0].series}"), "not queryable")
    assert ask(web, of_study, f"SeriesInstanceUID={pair[0].series}").status == 200
