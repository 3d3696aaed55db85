"""The one thread that writes: it gathers what waits into group commits."""

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from systems.router.store.transaction import Transaction

T = TypeVar("T")
Operation = Callable[[Transaction], Any]

_LARGEST_BATCH: Final = 256
_AUDIT_SYNC_LINES: Final = 2000
_IDLE_SECONDS: Final = 1.0

log = logging.getLogger(__name__)


class Writer:
    """Runs operations in order; each caller is answered after the commit that holds its operation is on disk."""

    def __init__(self, transaction: Transaction, on_ready: Callable[[set[str]], None]) -> None:
        self._transaction = transaction
        self._on_ready = on_ready
        self._waiting: queue.SimpleQueue[tuple[Operation, asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="router-writer", daemon=True)
        self._thread.start()

    async def do(self, operation: Callable[[Transaction], T]) -> T:
        """Run `operation` in the next group commit and return its result once that is durable.

        Raises:
            sqlite3.Error, OSError: nothing of the operation remains.

        """
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiting.put((operation, future))
        return await future

    def stop(self) -> None:
        """Finish what waits, then end."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        running = True
        while running:
            batch, running = self._gather()
            if batch:
                self._commit(batch)
            if self._transaction.audit.unsynced and (
                not batch or self._transaction.audit.unsynced > _AUDIT_SYNC_LINES
            ):
                self._sync_audit()
        self._sync_audit()

    def _sync_audit(self) -> None:
        """What cannot be synced now stays in the outbox; this thread must not end for it."""
        try:
            self._transaction.audit.sync()
        except (OSError, sqlite3.Error):
            log.exception("the audit trail cannot be synced")

    def _gather(self) -> tuple[list[tuple[Operation, asyncio.Future[Any]]], bool]:
        batch: list[tuple[Operation, asyncio.Future[Any]]] = []
        try:
            entry = self._waiting.get(timeout=_IDLE_SECONDS)
            while entry is not None:
                batch.append(entry)
                if len(batch) >= _LARGEST_BATCH:
                    return batch, True
                entry = self._waiting.get_nowait()
        except queue.Empty:
            return batch, True
        return batch, False

    def _commit(self, batch: list[tuple[Operation, asyncio.Future[Any]]]) -> None:
        transaction = self._transaction
        try:
            transaction.begin()
            results = [operation(transaction) for operation, _ in batch]
            transaction.commit()
        except Exception as error:  # noqa: BLE001 - one bad operation must not take the others or the thread down
            self._undo(error)
            if len(batch) == 1:
                self._tell(batch, [error])
                return
            for entry in batch:
                self._commit([entry])
            return
        self._tell(batch, results)

    def _undo(self, error: Exception) -> None:
        try:
            self._transaction.rollback()
        except (sqlite3.Error, OSError):
            log.exception("rollback failed after %s", type(error).__name__)

    def _tell(self, batch: list[tuple[Operation, asyncio.Future[Any]]], results: list[Any]) -> None:
        ready = self._transaction.ready
        try:
            self._loop.call_soon_threadsafe(self._answer, batch, results, ready)
        except RuntimeError:
            log.debug("the loop ended before its writer")

    def _answer(
        self, batch: list[tuple[Operation, asyncio.Future[Any]]], results: list[Any], ready: set[str]
    ) -> None:
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
        if ready:
            self._on_ready(ready)
