"""How a rendered picture is compared with the frame it must show (CLAIM-ONPREM-03)."""

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from fixtures.data import Instance

OWN, OTHER = 0.95, 0.5
"""The least correlation of a picture with its own frame, and the bound of that with any other frame."""

Picture = NDArray[np.float64]


@dataclass(frozen=True)
class Kind:
    """A kind of image: how it is made and encoded. `always`: every PACS has to draw it."""

    modality: str
    transfer_syntax: str
    frames: int = 1
    always: bool = False


KINDS = (
    Kind("CT", str(ExplicitVRLittleEndian), always=True),
    Kind("MR", str(ImplicitVRLittleEndian), always=True),
    Kind("CR", str(JPEGLosslessSV1)),
    Kind("DX", str(JPEG2000Lossless)),
    Kind("US", str(ExplicitVRLittleEndian), frames=5, always=True),
    Kind("US", str(JPEGBaseline8Bit), frames=3),
    Kind("US", str(RLELossless), frames=3),
    Kind("CT", str(JPEGLSLossless)),
    Kind("CT", str(DeflatedExplicitVRLittleEndian)),
)


def reference(instance: Instance) -> list[Picture]:
    """The brightness of each frame, from the instance itself."""
    dataset = instance.dataset()
    pixels: NDArray[Any] = dataset.pixel_array
    frames = pixels if int(dataset.get("NumberOfFrames", 1)) > 1 else pixels[np.newaxis]
    if dataset.SamplesPerPixel > 1:
        frames = frames.mean(axis=-1)
    return [frame.astype(np.float64) for frame in frames]


def brightness(png: bytes) -> Picture:
    """The brightness of a rendered picture."""
    picture = np.asarray(Image.open(BytesIO(png)), dtype=np.float64)
    return picture if picture.ndim == 2 else picture[..., :3].mean(axis=-1)


def likeness(one: Picture, other: Picture) -> float:
    """The correlation of two pictures of one size; 0 where one of them shows nothing."""
    if one.std() == 0 or other.std() == 0:
        return 0.0
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])
