"""A small database beside the index, for what is not on the way of an object. Every commit is synced to disk."""

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from systems.router.errors import ResourceError

T = TypeVar("T")


class SideDatabase:
    """One SQLite file; its work is done in threads, one piece at a time."""

    def __init__(self, file: Path, schema: str, what: str) -> None:
        """Open or create `file`.

        Raises:
            ResourceError: it cannot be used; the message calls it `what`.

        """
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            # What it holds may name patients: for the router's own account only.
            os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
            self._connection = sqlite3.connect(
                file, isolation_level=None, check_same_thread=False, timeout=30
            )
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            # What is deleted or overwritten leaves no bytes behind in the file; `forget` sees to the log beside it.
            self._connection.execute("PRAGMA secure_delete=ON")
            self._connection.executescript(schema)
        except (OSError, sqlite3.Error) as error:
            raise ResourceError(f"{what} in {file.parent} cannot be used: {error}") from error
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._connection.close()

    async def do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` as one transaction and return its result once that is durable.

        Raises:
            sqlite3.Error: nothing of the work remains.

        """

        def locked() -> T:
            with self._lock:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    result = work(self._connection)
                except BaseException:
                    self._connection.execute("ROLLBACK")
                    raise
                self._connection.execute("COMMIT")
                return result

        return await asyncio.to_thread(locked)

    async def forget(self) -> None:
        """Empty the write-ahead log: it still holds what has been deleted or overwritten since it was emptied last."""

        def locked() -> None:
            with self._lock:
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

        await asyncio.to_thread(locked)

    async def run(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Run one statement."""
        await self.do(lambda connection: connection.execute(sql, values))

    async def rows(self, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of a query."""
        return await self.do(
            lambda connection: [dict(row) for row in connection.execute(sql, values).fetchall()]
        )
