"""The durable queue on SQLite: implements `model.Queue`."""

import asyncio
import fcntl
import logging
import os
import sqlite3
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import orjson

from systems.router.config.limit_values import SpoolLimits
from systems.router.errors import ResourceError
from systems.router.objects import Received
from systems.router.sealing import NO_KEYS, Keyring
from systems.router.store import arrivals, tasks
from systems.router.store.audit import Audit
from systems.router.store.counters import Counters
from systems.router.store.model import Accepted, Location, Settlement, Snapshot, Task
from systems.router.store.needed_keys import check_keys
from systems.router.store.schema import open_index
from systems.router.store.spool import Spool
from systems.router.store.transaction import Transaction
from systems.router.store.writer import Writer

T = TypeVar("T")
# Through the index of open tasks, see tasks._TASK.
_DEAD = "task.id IN (SELECT id FROM task WHERE state >= 2 AND state < 3)"

log = logging.getLogger(__name__)


class SqliteQueue:
    """Objects and tasks under one data folder, which only one router may use at a time."""

    def __init__(self, data: Path, limits: SpoolLimits, keys: Keyring = NO_KEYS) -> None:
        """Open or create the folder.

        Raises:
            ResourceError: it cannot be used.
            ConfigError: a key that waiting objects are encrypted with is not among `keys`.

        """
        self._limits = limits
        self._ready: dict[str, asyncio.Event] = {}
        self.audit_folder = data / "audit"
        with ExitStack() as undo:
            self._lock = lock_folder(data)
            undo.callback(os.close, self._lock)
            self._connection = open_index(data / "index.sqlite")
            undo.callback(self._connection.close)
            try:
                check_keys(self._connection, keys)
                self.spool = Spool(data / "spool", limits, keys)
                undo.callback(self.spool.close)
                self._audit = Audit(self.audit_folder, self._connection)
                self._recover()
                self._counters = Counters(self._connection)
            except sqlite3.Error as error:
                raise ResourceError(
                    f"index {data / 'index.sqlite'} cannot be used: {error}; repair the disk or restore the data folder as a whole"
                ) from error
            undo.pop_all()
        transaction = Transaction(self._connection, self.spool, self._audit, self._counters)
        self._writer = Writer(transaction, self._wake_all)

    def _recover(self) -> None:
        interrupted = self._connection.execute(
            "UPDATE task SET state = 0, uncertain = 1 WHERE state = 1 AND state < 3"
        ).rowcount
        known = {
            row[0]
            for row in self._connection.execute("SELECT DISTINCT pack FROM object WHERE pack IS NOT NULL")
        }
        # What only waited for a destination is tried at once: the restart may be what it waited for.
        self._connection.execute("UPDATE task SET not_before = 0 WHERE state = 0 AND outage = 1")
        removed = self.spool.recover(known)
        if interrupted or removed:
            log.warning(
                "recovered: %d deliveries were interrupted, %d unfinished files removed", interrupted, removed
            )

    def reconfigure(self, limits: SpoolLimits) -> None:
        """Keep these limits from now on."""
        self._limits = limits
        self.spool.reconfigure(limits)

    async def close(self) -> None:
        """Finish what waits and give the folder back."""
        await asyncio.to_thread(self._writer.stop)
        self._audit.close()
        self._connection.close()
        self.spool.close()
        os.close(self._lock)

    def ready(self, destination: str) -> asyncio.Event:
        """Set whenever a task of `destination` may have become due."""
        event = self._ready.get(destination)
        if event is None:
            event = self._ready[destination] = asyncio.Event()
        return event

    def _wake_all(self, destinations: set[str]) -> None:
        for destination in destinations:
            self.ready(destination).set()

    async def accept(self, received: Received, destinations: Sequence[str], same_as: int = 0) -> Accepted:
        """See `model.Queue`."""
        return await self._writer.do(
            partial(arrivals.accept, received=received, destinations=destinations, same_as=same_as)
        )

    async def keep_apart(self, received: Received, kind: str) -> int:
        """See `model.Queue`."""
        return await self._writer.do(partial(arrivals.keep_apart, received=received, kind=kind))

    async def record_upload(self, received: Received, destination: str, status: str) -> None:
        """See `model.Queue`."""
        await self._writer.do(
            partial(arrivals.record_upload, received=received, destination=destination, status=status)
        )

    async def known_upload(self, sop_instance_uid: str, destination: str) -> tuple[int, str] | None:
        """Object id and digest of what `destination` confirmed under that UID, or None."""

        def look(tx: Transaction) -> tuple[int, str] | None:
            row = tx.connection.execute(
                "SELECT object.id, digest FROM object JOIN task ON object_id = object.id "
                "WHERE sop_instance_uid = ? AND destination = ? AND state = 3 ORDER BY object.id LIMIT 1",
                (sop_instance_uid, destination),
            ).fetchone()
            return None if row is None else (int(row[0]), str(row[1]))

        return await self._writer.do(look)

    async def claim(self, destination: str, limit: int, byte_limit: int) -> list[Task]:
        """See `model.Queue`."""
        if not self._counters.waiting(destination):
            return []
        return await self._writer.do(
            partial(tasks.claim, destination=destination, limit=limit, byte_limit=byte_limit)
        )

    async def claim_probe(self, destination: str, avoid: Collection[int]) -> list[Task]:
        """See `model.Queue`."""
        if not self._counters.waiting(destination):
            return []
        return await self._writer.do(partial(tasks.claim_probe, destination=destination, avoid=tuple(avoid)))

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """See `model.Queue`."""
        if settlements:
            keep = self._limits.keep_delivered_seconds
            await self._writer.do(partial(tasks.settle, settlements=settlements, keep_seconds=keep))

    async def release(self, destination: str, *, everything: bool = False) -> None:
        """See `model.Queue`."""
        await self._writer.do(partial(tasks.release, destination=destination, everything=everything))

    async def count_refused(self, path: str) -> None:
        """See `model.Queue`."""

        def count(tx: Transaction) -> None:
            tx.counters.add("refused", path)

        await self._writer.do(count)

    async def note(self, event: str, *, counted: str = "", **facts: Any) -> None:
        """Put an event that is no delivery, such as an operator's action, into the audit trail.

        `counted` is the path at which it counts as received.
        """

        def write(tx: Transaction) -> None:
            tx.audit.add(event, tx.now, **facts)
            if counted:
                tx.counters.add("received", counted)

        await self._writer.do(write)

    async def perform(self, operation: Callable[[Transaction], T]) -> T:
        """Run an operation of another part in the next group commit; durable when this returns.

        Raises:
            sqlite3.Error, OSError: nothing of the operation remains.

        """
        return await self._writer.do(operation)

    async def retry(self, task_id: int) -> bool:
        """See `model.Queue`."""
        return await self._writer.do(partial(tasks.retry, task_id=task_id))

    async def expire(self) -> None:
        """Apply the retention times."""
        limits = self._limits
        await self._writer.do(
            partial(
                tasks.expire,
                keep_delivered=limits.keep_delivered_seconds,
                keep_digest=limits.keep_digest_seconds,
            )
        )

    def waiting_count(self, destination: str) -> int:
        """Tasks waiting for a destination."""
        return self._counters.waiting(destination)

    async def next_due(self, destination: str) -> float | None:
        """When the next delayed task of a destination may go (seconds since the epoch); None without one."""
        if not self._counters.waiting(destination):
            return None
        return await self._writer.do(partial(tasks.next_due, destination=destination))

    async def oldest(self, destination: str) -> float | None:
        """When the oldest open object of a destination was received (seconds since the epoch)."""
        return await self._writer.do(partial(tasks.oldest, destination=destination))

    async def dead_letters(self, limit: int) -> list[dict[str, Any]]:
        """See `model.Queue`."""
        return await self._writer.do(partial(tasks.rows, where=_DEAD, values=(), limit=limit))

    async def dead_letter(self, task_id: int) -> tuple[Location, str] | None:
        """Where the object of a dead letter lies, and its SOP Instance UID."""
        return await self._writer.do(partial(tasks.dead_letter, task_id=task_id))

    async def waiting(self, destination: str, limit: int) -> list[dict[str, Any]]:
        """See `model.Queue`."""
        where = "destination = ? AND state IN (0, 1) AND state < 3"
        return await self._writer.do(partial(tasks.rows, where=where, values=(destination,), limit=limit))

    async def open_instances(self, destinations: Sequence[str], studies: Sequence[str]) -> frozenset[str]:
        """SOP Instance UIDs of `studies` that are still to be delivered to some of `destinations`."""

        def look(tx: Transaction) -> frozenset[str]:
            rows = tx.connection.execute(
                "SELECT sop_instance_uid FROM task JOIN object ON object.id = object_id "
                "WHERE state IN (0, 1) AND state < 3 AND destination IN (SELECT value FROM json_each(?)) "
                "AND study_instance_uid IN (SELECT value FROM json_each(?))",
                (orjson.dumps(list(destinations)).decode(), orjson.dumps(list(studies)).decode()),
            )
            return frozenset(str(row[0]) for row in rows)

        return await self._writer.do(look)

    async def instance(self, sop_instance_uid: str) -> list[dict[str, Any]]:
        """See `model.Queue`."""
        return await self._writer.do(partial(tasks.instance, sop_instance_uid=sop_instance_uid))

    def snapshot(self) -> Snapshot:
        """See `model.Queue`."""
        return self._counters.snapshot(self.spool.bytes_used)


def is_locked(data: Path) -> bool:
    """Whether a router uses the folder now."""
    try:
        handle = os.open(data / "lock", os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def lock_folder(data: Path) -> int:
    """Take the folder for this process.

    Raises:
        ResourceError: it cannot be written, or another router uses it.

    """
    try:
        data.mkdir(parents=True, exist_ok=True)
        handle = os.open(data / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ResourceError(
            f"data folder {data} cannot be used: {error.strerror}; make it writable"
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise ResourceError(
            f"data folder {data} is in use by another router; stop it or use another folder"
        ) from error
    return handle
