"""Frames: as stored and transcoded."""

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import encapsulate, generate_fragments, generate_frames

from fixtures.clients.dicomweb import DicomWeb, parts
from fixtures.traceability import requirement
from suites.azure.data import Made, Maker
from suites.azure.wado import (
    AS_STORED,
    EXPLICIT_LE,
    FRAME,
    FRAME_PARTS,
    JPEG_2000_LOSSLESS,
    JPEG_LOSSLESS,
    MPEG2,
    UNDECODABLE,
    clip,
    colour,
    get,
    keep,
    only_part,
    read,
    undecodable,
    with_pixels,
)

RLE = "1.2.840.10008.1.2.5"
SIZE = 36 * 40 * 3
JP2 = 'multipart/related; type="image/jp2"'


@pytest.fixture(scope="module")
def native(v2: DicomWeb, make: Maker) -> Made:
    """Three uncompressed frames of 25 bytes each, so that the pixel data ends with a pad byte."""
    made = clip(make)
    keep(v2, made)
    return made


@pytest.fixture(scope="module")
def packed(v2: DicomWeb, make: Maker) -> dict[str, Made]:
    """Three colour frames, compressed in three ways."""
    made = {syntax: colour(make, 3, syntax=syntax) for syntax in (JPEG_2000_LOSSLESS, JPEG_LOSSLESS, RLE)}
    keep(v2, *made.values())
    return made


def _native(made: Made, number: int, size: int) -> bytes:
    return bytes(made.dataset.PixelData[(number - 1) * size : number * size])


def _frames(web: DicomWeb, made: Made, numbers: str, accept: str) -> list[bytes]:
    answer = get(web, f"{made.path()}/frames/{numbers}", accept)
    assert answer.status == 200, answer.describe()
    assert answer.content_type.startswith("multipart/related; boundary=")
    return [part.body for part in parts(answer)]


@requirement("FRAME-001", "FRAME-002", "FRAME-003", "FRAME-024")
def test_stored_frames_in_the_order_asked_for(web: DicomWeb, native: Made) -> None:
    """One part a number, in that order, repeats included, without the pad byte (FRAME-001 to FRAME-003, FRAME-024)."""
    for numbers in ("1", "3", "1,2,3", "3,1%2C3", "2,2"):
        wanted = [_native(native, int(n), 25) for n in numbers.replace("%2C", ",").split(",")]
        assert _frames(web, native, numbers, FRAME_PARTS + AS_STORED) == wanted, numbers


@requirement("FRAME-001", "FRAME-019", "FRAME-024")
@pytest.mark.parametrize("syntax", [JPEG_2000_LOSSLESS, JPEG_LOSSLESS, RLE])
def test_compressed_frames_as_stored(web: DicomWeb, packed: dict[str, Made], syntax: str) -> None:
    """With * a compressed frame is its whole fragment, labelled with the stored syntax (FRAME-001, FRAME-019, FRAME-024)."""
    made = packed[syntax]
    stored = list(generate_frames(read(made.part10).PixelData, number_of_frames=3))
    answer = get(web, f"{made.path()}/frames/2,3", FRAME_PARTS + AS_STORED)
    assert [part.body for part in parts(answer)] == stored[1:]
    assert {part.content_type for part in parts(answer)} == {f"{FRAME}; transfer-syntax={syntax}"}


@requirement("FRAME-004", "FRAME-019")
@pytest.mark.parametrize("syntax", [JPEG_2000_LOSSLESS, JPEG_LOSSLESS, RLE])
def test_decompressed_by_default(web: DicomWeb, packed: dict[str, Made], syntax: str) -> None:
    """Without a parameter compressed frames come decompressed (FRAME-004)."""
    made = packed[syntax]
    for accept in (FRAME_PARTS, f"{FRAME_PARTS}; transfer-syntax={EXPLICIT_LE}"):
        answer = get(web, f"{made.path()}/frames/3,1", accept)
        assert answer.status == 200, answer.describe()
        assert [part.body for part in parts(answer)] == [_native(made, number, SIZE) for number in (3, 1)]
        assert {part.content_type for part in parts(answer)} == {f"{FRAME}; transfer-syntax={EXPLICIT_LE}"}


@requirement("FRAME-005")
def test_octet_stream_syntaxes(web: DicomWeb, packed: dict[str, Made]) -> None:
    """Octets come in * and Explicit VR Little Endian only (FRAME-005)."""
    path = f"{packed[JPEG_2000_LOSSLESS].path()}/frames/1"
    for syntax in (JPEG_2000_LOSSLESS, JPEG_LOSSLESS, "1.2.840.10008.1.2", RLE):
        for accept in (FRAME, FRAME_PARTS):
            assert get(web, path, f"{accept}; transfer-syntax={syntax}").status == 406, syntax
    assert get(web, path, FRAME_PARTS + AS_STORED).status == 200


@requirement("FRAME-006")
@pytest.mark.parametrize("syntax", [JPEG_2000_LOSSLESS, JPEG_LOSSLESS, RLE])
def test_jpeg_2000_frames(web: DicomWeb, packed: dict[str, Made], syntax: str) -> None:
    """image/jp2 is a bare codestream that decodes to the RGB samples (FRAME-006)."""
    made = packed[syntax]
    for accept in (JP2, f"{JP2}; transfer-syntax={JPEG_2000_LOSSLESS}"):
        part = only_part(get(web, f"{made.path()}/frames/2", accept))
        assert part.content_type == f"image/jp2; transfer-syntax={JPEG_2000_LOSSLESS}"
        assert part.body[:4] == b"\xff\x4f\xff\x51", "a codestream, no JP2 boxes"
        decoded = np.asarray(Image.open(BytesIO(part.body.rstrip(b"\0"))))
        assert decoded.tobytes() == _native(made, 2, SIZE)


@requirement("FRAME-007")
def test_jpeg_2000_is_multipart_only(web: DicomWeb, packed: dict[str, Made]) -> None:
    """image/jp2 as a single part, or with *, is 406 (FRAME-007)."""
    path = f"{packed[JPEG_2000_LOSSLESS].path()}/frames/1"
    for accept in ("image/jp2", f"image/jp2{AS_STORED}", f"{JP2}{AS_STORED}"):
        assert get(web, path, accept).status == 406, accept
    assert get(web, path, JP2).status == 200


@requirement("FRAME-008")
def test_one_frame_as_the_whole_body(web: DicomWeb, native: Made, packed: dict[str, Made]) -> None:
    """A single frame can be the body, with its syntax in Content-Type (FRAME-008)."""
    answer = get(web, f"{native.path()}/frames/2", FRAME + AS_STORED)
    assert (answer.status, answer.body) == (200, _native(native, 2, 25)), answer.describe()
    assert answer.content_type == f"{FRAME}; transfer-syntax={EXPLICIT_LE}"
    made = packed[RLE]
    stored = list(generate_frames(read(made.part10).PixelData, number_of_frames=3))
    answer = get(web, f"{made.path()}/frames/1", FRAME + AS_STORED)
    assert (answer.body, answer.content_type) == (stored[0], f"{FRAME}; transfer-syntax={RLE}")


@requirement("FRAME-010", "FRAME-009")
def test_wildcards(web: DicomWeb, packed: dict[str, Made]) -> None:
    """*/* and multipart */* are multipart octets as stored, also of several frames (FRAME-009, FRAME-010)."""
    made = packed[JPEG_LOSSLESS]
    stored = list(generate_frames(read(made.part10).PixelData, number_of_frames=3))
    for form in ("*/*", 'multipart/related; type="*/*"'):
        for accept in (form, form + AS_STORED):
            answer = get(web, f"{made.path()}/frames/1,3", accept)
            assert answer.status == 200, f"{accept}: {answer.describe()}"
            assert [part.body for part in parts(answer)] == [stored[0], stored[2]], accept
            assert parts(answer)[0].content_type == f"{FRAME}; transfer-syntax={JPEG_LOSSLESS}"
        plain = only_part(get(web, f"{made.path()}/frames/1", f"{form}; transfer-syntax={EXPLICIT_LE}"))
        assert plain.body == _native(made, 1, SIZE)


@requirement("FRAME-017", "FRAME-018", "FRAME-019")
def test_frames_that_cannot_be_decoded(web: DicomWeb, v2: DicomWeb, make: Maker) -> None:
    """Such frames come as stored with *, anything else is 406 (FRAME-017, FRAME-018)."""
    made = undecodable(make)
    keep(v2, made)
    part = only_part(get(web, f"{made.path()}/frames/1", FRAME_PARTS + AS_STORED))
    assert (part.body, part.content_type) == (UNDECODABLE, f"{FRAME}; transfer-syntax={MPEG2}")
    for accept in (FRAME, FRAME_PARTS, JP2):
        answer = get(web, f"{made.path()}/frames/1", accept)
        assert answer.status == 406, f"{accept}: {answer.describe()}"


@requirement("FRAME-020")
def test_frames_of_several_fragments(web: DicomWeb, v2: DicomWeb, make: Maker) -> None:
    """A frame that is split into fragments is joined (FRAME-020)."""
    whole = colour(make, 2, syntax=JPEG_2000_LOSSLESS)
    stored = list(generate_frames(read(whole.part10).PixelData, number_of_frames=2))
    made = with_pixels(whole, encapsulate(stored, fragments_per_frame=3), JPEG_2000_LOSSLESS)
    fragments = list(generate_fragments(read(made.part10).PixelData))
    assert len(fragments) > 3, "more fragments than frames, else nothing is tested"
    keep(v2, made)
    joined = _frames(web, made, "1,2", FRAME_PARTS + AS_STORED)
    assert [frame.rstrip(b"\0") for frame in joined] == [frame.rstrip(b"\0") for frame in stored]
    assert _frames(web, made, "2", FRAME_PARTS) == [_native(whole, 2, SIZE)]


@requirement("FRAME-021")
def test_tiled_pathology_image(web: DicomWeb, v2: DicomWeb, make: Maker) -> None:
    """The first tile of a whole slide image comes as stored (FRAME-021)."""
    made = colour(
        make,
        4,
        syntax="1.2.840.10008.1.2.4.50",
        SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.6",
        Modality="SM",
        TotalPixelMatrixColumns=80,
        TotalPixelMatrixRows=72,
        DimensionOrganizationType="TILED_FULL",
    )
    keep(v2, made)
    stored = list(generate_frames(read(made.part10).PixelData, number_of_frames=4))
    assert _frames(web, made, "1,4", FRAME_PARTS + AS_STORED) == [stored[0], stored[3]]


@requirement("FRAME-016")
@pytest.mark.parametrize("missing", ["PixelData", "Rows", "Columns", "BitsAllocated"])
def test_no_pixel_data(web: DicomWeb, v2: DicomWeb, make: Maker, missing: str) -> None:
    """Without pixel data, or what describes it, there are no frames: 404 (FRAME-016)."""
    pixels = None if missing == "PixelData" else {0x7FE00010: ("OW", bytes(2048))}
    without: dict[str, Any] = {"PixelData": None, missing: None}
    made = make(raw=pixels, **without)
    keep(v2, made)
    for accept in (FRAME_PARTS + AS_STORED, FRAME_PARTS, FRAME):
        answer = get(web, f"{made.path()}/frames/1", accept)
        assert answer.status == 404, f"{accept}: {answer.describe()}"
