"""Partitions in the index: their keys, names and times."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from systems.dicom_service.storage.blobs import Incoming, Location

if TYPE_CHECKING:  # the writer opens the index, and the index has this module's table
    from systems.dicom_service.storage.writer import Clock

SCHEMA = """
CREATE TABLE IF NOT EXISTS partition (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL
);
INSERT OR IGNORE INTO partition (id, name, created)
    VALUES (1, 'Microsoft.Default', CAST(strftime('%s', 'now') AS INTEGER) * 10000000);
"""
"""Added to every index that lacks it: what was stored before is in the default partition (PART-006)."""


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition; `created` in 100 ns ticks since 1970."""

    key: int
    name: str
    created: int


DEFAULT = Partition(1, "Microsoft.Default", 0)


def everything(connection: sqlite3.Connection) -> list[Partition]:
    """Return all partitions, oldest first."""
    return [
        Partition(*row) for row in connection.execute("SELECT id, name, created FROM partition ORDER BY id")
    ]


def find(connection: sqlite3.Connection, name: str) -> Partition | None:
    """Return the partition of that name, None when there is none."""
    row = connection.execute("SELECT id, name, created FROM partition WHERE name = ?", (name,)).fetchone()
    return Partition(*row) if row else None


@dataclass(frozen=True, slots=True)
class AddPartition:
    """Make a partition, unless it is there already; the result is the partition."""

    name: str

    def blobs(self, _connection: sqlite3.Connection) -> Sequence[bytes | Incoming]:
        """A partition has no blob."""
        return ()

    def apply(self, connection: sqlite3.Connection, _places: Sequence[Location], clock: "Clock") -> Partition:
        """Insert the row, or find the one another request was quicker to insert."""
        known = find(connection, self.name)
        if known is not None:
            return known
        created = clock.now()
        row = connection.execute(
            "INSERT INTO partition (name, created) VALUES (?, ?) RETURNING id", (self.name, created)
        ).fetchone()
        return Partition(int(row[0]), self.name, created)

    def committed(self, _result: Partition) -> None:
        """Nothing to clean up."""

    def failed(self) -> None:
        """Nothing was made."""
