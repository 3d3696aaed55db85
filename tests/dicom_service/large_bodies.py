"""Measures the memory of the service while files of gigabytes are stored and studies of gigabytes are retrieved (LIM-003).

`python -m tests.dicom_service.large_bodies --folder DIR` stores one file of nearly 2 GiB and a study of as much, reads both
back, and says how much memory the service held at most. It needs room for `--bytes` on the disk, and some minutes.
"""

import argparse
import hashlib
import http.client
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.dicom_service.conftest import Service, dataset, free_port, part10, path_of, start

LARGEST_BODY = 2147483647
MOST_RESIDENT = 192 << 20
"""Bytes the service may hold at any time: what it needs anyway, and some pieces of a body."""
_PIECE = 1 << 20
_BLOCK = bytes(range(251)) * (_PIECE // 251 + 1)
_PART = b"--frontier\r\nContent-Type: application/dicom\r\n\r\n"
_END = b"\r\n--frontier--\r\n"
_RELATED = 'multipart/related; type="application/dicom"; boundary=frontier'


@dataclass(frozen=True)
class Sent:
    """One body that was stored: where its file is retrieved, the digest of the file, the status."""

    path: str
    digest: str
    status: int


def large_file(size: int, study: str | None = None) -> tuple[str, Iterator[bytes]]:
    """Return the path of an instance and its file of exactly `size` bytes, piece by piece."""
    made = dataset(PixelData=b"", NumberOfFrames=1, **({"StudyInstanceUID": study} if study else {}))
    head = part10(made)[:-4]
    pixels = size - len(head) - 4
    return path_of(made), _pieces(head + pixels.to_bytes(4, "little"), pixels)


def _pieces(head: bytes, rest: int) -> Iterator[bytes]:
    yield head
    while rest:
        piece = _BLOCK[: min(rest, _PIECE)]
        yield piece
        rest -= len(piece)


def store(service: Service, size: int, *, multipart: bool = False, study: str | None = None) -> Sent:
    """Send a body of `size` bytes and return what became of it."""
    overhead = len(_PART) + len(_END) if multipart else 0
    path, pieces = large_file(size - overhead, study)
    digest = hashlib.sha256()
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=600)
    connection.putrequest("POST", "/v2/studies")
    connection.putheader("Accept", "application/dicom+json")
    connection.putheader("Content-Type", _RELATED if multipart else "application/dicom")
    connection.putheader("Content-Length", str(size))
    connection.endheaders(_PART if multipart else None)
    for piece in pieces:
        digest.update(piece)
        connection.send(piece)
    if multipart:
        connection.send(_END)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return Sent(path, digest.hexdigest(), answer.status)


def announce(service: Service, size: int, content_type: str) -> int:
    """Announce a body of `size` bytes and return the status that comes before any of it was sent."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    connection.putrequest("POST", "/v2/studies")
    for name, value in (("Accept", "*/*"), ("Content-Type", content_type), ("Content-Length", str(size))):
        connection.putheader(name, value)
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status


def read(service: Service, path: str, accept: str) -> tuple[int, int, str]:
    """Retrieve and return status, bytes and digest of the body, of which one piece is in memory."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=600)
    connection.request("GET", path, headers={"Accept": accept})
    answer = connection.getresponse()
    size, digest = 0, hashlib.sha256()
    while piece := answer.read(_PIECE):
        size += len(piece)
        digest.update(piece)
    connection.close()
    return answer.status, size, digest.hexdigest()


def resident(service: Service, *, peak: bool = True) -> int:
    """Return the memory the service holds, or held at most since `forget_peak`, in bytes (Linux)."""
    name = "VmHWM:" if peak else "VmRSS:"
    status = Path(f"/proc/{service.process.pid}/status").read_text().split()
    return int(status[status.index(name) + 1]) * 1024


def forget_peak(service: Service) -> None:
    """Let the kernel measure the largest memory anew."""
    Path(f"/proc/{service.process.pid}/clear_refs").write_text("5")


class Measurement:
    """Steps with the most memory the service held during each."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.failures: list[str] = []
        self.highest = 0

    def step(self, name: str, seen: object, wanted: object, began: float) -> None:
        """Report one step and its memory; what is not as wanted is a failure."""
        peak = resident(self._service)
        self.highest = max(self.highest, peak)
        if seen != wanted:
            self.failures.append(f"{name}: {seen}, wanted {wanted}")
        if peak > MOST_RESIDENT:
            self.failures.append(f"{name}: {peak >> 20} MiB resident, at most {MOST_RESIDENT >> 20}")
        entry = {"step": name, "peak_mib": peak >> 20, "seconds": round(time.monotonic() - began, 1)}
        print(json.dumps({**entry, "right": seen == wanted}))  # noqa: T201 - a program
        forget_peak(self._service)


def measure(service: Service, largest: int, parts: int) -> Measurement:
    """Store and retrieve one file and one study of `largest` bytes each, the study in `parts` files."""
    done = Measurement(service)
    forget_peak(service)
    for content_type, status in (("application/dicom", 400), (_RELATED, 413)):
        began = time.monotonic()
        done.step(
            f"{content_type[:20]} too large", announce(service, LARGEST_BODY + 1, content_type), status, began
        )
    for multipart in (False, True):
        began = time.monotonic()
        sent = store(service, largest, multipart=multipart)
        done.step(f"store {largest} bytes{' multipart' if multipart else ''}", sent.status, 200, began)
        began = time.monotonic()
        status, _, digest = read(service, sent.path, "application/dicom; transfer-syntax=*")
        done.step("retrieve it", (status, digest), (200, sent.digest), began)
        assert service.request("DELETE", sent.path).status == 204
    began = time.monotonic()
    study = f"2.25.{time.time_ns()}"
    statuses = {store(service, largest // parts, study=study).status for _ in range(parts)}
    done.step(f"store a study of {parts} files", statuses, {200}, began)
    began = time.monotonic()
    accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
    status, size, _ = read(service, f"/v2/studies/{study}", accept)
    done.step("retrieve the study", (status, size > largest // parts * parts), (200, True), began)
    return done


def main() -> int:
    """Run the measurement; 1 when an answer was wrong or too much memory was held."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path, help="where the store goes (default: a temporary folder)")
    parser.add_argument("--bytes", type=int, default=LARGEST_BODY, help="default: %(default)s")
    parser.add_argument("--parts", type=int, default=20, help="files of the study (default: %(default)s)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        service = start(Path(folder) / "data", Path(folder) / "log", port=free_port())
        try:
            done = measure(service, given.bytes, given.parts)
        finally:
            service.stop()
    for failure in done.failures:
        print(f"WRONG {failure}")  # noqa: T201 - a program
    print(f"at most {done.highest >> 20} MiB resident")  # noqa: T201 - a program
    return 1 if done.failures else 0


if __name__ == "__main__":
    sys.exit(main())
