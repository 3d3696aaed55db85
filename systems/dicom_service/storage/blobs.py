"""Stored files: small ones in append-only segments, large ones in files of their own."""

import fcntl
import mmap
import os
import secrets
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from weakref import WeakValueDictionary

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
    """Appends blobs to one segment file that only this writer touches; a lock says so until it is closed."""

    def __init__(self, folder: Path, number: int) -> None:
        self.number = number
        self._fd = os.open(segment_path(folder, number), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        fcntl.flock(self._fd, fcntl.LOCK_EX)
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


def is_sealed(path: Path) -> bool:
    """Return whether nobody appends to a segment any more; raises FileNotFoundError."""
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(fd)


def sync_folder(folder: Path) -> None:
    """Bring new or removed names in a folder to disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class _OpenSegment:
    """A segment open for reading, closed when nobody refers to it any more: others may be reading when it is let go."""

    __slots__ = ("__weakref__", "fd")

    def __init__(self, path: Path) -> None:
        self.fd = -1
        self.fd = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)

    def is_removed(self) -> bool:
        return os.fstat(self.fd).st_nlink == 0


class BlobReader:
    """Reads blobs; segment files stay open, those used last. Any thread may read."""

    def __init__(self, segments: Path, objects: Path) -> None:
        self._segments = segments
        self._objects = objects
        self._open: dict[int, _OpenSegment] = {}
        self._in_use: WeakValueDictionary[int, _OpenSegment] = WeakValueDictionary()
        self._turn = threading.Lock()

    def read(self, place: Location, start: int = 0, stop: int | None = None) -> bytes:
        """Return bytes `start` to `stop` of a blob; raises OSError when it is not there in full."""
        stop = place.size if stop is None else min(stop, place.size)
        if stop <= start:
            return b""
        if place.segment is not None:
            segment = self._segment(place.segment)
            data = os.pread(segment.fd, stop - start, place.offset + start)
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

    @contextmanager
    def holding(self, places: Iterable[Location]) -> Iterator[None]:
        """Keep places readable for as long as an answer takes, though compaction removes their segments meanwhile.

        What is missing already shows when it is read.
        """
        held: list[_OpenSegment] = []
        for number in {place.segment for place in places}:
            if number is not None:
                with suppress(OSError):
                    held.append(self._segment(number))
        try:
            yield
        finally:
            held.clear()

    def let_go_of_removed(self) -> None:
        """Forget open segments whose file is gone: their space is free when nobody reads them any more."""
        with self._turn:
            for number in [number for number, segment in self._open.items() if segment.is_removed()]:
                del self._open[number]

    def _segment(self, number: int) -> _OpenSegment:
        with self._turn:
            segment = self._open.pop(number, None) or self._in_use.get(number)
            if segment is None:
                segment = self._in_use[number] = _OpenSegment(segment_path(self._segments, number))
            if len(self._open) >= _OPEN_SEGMENTS:
                del self._open[next(iter(self._open))]
            self._open[number] = segment
        return segment

    def close(self) -> None:
        """Close the segment files."""
        with self._turn:
            self._open.clear()
