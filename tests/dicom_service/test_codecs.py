"""Decoders that fail must not take the service with them."""

from contextlib import suppress
from io import BytesIO

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLosslessSV1

from fixtures.data import Run, make_series
from fixtures.data.encode import TRANSFER_SYNTAXES
from fixtures.data.real import real_paths
from systems.dicom_service.imaging import frames, rendering
from systems.dicom_service.imaging.errors import CannotTranscode
from systems.dicom_service.imaging.isolated import Decoder
from systems.dicom_service.imaging.transcoding import transcode


def _file(syntax: str, modality: str = "CT", frames: int = 1) -> bytes:
    return (
        make_series(Run("codecs"), 1, 1, modality=modality, transfer_syntax=syntax, frames=frames)
        .instances[0]
        .part10
    )


def _damaged(file: bytes, seed: int) -> bytes:
    changed = bytearray(file)
    start = file.rindex(b"\xfe\xff\x00\xe0") + 8
    for place in np.random.default_rng(seed).integers(start, len(file) - 8, 10):
        changed[place] ^= 0x5A
    return bytes(changed)


@pytest.mark.parametrize("syntax", [uid for uid in TRANSFER_SYNTAXES if pydicom.uid.UID(uid).is_encapsulated])
def test_damaged_pixels_are_refused_or_decoded_to_something(syntax: str) -> None:
    """No damage ends the process, and the next file is decoded."""
    file = _file(syntax, "US" if syntax.endswith(".50") else "CT")
    for seed in range(20):
        with suppress(CannotTranscode):
            transcode(_damaged(file, seed), ExplicitVRLittleEndian)
    whole = pydicom.dcmread(BytesIO(transcode(file, ExplicitVRLittleEndian)))
    assert whole.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian


def test_a_decoder_that_dies_is_an_answer_and_the_next_one_starts() -> None:
    """The module named is none, so each attempt ends the process at once."""
    dataset = pydicom.dcmread(BytesIO(_file(JPEGLosslessSV1)))
    dying = Decoder(module="systems.dicom_service.no_such_module")
    for _ in range(2):
        with pytest.raises(CannotTranscode):
            dying.decode(dataset)
    assert len(Decoder().decode(dataset)[1]) == 64 * 64 * 2


def test_a_decoder_that_hangs_is_given_up() -> None:
    """A worker that never answers (here: one that must first start Python) is ended after the time allowed."""
    dataset = pydicom.dcmread(BytesIO(_file(JPEGLosslessSV1)))
    with pytest.raises(CannotTranscode):
        Decoder(longest=0.0).decode(dataset)


@pytest.mark.parametrize(
    "syntax", [JPEGLosslessSV1, JPEG2000Lossless, "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.2"]
)
@pytest.mark.parametrize("modality", ["US", "CT"])
def test_single_frames_equal_the_whole(syntax: str, modality: str) -> None:
    """Only the frames asked for are decoded; they are those of the decoded file."""
    file = _file(syntax, modality, frames=3 if modality == "US" else 1)
    whole = pydicom.dcmread(BytesIO(transcode(file, ExplicitVRLittleEndian)))
    size = whole.Rows * whole.Columns * whole.SamplesPerPixel * whole.BitsAllocated // 8
    for number in range(1, len(whole.PixelData) // size + 1):
        (frame,) = frames.transcoded_frames(file, [number], ExplicitVRLittleEndian)
        assert frame == whole.PixelData[(number - 1) * size : number * size]
        assert rendering.render(file, number, "image/png", 100).startswith(b"\x89PNG")


@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize(("bits", "rows"), [(8, 8), (16, 8), (12, 5)])
def test_small_images_are_encoded_too(bits: int, rows: int, signed: int) -> None:
    """OpenJPEG's usual resolution levels need 32 rows and columns."""
    small = pydicom.dcmread(BytesIO(_file(ExplicitVRLittleEndian)))
    small.Rows, small.Columns = rows, 8
    small.BitsAllocated, small.BitsStored = (8, 8) if bits == 8 else (16, bits)
    small.HighBit = bits - 1
    small.PixelRepresentation = signed
    kind = "i" if signed else "u"
    values = np.arange(rows * 8).astype(f"{kind}1" if bits == 8 else f"<{kind}2") * 3 - 50 * signed
    small.PixelData = values.tobytes()
    out = BytesIO()
    small.save_as(out)
    compressed = pydicom.dcmread(BytesIO(transcode(out.getvalue(), JPEG2000Lossless)))
    assert np.array_equal(compressed.pixel_array.ravel(), values)
    plain = pydicom.dcmread(
        BytesIO(transcode(transcode(out.getvalue(), JPEG2000Lossless), ExplicitVRLittleEndian))
    )
    assert plain.PixelData == small.PixelData


def test_subsampled_colour_is_labelled_as_it_comes_out() -> None:
    """Decoded YBR_FULL_422 has complete samples, so that the file must say YBR_FULL; it can be compressed again."""
    file = _file("1.2.840.10008.1.2.4.50", "US")
    plain = pydicom.dcmread(BytesIO(transcode(file, ExplicitVRLittleEndian)))
    assert (plain.PhotometricInterpretation, len(plain.PixelData)) == ("YBR_FULL", 64 * 64 * 3)
    packed = pydicom.dcmread(BytesIO(transcode(file, JPEG2000Lossless)))
    assert packed.PhotometricInterpretation == "YBR_FULL"


@pytest.mark.parametrize("name", ["meta_missing_tsyntax.dcm", "OT-PAL-8-face.dcm", "no_meta.dcm"])
def test_transfer_syntax_that_is_not_said(name: str) -> None:
    """It is seen from the data set (a file without File Meta Information may still be asked for)."""
    (path,) = (path for path in real_paths() if path.name == name)
    plain = pydicom.dcmread(BytesIO(transcode(path.read_bytes(), ExplicitVRLittleEndian)))
    assert plain.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian


def test_words_of_big_endian_files_are_turned() -> None:
    """OW, OF and OD values also outside the pixel data, and inside sequences (PS3.5 section 7.3)."""
    source = pydicom.dcmread(BytesIO(_file(ExplicitVRLittleEndian)))
    item = pydicom.Dataset()
    item.add_new(0x00283006, "OW", bytes([0, 1, 2, 3]))
    source.ModalityLUTSequence = [item]
    source.add_new(0x00720067, "OF", bytes([0, 1, 2, 3]))
    source.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRBigEndian
    out = BytesIO()
    pydicom.dcmwrite(out, source, implicit_vr=False, little_endian=False, force_encoding=True)
    plain = pydicom.dcmread(BytesIO(transcode(out.getvalue(), ExplicitVRLittleEndian)))
    assert plain.ModalityLUTSequence[0].LUTData == bytes([1, 0, 3, 2])
    assert plain[0x00720067].value == bytes([3, 2, 1, 0])
