"""Rendering a frame as JPEG or PNG with the instance's own window (REND-001 to REND-020)."""

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import FileDataset
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import ExplicitVRLittleEndian

from systems.dicom_service.imaging.codecs import ISOLATED, decoder
from systems.dicom_service.imaging.errors import CannotTranscode
from systems.dicom_service.imaging.frames import check_frames, keep_only
from systems.dicom_service.imaging.reading import codec_failures, open_dataset
from systems.dicom_service.imaging.transcoding import convert

_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG"}


def render(part10: bytes, frame: int, media_type: str, quality: int) -> bytes:
    """Return frame (from 1) as an image of `media_type`, image/jpeg or image/png; `quality` 1 to 100 counts for JPEG.

    Raises `NoPixelData`, `NoSuchFrame` or `CannotTranscode`.
    """
    dataset = open_dataset(part10)
    check_frames(dataset, [frame])
    with codec_failures():
        image = Image.fromarray(_displayed(dataset, _decoded(dataset, frame)))
        out = BytesIO()
        if media_type == "image/jpeg":
            image.save(out, _FORMATS[media_type], quality=quality, subsampling=0)
        else:
            image.save(out, _FORMATS[media_type])
        return out.getvalue()


def _decoded(dataset: FileDataset, frame: int) -> NDArray[Any]:
    plugin = decoder(dataset.file_meta.TransferSyntaxUID)
    if plugin == ISOLATED:
        keep_only(dataset, [frame])
        convert(dataset, ExplicitVRLittleEndian)
        frame, plugin = 1, ""
    return pixel_array(dataset, index=frame - 1, decoding_plugin=plugin)


def _displayed(dataset: FileDataset, pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return 8 bit grey or RGB samples (PS3.3 section C.7.6.3.1.2, C.11.1, C.11.2)."""
    interpretation = dataset.get("PhotometricInterpretation", "")
    if interpretation == "PALETTE COLOR":
        return _to_bytes(apply_color_lut(pixels, dataset))
    if pixels.ndim == 3:
        # pydicom has already turned YBR into RGB.
        return _to_bytes(pixels, most=float(2 ** int(dataset.get("BitsStored", 8)) - 1))
    if not interpretation.startswith("MONOCHROME"):
        raise CannotTranscode(f"{interpretation or 'no photometric interpretation'} cannot be displayed")
    values = apply_modality_lut(pixels, dataset)
    windowed = _windowed(dataset, values)
    return 255 - windowed if interpretation == "MONOCHROME1" else windowed


def _windowed(dataset: FileDataset, values: NDArray[Any]) -> NDArray[np.uint8]:
    if "VOILUTSequence" in dataset and dataset.VOILUTSequence:
        return _stretched(apply_voi_lut(values, dataset))
    centre, width = _first(dataset.get("WindowCenter")), _first(dataset.get("WindowWidth"))
    if centre is None or width is None or width < 1:
        return _stretched(values)
    # PS3.3 section C.11.2.1.2.1, scaled to 0..255.
    span = max(width - 1, 1e-6)
    scaled = ((values.astype(np.float64) - (centre - 0.5)) / span + 0.5) * 255
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def _first(value: Any) -> float | None:
    if value is None or value == "":
        return None
    return float(value[0]) if isinstance(value, MultiValue) else float(value)


def _stretched(values: NDArray[Any]) -> NDArray[np.uint8]:
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    return np.rint((values.astype(np.float64) - low) / (high - low) * 255).astype(np.uint8)


def _to_bytes(values: NDArray[Any], most: float | None = None) -> NDArray[np.uint8]:
    if values.dtype == np.uint8:
        return values
    top = float(np.iinfo(values.dtype).max) if most is None else most
    return np.clip(np.rint(values.astype(np.float64) / top * 255), 0, 255).astype(np.uint8)
