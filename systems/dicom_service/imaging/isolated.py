"""Decoding in a process of its own, for the one decoder that ends its process on damaged data."""

import json
import os
import select
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any

from pydicom.dataset import FileDataset

from systems.dicom_service.imaging.errors import CannotTranscode

DESCRIPTION = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
)
"""What a decoder needs to know; nothing about the patient goes to the other process."""

LENGTHS = struct.Struct("<QQ")
"""Before every message: the lengths of its JSON and of its pixel data."""

_WORKER = "systems.dicom_service.imaging.isolated_worker"
_LONGEST = 120.0


class Decoder:
    """A child process, started when first needed and again after it has died; one image at a time."""

    def __init__(self, module: str = _WORKER, longest: float = _LONGEST) -> None:
        self._module = module
        self._longest = longest
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def decode(self, dataset: FileDataset) -> tuple[Mapping[str, Any], bytes]:
        """Return what changed in the description and the decoded pixel data.

        Raises `CannotTranscode` when the pixel data cannot be decoded, also when the attempt ended the process or took
        more than two minutes.
        """
        head = {key: dataset[key].value for key in DESCRIPTION if dataset.get(key) is not None}
        head["TransferSyntaxUID"] = str(dataset.file_meta.TransferSyntaxUID)
        with self._lock:
            try:
                answer, pixels = self._ask(json.dumps(head).encode(), dataset.PixelData)
            except (OSError, EOFError) as error:
                self._end()
                raise CannotTranscode("the decoder failed on the pixel data") from error
        if "error" in answer:
            raise CannotTranscode(f"the pixel data cannot be decoded ({answer['error']})")
        return answer, pixels

    def _ask(self, head: bytes, pixels: bytes) -> tuple[dict[str, Any], bytes]:
        process = self._running()
        assert process.stdin is not None  # noqa: S101 - both are pipes, see _running
        assert process.stdout is not None  # noqa: S101
        for piece in (LENGTHS.pack(len(head), len(pixels)), head, pixels):
            process.stdin.write(piece)
        process.stdin.flush()
        if not select.select([process.stdout], [], [], self._longest)[0]:
            raise TimeoutError
        head_length, pixel_length = LENGTHS.unpack(_exactly(process, LENGTHS.size))
        answer: dict[str, Any] = json.loads(_exactly(process, head_length))
        return answer, _exactly(process, pixel_length)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            )
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _exactly(process: subprocess.Popen[bytes], length: int) -> bytes:
    data = process.stdout.read(length) if process.stdout is not None else b""
    if len(data) < length:
        raise EOFError
    return data


DECODER = Decoder()
"""The decoder of this process."""
