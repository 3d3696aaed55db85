"""Stored files: small ones in append-only segments, large ones in files of their own."""

import mmap
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from systems.dicom_service.dicom.elements import Buffer

SEGMENT_LIMIT = 1 << 30
_WRITEV_PARTS = 512
_OPEN_SEGMENTS = 64


@dataclass(frozen=True, slots=True)
class Location:
    """Where a blob lies: in a segment at an offset, or in an object file of its own."""

    segment: int | None
    object: str | None
    offset: int
    size: int


class Incoming:
    """A file of its own that is still being received; it counts for nothing until the index names it."""

    def __init__(self, folder: Path) -> None:
        self.name = secrets.token_hex(16)
        self.path = folder / self.name
        self.size = 0
        self._file = self.path.open("xb", buffering=0)

    def write(self, data: bytes | memoryview) -> None:
        """Append `data`; raises OSError when the disk is full."""
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        self.size += len(data)

    def view(self) -> Buffer:
        """Return the received bytes as a mapped buffer."""
        return map_file(self.path)

    def make_durable(self) -> None:
        """Bring the bytes to disk and close the file; once is enough."""
        if not self._file.closed:
            os.fdatasync(self._file.fileno())
            self._file.close()

    def discard(self) -> None:
        """Remove the file."""
        self._file.close()
        self.path.unlink(missing_ok=True)


def map_file(path: Path) -> Buffer:
    """Return a file as a read-only buffer without reading it."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            return b""
        return cast("Buffer", mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


class SegmentWriter:
    """Appends blobs to one segment file that only this writer touches."""

    def __init__(self, folder: Path, number: int) -> None:
        self.number = number
        self._fd = os.open(segment_path(folder, number), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        self.size = 0
        sync_folder(folder)

    def append(self, blobs: Sequence[bytes]) -> list[Location]:
        """Write the blobs and return where they are; they are on disk after `sync`.

        After an error the end of the segment is unknown and the writer must not be used again.
        """
        places, offset = [], self.size
        for blob in blobs:
            places.append(Location(self.number, None, offset, len(blob)))
            offset += len(blob)
        for start in range(0, len(blobs), _WRITEV_PARTS):
            _write_all(self._fd, blobs[start : start + _WRITEV_PARTS])
        self.size = offset
        return places

    def sync(self) -> None:
        """Bring everything appended to disk."""
        os.fdatasync(self._fd)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def _write_all(fd: int, blobs: Sequence[bytes]) -> None:
    expected = sum(map(len, blobs))
    written = os.writev(fd, blobs)
    if written < expected:
        rest = memoryview(b"".join(blobs))[written:]
        while rest:
            rest = rest[os.write(fd, rest) :]


def segment_path(folder: Path, number: int) -> Path:
    """Return the path of a segment file."""
    return folder / f"{number:08d}.segment"


def sync_folder(folder: Path) -> None:
    """Bring new or removed names in a folder to disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class BlobReader:
    """Reads blobs; segment files stay open, most recently used ones first."""

    def __init__(self, segments: Path, objects: Path) -> None:
        self._segments = segments
        self._objects = objects
        self._open: dict[int, int] = {}

    def read(self, place: Location, start: int = 0, stop: int | None = None) -> bytes:
        """Return bytes `start` to `stop` of a blob; raises OSError when it is not there in full."""
        stop = place.size if stop is None else min(stop, place.size)
        if stop <= start:
            return b""
        if place.segment is not None:
            data = os.pread(self._segment(place.segment), stop - start, place.offset + start)
        else:
            with self.path(place).open("rb", buffering=0) as file:
                data = os.pread(file.fileno(), stop - start, start)
        if len(data) != stop - start:
            raise OSError(
                f"a stored file is shorter than its index entry says ({len(data)} of {stop - start} bytes)"
            )
        return data

    def chunks(self, place: Location, size: int) -> Iterator[bytes]:
        """Yield a blob in pieces of at most `size` bytes; one that is deleted meanwhile is still read to its end."""
        if place.segment is not None:
            for start in range(0, place.size, size):
                yield self.read(place, start, start + size)
            return
        with self.path(place).open("rb", buffering=0) as file:
            while data := file.read(size):
                yield data

    def require(self, place: Location) -> None:
        """Raise OSError when a large blob is not there in full; small ones tell when they are read."""
        if place.object is not None and self.path(place).stat().st_size < place.size:
            raise OSError("a stored file is shorter than its index entry says")

    def view(self, place: Location) -> Buffer:
        """Return a blob as a buffer: small ones in memory, large ones mapped."""
        return self.read(place) if place.segment is not None else map_file(self.path(place))

    def path(self, place: Location) -> Path:
        """Return the path of an object file."""
        return self._objects / str(place.object)

    def _segment(self, number: int) -> int:
        fd = self._open.pop(number, None)
        if fd is None:
            fd = os.open(segment_path(self._segments, number), os.O_RDONLY)
            if len(self._open) >= _OPEN_SEGMENTS:
                os.close(self._open.pop(next(iter(self._open))))
        self._open[number] = fd
        return fd

    def close(self) -> None:
        """Close the segment files."""
        while self._open:
            os.close(self._open.popitem()[1])
