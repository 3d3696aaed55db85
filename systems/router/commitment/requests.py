"""Requests for storage commitment, durable until their result was taken."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection, Row
from typing import Final

from systems.router.side_database import SideDatabase

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS request(
  id INTEGER PRIMARY KEY, transaction_uid TEXT NOT NULL, calling_ae TEXT NOT NULL, called_ae TEXT NOT NULL,
  received_at REAL NOT NULL, next_try REAL NOT NULL, tries INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS item(
  request INTEGER NOT NULL REFERENCES request(id), sop_class_uid TEXT NOT NULL, sop_instance_uid TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS item_request ON item(request);
"""

Reference = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Pending:
    """A request whose result was not taken yet; `references` are SOP Class and Instance UIDs."""

    request_id: int
    transaction_uid: str
    calling_ae: str
    called_ae: str
    received_at: float
    tries: int
    references: tuple[Reference, ...]


class Requests:
    """The pending requests of one router."""

    def __init__(self, folder: Path) -> None:
        self._database = SideDatabase(folder / "commitments.sqlite", _SCHEMA, "the storage commitments")

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    async def add(
        self,
        transaction_uid: str,
        calling_ae: str,
        called_ae: str,
        references: Sequence[Reference],
        most: int,
    ) -> int | None:
        """Record a request and return its number; None when `most` are pending. A repeated one replaces the former."""

        def work(connection: Connection) -> int | None:
            old = connection.execute(
                "SELECT id FROM request WHERE transaction_uid = ? AND calling_ae = ?",
                (transaction_uid, calling_ae),
            ).fetchall()
            for (number,) in old:
                _remove(connection, number)
            if connection.execute("SELECT count(*) FROM request").fetchone()[0] >= most:
                return None
            number = connection.execute(
                "INSERT INTO request(transaction_uid, calling_ae, called_ae, received_at, next_try) VALUES(?, ?, ?, ?, 0)",
                (transaction_uid, calling_ae, called_ae, time.time()),
            ).lastrowid
            connection.executemany(
                "INSERT INTO item VALUES(?, ?, ?)", [(number, *each) for each in references]
            )
            return number

        return await self._database.do(work)

    async def due(self) -> list[Pending]:
        """Requests whose next try has come, oldest first, at most a few at once."""

        def work(connection: Connection) -> list[Pending]:
            rows = connection.execute(
                "SELECT id, transaction_uid, calling_ae, called_ae, received_at, tries FROM request "
                "WHERE next_try <= ? ORDER BY next_try, id LIMIT 10",
                (time.time(),),
            ).fetchall()
            return [_pending(connection, row) for row in rows]

        return await self._database.do(work)

    async def later(self, number: int, seconds: float) -> None:
        """Try again then."""
        await self._database.run(
            "UPDATE request SET tries = tries + 1, next_try = ? WHERE id = ?", (time.time() + seconds, number)
        )

    async def remove(self, number: int) -> None:
        """The result was taken, or given up."""
        await self._database.do(lambda connection: _remove(connection, number))

    async def count(self) -> int:
        """How many are pending."""
        rows = await self._database.rows("SELECT count(*) AS number FROM request")
        return int(rows[0]["number"])


def _pending(connection: Connection, row: Row) -> Pending:
    return Pending(
        request_id=row["id"],
        transaction_uid=row["transaction_uid"],
        calling_ae=row["calling_ae"],
        called_ae=row["called_ae"],
        received_at=row["received_at"],
        tries=row["tries"],
        references=_references(connection, row["id"]),
    )


def _remove(connection: Connection, number: int) -> None:
    connection.execute("DELETE FROM item WHERE request = ?", (number,))
    connection.execute("DELETE FROM request WHERE id = ?", (number,))


def _references(connection: Connection, number: int) -> tuple[Reference, ...]:
    rows = connection.execute("SELECT sop_class_uid, sop_instance_uid FROM item WHERE request = ?", (number,))
    return tuple((row[0], row[1]) for row in rows)
