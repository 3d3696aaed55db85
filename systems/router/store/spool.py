"""The spool: Part 10 files on disk, a few file creations for many objects.

Small objects are appended to a pack: each is a complete Part 10 file, its offset and length are in the index. What a group
commit appends is synced before the index is; a pack that has grown enough is followed by a new one, and removed when nothing
refers to it. So a commit syncs the folder only when a pack is new. A large object is streamed to a file of its own, which
becomes its pack. With a key of the configuration whatever is written here is encrypted (`sealing`); offsets and lengths are the
same.
"""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

from systems.router import digests
from systems.router.config.limit_values import SpoolLimits
from systems.router.errors import DamagedError, ResourceError, SpoolFullError
from systems.router.objects import Piece, Received
from systems.router.sealing import NO_KEYS, Keyring, MissingKeyError, opened
from systems.router.store.model import Location
from systems.router.store.reading import data_set_offset, pieces

_CHUNK: Final = 1 << 20
_USAGE_AGE: Final = 0.5
# One object that waits for long keeps its whole pack on the disk.
_PACK_BYTES: Final = 4 << 20
# What POSIX systems take in one call (IOV_MAX).
_BUFFERS_AT_ONCE: Final = 1024


@dataclass(slots=True)
class _Filling:
    """The pack that is appended to; `end` is behind the last byte that a committed index knows."""

    name: str
    handle: int
    end: int = 0
    is_new: bool = True


class Spool:
    """Files under `root`; used by one router at a time."""

    def __init__(self, root: Path, limits: SpoolLimits, keys: Keyring = NO_KEYS) -> None:
        self.keys = keys
        self._packs = root / "packs"
        self._incoming = root / "incoming"
        self._limits = limits
        self._prefix = f"{time.time_ns():x}"
        self._number = 0
        self._measured = 0.0
        self._percent = 0.0
        self._filling: _Filling | None = None
        self.bytes_used = 0
        try:
            for folder in (self._packs, self._incoming):
                folder.mkdir(parents=True, exist_ok=True)
            self._packs_fd = os.open(self._packs, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise ResourceError(
                f"spool folder {root} cannot be used: {error.strerror}; make it writable"
            ) from error

    def reconfigure(self, limits: SpoolLimits) -> None:
        """Keep these limits from now on."""
        self._limits = limits

    def close(self) -> None:
        """Give the folder back."""
        self._seal()
        os.close(self._packs_fd)

    def percent_used(self) -> float:
        """How full the disk of the spool is, in percent; measured at most twice a second."""
        now = time.monotonic()
        if now - self._measured > _USAGE_AGE:
            usage = os.statvfs(self._packs)
            self._percent = 100.0 * (1 - usage.f_bavail / max(1, usage.f_blocks))
            self._measured = now
        return self._percent

    def is_full(self) -> bool:
        """At the hard limit: stores are refused."""
        limit = self._limits.hard_limit_bytes
        return (
            limit > 0 and self.bytes_used >= limit
        ) or self.percent_used() >= self._limits.hard_limit_percent

    def is_writable(self) -> bool:
        """Whether files can be made there at all (ROUTER-156)."""
        try:
            read_only = os.statvfs(self._packs).f_flag & os.ST_RDONLY
        except OSError:
            return False
        return not read_only and os.access(self._packs, os.W_OK)

    def is_filling(self) -> bool:
        """Beyond the soft limit: an alarm, nothing else."""
        limit = self._limits.hard_limit_bytes * self._limits.soft_limit_percent / 100
        return (
            limit > 0 and self.bytes_used >= limit
        ) or self.percent_used() >= self._limits.soft_limit_percent

    def check_room(self, size: int = 0) -> None:
        """Refuse when `size` more bytes would pass the hard limit.

        Raises:
            SpoolFullError: at the limit.

        """
        limit = self._limits.hard_limit_bytes
        if self.is_full() or (limit > 0 and self.bytes_used + size > limit):
            raise SpoolFullError("the spool is at its hard limit; free disk space or drain the queues")

    def next_name(self) -> str:
        """A pack name never used before."""
        self._number += 1
        return f"{self._prefix}-{self._number:x}.dcm"

    def new_incoming(self) -> Path:
        """The file a large object is streamed to."""
        return self._incoming / self.next_name()

    def pack(self) -> tuple[str, int]:
        """The pack that is being filled and where in it the next commit's objects begin; used by the writer only."""
        if self._filling is not None and self._filling.end >= _PACK_BYTES:
            self._seal()
        if self._filling is None:
            name = self.next_name()
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            self._filling = _Filling(name, os.open(self._packs / name, flags, 0o600))
        return self._filling.name, self._filling.end

    def append(self, parts: list[Piece]) -> bool:
        """Write behind the end of the pack and sync it. True: its name is new, so the folder has to be synced too."""
        filling = self._filling
        assert filling is not None  # noqa: S101 - `pack` was called for the place
        left = [memoryview(part) for part in parts]
        os.lseek(filling.handle, filling.end, os.SEEK_SET)
        while left:
            left = _behind(left, os.writev(filling.handle, left[:_BUFFERS_AT_ONCE]))
        os.fdatasync(filling.handle)
        return filling.is_new

    def keep(self, size: int) -> None:
        """The index knows what was appended: the next commit writes behind it."""
        assert self._filling is not None  # noqa: S101 - something was appended
        self._filling.end += size
        self._filling.is_new = False

    def give_up(self) -> None:
        """What was appended is not known to the index. After a failed write or sync this pack is not trusted with more."""
        filling = self._filling
        if filling is None:
            return
        if filling.end:
            with suppress(OSError):
                os.ftruncate(filling.handle, filling.end)
            self._seal()
        else:
            self.remove(filling.name)

    def _seal(self) -> None:
        if self._filling is not None:
            os.close(self._filling.handle)
            self._filling = None

    def adopt(self, received: Received, name: str) -> None:
        """Make the file of a large object, already synced, a pack."""
        assert received.file is not None  # noqa: S101 - only large objects are adopted
        received.file.rename(self._packs / name)
        received.file = None

    def sync_folder(self) -> None:
        """Make names durable."""
        os.fsync(self._packs_fd)

    def remove(self, pack: str) -> None:
        """Delete a pack to which nothing refers any more."""
        if self._filling is not None and self._filling.name == pack:
            self._seal()
        (self._packs / pack).unlink(missing_ok=True)

    def names(self) -> list[str]:
        """The packs that are there."""
        return [file.name for file in self._packs.iterdir()]

    def blank(self, pack: str, held: Sequence[tuple[int, int]]) -> None:
        """Overwrite all of a pack but what is held: offsets and lengths, in order. Nothing where the pack is gone."""
        filling = self._filling if self._filling is not None and self._filling.name == pack else None
        try:
            handle = os.open(self._packs / pack, os.O_WRONLY)
        except FileNotFoundError:
            return
        try:
            end = filling.end if filling is not None else os.fstat(handle).st_size
            at = written = 0
            for offset, length in (*held, (end, 0)):
                while at < offset:
                    at += (written := os.pwrite(handle, bytes(min(_CHUNK, offset - at)), at))
                at = max(at, offset + length)
            if written:
                os.fdatasync(handle)
        finally:
            os.close(handle)

    def read(self, location: Location, digest: str, sop_instance_uid: str) -> bytes:
        """The Part 10 file at `location`, checked against the digest taken on receipt (ROUTER-200).

        Raises:
            DamagedError: it is missing or differs.

        """
        content = b"".join(self.chunks(location, sop_instance_uid))
        found = digests.like(digest)
        found.update(memoryview(content)[data_set_offset(content) :])
        if found.text() != digest:
            raise DamagedError(sop_instance_uid, "its data set differs from what was received")
        return content

    def check(self, location: Location, digest: str, sop_instance_uid: str) -> None:
        """As `read`, in memory that does not grow with the object."""
        found = digests.like(digest)
        first = True
        for chunk in self.chunks(location, sop_instance_uid):
            found.update(memoryview(chunk)[data_set_offset(chunk) :] if first else chunk)
            first = False
        if found.text() != digest:
            raise DamagedError(sop_instance_uid, "its data set differs from what was received")

    def chunks(self, location: Location, sop_instance_uid: str) -> Iterator[bytes]:
        """The Part 10 file at `location` in pieces, see `reading.pieces`."""
        return pieces(self._packs / location.pack, location, self.keys, sop_instance_uid)

    def opened(self, location: Location, sop_instance_uid: str) -> BinaryIO:
        """The Part 10 file at `location` for reading and seeking; one that shares its pack is loaded.

        Raises:
            DamagedError: it is missing, cut, or its key is not there.

        """
        path, filling = self._packs / location.pack, self._filling
        try:
            grows = filling is not None and filling.name == location.pack
            if grows or path.stat().st_size != location.length:
                return BytesIO(b"".join(self.chunks(location, sop_instance_uid)))
            return opened(path, None if location.seal is None else self.keys.of(location.seal))
        except MissingKeyError as error:
            raise DamagedError(sop_instance_uid, str(error)) from error
        except OSError as error:
            raise DamagedError(sop_instance_uid, f"its file cannot be read ({error.strerror})") from error

    def looks_whole(self, location: Location, digest: str, sop_instance_uid: str) -> bool:
        """Whether a copy is still what was received; large ones are judged by presence and size only."""
        try:
            if location.length <= self._limits.memory_object_bytes:
                self.read(location, digest, sop_instance_uid)
                return True
            has_key = location.seal is None or location.seal.key_id in self.keys.identifiers
            size = (self._packs / location.pack).stat().st_size
            return has_key and size >= location.offset + location.length
        except (DamagedError, OSError):
            return False

    def path(self, location: Location) -> Path:
        """The pack's file; the object is its whole content only when `offset` is 0 and no other shares it."""
        return self._packs / location.pack

    def recover(self, known: set[str]) -> int:
        """Remove what a killed router left half-written: files the index does not know. Returns how many."""
        removed = 0
        for file in self._incoming.iterdir():
            file.unlink()
            removed += 1
        for file in self._packs.iterdir():
            if file.name not in known:
                file.unlink()
                removed += 1
        self.bytes_used = sum(file.stat().st_size for file in self._packs.iterdir())
        return removed

    def free_bytes(self) -> int:
        """Bytes left on the disk of the spool."""
        return shutil.disk_usage(self._packs).free


def _behind(parts: list[memoryview], size: int) -> list[memoryview]:
    """What is left of `parts` behind their first `size` bytes."""
    for place, part in enumerate(parts):
        if size < len(part):
            return [part[size:], *parts[place + 1 :]]
        size -= len(part)
    return []


def private(path: str, flags: int) -> int:
    """Opens a file that only the router's own account may read; the `opener` of `open`."""
    return os.open(path, flags, 0o600)
