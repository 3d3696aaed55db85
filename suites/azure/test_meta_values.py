"""Metadata: which elements are there and how their values are written (META-010 to META-017, META-030, META-032 to META-034)."""

from typing import Any

import pytest
from pydicom import Dataset

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import requirement
from suites.azure.data import Made, Maker, Raw, element

pytestmark = pytest.mark.azure

IMPLICIT = "1.2.840.10008.1.2"
BULK = ("OB", "OD", "OF", "OL", "OV", "OW", "UN")
KEPT: Raw = {
    0x00091001: ("LO", b"private text"),
    0x00091002: ("FD", b"\0\0\0\0\0\0\xf8\x3f"),
    0x00091003: ("LO", b""),
    0x00091004: ("SH", b"one\\\\three "),
    0x00091005: ("AT", bytes.fromhex("1000 2000 e07f 1000 0f00 fbfa")),
    0x00091006: ("SV", b"\xff" * 8),
    0x00091007: ("UV", b"\x07" + b"\0" * 7),
    0x00091008: ("SL", b"\xfe\xff\xff\xff"),
    0x00091009: ("UL", b"\xff\xff\xff\xff"),
    0x0009100A: ("SS", b"\xfb\xff\x05\0"),
    0x0009100B: ("FL", b"\0\0\x20\x40"),
    0x0009100C: ("DS", b"+1.50\\1E1\\-.25 "),
    0x0009100D: ("DS", b"1.5\\abc "),
    0x0009100E: ("IS", b" 7 \\1.0\\+3"),
    0x0009100F: ("IS", b"1\\99999999999 "),
    0x00091010: ("PN", "Lee^Ann^^=李^安==".encode()),
    0x00091011: ("PN", b"Jonathan^X^Stone Hall^^\\\\Last^One"),
    0x00091012: ("LO", b"  leading and trailing  "),
    0x00091013: ("SH", b"first \\second "),
    0x00091014: ("UI", b"1.2.3\0"),
    0x00091015: ("CS", b""),
    0x00091016: ("DA", b"20230405"),
}
BLOCK = 0x00090010, ("LO", b"A CREATOR ")


@pytest.fixture(scope="module")
def stored(v1: DicomWeb, make: Maker) -> Made:
    """An instance with elements of every VR, at its root and inside a sequence."""
    bulk = {0x00110010 + 0x0FF0 + place: (vr, bytes(size)) for place, (vr, size) in enumerate(_sizes())}
    item = Dataset()
    item.add_new(0x00080060, "CS", "MR")
    for tag, (vr, value) in {**bulk, 0x00110010: ("LO", b"BULKY ")}.items():
        item[tag] = element(tag, vr, value)
    made = make(
        raw={
            BLOCK[0]: BLOCK[1],
            0x00110010: ("LO", b"BULKY "),
            **KEPT,
            **bulk,
            0x00080000: ("UL", b"\4\0\0\0"),
            0x00104000: ("LT", b""),
        },
        ReferencedImageSequence=[item, Dataset()],
        ReferencedStudySequence=[],
    )
    answer = v1.store([made.part10])
    assert answer.status == 200, answer.describe()
    return made


def _sizes() -> list[tuple[str, int]]:
    """Every bulk data VR once small and once large."""
    return [(vr, size) for vr in BULK for size in (8, 4096)]


@pytest.fixture
def found(web: DicomWeb, stored: Made) -> dict[str, Any]:
    """Its metadata."""
    return read(web, stored)


def read(web: DicomWeb, made: Made) -> dict[str, Any]:
    """The one object of an instance's metadata."""
    answer = web.metadata(*made.uids)
    assert answer.status == 200, answer.describe()
    (document,) = answer.json()
    return dict(document)


def values(document: dict[str, Any], number: int) -> Any:
    """The values of the private element 0009,10xx."""
    return document[f"000910{number:02X}"].get("Value")


@requirement("META-010")
def test_bulk_data_left_out(found: dict[str, Any]) -> None:
    """Elements of bulk data VRs are absent at the root and in sequences, whatever their size (META-010)."""
    (item, _) = found["00081140"]["Value"]
    for document in (found, item):
        assert "00110010" in document, "the private creator beside them is there"
        assert [key for key in document if key.startswith("001110")] == []
        assert not {entry["vr"] for entry in document.values()} & set(BULK)
        assert all(entry.keys() <= {"vr", "Value"} for entry in document.values()), (
            "no BulkDataURI, no InlineBinary"
        )
    assert "7FE00010" not in found


@requirement("META-011")
def test_everything_else_is_kept(stored: Made, found: dict[str, Any]) -> None:
    """All other elements are there: private ones, sequences and empty ones (META-011)."""
    expected = {f"{one.tag:08X}" for one in stored.dataset if one.VR not in BULK}
    expected |= {f"{tag:08X}" for tag in (*KEPT, BLOCK[0], 0x00110010, 0x00104000)}
    assert set(found) == expected
    assert found["00081140"]["Value"][0]["00080060"] == {"vr": "CS", "Value": ["MR"]}
    assert found["00081110"] == {"vr": "SQ"}, "an empty sequence"
    assert found["00091003"] == {"vr": "LO"}, "an empty element has its VR only"
    assert found["00091001"] == {"vr": "LO", "Value": ["private text"]}


@requirement("META-012")
def test_no_file_meta_or_group_lengths(found: dict[str, Any]) -> None:
    """Group 0002 and group lengths are not in metadata (META-012)."""
    assert [key for key in found if key.startswith("0002") or key.endswith("0000")] == []
    assert "00080018" in found


@requirement("META-013")
def test_form(found: dict[str, Any]) -> None:
    """Keys are eight upper-case hexadecimal digits, values arrays, empty components null, AT values text (META-013)."""
    for key, entry in found.items():
        assert len(key) == 8
        assert set(key) <= set("0123456789ABCDEF"), key
        assert isinstance(entry["vr"], str)
        assert isinstance(entry.get("Value", []), list)
    assert values(found, 0x04) == ["one", None, "three"]
    assert values(found, 0x05) == ["00100020", "7FE00010", "000FFAFB"]
    assert found["00081140"]["Value"][1] == {}, "an empty item"


@requirement("META-014")
def test_person_names(found: dict[str, Any]) -> None:
    """Names have the groups that are not blank, with their text as stored; an empty name is null (META-014)."""
    assert values(found, 0x10) == [{"Alphabetic": "Lee^Ann^^", "Ideographic": "李^安"}]
    assert values(found, 0x11) == [
        {"Alphabetic": "Jonathan^X^Stone Hall^^"},
        None,
        {"Alphabetic": "Last^One"},
    ]


@requirement("META-015")
def test_numbers(found: dict[str, Any]) -> None:
    """Numbers are JSON numbers, unless one value of a DS or IS does not parse: then all are text (META-015)."""
    assert values(found, 0x02) == [1.5]
    assert values(found, 0x06) == [-1]
    assert values(found, 0x07) == [7]
    assert values(found, 0x08) == [-2]
    assert values(found, 0x09) == [4294967295]
    assert values(found, 0x0A) == [-5, 5]
    assert values(found, 0x0B) == [2.5]
    assert values(found, 0x0C) == pytest.approx([1.5, 10, -0.25])
    assert values(found, 0x0D) == ["1.5", "abc"]
    assert values(found, 0x0E) == [7, 1, 3]
    assert all(isinstance(value, str) for value in values(found, 0x0F)), "IS has 32 bits"
    assert found["00280010"] == {"vr": "US", "Value": [32]}


@requirement("META-032")
def test_empty_text(found: dict[str, Any]) -> None:
    """An empty LT has no value or null; empty elements of other VRs have their VR only (META-032)."""
    assert found["00104000"]["vr"] == "LT"
    assert found["00104000"].get("Value", []) in ([], [None])
    assert found["00091015"] == {"vr": "CS"}


@requirement("META-034")
def test_padding(found: dict[str, Any]) -> None:
    """Trailing spaces after the last value and nulls of a UID are gone, leading spaces stay (META-034)."""
    assert values(found, 0x12) == ["  leading and trailing"]
    assert values(found, 0x13)[0].rstrip() == "first"
    assert values(found, 0x13)[1] == "second"
    assert values(found, 0x14) == ["1.2.3"]


@requirement("META-016")
def test_null_padding(v2: DicomWeb, make: Maker) -> None:
    """Under v2, trailing nulls stay in text and are gone from UI, DS and IS (META-016)."""
    made = make(
        raw={
            0x00080060: ("CS", b"CT\0\0"),
            0x00100010: ("PN", b"Doe^Jane\0\0"),
            0x00100020: ("LO", f"{make.patient_id()}\0".encode()),
            0x00200010: ("SH", b"7\0"),
            0x00080014: ("UI", b"1.2.3\0"),
            0x00180050: ("DS", b"1.5\0"),
            0x00200013: ("IS", b"3\0"),
        }
    )
    answer = v2.store([made.part10])
    assert (answer.status, dict(answer.warnings)) == (200, {}), answer.describe()
    document = read(v2, made)
    assert document["00080060"]["Value"] == ["CT\0\0"]
    assert document["00100010"]["Value"] == [{"Alphabetic": "Doe^Jane\0\0"}]
    assert document["00200010"]["Value"] == ["7\0"]
    assert document["00080014"]["Value"] == ["1.2.3"]
    assert document["00180050"]["Value"] == [1.5]
    assert document["00200013"]["Value"] == [3]


@requirement("META-017")
def test_implicit_files(web: DicomWeb, make: Maker) -> None:
    """Of an implicit VR file standard elements have the dictionary's VR, unknown ones are left out (META-017)."""
    made = make(
        syntax=IMPLICIT,
        raw={
            0x00180050: ("DS", b"2.5 "),
            0x00091001: ("LO", b"unknown "),
            0x00080008: ("CS", b"ORIGINAL\\PRIMARY"),
        },
    )
    answer = web.store([made.part10])
    assert answer.status in (200, 202), answer.describe()
    document = read(web, made)
    assert document["00180050"] == {"vr": "DS", "Value": [2.5]}
    assert document["00080008"] == {"vr": "CS", "Value": ["ORIGINAL", "PRIMARY"]}
    assert document["00280010"] == {"vr": "US", "Value": [32]}
    assert "00091001" not in document
    assert web.retrieve(*made.uids) == [made.part10], "the file keeps it"


@requirement("META-033")
@pytest.mark.parametrize(
    "raw", [{0x00091001: ("IS", b"1\\\\2")}, {0x00091001: ("DS", b"1\\\\2")}, {0x00091001: ("UC", b"a\\b ")}]
)
def test_values_metadata_may_not_have(v1: DicomWeb, make: Maker, raw: Raw) -> None:
    """An IS or DS with an empty component, or a UC of several values, is stored and retrieved (META-033)."""
    made = make(raw={BLOCK[0]: BLOCK[1], **raw})
    answer = v1.store([made.part10])
    assert answer.status == 200, answer.describe()
    assert v1.retrieve(*made.uids) == [made.part10]
