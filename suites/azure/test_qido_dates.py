"""Searching: dates, date ranges and what they refuse."""

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import requirement
from suites.azure.data import Made, Maker
from suites.azure.searching import ask, find, keep, nested, refused, studies

Days = dict[str, Made]


@pytest.fixture(scope="module")
def days(v2: DicomWeb, make: Maker) -> Days:
    """Studies of one patient, by the day on which everything about them happened; one has no dates at all."""
    patient = make.patient_id()
    made = {
        day: make(PatientID=patient, StudyDate=day, PatientBirthDate=day, PerformedProcedureStepStartDate=day)
        for day in ("20181231", "20190101", "20190115", "20190131", "20190201")
    }
    made["none"] = make(PatientID=patient, StudyDate="", PatientBirthDate=None)
    keep(v2, *made.values())
    return made


def _found(web: DicomWeb, days: Days, query: str) -> list[str]:
    """The days whose study a query finds among those of the module."""
    own = f"PatientID={days['none'].dataset.PatientID}"
    found = {item["0020000D"]["Value"][0] for item in find(web, "/series", f"{own}&{query}")}
    known = {made.study: day for day, made in days.items()}
    return sorted(known[study] for study in found)


@requirement("QIDO-059")
def test_exact_date(web: DicomWeb, days: Days) -> None:
    """A date matches that day only; 29 February is a date in leap years only (QIDO-059)."""
    assert _found(web, days, "StudyDate=20190101") == ["20190101"]
    assert _found(web, days, "StudyDate=20190102") == []
    assert _found(web, days, "StudyDate=20200229") == []
    refused(ask(web, "/studies", "StudyDate=20190229"), "20190229")


_BAD = [
    "2019",
    "201901",
    "20190231",
    "20191301",
    "2019-01-01",
    "2019.01.01",
    "NotAValidStudyDate",
    "20190101T",
    "\uff12\uff10\uff11\uff19\uff10\uff11\uff10\uff11",
]


@requirement("QIDO-060")
@pytest.mark.parametrize("name", ["StudyDate", "00080020", "PatientBirthDate"])
def test_bad_date(web: DicomWeb, days: Days, name: str) -> None:
    """A bad date answers 400 with the documented text, the attribute by its keyword (QIDO-060)."""
    keyword = "StudyDate" if name == "00080020" else name
    for value in _BAD:
        refused(
            ask(web, "/studies", [(name, value)]),
            f"Invalid query: specified Date value '{value}' is invalid for attribute '{keyword}'. "
            "Date should be valid and formatted as yyyyMMdd.",
        )
    assert _found(web, days, f"{name}=20190101") == ["20190101"]


@requirement("QIDO-060")
@pytest.mark.parametrize(
    ("value", "offending"),
    [("2019-20190131", "2019"), ("20190101-201901", "201901"), ("-2019", "2019"), ("20190231-", "20190231")],
)
def test_bad_end_of_a_range(web: DicomWeb, days: Days, value: str, offending: str) -> None:
    """Of a range the offending end is quoted (QIDO-060)."""
    refused(
        ask(web, "/studies", f"StudyDate={value}"),
        f"Invalid query: specified Date value '{offending}' is invalid for attribute 'StudyDate'.",
    )
    assert _found(web, days, "StudyDate=20190101-20190101") == ["20190101"]


@requirement("QIDO-061")
def test_closed_range(web: DicomWeb, days: Days) -> None:
    """A range matches both end days and all between (QIDO-061)."""
    assert _found(web, days, "StudyDate=20190101-20190131") == ["20190101", "20190115", "20190131"]
    assert _found(web, days, "StudyDate=20190102-20190130") == ["20190115"]


@requirement("QIDO-062")
def test_range_with_open_start(web: DicomWeb, days: Days) -> None:
    """-date matches that day and everything before (QIDO-062)."""
    assert _found(web, days, "StudyDate=-20190115") == ["20181231", "20190101", "20190115"]
    assert _found(web, days, "StudyDate=-20190114") == ["20181231", "20190101"]


@requirement("QIDO-063")
def test_range_with_open_end(web: DicomWeb, days: Days) -> None:
    """The range date- matches that day and everything after (QIDO-063)."""
    assert _found(web, days, "StudyDate=20190115-") == ["20190115", "20190131", "20190201"]
    assert _found(web, days, "StudyDate=20190116-") == ["20190131", "20190201"]


@requirement("QIDO-064")
def test_range_without_ends(web: DicomWeb, days: Days) -> None:
    """A lone hyphen answers 400 saying that both parts cannot be empty (QIDO-064)."""
    for value in ("-", "%20-%20"):
        refused(ask(web, "/studies", f"StudyDate={value}"), "both parts", "empty")
    assert _found(web, days, "StudyDate=20190201-") == ["20190201"]


@requirement("QIDO-065")
def test_reversed_range(web: DicomWeb, days: Days) -> None:
    """A range that ends before it begins answers 400 naming it; equal ends are accepted (QIDO-065)."""
    refused(ask(web, "/studies", "StudyDate=20190131-20190101"), "20190131-20190101")
    assert _found(web, days, "StudyDate=20190131-20190131") == ["20190131"]


@requirement("QIDO-066")
@pytest.mark.parametrize("keyword", ["StudyDate", "PatientBirthDate", "PerformedProcedureStepStartDate"])
def test_every_date_attribute_takes_ranges(web: DicomWeb, days: Days, keyword: str) -> None:
    """Ranges work on every searchable attribute of VR DA, also those the document does not name (QIDO-066)."""
    assert _found(web, days, f"{keyword}=20190101-20190115") == ["20190101", "20190115"]
    assert _found(web, days, f"{keyword}=20190131-") == ["20190131", "20190201"]
    assert _found(web, days, f"{keyword}=-20190101") == ["20181231", "20190101"]
    refused(ask(web, "/series", f"{keyword}=20190131-20190101"), "20190131-20190101")


@requirement("QIDO-066")
def test_range_below_a_study(web: DicomWeb, days: Days) -> None:
    """A date of the series takes ranges on the nested searches too (QIDO-066)."""
    path = nested(days["20190115"])[0]
    assert len(find(web, path, "PerformedProcedureStepStartDate=20190101-20190131")) == 1
    assert find(web, path, "PerformedProcedureStepStartDate=20190116-20190131") == []


@requirement("QIDO-067")
def test_missing_date_never_matches(web: DicomWeb, days: Days) -> None:
    """A study without the date is not found by any filter on it, open ranges included (QIDO-067)."""
    own = f"PatientID={days['none'].dataset.PatientID}"
    assert days["none"].study in studies(web, own)
    for keyword in ("StudyDate", "PatientBirthDate", "PerformedProcedureStepStartDate"):
        for value in ("-99991231", "00010101-", "00010101-99991231"):
            found = _found(web, days, f"{keyword}={value}")
            assert "none" not in found, f"{keyword}={value}"
            assert len(found) == 5, f"{keyword}={value} finds all that have the date"
