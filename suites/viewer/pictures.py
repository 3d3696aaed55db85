"""What the viewer has to show of an instance, worked out from the instance itself (PS3.3 C.7.6.3, C.11.1)."""

from collections import Counter
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from pydicom.pixels.processing import apply_modality_lut

from fixtures.data import Instance, Study
from fixtures.viewer.ohif import Image, Ohif


def expected(instance: Instance, frame: int = 1) -> NDArray[Any]:
    """The values of one frame after the modality transformation: rows, columns and, in colour, samples."""
    dataset = instance.dataset()
    pixels: NDArray[Any] = dataset.pixel_array
    if int(dataset.get("NumberOfFrames", 1)) > 1:
        pixels = pixels[frame - 1]
    if dataset.SamplesPerPixel == 1:
        pixels = apply_modality_lut(pixels, dataset)
    return pixels


def seen(image: Image) -> NDArray[Any]:
    """The values that the viewer holds, in the same shape; an opacity it has added is left out."""
    values = np.asarray(image.samples)
    samples = values.size // (image.rows * image.columns)
    if samples == 1:
        return values.reshape(image.rows, image.columns)
    return values.reshape(image.rows, image.columns, samples)[..., :3]


def drawn_difference(viewer: Ohif, want: NDArray[Any]) -> float:
    """The largest difference, in grey levels of 256, between the drawn image and the true one over its full range."""
    low, high = float(want.min()), float(want.max())
    picture = np.asarray(Pillow.open(BytesIO(viewer.drawn(low, high))).convert("L"), dtype=float)
    levels = (want - low) / (high - low) * 255
    return float(np.abs(picture - levels).max())


def look_through(viewer: Ohif, study: Study, *, drawn: bool = False) -> int:
    """Show every image of the study that is open and compare it with the instance; with `drawn` on the canvas too.

    Returns the number of images.

    Raises:
        AssertionError: one is missing or wrong.

    """
    panel = viewer.series()
    assert _summed(panel) == _counts(study)
    done: set[str] = set()
    images = 0
    for entry, (_, number) in enumerate(panel):
        viewer.choose(entry)
        shown = viewer.shows(_others(number, done))
        for index in range(number):
            _compare(viewer, study, index, drawn=drawn)
        done |= set(shown)
        images += number
    assert done == study.sop_instance_uids
    return images


def _others(number: int, done: set[str]) -> Callable[[list[str]], bool]:
    return lambda uids: len(uids) == number and not done & set(uids)


def _compare(viewer: Ohif, study: Study, index: int, *, drawn: bool) -> None:
    image = viewer.image(index)
    instance = next(one for one in study.instances if one.sop_instance_uid == image.sop_instance_uid)
    want = expected(instance, image.frame)
    assert np.array_equal(seen(image), want), f"{instance.description} is shown with other values"
    difference = drawn_difference(viewer, want) if drawn else 0.0
    assert difference <= 1, f"{instance.description} is drawn {difference:.1f} grey levels from its values"


def _summed(panel: list[tuple[str, int]]) -> Counter[str]:
    """Images by series description: single images of a series have entries of their own."""
    counted: Counter[str] = Counter()
    for description, number in panel:
        counted[description] += number
    return counted


def _counts(study: Study) -> Counter[str]:
    counted: Counter[str] = Counter()
    for instance in study.instances:
        counted[str(instance.dataset().SeriesDescription)] += instance.fingerprint.frames
    return counted
