"""Rendered instances and frames: the images."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from fixtures.clients.answers import Response
from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import requirement
from suites.azure.data import Made, Maker
from suites.azure.wado import AS_STORED, DICOM, JPEG_LOSSLESS, clip, colour, get, keep, undecodable

JPEG, PNG = "image/jpeg", "image/png"
# An 8-bit grey or colour picture without a window is shown as it is; codecs and rounding may move a level or two.
NEAR = 3


@pytest.fixture(scope="module")
def grey(v2: DicomWeb, make: Maker) -> Made:
    """Three grey frames of 24 rows and 40 columns that use all 8 bits, with the window that shows them as they are."""
    made = clip(make, 3, rows=24, columns=40, WindowCenter="128", WindowWidth="256")
    keep(v2, made)
    return made


@pytest.fixture(scope="module")
def rgb(v2: DicomWeb, make: Maker) -> Made:
    """A colour picture of 36 rows and 40 columns, compressed without loss."""
    made = colour(make, syntax=JPEG_LOSSLESS)
    keep(v2, made)
    return made


def _image(answer: Response, media_type: str = PNG) -> Image.Image:
    assert (answer.status, answer.content_type) == (200, media_type), answer.describe()
    image = Image.open(BytesIO(answer.body))
    assert image.get_format_mimetype() == media_type, "the bytes are what Content-Type says"
    return image


def _off(image: Image.Image, made: Made, frame: int = 1) -> float:
    """The mean distance between the image and a frame as it is stored, in grey levels."""
    shape = (made.dataset.Rows, made.dataset.Columns, made.dataset.SamplesPerPixel)
    size = int(np.prod(shape))
    stored = np.frombuffer(made.dataset.PixelData[(frame - 1) * size : frame * size], "u1").reshape(shape)
    shown = np.asarray(image.convert("RGB" if shape[2] == 3 else "L")).reshape(shape)
    return float(np.abs(shown.astype(int) - stored.astype(int)).mean())


@requirement("REND-001", "REND-002", "REND-003")
def test_instance_and_frames(web: DicomWeb, grey: Made) -> None:
    """The instance is its first frame, a frame is itself, in the size of the pixel matrix (REND-001 to REND-003)."""
    first = _image(get(web, f"{grey.path()}/rendered", PNG))
    assert first.size == (40, 24)
    assert _off(first, grey, 1) < NEAR < _off(first, grey, 2)
    for number in (1, 2, 3):
        image = _image(get(web, f"{grey.path()}/frames/{number}/rendered", PNG))
        assert image.size == (40, 24)
        assert _off(image, grey, number) < NEAR, f"frame {number}"


@requirement("REND-003")
def test_jpeg_and_png_of_colour(web: DicomWeb, rgb: Made) -> None:
    """Colour stays colour in both types, and each is what was asked for (REND-003)."""
    for media_type in (JPEG, PNG):
        image = _image(get(web, f"{rgb.path()}/rendered", media_type), media_type)
        assert image.size == (40, 36)
        assert _off(image, rgb) < NEAR, media_type


@requirement("REND-004")
def test_jpeg_by_default(web: DicomWeb, grey: Made) -> None:
    """Without Accept the image is a JPEG (REND-004)."""
    for path in (f"{grey.path()}/rendered", f"{grey.path()}/frames/2/rendered"):
        _image(get(web, path), JPEG)


@requirement("REND-008")
def test_quality(web: DicomWeb, rgb: Made) -> None:
    """A lower quality makes no larger JPEG; 1 and 100 are allowed, 100 is the default; PNG does not care (REND-008)."""
    path = f"{rgb.path()}/rendered"
    sizes = []
    for quality in (1, 30, 70, 100):
        answer = get(web, path, JPEG, query=f"quality={quality}")
        _image(answer, JPEG)
        sizes.append(len(answer.body))
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
    assert get(web, path, JPEG).body == get(web, path, JPEG, query="quality=100").body
    assert get(web, path, PNG, query="quality=1").body == get(web, path, PNG).body


@requirement("REND-014")
def test_rendering_fails(web: DicomWeb, v2: DicomWeb, make: Maker) -> None:
    """What cannot be decoded cannot be rendered: 406 (REND-014)."""
    made = undecodable(make)
    keep(v2, made)
    for path in (f"{made.path()}/rendered", f"{made.path()}/frames/1/rendered"):
        for media_type in (JPEG, PNG):
            answer = get(web, path, media_type)
            assert answer.status == 406, answer.describe()
    assert get(web, made.path(), DICOM + AS_STORED).status == 200


@requirement("REND-019")
@pytest.mark.parametrize(
    "query", ["window=10,1,linear", "viewport=8,8", "annotation=patient", "iccprofile=yes", "unknown=1"]
)
def test_other_parameters_have_no_effect(web: DicomWeb, grey: Made, query: str) -> None:
    """Only quality counts: the image is the same with any other parameter (REND-019)."""
    path = f"{grey.path()}/rendered"
    answer = get(web, path, PNG, query=query)
    _image(answer)
    assert answer.body == get(web, path, PNG).body


@requirement("REND-020")
def test_parameters_of_the_media_type(web: DicomWeb, grey: Made) -> None:
    """Q and other parameters of the one entry are ignored (REND-020)."""
    for accept in (f"{PNG}; q=0.5", f"{PNG}; transfer-syntax=1.2.3", f"{PNG}; q=0.1; level=3"):
        _image(get(web, f"{grey.path()}/rendered", accept))


@requirement("REND-020")
@pytest.mark.parametrize("media_type", [JPEG, PNG])
def test_multipart_form(web: DicomWeb, grey: Made, media_type: str) -> None:
    """The multipart form is the bare type, or refused: never a multipart answer (REND-020 lets an emulator refuse)."""
    answer = get(web, f"{grey.path()}/rendered", f'multipart/related; type="{media_type}"')
    assert (answer.status, answer.content_type) == (200, media_type) or answer.status == 406, (
        answer.describe()
    )
