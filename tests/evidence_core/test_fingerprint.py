import hashlib
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian

from fixtures.data import Run, make_series
from fixtures.data.odd_encoding import OddElement, encode, part10_of
from fixtures.data.real import real_paths
from fixtures.evidence.elements import Unreadable
from fixtures.evidence.encoding import parse
from fixtures.evidence.fingerprint import Difference, differences, fingerprint, same
from fixtures.evidence.pixels import LOSSLESS

SMALL = (
    OddElement(0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.7"),
    OddElement(0x00080018, "UI", b"1.2.3.4.5"),
    OddElement(0x00081140, "SQ", items=((OddElement(0x00081155, "UI", b"1.2.3"),), ())),
    OddElement(0x00100010, "PN", b"Schmeler639^Jule420"),
    OddElement(0x00100020, "LO", b"P1"),
)


def small(*elements: OddElement) -> bytes:
    changed = {e.tag: e for e in SMALL} | {e.tag: e for e in elements}
    return part10_of(tuple(changed.values()), ExplicitVRLittleEndian)


def test_dataset_digest_is_the_one_of_the_catalogue() -> None:
    """SHA-256 of the data set as Explicit VR Little Endian in tag order without group lengths."""
    plain = tuple(e for e in SMALL if e.items is None)
    file = part10_of((*plain, OddElement(0x00100000, "UL", b"\0\0\0\0")), ExplicitVRLittleEndian)
    assert fingerprint(file).dataset_digest == hashlib.sha256(encode(plain)).hexdigest()


def test_pixel_digest_is_that_of_the_frames() -> None:
    instance = make_series(Run("digest"), 1, 1).instances[0]
    assert instance.fingerprint.pixel_digest == hashlib.sha256(instance.dataset().PixelData).hexdigest()


def test_path_and_bytes_give_the_same_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "small.dcm"
    path.write_bytes(small())
    assert fingerprint(path) == fingerprint(small())


def test_members_are_those_of_the_data_set() -> None:
    found = fingerprint(small())
    assert (found.sop_instance_uid, found.patient_id, found.frames, found.pixel_digest) == (
        "1.2.3.4.5",
        "P1",
        0,
        None,
    )


@pytest.mark.parametrize(
    ("part10", "reason"),
    [
        (b"", "not DICOM"),
        (b"hello, world", "not DICOM"),
        (small()[:-3], "cut short"),
        (small()[:140], "cut short|no SOP"),
        (b"\0" * 128 + b"DICM", "no SOP Instance UID"),
        (small(OddElement(0x00080018, "UI", b"")), "no SOP Instance UID"),
        (small(OddElement(0x00080016, "UI", b"")), "no SOP Class UID"),
    ],
)
def test_unusable_bytes_are_unreadable_with_a_reason(part10: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        fingerprint(part10)


def test_every_prefix_of_a_file_is_read_or_unreadable() -> None:
    file = small()
    for length in range(len(file)):
        try:
            fingerprint(file[:length])
        except Unreadable:
            continue
        assert parse(file[:length]).elements != parse(file).elements


def test_empty_file_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(Unreadable, match="empty"):
        fingerprint(tmp_path / "empty")


def test_differences_name_nested_elements_by_path() -> None:
    other = small(OddElement(0x00081140, "SQ", items=((OddElement(0x00081155, "UI", b"1.2.9"),), ())))
    assert differences(small(), other) == [
        Difference("00081140[0].00081155", "ReferencedSOPInstanceUID", "UI '1.2.3'", "UI '1.2.9'")
    ]


def test_differences_name_lost_and_added_elements() -> None:
    added = small(OddElement(0x00290010, "LO", b"MAKER"))
    assert differences(small(), added) == [Difference("00290010", "Private", "absent", "LO 'MAKER'")]
    assert differences(added, small()) == [Difference("00290010", "Private", "LO 'MAKER'", "absent")]


def test_differences_tell_values_apart_that_are_long_and_alike() -> None:
    texts = [b"x" * 500 + end for end in (b"1", b"2")]
    one, other = (small(OddElement(0x00104000, "LT", text)) for text in texts)
    (difference,) = differences(one, other)
    assert difference.expected != difference.seen
    assert len(difference.expected) < 150
    assert "byte 500" in difference.expected


def test_differences_of_unreadable_bytes_say_so() -> None:
    (difference,) = differences(small(), b"<html>")
    assert difference.keyword == "Unreadable"
    assert "not DICOM" in difference.seen
    (difference,) = differences(b"", small())
    assert "not DICOM" in difference.expected


#: Files of the two packages that are cut short, list other files or have no UIDs, by purpose.
DAMAGED = {
    "DICOMDIR",
    "DICOMDIR-bigEnd",
    "DICOMDIR-empty.dcm",
    "DICOMDIR-implicit",
    "DICOMDIR-nooffset",
    "DICOMDIR-nopatient",
    "DICOMDIR-reordered",
    "ExplVR_BigEndNoMeta.dcm",
    "MR_truncated.dcm",
    "UN_sequence.dcm",
    "chrSQEncoding.dcm",
    "chrSQEncoding1.dcm",
    "emri_small_jpeg_2k_lossless_too_short.dcm",
    "empty_charset_LEI.dcm",
    "meta_missing_tsyntax.dcm",
    "nested_priv_SQ.dcm",
    "no_meta.dcm",
    "no_meta_group_length.dcm",
    "priv_SQ.dcm",
    "rtplan_truncated.dcm",
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("path", real_paths(), ids=lambda path: path.name)
def test_real_file_has_a_fingerprint_or_a_reason(path: Path) -> None:
    try:
        found = fingerprint(path)
    except Unreadable as error:
        if path.name not in DAMAGED:
            pytest.fail(f"{path.name} is a good file: {error}")
        return
    part10 = path.read_bytes()
    assert same(found, fingerprint(part10))
    assert differences(part10, part10) == []
    header: Dataset = dcmread(path, force=True, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
    assert found.sop_instance_uid == str(header.SOPInstanceUID)


#: Native and compressed twins of pydicom-data that hold the same image.
TWINS = [
    ("MR_small.dcm", "MR_small_bigendian.dcm"),
    ("MR_small.dcm", "MR_small_implicit.dcm"),
    ("MR_small.dcm", "MR_small_RLE.dcm"),
    ("MR_small.dcm", "MR_small_jp2klossless.dcm"),
    ("SC_rgb_32bit.dcm", "SC_rgb_expb_32bit.dcm"),
    ("OBXXXX1A.dcm", "OBXXXX1A_rle.dcm"),
    ("emri_small.dcm", "emri_small_big_endian.dcm"),
    ("emri_small.dcm", "emri_small_jpeg_ls_lossless.dcm"),
    ("RG3_UNCR.dcm", "RG3_J2KR.dcm"),
    ("MR2_UNCR.dcm", "MR2_J2KR.dcm"),
]


@pytest.mark.parametrize(("native", "twin"), TWINS)
def test_real_twins_have_the_same_decoded_pixels(native: str, twin: str) -> None:
    by_name = {path.name: path for path in real_paths()}
    one, other = fingerprint(by_name[native]), fingerprint(by_name[twin])
    assert {one.transfer_syntax_uid, other.transfer_syntax_uid} <= LOSSLESS
    assert one.decoded_digest is not None
    assert one.decoded_digest == other.decoded_digest
