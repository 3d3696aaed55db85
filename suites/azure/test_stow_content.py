"""Storing: what becomes of the file itself: transfer syntaxes, private attributes, texts, cut and bare files."""

import struct

import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import requirement
from suites.azure import stow
from suites.azure.data import Made, Maker, Raw, written
from suites.azure.stow import IMPLICIT_VR, kept, metadata, outcome, post, reasons, stored

_CYRILLIC = "Иванов^Пётр"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
MPEG2, HEVC, HTJ2K = "1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.107", "1.2.840.10008.1.2.4.201"


def _syntax_of(part10: bytes) -> str:
    """The Transfer Syntax UID (0002,0010) in a file's meta information."""
    at = part10.index(struct.pack("<HH", 2, 0x10) + b"UI", 132)
    (length,) = struct.unpack_from("<H", part10, at + 6)
    return part10[at + 8 : at + 8 + length].decode().rstrip("\0")


@requirement("STOW-115")
@pytest.mark.parametrize(
    "syntax",
    [
        DeflatedExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        RLELossless,
        JPEGLosslessSV1,
        JPEGLSLossless,
        JPEG2000Lossless,
    ],
)
def test_transfer_syntaxes_are_kept(web: DicomWeb, make: Maker, syntax: str) -> None:
    """A file in any transfer syntax is stored and comes back in it (STOW-115)."""
    made = make(syntax=syntax)
    assert outcome(stored(web, made)) == (200, [], []), syntax
    back = kept(web, made)
    assert back == made.part10
    assert _syntax_of(back) == syntax
    assert metadata(web, made)["00080018"]["Value"] == [made.instance]


def _video(make: Maker, syntax: str) -> Made:
    """An instance whose pixel data no decoder would know what to do with."""
    made = make(PixelData=None)
    made.dataset.add_new(0x7FE00010, "OB", encapsulate([b"\0\0\1\xb3" + bytes(range(200))]))
    made.dataset["PixelData"].is_undefined_length = True
    return Made(made.dataset, written(made.dataset, EXPLICIT, {"TransferSyntaxUID": syntax}), *made.uids)


@requirement("STOW-115")
@pytest.mark.parametrize("syntax", [MPEG2, HEVC, HTJ2K])
def test_syntaxes_nobody_decodes(web: DicomWeb, make: Maker, syntax: str) -> None:
    """Video and other transfer syntaxes that the service cannot decode are stored all the same (STOW-115)."""
    made = _video(make, syntax)
    assert outcome(stored(web, made)) == (200, [], []), syntax
    back = kept(web, made)
    assert back == made.part10
    assert _syntax_of(back) == syntax


@requirement("STOW-118", "STOW-117")
def test_bytes_are_kept(web: DicomWeb, make: Maker) -> None:
    """Files of several transfer syntaxes in one request come back byte for byte (STOW-118, STOW-117)."""
    first = make()
    more = [make(like=first, syntax=syntax) for syntax in (RLELossless, JPEG2000Lossless, EXPLICIT)]
    every = [first, *more]
    assert web.store([made.part10 for made in every]).status == 200
    assert sorted(web.retrieve(first.study)) == sorted(made.part10 for made in every)
    for made in (first, every[2]):  # the two that may be asked for by name (WADO-014)
        own = f"application/dicom; transfer-syntax={_syntax_of(made.part10)}"
        assert web.get(made.path(), accept=own).body == made.part10


@requirement("STOW-119")
def test_preamble_is_kept(web: DicomWeb, make: Maker) -> None:
    """A preamble that is not zero is stored and returned unchanged (STOW-119)."""
    plain = make()
    preamble = (b"II*\0" + bytes(range(124)))[:128]
    made = Made(plain.dataset, preamble + plain.part10[128:], *plain.uids)
    assert outcome(stored(web, made)) == (200, [], [])
    assert kept(web, made) == made.part10


@requirement("STOW-120")
def test_private_attributes_of_explicit_vr(web: DicomWeb, make: Maker) -> None:
    """Private attributes stay in file and metadata, with or without a creator, in any odd group (STOW-120)."""
    raw: Raw = {0x00070008: ("LO", "Private Tag"), 0x00291010: ("DS", "1.5"), 0x00290010: ("LO", "MAKER")}
    made = make(raw=raw)
    assert outcome(stored(web, made)) == (200, [], [])
    described = metadata(web, made)
    assert described["00070008"] == {"vr": "LO", "Value": ["Private Tag"]}
    assert described["00291010"]["vr"] == "DS"
    assert [float(value) for value in described["00291010"]["Value"]] == [1.5]
    assert kept(web, made) == made.part10


@requirement("STOW-111", "STOW-121")
def test_private_attributes_of_implicit_vr(web: DicomWeb, make: Maker) -> None:
    """Private attributes of an implicit VR file stay in the file and are absent from metadata (STOW-121, STOW-111)."""
    raw: Raw = {0x00291010: ("LO", "private"), 0x00290010: ("LO", "MAKER")}
    made = make(syntax=IMPLICIT, raw=raw)
    answer = stored(web, made)
    assert list(answer.warnings.values()) == [IMPLICIT_VR], answer.describe()
    described = metadata(web, made)
    assert "00291010" not in described
    assert described["00100020"]["Value"] == [made.dataset.PatientID], "standard attributes are described"
    assert kept(web, made) == made.part10


@requirement("STOW-122")
@pytest.mark.parametrize(
    ("charset", "name", "shown"),
    [
        (b"ISO_IR 100", "Müller^Jörg".encode("latin-1"), {"Alphabetic": "Müller^Jörg"}),
        (
            b"ISO_IR 192",
            "Wang^XiaoDong=王^小東".encode(),
            {"Alphabetic": "Wang^XiaoDong", "Ideographic": "王^小東"},
        ),
        (b"ISO_IR 144", _CYRILLIC.encode("iso8859-5"), {"Alphabetic": _CYRILLIC}),
        (
            b"\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
            {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎"},
        ),
    ],
)
def test_character_sets(
    web: DicomWeb, make: Maker, charset: bytes, name: bytes, shown: dict[str, str]
) -> None:
    """Names are decoded by their character set for metadata and search; the file is not converted (STOW-122)."""
    raw: Raw = {
        0x00080005: ("CS", charset + b" " * (len(charset) % 2)),
        0x00100010: ("PN", name + b" " * (len(name) % 2)),
    }
    made = make(raw=raw)
    assert outcome(stored(web, made)) == (200, [], [])
    described = metadata(web, made)
    assert described["00100010"]["Value"] == [shown]
    wanted = [value or None for value in charset.decode().split("\\")]
    assert described["00080005"]["Value"] == wanted
    (study,) = web.search("studies", StudyInstanceUID=made.study).json()
    assert study["00100010"]["Value"][0]["Alphabetic"] == shown["Alphabetic"]
    assert kept(web, made) == made.part10


@requirement("STOW-123", "STOW-124")
def test_conflicting_attributes(web: DicomWeb, make: Maker) -> None:
    """Nothing is coerced; the study takes the newest value that is not empty (STOW-123, STOW-124)."""
    first = make(PatientName="Old^Name", StudyDescription="old")
    second = make(like=first, PatientID=make.patient_id(), PatientName="New^Name", StudyDescription="")
    for made in (first, second):
        assert outcome(stored(web, made)) == (200, [], [])
    assert (kept(web, first), kept(web, second)) == (first.part10, second.part10)
    assert metadata(web, first)["00100010"]["Value"] == [{"Alphabetic": "Old^Name"}], "STOW-123"
    assert web.search("studies", StudyInstanceUID=first.study, PatientName="New^Name").status == 200, (
        "STOW-124"
    )
    assert web.search("studies", StudyInstanceUID=first.study, PatientName="Old^Name").status == 204, (
        "STOW-124"
    )
    assert web.search("studies", PatientID=second.dataset.PatientID).status == 200, "STOW-124"
    kept_one = web.search("studies", StudyInstanceUID=first.study, StudyDescription="old")
    assert kept_one.status == 200, "STOW-124: an empty value does not overwrite"


@requirement("STOW-124")
def test_series_attributes_latest_wins(web: DicomWeb, make: Maker) -> None:
    """The series takes the newest value that is not empty too (STOW-124)."""
    first = make(Modality="CT", ManufacturerModelName="Old")
    for made in (first, make(like=first, Modality="MR", ManufacturerModelName="")):
        assert outcome(stored(web, made)) == (200, [], [])
    found = web.search("series", study=first.study, Modality="MR", ManufacturerModelName="Old")
    assert found.status == 200, f"the newest modality, and a model that an empty one left: {found.describe()}"
    assert web.search("series", study=first.study, Modality="CT").status == 204


@requirement("STOW-132")
def test_cut_file_is_accepted(web: DicomWeb, make: Maker) -> None:
    """A file that ends in its pixels is stored as sent with 200: compare what comes back (STOW-132)."""
    made = make()
    cut = Made(made.dataset, made.part10[:-1000], *made.uids)
    assert outcome(stored(web, cut)) == (200, [], [])
    assert kept(web, cut) == cut.part10
    other = make()
    at = other.part10.index(b"\x20\x00\x0d\x00UI")
    early = post(web, other.part10[:at])
    assert stow.refused(early) == (409, [43264]), "STOW-132: the cut lost the study"
    assert "DICOM100: (0020,000d) - The required tag '(0020,000d)' is missing." in reasons(early)


@requirement("STOW-133")
def test_file_without_preamble_or_meta(web: DicomWeb, make: Maker) -> None:
    """Files that begin with group 0002, and bare data sets, are stored as sent (STOW-133)."""
    first, second, third = make(), make(), make(syntax=IMPLICIT)
    bare = [one.part10[_meta_end(one.part10) :] for one in (second, third)]
    answers = [stow.as_store(post(web, content)) for content in (first.part10[132:], *bare)]
    assert [answer.stored for answer in answers] == [(first.instance,), (second.instance,), (third.instance,)]
    assert [list(answer.warnings.values()) for answer in answers] == [[], [], [IMPLICIT_VR]]
    assert kept(web, first) == first.part10[132:]


def _meta_end(part10: bytes) -> int:
    """Where the data set begins: File Meta Information Group Length counts from its own end."""
    return 144 + int.from_bytes(part10[140:144], "little")
