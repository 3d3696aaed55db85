"""A file that the cloud wraps in multipart: unwrapped on the disk, whatever its size."""

from pathlib import Path

import pytest

from systems.router.cloud.errors import CloudAnswerError
from systems.router.cloud.readback import _unwrap

TYPE = 'multipart/related; type="application/dicom"; boundary=b1'


@pytest.mark.parametrize("size", [0, 5, 3 * 2**20 + 7])
def test_the_part_is_what_remains(tmp_path: Path, size: int) -> None:
    part = bytes(range(256)) * (size // 256) + b"\r\n--b" * (size % 256)
    target = tmp_path / "answer"
    target.write_bytes(b"--b1\r\nContent-Type: application/dicom\r\n\r\n" + part + b"\r\n--b1--\r\n")
    _unwrap(target, TYPE)
    assert target.read_bytes() == part


@pytest.mark.parametrize("body", [b"", b"--b1--\r\n", b"--b1\r\nContent-Type: x\r\n\r\ncut"])
def test_an_answer_without_a_whole_part_is_refused(tmp_path: Path, body: bytes) -> None:
    target = tmp_path / "answer"
    target.write_bytes(body)
    with pytest.raises(CloudAnswerError, match="no part"):
        _unwrap(target, TYPE)
