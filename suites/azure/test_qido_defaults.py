"""Searching: which attributes results hold when nothing, everything or something is asked for."""

from typing import Any

import pytest
from pydicom import Dataset

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import requirement
from suites.azure.data import Made, Maker
from suites.azure.searching import Item, find, keep, key, keys, nested, values

_CODED = {"CodeValue": "1", "CodingSchemeDesignator": "99TEST", "CodeMeaning": "meaning"}


def _sequence(**attributes: str) -> list[Dataset]:
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return [item]


_STUDY_V1 = keys(
    "SpecificCharacterSet", "StudyDate", "StudyTime", "AccessionNumber", "InstanceAvailability",
    "ReferringPhysicianName", "TimezoneOffsetFromUTC", "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
    "StudyInstanceUID", "StudyID",
)  # fmt: skip
_SERIES_V1 = keys(
    "SpecificCharacterSet", "Modality", "TimezoneOffsetFromUTC", "SeriesDescription", "SeriesInstanceUID",
    "PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime", "RequestAttributesSequence",
)  # fmt: skip
_INSTANCE_V1 = keys(
    "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "InstanceAvailability", "TimezoneOffsetFromUTC",
    "InstanceNumber", "Rows", "Columns", "BitsAllocated", "NumberOfFrames",
)  # fmt: skip
_STUDY_V2 = keys(
    "StudyInstanceUID", "StudyDate", "StudyDescription", "AccessionNumber", "ReferringPhysicianName", "PatientName",
    "PatientID", "PatientBirthDate",
)  # fmt: skip
_SERIES_V2 = keys("SeriesInstanceUID", "Modality", "PerformedProcedureStepStartDate", "ManufacturerModelName")
_INSTANCE_V2 = keys("SOPInstanceUID")
_ALL_STUDY = _STUDY_V1 | keys(
    "StudyDescription", "AnatomicRegionsInStudyCodeSequence", "ProcedureCodeSequence", "NameOfPhysiciansReadingStudy",
    "AdmittingDiagnosesDescription", "ReferencedStudySequence", "PatientAge", "PatientSize", "PatientWeight",
    "Occupation", "AdditionalPatientHistory",
)  # fmt: skip
_ALL_SERIES = _SERIES_V1 | keys("SeriesNumber", "Laterality", "SeriesDate", "SeriesTime")

# One value for every attribute that any list names, and some that none does.
_RICH: dict[str, Any] = {
    "InstanceAvailability": "ONLINE",
    "TimezoneOffsetFromUTC": "+0100",
    "PerformedProcedureStepStartDate": "20230405",
    "PerformedProcedureStepStartTime": "101213",
    "RequestAttributesSequence": _sequence(ScheduledProcedureStepID="STEP"),
    "NumberOfFrames": 1,
    "AnatomicRegionsInStudyCodeSequence": _sequence(**_CODED),
    "ProcedureCodeSequence": _sequence(**_CODED),
    "NameOfPhysiciansReadingStudy": "Reader^Rolf",
    "AdmittingDiagnosesDescription": "nothing",
    "ReferencedStudySequence": _sequence(ReferencedSOPClassUID="1.2.3", ReferencedSOPInstanceUID="1.2.3.4"),
    "PatientAge": "053Y",
    "PatientSize": "1.8",
    "PatientWeight": "80",
    "Occupation": "tester",
    "AdditionalPatientHistory": "none",
    "Laterality": "L",
    "SeriesDate": "20230405",
    "SeriesTime": "101214",
    "BodyPartExamined": "HEAD",
    "InstitutionName": "Test house",
}


@pytest.fixture(scope="module")
def rich(v2: DicomWeb, make: Maker) -> Made:
    """An instance that holds every attribute a result may hold, and others besides."""
    made = make(**_RICH)
    missing = (_ALL_STUDY | _ALL_SERIES | _INSTANCE_V1 | _STUDY_V2 | _SERIES_V2) - set(
        made.dataset.to_json_dict()
    )
    assert not missing, f"the instance lacks {missing}, so nothing would be shown about them"
    keep(v2, made)
    return made


def _own(made: Made, more: str = "") -> str:
    return f"PatientID={made.dataset.PatientID}{more}"


def _shown(web: DicomWeb, path: str, query: str = "") -> set[str]:
    (item,) = find(web, path, query)
    return set(item)


@requirement("QIDO-077")
def test_v1_study_defaults(v1: DicomWeb, rich: Made) -> None:
    """On v1 study results hold the thirteen default attributes and no other (QIDO-077)."""
    assert _shown(v1, "/studies", _own(rich)) == _STUDY_V1


@requirement("QIDO-078")
def test_v2_study_defaults(v2: DicomWeb, rich: Made) -> None:
    """On v2 study results hold the eight default attributes and no other (QIDO-078)."""
    assert _shown(v2, "/studies", _own(rich)) == _STUDY_V2


@requirement("QIDO-079")
def test_v1_series_defaults(v1: DicomWeb, rich: Made) -> None:
    """On v1 series results add the eight series defaults (QIDO-079)."""
    assert _shown(v1, nested(rich)[0]) == _SERIES_V1 | keys("StudyInstanceUID")
    (item,) = find(v1, nested(rich)[0])
    assert values(item, "RequestAttributesSequence") == [{"00400009": {"vr": "SH", "Value": ["STEP"]}}]


@requirement("QIDO-080")
def test_v2_series_defaults(v2: DicomWeb, rich: Made) -> None:
    """On v2 series results add the four series defaults (QIDO-080)."""
    assert _shown(v2, nested(rich)[0]) == _SERIES_V2 | keys("StudyInstanceUID")


@requirement("QIDO-081")
def test_v1_instance_defaults(v1: DicomWeb, rich: Made) -> None:
    """On v1 instance results add the ten instance defaults (QIDO-081)."""
    assert _shown(v1, nested(rich)[2]) == _INSTANCE_V1 | keys("StudyInstanceUID", "SeriesInstanceUID")


@requirement("QIDO-082")
def test_v2_instance_defaults(v2: DicomWeb, rich: Made) -> None:
    """On v2 instance results add SOPInstanceUID only (QIDO-082)."""
    assert _shown(v2, nested(rich)[2]) == keys("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")


@requirement("QIDO-083", "QIDO-084")
def test_levels_joined_in_results(web: DicomWeb, rich: Made) -> None:
    """Results hold the defaults of the levels from the path down, and the UIDs of the path (QIDO-083, QIDO-084)."""
    study, series, instance = (
        (_STUDY_V1, _SERIES_V1, _INSTANCE_V1)
        if web.version == "v1"
        else (_STUDY_V2, _SERIES_V2, _INSTANCE_V2)
    )
    of_study, of_series = keys("StudyInstanceUID"), keys("StudyInstanceUID", "SeriesInstanceUID")
    below = nested(rich)
    expected = {
        "/studies": study,
        "/series": study | series,
        "/instances": study | series | instance,
        below[0]: series | of_study,
        below[1]: series | instance | of_study,
        below[2]: instance | of_series,
    }
    for path, attributes in expected.items():
        query = "" if path in below else _own(rich)
        assert _shown(web, path, query) == attributes, path
    for path in below:
        (item,) = find(web, path)
        assert values(item, "StudyInstanceUID") == [rich.study]
        if path == below[2]:
            assert values(item, "SeriesInstanceUID") == [rich.series]


@requirement("QIDO-085")
def test_filter_attributes_are_returned(web: DicomWeb, rich: Made) -> None:
    """An attribute used as filter is in the results, also with includefield=all (QIDO-085)."""
    for resource in ("/studies", "/series", "/instances"):
        for extra in ("", "&includefield=all"):
            (item,) = find(web, resource, _own(rich, f"&StudyDescription=head%20without%20contrast{extra}"))
            assert values(item, "StudyDescription") == ["Head without contrast"]
    for extra in ("", "includefield=all&"):
        (item,) = find(web, nested(rich)[1], f"{extra}ManufacturerModelName=model%20a")
        assert values(item, "ManufacturerModelName") == ["Model A"]
    (item,) = find(web, "/studies", _own(rich, "&ModalitiesInStudy=CT&includefield=all"))
    assert values(item, "ModalitiesInStudy") == ["CT"]
    (item,) = find(web, "/instances", _own(rich, "&ModalitiesInStudy=CT"))
    assert values(item, "ModalitiesInStudy") is None, "QIDO-124: never computed on instance searches"


@requirement("QIDO-090", "QIDO-093")
def test_includefield_all(web: DicomWeb, rich: Made) -> None:
    """includefield=all gives the full list of each level, and nothing computed or arbitrary (QIDO-090, QIDO-093)."""
    below = nested(rich)
    for word in ("all", "ALL", "All"):
        assert _shown(web, "/studies", _own(rich, f"&includefield={word}")) == _ALL_STUDY
    assert _shown(web, "/series", _own(rich, "&includefield=all")) == _ALL_STUDY | _ALL_SERIES
    everything = _ALL_STUDY | _ALL_SERIES | _INSTANCE_V1
    assert _shown(web, "/instances", _own(rich, "&includefield=all")) == everything
    assert _shown(web, below[0], "includefield=all") == _ALL_SERIES | keys("StudyInstanceUID")
    assert _shown(web, below[1], "includefield=all") == _ALL_SERIES | _INSTANCE_V1 | keys("StudyInstanceUID")
    path_uids = keys("StudyInstanceUID", "SeriesInstanceUID")
    assert _shown(web, below[2], "includefield=all") == _INSTANCE_V1 | path_uids
    assert not _shown(web, below[1], "includefield=all") & keys("BodyPartExamined", "InstitutionName")


@requirement("QIDO-091")
def test_all_drops_the_model_name(v2: DicomWeb, rich: Made) -> None:
    """On v2 includefield=all lacks ManufacturerModelName, a default, unless it is a filter (QIDO-091)."""
    path, tag = nested(rich)[0], key("ManufacturerModelName")
    assert tag in _shown(v2, path)
    assert tag not in _shown(v2, path, "includefield=all"), "the v1 list is used, which lacks it"
    assert tag in _shown(v2, path, "includefield=all&ManufacturerModelName=Model%20A")


@requirement("QIDO-111")
def test_values_follow_the_json_model(v1: DicomWeb, v2: DicomWeb, make: Maker) -> None:
    """PN is an object, IS and DS are numbers, an empty attribute has no Value (QIDO-111)."""
    made = make(PatientWeight="80.5", PatientName="Yamada^Tarou=山田^太郎", StudyID="", InstanceNumber=7)
    keep(v2, made)
    for web in (v1, v2):
        query = _own(
            made, "&includefield=PatientWeight,InstanceNumber,StudyID,NumberOfSeriesRelatedInstances"
        )
        item: Item
        (item,) = find(web, "/series", query)
        assert item[key("PatientName")] == {
            "vr": "PN",
            "Value": [{"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎"}],
        }
        assert item[key("PatientWeight")] == {"vr": "DS", "Value": [80.5]}
        assert item[key("InstanceNumber")] == {"vr": "IS", "Value": [7]}
        assert item[key("StudyID")] == {"vr": "SH"}
        assert item[key("NumberOfSeriesRelatedInstances")] == {"vr": "IS", "Value": [1]}
