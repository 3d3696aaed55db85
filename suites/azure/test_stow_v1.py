"""Storing under v1: searchable attributes are checked and fail an instance, others are left alone."""

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import requirement
from suites.azure.data import Maker, Raw
from suites.azure.service import Service
from suites.azure.stow import items, kept, metadata, outcome, reasons, stored

_STUDY_DATE, _BIRTH_DATE, _STEP_DATE = 0x00080020, 0x00100030, 0x00400244
_DESCRIPTION, _ACCESSION, _MODALITY, _MODEL = 0x00081030, 0x00080050, 0x00080060, 0x00081090
_PATIENT_ID, _NAME, _REFERRING = 0x00100020, 0x00100010, 0x00080090
_SERIES_UID = 0x0020000E

_CONTROL = "Value contains invalid character."
_NO_DATE = "Value cannot be parsed as a valid date."


def _too_long(most: int) -> str:
    return f"Value length exceeds maximum length of {most}."


_BAD = [
    ("StudyDate", _STUDY_DATE, "DA", b"NotADate", _NO_DATE),
    ("StudyDate", _STUDY_DATE, "DA", b"20230231", _NO_DATE),
    ("StudyDate", _STUDY_DATE, "DA", b"2023.04.05", _NO_DATE),
    ("PatientBirthDate", _BIRTH_DATE, "DA", b"19700100", _NO_DATE),
    ("PerformedProcedureStepStartDate", _STEP_DATE, "DA", b"20230101-20230202", _NO_DATE),
    ("AccessionNumber", _ACCESSION, "SH", b"a" * 17, _too_long(16)),
    ("Modality", _MODALITY, "CS", b"A" * 17, _too_long(16)),
    ("StudyDescription", _DESCRIPTION, "LO", b"d" * 65, _too_long(64)),
    ("StudyDescription", _DESCRIPTION, "LO", b"a\tb ", _CONTROL),
    ("ManufacturerModelName", _MODEL, "LO", b"a\x01b ", _CONTROL),
    ("PatientID", _PATIENT_ID, "LO", b"123\0", _CONTROL),
    ("PatientID", _PATIENT_ID, "LO", b"p" * 65, _too_long(64)),
    ("PatientName", _NAME, "PN", b"a\x07^b ", _CONTROL),
    ("PatientName", _NAME, "PN", b"n" * 65, _too_long(64)),
    ("ReferringPhysicianName", _REFERRING, "PN", b"a=b=c=d ", None),
    ("ReferringPhysicianName", _REFERRING, "PN", b"a^b^c^d^e^f ", None),
]


@requirement("STOW-080", "STOW-083", "STOW-084", "STOW-085", "STOW-086", "STOW-089")
@pytest.mark.parametrize(("keyword", "tag", "vr", "value", "cause"), _BAD)
def test_bad_searchable_value(
    v1: DicomWeb, make: Maker, keyword: str, tag: int, vr: str, value: bytes, cause: str | None
) -> None:
    """One bad searchable value fails the instance, and the reason says why (STOW-080, 083 to 086, 089)."""
    made = make(raw={tag: (vr, value + b" " * (len(value) % 2))})
    answer = stored(v1, made)
    assert outcome(answer) == (409, [43264], []), answer.describe()
    start = f"DICOM100: ({tag >> 16:04x},{tag & 0xFFFF:04x}) - "
    (reason,) = reasons(answer)
    assert reason.startswith(start)
    if cause is not None:
        assert reason == f"{start}Dicom element '{keyword}' failed validation for VR '{vr}': {cause}", (
            "STOW-089"
        )
    assert kept(v1, made) is None


@requirement("STOW-080", "STOW-082", "STOW-083", "STOW-084", "STOW-085", "STOW-086")
def test_good_values_at_the_edge(v1: DicomWeb, make: Maker) -> None:
    """Values just within the rules, and empty ones, are stored without a remark (STOW-080, 082 to 086)."""
    values: Raw = {
        _STUDY_DATE: ("DA", "20240229"),
        _BIRTH_DATE: ("DA", ""),
        _ACCESSION: ("SH", "a" * 16),
        _MODALITY: ("CS", "lower\0"),
        _DESCRIPTION: ("LO", "d" * 64),
        _MODEL: ("LO", "a\x1bb "),
        _NAME: ("PN", "n" * 64 + "=" + "m" * 64 + "=" + "^".join("abcde")),
        _REFERRING: ("PN", ""),
    }
    made = make(raw=values)
    answer = stored(v1, made)
    assert outcome(answer) == (200, [], []), reasons(answer)
    assert kept(v1, made) == made.part10
    blank = make(
        raw=dict.fromkeys((_STUDY_DATE,), ("DA", "")) | {_DESCRIPTION: ("LO", ""), _MODALITY: ("CS", "")}
    )
    assert outcome(stored(v1, blank)) == (200, [], []), "STOW-082"


@requirement("STOW-081")
def test_other_attributes_are_left_alone(v1: DicomWeb, make: Maker) -> None:
    """Bad values of attributes nobody searches are stored without a remark and stay in metadata (STOW-081)."""
    raw: Raw = {
        0x300E0004: ("DA", "NotADate"),
        0x0008103E: ("LO", "s" * 70),
        0x00080080: ("LO", b"a\tb "),
        0x00101010: ("AS", "52Y "),
        0x00280030: ("DS", "not a number"),
        0x00080021: ("DA", "20231399"),
    }
    made = make(raw=raw)
    answer = stored(v1, made)
    assert outcome(answer) == (200, [], []), reasons(answer)
    assert kept(v1, made) == made.part10
    assert metadata(v1, made)["0008103E"]["Value"] == ["s" * 70]


@requirement("STOW-087")
@pytest.mark.parametrize(
    ("tag", "vr", "value", "right"),
    [
        (_STUDY_DATE, "DT", "20230405", "DA"),
        (_DESCRIPTION, "ST", "Head", "LO"),
        (_MODALITY, "LO", "CT", "CS"),
    ],
)
def test_vr_that_is_not_the_dictionarys(
    v1: DicomWeb, make: Maker, tag: int, vr: str, value: str, right: str
) -> None:
    """A searchable attribute in another VR fails the instance, in its own it does not (STOW-087)."""
    answer = stored(v1, make(raw={tag: (vr, value)}))
    assert outcome(answer) == (409, [43264], []), answer.describe()
    assert reasons(answer)[0].startswith(f"DICOM100: ({tag >> 16:04x},{tag & 0xFFFF:04x}) - ")
    assert outcome(stored(v1, make(raw={tag: (right, value)}))) == (200, [], [])


@requirement("STOW-088", "STOW-106")
def test_several_values_v1(service: Service, v1: DicomWeb, make: Maker) -> None:
    """A searchable attribute with two values is found by the first, and the Warning header says so (STOW-088)."""
    first = make(AccessionNumber="ONE", raw={_DESCRIPTION: ("LO", "one\\two")})
    answer = stored(v1, first)
    assert outcome(answer) == (200, [], []), answer.describe()
    host = service.deployment.cloud.url.split("//")[1].partition(":")[0]
    warning = answer.response.header("Warning")
    assert warning.startswith(f'299 {host}: "'), warning
    assert "first value" in warning
    for text, status in (("one", 200), ("two", 204)):
        found = v1.search("studies", StudyInstanceUID=first.study, StudyDescription=text)
        assert found.status == status, f"search for {text}: {found.describe()}"
    assert stored(v1, make()).response.header("Warning") == "", "no such attribute, no header"


@requirement("STOW-088", "STOW-054")
def test_several_values_of_a_required_attribute_v1(v1: DicomWeb, make: Maker) -> None:
    """Two Patient IDs or two Series Instance UIDs fail the instance and still give the header (STOW-088, STOW-054)."""
    for tag, vr, value in ((_PATIENT_ID, "LO", "a\\b"), (_SERIES_UID, "UI", "1.2\\1.3")):
        answer = stored(v1, make(raw={tag: (vr, value)}))
        assert answer.status == 409, answer.describe()
        assert answer.response.header("Warning").startswith("299 "), f"{tag:08X}"
    good = stored(v1, make(), make(raw={_PATIENT_ID: ("LO", "a\\b")}))
    assert good.status == 202
    assert good.response.header("Warning").startswith("299 "), "one instance of the request is enough"


@requirement("STOW-089", "STOW-043")
def test_every_bad_value_has_its_reason(v1: DicomWeb, make: Maker) -> None:
    """Two bad searchable values give two reasons; a bad one nobody searches gives none (STOW-089, STOW-043)."""
    raw: Raw = {
        _STUDY_DATE: ("DA", "NotADate"),
        _PATIENT_ID: ("LO", b"123\0"),
        0x300E0004: ("DA", "NotADate"),
    }
    answer = stored(v1, make(raw=raw))
    assert outcome(answer) == (409, [43264], []), answer.describe()
    named = {reason.partition(" - ")[0].removeprefix("DICOM100: ") for reason in reasons(answer)}
    assert named == {"(0008,0020)", "(0010,0020)"}
    assert items(answer, "00081198")[0]["00741048"]["vr"] == "SQ"
