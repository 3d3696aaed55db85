"""Rendered images as the catalogue has them."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.dicom_service.conftest import Service, multi_frame, path_of, stored, stored_file


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        ("rendered", None, 200),
        ("rendered", "image/png", 200),
        ("rendered", "*/*", 406),
        ("rendered", "image/png, image/jpeg", 406),
        ("rendered", "image/gif", 406),
        ("rendered?quality=1", "image/jpeg", 200),
        ("rendered?quality=0", "image/png", 400),
        ("rendered?quality=101", "image/png", 400),
        ("rendered?quality=abc", "image/gif", 400),
        ("frames/3/rendered", "image/png", 200),
        ("frames/4/rendered", "image/png", 404),
        ("frames/0/rendered", "image/png", 400),
        ("frames/1,2/rendered", "image/png", 400),
    ],
)
def test_rendering(service: Service, path: str, accept: str | None, status: int) -> None:
    """REND-001 to REND-012."""
    made = multi_frame()
    stored(service, made)
    answer = service.get(f"{path_of(made)}/{path}", accept)
    assert answer.status == status
    if status == 200:
        assert answer.headers["content-type"] == (accept or "image/jpeg")
        assert Image.open(BytesIO(answer.body)).size == (5, 5)


@pytest.mark.parametrize(
    "name",
    ["CT_small.dcm", "SC_rgb.dcm", "examples_palette.dcm", "JPEG2000.dcm", "SC_jpeg_no_color_transform.dcm"],
)
def test_real_images_render(service: Service, name: str) -> None:
    """REND-003, REND-008."""
    made, _ = stored_file(service, name)
    best, worst = (service.get(f"{path_of(made)}/rendered?quality={q}", "image/jpeg").body for q in (100, 1))
    assert len(worst) <= len(best)
    png = Image.open(BytesIO(service.get(path_of(made) + "/rendered", "image/png").body))
    assert png.size == (made.Columns, made.Rows)
    assert len(np.unique(np.asarray(png.convert("L")))) > 8
