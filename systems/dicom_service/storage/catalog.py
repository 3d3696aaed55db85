"""Reading the index by UID: instances, their places and the change feed."""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from systems.dicom_service.storage.blobs import Location


@dataclass(frozen=True, slots=True)
class Stored:
    """One stored instance as the index has it."""

    watermark: int
    study_uid: str
    series_uid: str
    sop_uid: str
    transfer_syntax_uid: str
    place: Location
    head_stop: int
    tail_start: int
    dropped: frozenset[int]


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the change feed; `current` is the version that is current now, None when deleted."""

    sequence: int
    timestamp: int
    action: str
    study_uid: str
    series_uid: str
    sop_uid: str
    watermark: int
    current: int | None
    partition: str


STORED_COLUMNS = """instance.watermark, study.study_uid, series.series_uid, instance.sop_uid, instance.transfer_syntax,
    instance.segment, instance.object, instance.offset, instance.size, instance.head_stop, instance.tail_start,
    instance.dropped"""
_FROM = "study JOIN series ON series.study = study.id JOIN instance ON instance.series = series.id"
_CHANGE_COLUMNS = (
    "sequence, timestamp, action, study_uid, series_uid, sop_uid, watermark, current, "
    "(SELECT name FROM partition WHERE partition.id = change.partition)"
)


def stored(row: tuple[Any, ...]) -> Stored:
    """Return the instance of a row of STORED_COLUMNS."""
    place = Location(row[5], row[6], row[7], row[8])
    dropped = frozenset(json.loads(row[11])) if row[11] else frozenset()
    return Stored(row[0], row[1], row[2], row[3], row[4], place, row[9], row[10], dropped)


def instances(
    connection: sqlite3.Connection,
    study_uid: str,
    series_uid: str | None = None,
    sop_uid: str | None = None,
    *,
    partition: int = 1,
) -> list[Stored]:
    """Return the instances under a study, series or of one UID triple, oldest first."""
    condition, values = _under(partition, study_uid, series_uid, sop_uid)
    rows = connection.execute(
        f"SELECT {STORED_COLUMNS} FROM {_FROM} WHERE {condition} ORDER BY instance.watermark",  # noqa: S608
        values,
    )
    return [stored(row) for row in rows]


def by_watermarks(connection: sqlite3.Connection, watermarks: list[int]) -> dict[int, Stored]:
    """Return those of the instance versions that exist."""
    marks = ", ".join("?" * len(watermarks))
    rows = connection.execute(
        f"SELECT {STORED_COLUMNS} FROM {_FROM} WHERE instance.watermark IN ({marks})",  # noqa: S608 - bound
        watermarks,
    )
    return {row[0]: stored(row) for row in rows}


def version(
    connection: sqlite3.Connection,
    study_uid: str,
    series_uid: str | None,
    sop_uid: str | None,
    *,
    partition: int = 1,
) -> tuple[int, int]:
    """Return the highest version under a resource and the number of its instances (META-019)."""
    condition, values = _under(partition, study_uid, series_uid, sop_uid)
    row = connection.execute(
        f"SELECT COALESCE(MAX(instance.watermark), 0), COUNT(*) FROM {_FROM} WHERE {condition}",  # noqa: S608
        values,
    ).fetchone()
    return int(row[0]), int(row[1])


def exists(
    connection: sqlite3.Connection, study_uid: str, series_uid: str | None = None, *, partition: int = 1
) -> bool:
    """Return whether a study, or a series of it, is stored."""
    condition, values = _under(partition, study_uid, series_uid, None)
    query = f"SELECT 1 FROM study JOIN series ON series.study = study.id WHERE {condition} LIMIT 1"  # noqa: S608
    return connection.execute(query, values).fetchone() is not None


def _under(
    partition: int, study_uid: str, series_uid: str | None, sop_uid: str | None
) -> tuple[str, list[int | str]]:
    condition: str = "study.partition = ? AND study.study_uid = ?"
    values: list[int | str] = [partition, study_uid]
    if series_uid is not None:
        condition += " AND series.series_uid = ?"
        values.append(series_uid)
    if sop_uid is not None:
        condition += " AND instance.sop_uid = ?"
        values.append(sop_uid)
    return condition, values


def changes_after(connection: sqlite3.Connection, sequence: int, count: int) -> Iterator[Change]:
    """Yield the changes numbered `sequence` + 1 to `sequence` + `count` (FEED-022)."""
    rows = connection.execute(
        f"SELECT {_CHANGE_COLUMNS} FROM change WHERE sequence > ? AND sequence <= ? ORDER BY sequence",  # noqa: S608
        (sequence, min(sequence + count, 2**63 - 1)),
    )
    return (Change(*row) for row in rows)


def changes_between(
    connection: sqlite3.Connection, start: int, end: int, offset: int, limit: int
) -> Iterator[Change]:
    """Yield changes with `start` <= time < `end`, oldest first (FEED-026 to FEED-031)."""
    rows = connection.execute(
        f"""SELECT {_CHANGE_COLUMNS} FROM change WHERE timestamp >= ? AND timestamp < ?
        ORDER BY timestamp, sequence LIMIT ? OFFSET ?""",  # noqa: S608 - own column names
        (start, end, limit, offset),
    )
    return (Change(*row) for row in rows)


def latest_change(connection: sqlite3.Connection, *, by_time: bool) -> Change | None:
    """Return the last change by time (v2) or by number (v1), None when nothing ever happened (FEED-040)."""
    order = "timestamp DESC, sequence DESC" if by_time else "sequence DESC"
    row = connection.execute(f"SELECT {_CHANGE_COLUMNS} FROM change ORDER BY {order} LIMIT 1").fetchone()  # noqa: S608
    return Change(*row) if row else None
