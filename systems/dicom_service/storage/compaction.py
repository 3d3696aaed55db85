"""Gives back the space of deleted small files while the service runs.

A segment nobody appends to, and of which half is dead, is emptied: what lives in it is stored once more at the end of the
current one by the ordinary way of the writer, so a crash at any moment leaves every blob in at least one place and the
index naming one of them. An empty segment is removed some minutes later: a reader that has looked up a place opens it at once and
keeps it open (`BlobReader.holding`).
"""

import fcntl
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from systems.dicom_service.storage.blobs import BlobReader, Incoming, Location, is_sealed, segment_path
from systems.dicom_service.storage.schema import connect
from systems.dicom_service.storage.writer import Clock, Writer
from systems.shared import logs

_log = logging.getLogger(__name__)

INTERVAL = 60.0
GRACE = 300.0
"""Seconds from when a segment is seen empty to when its file goes."""
_MOST_OF_THE_TIME = 100
_BATCH_BYTES = 4 << 20
_BATCH_BLOBS = 256
_SMALL_SEGMENT = 8 << 20
_MANY_SMALL = 8
_LARGE_WASTE = 64 << 20

_LIVING = """SELECT segment, SUM(size) FROM (
        SELECT segment, size FROM instance WHERE segment IS NOT NULL
        UNION ALL SELECT segment, size FROM original WHERE segment IS NOT NULL
    ) GROUP BY segment"""
_PLACES = """SELECT offset, size FROM instance WHERE segment = ?
    UNION SELECT offset, size FROM original WHERE segment = ? ORDER BY 1"""


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of a segment still lives; sizes in bytes."""

    number: int
    size: int
    living: int
    sealed: bool

    @property
    def dead(self) -> int:
        """Bytes that no index entry names."""
        return self.size - self.living


def usage(connection: sqlite3.Connection, folder: Path) -> list[Usage]:
    """Return the use of every segment in `folder`."""
    # The files first: what is appended meanwhile makes the dead part look smaller, never larger.
    files = {int(path.stem): (path, path.stat().st_size) for path in sorted(folder.glob("*.segment"))}
    living = dict(connection.execute(_LIVING))
    return [
        Usage(number, size, living.get(number, 0), is_sealed(path)) for number, (path, size) in files.items()
    ]


def worth_emptying(segments: Iterable[Usage]) -> list[int]:
    """Return the sealed segments whose living part is worth copying: half dead, or one of many small ones."""
    sealed = [segment for segment in segments if segment.sealed and segment.living]
    small = [segment.number for segment in sealed if segment.size < _SMALL_SEGMENT]
    half_dead = [segment.number for segment in sealed if segment.dead >= segment.living]
    return sorted({*half_dead, *(small if len(small) >= _MANY_SMALL else ())})


@dataclass(slots=True)
class Relocate:
    """Store the contents of places once more and name the new places in the index; one deleted meanwhile stays so."""

    places: Sequence[Location]
    contents: Sequence[bytes] = field(repr=False)

    def blobs(self, _connection: sqlite3.Connection) -> Sequence[bytes | Incoming]:
        """Return the contents, read beforehand: a segment that cannot be read must not fail the jobs of others."""
        return self.contents

    def apply(self, connection: sqlite3.Connection, places: Sequence[Location], _clock: Clock) -> None:
        """Move the entries."""
        for old, new in zip(self.places, places, strict=True):
            for table in ("instance", "original"):
                connection.execute(
                    f"UPDATE {table} SET segment = ?, offset = ? WHERE segment = ? AND offset = ?",  # noqa: S608
                    (new.segment, new.offset, old.segment, old.offset),
                )

    def committed(self, _result: None) -> None:
        """Nothing is left to do: the old segment goes when it is empty."""

    def failed(self) -> None:
        """Nothing was moved."""


class Compactor:
    """Looks from time to time, in a thread of its own; of the processes of a service one does."""

    def __init__(
        self,
        folder: Path,
        writer: Writer,
        blobs: BlobReader,
        *,
        grace: float = GRACE,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._writer = writer
        self._blobs = blobs
        self._grace = grace
        self._now = now
        self._empty_since: dict[int, float] = {}
        self._unreadable: set[int] = set()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="compaction")
        self._lock = os.open(folder / "compaction.lock", os.O_RDWR | os.O_CREAT, 0o640)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """End after what is being copied now."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()
        os.close(self._lock)

    def _run(self) -> None:
        pause = INTERVAL
        while not self._ending.wait(pause):
            began = time.monotonic()
            try:
                if self._is_mine():
                    self.look()
            except (OSError, sqlite3.Error) as error:
                # A full disk, say: nothing is lost, and the next look may succeed.
                _log.error("space of deleted instances could not be reclaimed: %s", logs.origin(error))
            self._blobs.let_go_of_removed()
            pause = max(INTERVAL, _MOST_OF_THE_TIME * (time.monotonic() - began))

    def _is_mine(self) -> bool:
        """Take the part of the one process that compacts, and keep it."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def look(self) -> int:
        """Empty what is worth it and remove what has been empty for long enough; return the bytes freed."""
        connection = connect(self._folder / "index.sqlite")
        try:
            segments = usage(connection, self._folder / "segments")
            for number in worth_emptying(segments):
                if number not in self._unreadable and not self._ending.is_set():
                    self._empty(connection, number)
            for segment in segments:
                if not segment.sealed and segment.dead >= max(_LARGE_WASTE, segment.living):
                    self._writer.seal(segment.number)
            return self._remove_empty(usage(connection, self._folder / "segments"))
        finally:
            connection.close()

    def _empty(self, connection: sqlite3.Connection, number: int) -> None:
        rows = connection.execute(_PLACES, (number, number)).fetchall()
        places = [Location(number, None, offset, size) for offset, size in rows]
        for batch in _batches(places):
            if self._ending.is_set():
                return
            began = time.monotonic()
            try:
                contents = [self._blobs.read(place) for place in batch]
            except OSError as error:
                # What cannot be read is left where it is, for whoever restores it.
                _log.error("a segment cannot be read: %s", logs.origin(error), extra={"segment": number})
                self._unreadable.add(number)
                return
            self._writer.run(Relocate(batch, contents))
            # At most half of the time, so that stores do not wait for tidying.
            self._ending.wait(time.monotonic() - began)

    def _remove_empty(self, segments: Sequence[Usage]) -> int:
        empty = {segment.number: segment for segment in segments if segment.sealed and not segment.living}
        self._empty_since = {number: self._empty_since.get(number, self._now()) for number in sorted(empty)}
        ripe = [number for number, since in self._empty_since.items() if self._now() - since >= self._grace]
        for number in ripe:
            with suppress(FileNotFoundError):
                segment_path(self._folder / "segments", number).unlink()
            del self._empty_since[number]
        freed = sum(empty[number].size for number in ripe)
        if ripe:
            _log.info(
                "the space of deleted instances was reclaimed", extra={"bytes": freed, "segments": len(ripe)}
            )
        return freed


def _batches(places: Sequence[Location]) -> Iterator[list[Location]]:
    batch: list[Location] = []
    size = 0
    for place in places:
        if batch and (size + place.size > _BATCH_BYTES or len(batch) >= _BATCH_BLOBS):
            yield batch
            batch, size = [], 0
        batch.append(place)
        size += place.size
    if batch:
        yield batch
