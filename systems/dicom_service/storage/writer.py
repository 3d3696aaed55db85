"""The writing thread of one process: what waits is written together, synced together and committed together.

The order makes a crash harmless: blobs are on disk before the transaction that names them, so the index never names a
missing blob, and a blob without index entry is dead bytes that the next start reports and removes.
"""

import fcntl
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from systems.dicom_service.storage.blobs import SEGMENT_LIMIT, Incoming, Location, SegmentWriter, sync_folder
from systems.dicom_service.storage.schema import connect
from systems.shared import logs

_log = logging.getLogger(__name__)
_MOST_JOBS = 256
_TICKS_PER_SECOND = 10_000_000


class Job(Protocol):
    """A change of the store. `blobs` are written first, `apply` runs inside the transaction."""

    def blobs(self, connection: sqlite3.Connection) -> Sequence[bytes | Incoming]:
        """Return the blobs to write; may look into the index to leave out what is already stored."""
        ...

    def apply(self, connection: sqlite3.Connection, places: Sequence[Location], clock: "Clock") -> Any:
        """Change the index and return the result; an exception undoes this job alone."""
        ...

    def committed(self, result: Any) -> None:
        """Clean up after the commit."""
        ...

    def failed(self) -> None:
        """Clean up when nothing was stored."""
        ...


@dataclass(frozen=True, slots=True)
class Transaction:
    """A change of the index alone; its result is what `change` returns, its errors undo it."""

    change: Callable[[sqlite3.Connection, "Clock"], Any]

    def blobs(self, _connection: sqlite3.Connection) -> Sequence[bytes | Incoming]:
        """Nothing is written besides the index."""
        return ()

    def apply(self, connection: sqlite3.Connection, _places: Sequence[Location], clock: "Clock") -> Any:
        """Make the change."""
        return self.change(connection, clock)

    def committed(self, _result: Any) -> None:
        """Nothing is left to do."""

    def failed(self) -> None:
        """Nothing was left behind."""


class Clock:
    """Hands out strictly increasing times, 100 ns ticks since 1970, within one transaction (FEED-018)."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        row = connection.execute("SELECT timestamp FROM change ORDER BY timestamp DESC LIMIT 1").fetchone()
        self._last = int(row[0]) if row else 0

    def now(self) -> int:
        """Return a time later than every one before."""
        self._last = max(self._last + 1, time.time_ns() * _TICKS_PER_SECOND // 1_000_000_000)
        return self._last


class Writer:
    """Runs jobs in order; `submit` may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._jobs: queue.SimpleQueue[tuple[Job, Callable[[Any, BaseException | None], None]] | None]
        self._jobs = queue.SimpleQueue()
        self._segment: SegmentWriter | None = None
        self._unwanted_segment = 0
        self._connection = connect(folder / "index.sqlite")
        self._lock = os.open(folder / "writer.lock", os.O_RDWR | os.O_CREAT, 0o640)
        self._thread = threading.Thread(target=self._run, name="store-writer")
        self._thread.start()

    def submit(self, job: Job, done: Callable[[Any, BaseException | None], None]) -> None:
        """Run `job` with the next group; `done` gets result or error, in the writing thread, once it is on disk."""
        self._jobs.put((job, done))

    def run(self, job: Job) -> Any:
        """Run `job` and wait for its result."""
        future: Future[Any] = Future()
        self.submit(
            job, lambda result, error: future.set_exception(error) if error else future.set_result(result)
        )
        return future.result()

    def seal(self, segment: int) -> None:
        """Append nothing more to a segment, should it be the current one; any thread may ask for it."""
        self._unwanted_segment = segment

    def close(self) -> None:
        """Finish what was submitted and end the thread."""
        self._jobs.put(None)
        self._thread.join()
        if self._segment is not None:
            self._segment.close()
        self._connection.close()
        os.close(self._lock)

    def _run(self) -> None:
        ending = False
        while not ending:
            group = [self._jobs.get()]
            while len(group) < _MOST_JOBS and not self._jobs.empty():
                group.append(self._jobs.get())
            ending = None in group
            entries = [entry for entry in group if entry is not None]
            if entries:
                self._run_group(entries)

    def _run_group(self, entries: list[tuple[Job, Callable[[Any, BaseException | None], None]]]) -> None:
        jobs = [job for job, _ in entries]
        try:
            results = self._commit(jobs, self._write_blobs(jobs))
        except Exception as error:  # noqa: BLE001 - whatever failed, every waiting request must be answered
            _log.error(
                "a group of changes could not be stored: %s", logs.origin(error), extra={"jobs": len(jobs)}
            )
            results = [(None, error)] * len(jobs)
            self._abandon_segment()
        for (job, done), (result, failure) in zip(entries, results, strict=True):
            if failure is None:
                job.committed(result)
            else:
                job.failed()
            done(result, failure)

    def _write_blobs(self, jobs: list[Job]) -> list[list[Location]]:
        """Write and sync the blobs of all jobs; return their places job by job."""
        contents = [job.blobs(self._connection) for job in jobs]
        small = [blob for blobs in contents for blob in blobs if isinstance(blob, bytes)]
        large = [blob for blobs in contents for blob in blobs if isinstance(blob, Incoming)]
        places: dict[int, Location] = {}
        if small:
            segment = self._current_segment()
            for blob, place in zip(small, segment.append(small), strict=True):
                places[id(blob)] = place
            segment.sync()
        for incoming in large:
            incoming.make_durable()
            places[id(incoming)] = Location(None, incoming.name, 0, incoming.size)
        if large:
            sync_folder(self._folder / "objects")
        return [[places[id(blob)] for blob in blobs] for blobs in contents]

    def _commit(
        self, jobs: list[Job], places: list[list[Location]]
    ) -> list[tuple[Any, BaseException | None]]:
        connection = self._connection
        # The lock queues the processes; SQLite alone would let them poll for their turn.
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                clock = Clock(connection)
                results = [self._apply(job, where, clock) for job, where in zip(jobs, places, strict=True)]
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)
        return results

    def _apply(self, job: Job, places: list[Location], clock: Clock) -> tuple[Any, BaseException | None]:
        self._connection.execute("SAVEPOINT job")
        try:
            result = job.apply(self._connection, places, clock)
        except Exception as error:  # noqa: BLE001 - handed to the one request it belongs to; the others go on
            self._connection.execute("ROLLBACK TO job")
            self._connection.execute("RELEASE job")
            return None, error
        self._connection.execute("RELEASE job")
        return result, None

    def _current_segment(self) -> SegmentWriter:
        current = self._segment
        if current is not None and (
            current.size >= SEGMENT_LIMIT or current.number == self._unwanted_segment
        ):
            self._abandon_segment()
        if self._segment is None:
            row = self._connection.execute("INSERT INTO segment DEFAULT VALUES RETURNING id").fetchone()
            self._segment = SegmentWriter(self._folder / "segments", int(row[0]))
        return self._segment

    def _abandon_segment(self) -> None:
        if self._segment is not None:
            self._segment.close()
            self._segment = None
