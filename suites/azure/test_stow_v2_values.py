"""Storing under v2: the rule of each VR, by a value that breaks it and one that just does not (STOW-107, STOW-138)."""

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import requirement
from suites.azure.data import Maker
from suites.azure.stow import kept, metadata, outcome, reasons, stored

_CODE = (
    "value contains invalid character. Only uppercase character, digits, space and underscore alre allowed"
)
_TIME = "value does not mach pattern HH or HHMM or HHMMSS or HHMMSS.F{1-6}"
_DATE = "one of the date values does not match the pattern YYYYMMDD"
_UID = "value contains invalid characters other than '0'-'9' and '.'"

# Tag and VR of an optional attribute of one value, a bad value, its cause.
BAD = [
    (0x00080054, "AE", "A" * 17, "value exceeds maximum length of 16 characters"),
    (0x00080054, "AE", "A\tB", "value contains invalid control character"),
    (0x00101010, "AS", "52Y", "value does not have pattern 000[DWMY]"),
    (0x00101010, "AS", "052Z", "value does not have pattern 000[DWMY]"),
    (0x00200060, "CS", "L" * 17, "value exceeds maximum length of 16 characters"),
    (0x00200060, "CS", "left", _CODE),
    (0x00200060, "CS", "L-R", _CODE),
    (0x00080021, "DA", "2023-01-01-02", "value contains too many range separators '-'"),
    (0x00080021, "DA", "230405", _DATE),
    (0x00080021, "DA", "20231301", "month component exceeds the value 12"),
    (0x00080021, "DA", "20231232", "day component exceeds the value 31"),
    (0x00101030, "DS", "1.000000000000001", "value exceeds maximum length of 16 characters"),
    (0x00101030, "DS", "heavy", "value is no decimal string"),
    (0x00101030, "DS", "01.5", "value is no decimal string"),
    (0x00101030, "DS", "00", "value is no decimal string"),
    (0x00200011, "IS", "1.5", "value is not an integer string"),
    (0x00200011, "IS", "2147483648", "value too large to fit 32 bit integer"),
    (0x0008103E, "LO", "x" * 65, "value exceeds maximum length of 64 characters"),
    (0x0008103E, "LO", "a\tb", "value contains invalid character"),
    (0x00104000, "LT", "x" * 10241, "value exceeds maximum length of 10240 characters"),
    (0x00081070, "PN", "a=b=c=d", "value contains too many groups"),
    (0x00081070, "PN", "n" * 65, "value exceeds maximum length of 64 characters"),
    (0x00081070, "PN", "a\tb", "value contains invalid control character"),
    (0x00081070, "PN", "a^b^c^d^e^f", "value contains too many components"),
    (0x00200010, "SH", "a\tb", "value contains invalid character"),
    (0x00200010, "SH", "x" * 17, "value exceeds maximum length of 16 characters"),
    (0x00080081, "ST", "x" * 1025, "value exceeds maximum length of 1024 characters"),
    (0x00080031, "TM", "10:11:12", _TIME),
    (0x00080031, "TM", "2400", "hour component exceeds 23"),
    (0x00080031, "TM", "1060", "minutes component exceeds 59"),
    (0x00080031, "TM", "101161", "seconds component exceeds 60"),
    (0x00200052, "UI", "1." * 33 + "1", "value exceeds maximum length of 64 characters"),
    (0x00200052, "UI", "1.2.x", _UID),
    (0x00200052, "UI", "1.02.3", "components must not have leading zeros"),
    (0x00200052, "UI", "1..3", "a component can not be empty"),
]

GOOD = {
    0x00080054: ("AE", "A" * 16),
    0x00101010: ("AS", "052Y"),
    0x00200060: ("CS", "L_R 1"),
    0x00080021: ("DA", "20230231"),
    0x00101030: ("DS", "0.5"),
    0x00101020: ("DS", ".5"),
    0x00200011: ("IS", "2147483647"),
    0x00200013: ("IS", " 007"),
    0x0008103E: ("LO", "x" * 64),
    0x00104000: ("LT", "line\r\nline " + "x" * 10000),
    0x00081070: ("PN", "n" * 64 + "=" + "m" * 64 + "=" + "^".join("abcde")),
    0x00200010: ("SH", "x" * 16),
    0x00080081: ("ST", "x" * 1024),
    0x00080031: ("TM", "235960.123456"),
    0x00200052: ("UI", "1.2." + "3" * 60),
}


@requirement("STOW-092", "STOW-093", "STOW-096", "STOW-107", "STOW-138")
@pytest.mark.parametrize(("tag", "vr", "value", "cause"), BAD)
def test_value_that_breaks_its_vr(
    v2: DicomWeb, make: Maker, tag: int, vr: str, value: str, cause: str
) -> None:
    """A value that breaks its VR gives one reason with its cause and leaves metadata (STOW-092, 093, 096, 107, 138)."""
    made = make(raw={tag: (vr, value)})
    answer = stored(v2, made)
    assert outcome(answer) == (202, [], [1]), answer.describe()
    shown = f"({tag >> 16:04x},{tag & 0xFFFF:04x})"
    assert reasons(answer) == [f'DICOM100: {shown} - Content "{value}" does not validate VR {vr}: {cause}']
    described = metadata(v2, made)
    assert f"{tag:08X}" not in described, "STOW-096: gone from metadata"
    assert described["00080060"]["Value"] == ["CT"], "STOW-096: valid attributes stay"
    assert kept(v2, made) == made.part10, "STOW-096: the file is unchanged"


@requirement("STOW-107", "STOW-108", "STOW-092")
def test_values_just_within_their_vr(v2: DicomWeb, make: Maker) -> None:
    """Values at the edge of the rules are stored without a remark and stay in metadata (STOW-107, STOW-108)."""
    made = make(raw=GOOD)
    answer = stored(v2, made)
    assert (outcome(answer), reasons(answer)) == ((200, [], []), [])
    assert {f"{tag:08X}" for tag in GOOD} <= metadata(v2, made).keys()


@requirement("STOW-107")
@pytest.mark.parametrize(
    ("tag", "vr", "value", "warned"),
    [
        (0x00280030, "DS", b"1\\", True),
        (0x00080008, "CS", b"ORIGINAL\\", False),
        (0x0018002A, "SQ", b"", False),
        (0x00080119, "UC", b"a\x01b ", False),
        (0x00080120, "UR", b"not a url\x02", False),
        (0x0040A160, "UT", b"any\x03text ", False),
        (0x0008002A, "DT", b"yesterday ", True),
        (0x0008002A, "DT", b"20230405101112.5+0100 ", False),
        (0x00200052, "UI", b"0.9.2342\0", True),
    ],
)
def test_edges_of_the_rules(
    v2: DicomWeb, make: Maker, tag: int, vr: str, value: bytes, *, warned: bool
) -> None:
    """Empty parts, unchecked VRs, date times and UIDs that begin with 0 (STOW-107)."""
    made = make(raw={tag: (vr, value)})
    answer = stored(v2, made)
    assert outcome(answer) == ((202, [], [1]) if warned else (200, [], [])), reasons(answer)
    assert (f"{tag:08X}" in metadata(v2, made)) is not warned, (
        "what is warned about leaves metadata (STOW-096)"
    )
    assert kept(v2, made) == made.part10


@requirement("STOW-108", "STOW-083")
@pytest.mark.parametrize("value", ["20230231", "20230400", "20230004", "20230101-20230202"])
def test_dates_that_only_v2_takes(v1: DicomWeb, v2: DicomWeb, make: Maker, value: str) -> None:
    """v2 takes impossible days, day and month 00 and ranges where v1 fails them (STOW-108, STOW-083)."""
    raw = {0x00080020: ("DA", value)}
    assert outcome(stored(v1, make(raw=raw))) == (409, [43264], [])
    answer = stored(v2, make(raw=raw))
    assert outcome(answer) == (200, [], []), reasons(answer)


@requirement("STOW-109")
def test_binary_values_are_not_checked(v2: DicomWeb, make: Maker) -> None:
    """Binary and number VRs have no content check (STOW-109)."""
    raw = {
        0x00420011: ("OB", bytes(range(256))),
        0x00091001: ("OW", b"\x01\x02" * 7),
        0x00091002: ("OF", b"\xff" * 8),
        0x00091003: ("OD", b"\xff" * 16),
        0x00091004: ("OL", b"\xff" * 8),
        0x00091005: ("UN", bytes(range(64))),
        0x00280106: ("US", b"\xff\xff"),
        0x00189073: ("FD", b"\xff" * 8),
        0x00280009: ("AT", b"\xff" * 4),
    }
    made = make(raw=raw)
    answer = stored(v2, made)
    assert (outcome(answer), reasons(answer)) == ((200, [], []), [])
    assert kept(v2, made) == made.part10
    several = stored(v2, make(raw={0x00280106: ("US", b"\1\0\2\0")}))
    assert outcome(several) == (202, [], [1]), "STOW-109: the number of values is checked"
