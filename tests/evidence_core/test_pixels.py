"""Lossless compression keeps the fingerprint the same; other pixels, whatever the encoding, do not."""

from copy import deepcopy

import numpy as np
import pytest
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from fixtures.data import Run
from fixtures.data.encode import part10
from fixtures.data.images import Place, Size, cr, ct, mr, us
from fixtures.data.model import Patient
from fixtures.evidence.encoding import parse
from fixtures.evidence.fingerprint import differences, fingerprint, same

LOSSLESS = [
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEG2000Lossless,
]


def place() -> Place:
    run = Run("pixels")
    return Place(
        patient=Patient(1, run.patient_id(1, 1), "Schmeler639^Jule420", "19850828", "F"),
        study_instance_uid=run.uid(1, 1, 1),
        series_instance_uid=run.uid(1, 1, 1, 1),
        sop_instance_uid=run.uid(1, 1, 1, 1, 1),
        frame_of_reference_uid=run.uid(1, 1, 1, 0),
        study_date="20221122",
        accession_number="A1",
        study_id="1.1",
        description="re-encoded",
        series_number=1,
        instance_number=1,
    )


IMAGES = {
    "CT": ct(place(), Size(32, 40), 1),
    "MR": mr(place(), Size(33, 35), 2),
    "CR": cr(place(), Size(32, 32), 5),
    "US colour": us(place(), Size(34, 32, 3), 3),
    "US grey, odd length": us(place(), Size(33, 33, 3), 4, colour=False),
}


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize("image", IMAGES)
def test_lossless_transfer_keeps_the_fingerprint(image: str, syntax: str) -> None:
    native, copy = part10(IMAGES[image]), part10(IMAGES[image], syntax)
    assert differences(native, copy) == []
    assert same(fingerprint(native), fingerprint(copy))
    assert same(fingerprint(copy), fingerprint(native))
    assert same(fingerprint(copy), fingerprint(part10(IMAGES[image], RLELossless)))


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize("image", IMAGES)
def test_one_flipped_bit_is_seen_through_every_lossless_syntax(image: str, syntax: str) -> None:
    damaged = deepcopy(IMAGES[image])
    pixels = bytearray(damaged.PixelData)
    pixels[len(pixels) // 2] ^= 1
    damaged.PixelData = bytes(pixels)
    native, copy = part10(IMAGES[image]), part10(damaged, syntax)
    assert not same(fingerprint(native), fingerprint(copy))
    assert [d.keyword for d in differences(native, copy)] == ["PixelData"]


@pytest.mark.parametrize("syntax", [JPEG2000, JPEGLSNearLossless])
def test_lossy_copy_is_another_file(syntax: str) -> None:
    native, copy = part10(IMAGES["CT"]), part10(IMAGES["CT"], syntax)
    assert not same(fingerprint(native), fingerprint(copy))
    assert "7FE00010" in [d.tag for d in differences(native, copy)]


def test_lossy_file_is_the_same_as_itself() -> None:
    file = part10(IMAGES["US colour"], JPEGBaseline8Bit)
    assert same(fingerprint(file), fingerprint(bytes(file)))
    assert fingerprint(file).decoded_digest is None


def test_swapped_frames_are_seen_and_named() -> None:
    swapped = deepcopy(IMAGES["US colour"])
    frames = np.frombuffer(swapped.PixelData, dtype="u1").reshape(3, -1)
    swapped.PixelData = frames[[0, 2, 1]].tobytes()
    (difference,) = differences(part10(IMAGES["US colour"]), part10(swapped))
    assert difference.expected.startswith("frame 2 ")


@pytest.mark.parametrize(
    ("keyword", "value"), [("PlanarConfiguration", 1), ("PhotometricInterpretation", "YBR_FULL")]
)
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_changed_colour_layout_is_seen(keyword: str, value: object, syntax: str) -> None:
    other = deepcopy(IMAGES["US colour"])
    setattr(other, keyword, value)
    assert not same(fingerprint(part10(IMAGES["US colour"])), fingerprint(part10(other, syntax)))


def test_re_fragmented_pixels_are_not_the_bytes_that_were_sent() -> None:
    file = part10(IMAGES["CT"], RLELossless)
    element = parse(file).element(0x7FE00010)
    assert element is not None
    assert element.fragments is not None
    table, frame = element.fragments
    assert len(table) in {0, 4}
    start = element.at + 8 + len(table)
    half = len(frame) // 2 - len(frame) // 2 % 2
    item = b"\xfe\xff\x00\xe0"
    pieces = [bytes(frame[:half]), bytes(frame[half:])]
    body = b"".join(item + len(piece).to_bytes(4, "little") + piece for piece in pieces)
    split = file[:start] + body + file[start + 8 + len(frame) :]
    assert not same(fingerprint(file), fingerprint(split))
    assert [d.tag for d in differences(file, split)] == ["7FE00010"]


def test_lost_offset_table_is_seen() -> None:
    file = part10(IMAGES["US colour"], RLELossless)
    element = parse(file).element(0x7FE00010)
    assert element is not None
    assert element.fragments is not None
    table = element.fragments[0]
    assert len(table) == 12
    cut = file[: element.at + 4] + b"\0\0\0\0" + file[element.at + 8 + len(table) :]
    assert not same(fingerprint(file), fingerprint(cut))
    assert differences(file, cut)[0].expected.startswith("offset table")
