"""Runs operations in the background, one thread a kind, and goes on with them after a restart.

All workers share the store, so a file lock decides which of them runs the operations of a kind. Whoever accepts an
operation wakes its own runner, and every start looks for what was left: no operation waits for a client to come again.
"""

import fcntl
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from systems.dicom_service.operations import records
from systems.dicom_service.operations.records import Json, Kind, Operation, Status
from systems.dicom_service.storage.store import Store
from systems.dicom_service.storage.writer import Clock, Transaction
from systems.shared import logs

_log = logging.getLogger(__name__)
_LOCK_RETRY = 0.1
_STORE_RETRY = 2.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How an operation ended; `also` runs in the transaction that says so."""

    results: Json | None = None
    failed: bool = False
    also: Callable[[sqlite3.Connection], None] = lambda _connection: None


class Stopping(Exception):  # noqa: N818 - the service ends, nothing went wrong
    """The service is ending: the operation goes on after the next start."""


class Run:
    """What the work of an operation has in its hands."""

    def __init__(self, operation: Operation, store: Store, stopping: threading.Event) -> None:
        self.operation = operation
        self.store = store
        self._stopping = stopping

    def check(self) -> None:
        """Raise `Stopping` when the service is ending; call it between pieces of work."""
        if self._stopping.is_set():
            raise Stopping

    def advance(
        self, connection: sqlite3.Connection, clock: Clock, progress: Json, percent: int | None = None
    ) -> None:
        """Note progress inside a transaction of the work, so that both last or none."""
        records.advance(connection, self.operation.id, now=clock.now(), progress=progress, percent=percent)


Work = Callable[[Run], Ended]


class Runner:
    """The background of one worker; `work` says what each kind of operation does."""

    def __init__(self, store: Store, work: Mapping[Kind, Work]) -> None:
        self._store = store
        self._work = dict(work)
        self._stopping = threading.Event()
        self._wakes = {kind: threading.Event() for kind in self._work}
        self._threads = [
            threading.Thread(target=self._serve, args=(kind,), name=f"operations-{kind.value}", daemon=True)
            for kind in self._work
        ]

    def start(self) -> None:
        """Start, beginning with what an earlier end of the service left."""
        for event in self._wakes.values():
            event.set()
        for thread in self._threads:
            thread.start()

    def wake(self, kind: Kind) -> None:
        """Look for operations of a kind: one was just accepted."""
        self._wakes[kind].set()

    def close(self) -> None:
        """Stop after the current piece of work; what has not ended goes on after the next start."""
        self._stopping.set()
        for event in self._wakes.values():
            event.set()
        for thread in self._threads:
            thread.join()

    def _serve(self, kind: Kind) -> None:
        wake = self._wakes[kind]
        while not self._stopping.is_set():
            wake.wait()
            wake.clear()
            try:
                self._run_all(kind)
            except Stopping:
                return
            except (sqlite3.Error, OSError) as error:
                # The operation stays as it is; it goes on when the store can be written again.
                _log.error("operations cannot go on: %s", logs.origin(error), extra={"kind": kind.value})
                self._stopping.wait(_STORE_RETRY)
                wake.set()

    def _run_all(self, kind: Kind) -> None:
        if records.pending(self._store.connection, kind) is None:
            return
        lock = os.open(self._store.folder / f"operations-{kind.value}.lock", os.O_RDWR | os.O_CREAT, 0o640)
        try:
            self._take(lock)
            while (operation := records.pending(self._store.connection, kind)) is not None:
                self._run(operation)
        finally:
            os.close(lock)

    def _take(self, lock: int) -> None:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if self._stopping.wait(_LOCK_RETRY):
                    raise Stopping from None
            else:
                return

    def _run(self, operation: Operation) -> None:
        run = Run(operation, self._store, self._stopping)
        run.check()
        if operation.status is Status.NOT_STARTED:
            self._store.run(
                Transaction(
                    lambda connection, clock: records.advance(
                        connection, operation.id, now=clock.now(), progress=None, percent=None
                    )
                )
            )
        try:
            ended = self._work[operation.kind](run)
        except (Stopping, sqlite3.Error):
            raise
        except Exception as error:  # noqa: BLE001 - whatever fails, the operation must end, and say so (OPS-007)
            _log.error("an operation failed: %s", logs.origin(error), extra={"operation": operation.id})
            ended = Ended(failed=True)
        self._store.run(Transaction(lambda connection, clock: _end(connection, clock, operation, ended)))


def _end(connection: sqlite3.Connection, clock: Clock, operation: Operation, ended: Ended) -> None:
    ended.also(connection)
    status = Status.FAILED if ended.failed else Status.SUCCEEDED
    records.end(connection, operation.id, now=clock.now(), status=status, results=ended.results)
