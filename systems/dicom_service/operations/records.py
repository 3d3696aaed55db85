"""Operations as the index keeps them."""

import json
import sqlite3
import uuid
from dataclasses import dataclass
from enum import Enum
from typing import Any

Json = dict[str, Any]

_COLUMNS = "id, kind, status, created, updated, percent, input, progress, results"
_PENDING = "status IN ('notStarted', 'running')"


class Kind(Enum):
    """What an operation does, in the words of OPS-010."""

    REINDEX = "reindex"
    UPDATE = "update"
    EXPORT = "export"


class Status(Enum):
    """Where an operation stands, in the words of v2 (OPS-008)."""

    NOT_STARTED = "notStarted"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; times are 100 ns ticks since 1970, `progress` is whatever its work resumes from."""

    id: str
    kind: Kind
    status: Status
    created: int
    updated: int
    percent: int | None
    input: Json
    progress: Json | None
    results: Json | None

    @property
    def pending(self) -> bool:
        """Whether it has not ended yet."""
        return self.status in (Status.NOT_STARTED, Status.RUNNING)


def new_id() -> str:
    """Return a new identifier: 32 lower-case hex digits (OPS-004)."""
    return uuid.uuid4().hex


def find(connection: sqlite3.Connection, identifier: str) -> Operation | None:
    """Return an operation, None when there is none of that identifier."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM operation WHERE id = ?",  # noqa: S608 - own column names
        (identifier,),
    ).fetchone()
    return _operation(row) if row else None


def pending(connection: sqlite3.Connection, kind: Kind) -> Operation | None:
    """Return the oldest operation of a kind that has not ended, None when there is none."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM operation WHERE kind = ? AND {_PENDING} ORDER BY number LIMIT 1",  # noqa: S608
        (kind.value,),
    ).fetchone()
    return _operation(row) if row else None


def insert(
    connection: sqlite3.Connection, identifier: str, kind: Kind, given: Json, *, now: int, percent: int | None
) -> None:
    """Add an operation that has not started."""
    row = (identifier, kind.value, Status.NOT_STARTED.value, now, now, percent, json.dumps(given))
    connection.execute(
        "INSERT INTO operation (id, kind, status, created, updated, percent, input) VALUES (?, ?, ?, ?, ?, ?, ?)",
        row,
    )


def advance(
    connection: sqlite3.Connection, identifier: str, *, now: int, progress: Json | None, percent: int | None
) -> None:
    """Note how far a running operation has come; None leaves the percentage as it is."""
    connection.execute(
        """UPDATE operation SET status = 'running', updated = ?, progress = COALESCE(?, progress),
        percent = COALESCE(?, percent) WHERE id = ?""",
        (now, None if progress is None else json.dumps(progress), percent, identifier),
    )


def end(
    connection: sqlite3.Connection, identifier: str, *, now: int, status: Status, results: Json | None
) -> None:
    """Note how an operation ended; one that succeeded is at 100 % unless it has no percentage (OPS-012)."""
    connection.execute(
        """UPDATE operation SET status = ?, updated = ?, results = ?,
        percent = CASE WHEN percent IS NULL OR ? THEN percent ELSE 100 END WHERE id = ?""",
        (
            status.value,
            now,
            None if results is None else json.dumps(results),
            status is not Status.SUCCEEDED,
            identifier,
        ),
    )


def _operation(row: tuple[Any, ...]) -> Operation:
    identifier, kind, status, created, updated, percent, given, progress, results = row
    return Operation(
        identifier,
        Kind(kind),
        Status(status),
        created,
        updated,
        percent,
        json.loads(given),
        json.loads(progress) if progress else None,
        json.loads(results) if results else None,
    )
