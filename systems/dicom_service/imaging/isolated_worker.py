"""The child process of `isolated`: decodes with GDCM what comes on standard input, until that ends."""

import json
import os
import sys
from typing import BinaryIO

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from systems.dicom_service.imaging.errors import CannotTranscode
from systems.dicom_service.imaging.isolated import LENGTHS
from systems.dicom_service.imaging.reading import codec_failures

_CHANGED = ("PhotometricInterpretation", "PlanarConfiguration")


def main() -> None:
    """Answer requests one after another."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # What a library prints must not get between the answers.
    os.dup2(2, 1)
    while lengths := requests.read(LENGTHS.size):
        head_length, pixel_length = LENGTHS.unpack(lengths)
        head = json.loads(requests.read(head_length))
        _answer(head, requests.read(pixel_length), answers)


def _answer(head: dict[str, str | int], pixels: bytes, answers: BinaryIO) -> None:
    decoded = b""
    changed: dict[str, str | int]
    try:
        with codec_failures():
            dataset = _dataset(head, pixels)
            dataset.decompress(decoding_plugin="gdcm", as_rgb=False, generate_instance_uid=False)
        changed = {key: dataset[key].value for key in _CHANGED if key in dataset}
        decoded = dataset.PixelData
    except CannotTranscode as error:
        changed = {"error": str(error)}
    text = json.dumps(changed).encode()
    answers.write(LENGTHS.pack(len(text), len(decoded)) + text)
    answers.write(decoded)
    answers.flush()


def _dataset(head: dict[str, str | int], pixels: bytes) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(str(head.pop("TransferSyntaxUID")))
    for keyword, value in head.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = pixels
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset


if __name__ == "__main__":
    main()
