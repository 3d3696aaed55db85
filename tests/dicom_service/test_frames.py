"""Frames as the catalogue has them."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import JPEG2000Lossless

from tests.dicom_service.conftest import Service, dataset, multi_frame, path_of, stored, stored_file

OCTETS = 'multipart/related; type="application/octet-stream"'


def test_frames_in_the_order_asked_for(service: Service) -> None:
    """FRAME-001 to FRAME-003, FRAME-019, FRAME-024."""
    made = multi_frame()
    stored(service, made)
    parts = service.get(path_of(made) + "/frames/3,1%2C3", f"{OCTETS}; transfer-syntax=*").parts()
    assert [content for _, content in parts] == [
        made.PixelData[50:75],
        made.PixelData[:25],
        made.PixelData[50:75],
    ]
    assert parts[0][0] == "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"


@pytest.mark.parametrize(
    ("frames", "accept", "status"),
    [
        ("1", "application/octet-stream; transfer-syntax=*", 200),
        ("1,1", "application/octet-stream; transfer-syntax=*", 400),
        ("1,2", "*/*", 200),
        ("4", OCTETS, 404),
        ("1,4", "*/*", 404),
        ("0", OCTETS, 400),
        ("-1", OCTETS, 400),
        ("abc", OCTETS, 400),
        ("1,", OCTETS, 400),
        ("9999999999", OCTETS, 400),
        ("1", None, 406),
        ("1", "application/dicom", 406),
        ("1", "image/jp2", 406),
        ("1", f"{OCTETS}; transfer-syntax={JPEG2000Lossless}", 406),
        ("1", 'multipart/related; type="application/octet-stream"; transfer-syntax="*"', 200),
        ("1", "multipart/related; type=application/octet-stream; transfer-syntax=*", 200),
    ],
)
def test_frame_lists_and_accepts(service: Service, frames: str, accept: str | None, status: int) -> None:
    """FRAME-004 to FRAME-014, and what OHIF sends."""
    made = multi_frame()
    stored(service, made)
    assert service.get(f"{path_of(made)}/frames/{frames}", accept).status == status


def test_jpeg_2000_frames_are_bare_codestreams(service: Service) -> None:
    """FRAME-006."""
    made, _ = stored_file(service, "SC_rgb.dcm")
    parts = service.get(path_of(made) + "/frames/1", 'multipart/related; type="image/jp2"').parts()
    assert parts[0][0] == f"image/jp2; transfer-syntax={JPEG2000Lossless}"
    assert parts[0][1].startswith(b"\xff\x4f\xff\x51")
    assert np.array_equal(np.asarray(Image.open(BytesIO(parts[0][1]))), made.pixel_array)


def test_compressed_frames_are_decompressed_by_default(service: Service) -> None:
    """FRAME-004, FRAME-020."""
    made, _ = stored_file(service, "MR_small_RLE.dcm")
    raw = service.get(path_of(made) + "/frames/1", OCTETS).parts()[0][1]
    assert np.array_equal(
        np.frombuffer(raw, made.pixel_array.dtype).reshape(made.pixel_array.shape), made.pixel_array
    )


def test_frames_without_pixel_data_are_missing(service: Service) -> None:
    """FRAME-016, REND-013, STOW-116, WADO-050."""
    made = dataset(PixelData=None)
    stored(service, made)
    assert service.get(path_of(made) + "/frames/1", OCTETS).status == 404
    assert service.get(path_of(made) + "/rendered", "image/png").status == 404
    assert service.get(path_of(made), f"application/dicom; transfer-syntax={JPEG2000Lossless}").status == 200
