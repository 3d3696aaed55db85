"""Storing under v2: only required attributes fail an instance, everything else is a warning."""

import pytest
from pydicom import Dataset

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import requirement
from suites.azure.data import Maker, element
from suites.azure.service import Service
from suites.azure.stow import IMPLICIT_VR, kept, metadata, outcome, reasons, stored

PATIENT_ID, DESCRIPTION, MODALITY = 0x00100020, 0x00081030, 0x00080060


@requirement("STOW-091")
@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (PATIENT_ID, "LO", b"p" * 65 + b" "),
        (PATIENT_ID, "LO", b"a\tb "),
        (PATIENT_ID, "SH", b"wrongVR "),
        (0x0020000D, "LO", b"1.2.3.45"),
        (0x0020000E, "UI", b"1.2.x\0"),
    ],
    ids=["too long", "control character", "VR of Patient ID", "VR of the study", "UID characters"],
)
def test_required_attributes_fail(v2: DicomWeb, make: Maker, tag: int, vr: str, value: bytes) -> None:
    """A required attribute with a bad value or VR fails the instance (STOW-091)."""
    made = make(raw={tag: (vr, value)})
    answer = stored(v2, made)
    assert outcome(answer) == (409, [43264], []), answer.describe()
    assert any(f"({tag >> 16:04x},{tag & 0xFFFF:04x})" in reason for reason in reasons(answer))
    assert outcome(stored(v2, make(raw={PATIENT_ID: ("LO", b"p" * 62 + b"\x1bp")}))) == (200, [], [])


@requirement("STOW-091", "STOW-105", "STOW-106")
def test_several_patient_ids(service: Service, v2: DicomWeb, make: Maker) -> None:
    """Two Patient IDs are a warning with the Warning header and are neither described nor found (STOW-091, 105, 106)."""
    name = make.patient_id()
    made = make(raw={PATIENT_ID: ("LO", f"{name}\\b")})
    answer = stored(v2, made)
    assert outcome(answer) == (202, [], [1]), answer.describe()
    expected = (
        'DICOM100: (0010,0020) - Content "(0010,0020) LO Patient ID" does not validate VR LO: '
        "Number of items 2 does not match ValueMultiplicity 1"
    )
    assert reasons(answer) == [expected]
    host = service.deployment.cloud.url.split("//")[1].partition(":")[0]
    assert answer.response.header("Warning").startswith(f'299 {host}: "')
    assert "00100020" not in metadata(v2, made)
    assert v2.search("studies", PatientID=name).status == 204
    assert kept(v2, made) == made.part10


@requirement("STOW-106")
def test_warning_header_v2(v2: DicomWeb, make: Maker) -> None:
    """Two UIDs fail and give the Warning header, two Study Descriptions do not give it (STOW-106)."""
    for tag in (0x00080016, 0x0020000D, 0x0020000E, 0x00080018):
        answer = stored(v2, make(raw={tag: ("UI", f"{make.uid()}\\1.3")}))
        assert answer.status == 409, answer.describe()
        assert answer.response.header("Warning").startswith("299 "), f"{tag:08X}"
    several = stored(v2, make(raw={DESCRIPTION: ("LO", "one\\two")}))
    assert (several.status, several.response.header("Warning")) == (202, "")


@requirement("STOW-092", "STOW-095")
def test_violations_at_any_depth(v2: DicomWeb, make: Maker) -> None:
    """Nested violations are reported under the nested tags, all of them (STOW-092, STOW-095)."""
    deep, item = Dataset(), Dataset()
    deep[0x00080104] = element(0x00080104, "LO", b"a\tb ")
    item[0x00080100] = element(0x00080100, "SH", b"c" * 17 + b" ")
    item.add_new(0x0040A043, "SQ", [deep])
    made = make(RequestAttributesSequence=[item])
    answer = stored(v2, made)
    assert outcome(answer) == (202, [], [1]), answer.describe()
    assert {reason.partition(" - ")[0] for reason in reasons(answer)} == {
        "DICOM100: (0008,0100)",
        "DICOM100: (0008,0104)",
    }
    assert "00400275" in metadata(v2, made), "the sequence itself is not named and stays"
    assert kept(v2, made) == made.part10


@requirement("STOW-094", "STOW-093")
def test_one_reason_a_tag(v2: DicomWeb, make: Maker) -> None:
    """A tag that is wrong twice appears once, with the first offending part quoted (STOW-094, STOW-093)."""
    one, two = Dataset(), Dataset()
    one[0x00080102] = element(0x00080102, "SH", b"first is too long.")
    two[0x00080102] = element(0x00080102, "SH", b"second is too long")
    made = make(RequestAttributesSequence=[one, two], raw={0x00080008: ("CS", "ORIGINAL\\primary\\axial")})
    found = reasons(stored(v2, made))
    assert [reason.partition(" does not")[0] for reason in found] == [
        'DICOM100: (0008,0008) - Content "primary"',
        'DICOM100: (0008,0102) - Content "first is too long."',
    ]


@requirement("STOW-096")
def test_warned_attribute_is_not_searched(v2: DicomWeb, make: Maker) -> None:
    """A warned attribute leaves metadata and index; its valid neighbours stay (STOW-096)."""
    bad, good = make(raw={0x00080050: ("SH", "ACC-" + "x" * 16)}), make(AccessionNumber="ACC-xxxx")
    assert (stored(v2, bad).status, stored(v2, good).status) == (202, 200)
    for made, has in ((bad, False), (good, True)):
        found = v2.search("studies", StudyInstanceUID=made.study).json()[0]
        assert bool(found.get("00080050", {}).get("Value")) is has
        assert found["00100020"]["Value"] == [made.dataset.PatientID]
        assert ("00080050" in metadata(v2, made)) is has


@requirement("STOW-098", "STOW-102")
def test_trailing_nulls(v2: DicomWeb, make: Maker) -> None:
    """A value padded with nulls is stored without a remark, kept, and found with and without them (STOW-098, STOW-102)."""
    name = make.patient_id() + "-A"
    name += "x" * (1 - len(name) % 2)
    made = make(raw={PATIENT_ID: ("LO", name.encode() + b"\0"), MODALITY: ("CS", b"CT\0\0")})
    answer = stored(v2, made)
    assert (outcome(answer), reasons(answer)) == ((200, [], []), [])
    described = metadata(v2, made)
    assert described["00100020"]["Value"] == [name + "\0"]
    assert described["00080060"]["Value"] == ["CT\0\0"]
    for wanted in (name, name + "\0"):
        found = v2.search("studies", PatientID=wanted)
        assert found.status == 200, f"search for {wanted!r}: {found.describe()}"
        assert [study["0020000D"]["Value"] for study in found.json()] == [[made.study]]
    assert v2.search("studies", PatientID=name + "x").status == 204
    assert kept(v2, made) == made.part10


@requirement("STOW-099", "STOW-102")
def test_embedded_nulls(v2: DicomWeb, make: Maker) -> None:
    """A null inside a value is a violation: a warning, or for Patient ID a failure (STOW-099, STOW-102)."""
    answer = stored(v2, make(raw={MODALITY: ("CS", b"X\0X ")}))
    assert outcome(answer) == (202, [], [1])
    start = 'DICOM100: (0008,0060) - Content "X\0X" does not validate VR CS: value contains invalid character'
    assert reasons(answer)[0].startswith(start), reasons(answer)
    failed = stored(v2, make(raw={PATIENT_ID: ("LO", b"\x00123\0 ")}))
    assert outcome(failed) == (409, [43264], [])


@requirement("STOW-103", "STOW-043")
def test_private_attributes_are_checked(v2: DicomWeb, make: Maker) -> None:
    """A bad private value is a warning, its number of values is free (STOW-103)."""
    raw = {0x00090010: ("LO", "MAKER"), 0x00091001: ("DA", "NotADate"), 0x00091002: ("SH", "a\\b\\c")}
    answer = stored(v2, make(raw=raw))
    assert outcome(answer) == (202, [], [1]), answer.describe()
    assert [reason.partition(" - ")[0] for reason in reasons(answer)] == ["DICOM100: (0009,1001:MAKER)"]


@requirement("STOW-104")
def test_empty_values(v2: DicomWeb, make: Maker) -> None:
    """Empty optional attributes give no warning (STOW-104)."""
    tags = {
        0x00080020: "DA",
        0x00101030: "DS",
        0x00101010: "AS",
        0x00200052: "UI",
        0x00280106: "US",
        0x00080031: "TM",
    }
    made = make(raw={tag: (vr, b"") for tag, vr in tags.items()})
    answer = stored(v2, made)
    assert (outcome(answer), reasons(answer)) == ((200, [], []), [])
    assert {f"{tag:08X}" for tag in tags} <= metadata(v2, made).keys(), "they stay in metadata"
    assert kept(v2, made) == made.part10


@requirement("STOW-105")
@pytest.mark.parametrize(
    ("tag", "vr", "value", "described"),
    [
        (DESCRIPTION, "LO", b"a\\b ", "(0008,1030) LO Study Description"),
        (0x00280030, "DS", b"1 ", "(0028,0030) DS Pixel Spacing"),
        (0x00180010, "LO", b"a\\b ", "(0018,0010) LO Contrast/Bolus Agent"),
        (0x00189073, "FD", bytes(16), "(0018,9073) FD Acquisition Duration"),
        (0x00100010, "PN", b"a\\b\\c\\d ", "(0010,0010) PN Patient's Name"),
    ],
)
def test_multiplicity(v2: DicomWeb, make: Maker, tag: int, vr: str, value: bytes, described: str) -> None:
    """A wrong number of values is a warning that describes the element (STOW-105)."""
    count = len(value) // 8 if vr == "FD" else value.count(b"\\") + 1
    bounds = 2 if tag == 0x00280030 else 1
    answer = stored(v2, make(raw={tag: (vr, value)}))
    assert outcome(answer) == (202, [], [1]), answer.describe()
    (reason,) = reasons(answer)
    assert reason.startswith(f"DICOM100: ({tag >> 16:04x},{tag & 0xFFFF:04x}) - ")
    content = f'Content "{described}" does not validate VR {vr}: Number of items {count} does not match'
    assert reason.endswith(f"{content} ValueMultiplicity {bounds}"), reason


@requirement("STOW-105")
def test_multiplicity_that_is_not_checked(v1: DicomWeb, v2: DicomWeb, make: Maker) -> None:
    """Private attributes, up to three names and long texts may have as many values as they like (STOW-105)."""
    raw = {
        0x00091001: ("LO", "a\\b\\c"),
        0x00100010: ("PN", "A^B\\C^D\\E^F "),
        0x00104000: ("LT", "a\\b"),
        0x00080119: ("UC", "a\\b"),
    }
    answer = stored(v2, make(raw=raw))
    assert (outcome(answer), reasons(answer)) == ((200, [], []), [])
    under_v1 = stored(v1, make(raw={DESCRIPTION: ("LO", "a\\b ")}))
    assert (under_v1.status, under_v1.response.header("Warning")[:4]) == (200, "299 "), "v1: the header only"


@requirement("STOW-110")
@pytest.mark.parametrize("level", ["studies", "series"])
def test_corrected_by_a_later_instance(v2: DicomWeb, make: Maker, level: str) -> None:
    """An attribute dropped with a warning becomes searchable when a later instance brings a valid value (STOW-110)."""
    tag, vr, bad, good = (
        (0x00080050, "SH", "A" * 17, "A") if level == "studies" else (0x00080060, "CS", "mr", "MR")
    )
    first = make(raw={tag: (vr, bad)})
    assert stored(v2, first).status == 202
    wanted = {f"{tag:08X}": good}
    assert v2.search(level, StudyInstanceUID=first.study, **wanted).status == 204
    assert stored(v2, make(like=first, raw={tag: (vr, good)})).status == 200
    assert v2.search(level, StudyInstanceUID=first.study, **wanted).status == 200


@requirement("STOW-114")
def test_implicit_vr_with_a_violation(v2: DicomWeb, make: Maker) -> None:
    """45063 stands before 1, and the violation is listed all the same (STOW-114)."""
    made = make(syntax="1.2.840.10008.1.2", raw={0x00080021: ("DA", "NotADate")})
    answer = stored(v2, made)
    assert outcome(answer) == (202, [], [IMPLICIT_VR]), answer.describe()
    assert [reason[:21] for reason in reasons(answer)] == ["DICOM100: (0008,0021)"]


@requirement("STOW-134")
def test_null_padding_on_several_values(v2: DicomWeb, make: Maker) -> None:
    """Several values that end with a null are checked as one text, whose backslash is then wrong (STOW-134)."""
    answer = stored(v2, make(raw={0x00080008: ("CS", b"ORIGINAL\\PRIMARY\0")}))
    assert outcome(answer) == (202, [], [1]), answer.describe()
    quoted = 'DICOM100: (0008,0008) - Content "ORIGINAL\\PRIMARY" does not validate VR CS'
    assert reasons(answer)[0].startswith(quoted), reasons(answer)
    assert outcome(stored(v2, make(raw={0x00080008: ("CS", b"ORIGINAL\\PRIMARY ")}))) == (200, [], [])


@requirement("STOW-097")
def test_nested_violation_leaves_the_sequence(v2: DicomWeb, make: Maker) -> None:
    """An invalid nested value stays in metadata; a root attribute of that tag may go, others stay (STOW-097)."""
    item = Dataset()
    item[0x0008103E] = element(0x0008103E, "LO", b"nested\tvalue")
    made = make(RequestAttributesSequence=[item], SeriesDescription="root", StudyDescription="kept")
    answer = stored(v2, made)
    assert [reason.partition(" - ")[0] for reason in reasons(answer)] == ["DICOM100: (0008,103e)"]
    described = metadata(v2, made)
    (nested,) = described["00400275"]["Value"]
    assert nested["0008103E"]["Value"] == ["nested\tvalue"]
    assert described.get("0008103E", {"Value": ["root"]})["Value"] == ["root"]
    assert described["00081030"]["Value"] == ["kept"]
