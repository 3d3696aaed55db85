"""Changes of extended query tags, each inside one transaction of the store."""

import sqlite3
from datetime import UTC, datetime
from typing import Any

from systems.dicom_service.operations import records
from systems.dicom_service.operations.records import Kind
from systems.dicom_service.storage.writer import Clock
from systems.dicom_service.tags.additions import NewTag
from systems.dicom_service.web.problems import Problem, StoreUnavailable

MOST_TAGS = 128
_DELETED_AT_ONCE = 20_000
_TICKS = 10_000_000


class OperationRunning(Exception):  # noqa: N818 - a state, told to the client
    """Another operation of the kind has not ended (TAG-028, UPD-012)."""

    def __init__(self, identifier: str) -> None:
        super().__init__(identifier)
        self.identifier = identifier


def add(tags: list[NewTag], operation: str, connection: sqlite3.Connection, clock: Clock) -> None:
    """Add tags and the operation that indexes them; raises `OperationRunning` or the problems of TAG-027 and TAG-029."""
    running = records.pending(connection, Kind.REINDEX)
    if running is not None:
        raise OperationRunning(running.id)
    there = {row[0] for row in connection.execute("SELECT path FROM extended_tag")}
    if len(there | {tag.path for tag in tags}) > MOST_TAGS:
        # TAG-030: the original has no better status for it.
        raise StoreUnavailable(f"The max allowed count '{MOST_TAGS}' of extended query tags is exceeded.")
    if any(tag.path in there for tag in tags):
        raise Problem("One or more extended query tag(s) already exist.", status=409)
    added = [
        connection.execute(
            """INSERT INTO extended_tag (path, vr, level, creator, status, operation)
            VALUES (?, ?, ?, ?, 'adding', ?) RETURNING id""",
            (tag.path, tag.vr, tag.level.value, tag.creator, operation),
        ).fetchone()[0]
        for tag in tags
    ]
    records.insert(connection, operation, Kind.REINDEX, {"tags": added}, now=clock.now(), percent=0)


def enable(tag: int, enabled: bool, connection: sqlite3.Connection, _clock: Clock) -> bool:
    """Set whether searches may use a tag; False when it is not there any more."""
    found = connection.execute(
        "UPDATE extended_tag SET enabled = ? WHERE id = ? RETURNING id", (enabled, tag)
    ).fetchone()
    return found is not None


def mark_deleting(tag: int, connection: sqlite3.Connection, _clock: Clock) -> None:
    """Take a tag out of use: from now on nothing is indexed by it."""
    connection.execute("UPDATE extended_tag SET status = 'deleting' WHERE id = ?", (tag,))


def delete_some(tag: int, connection: sqlite3.Connection, _clock: Clock) -> bool:
    """Delete a piece of a tag's index, in the end the tag; True when it is gone. Others get their turn in between."""
    owners = connection.execute(
        "SELECT owner FROM extended_tag_value WHERE tag = ? LIMIT ?", (tag, _DELETED_AT_ONCE)
    ).fetchall()
    connection.executemany(
        "DELETE FROM extended_tag_value WHERE owner = ? AND tag = ?", [(row[0], tag) for row in owners]
    )
    if len(owners) == _DELETED_AT_ONCE:
        return False
    connection.execute("DELETE FROM extended_tag_error WHERE tag = ?", (tag,))
    connection.execute("DELETE FROM extended_tag WHERE id = ?", (tag,))
    return True


def errors(connection: sqlite3.Connection, tag: int, limit: int, offset: int) -> list[dict[str, Any]]:
    """Return a page of a tag's errors, oldest first (TAG-046, TAG-047)."""
    rows = connection.execute(
        """SELECT partition.name, study.study_uid, series.series_uid, instance.sop_uid, fault.created, fault.message
        FROM extended_tag_error AS fault JOIN instance ON instance.watermark = fault.watermark
        JOIN series ON series.id = instance.series JOIN study ON study.id = instance.study
        JOIN partition ON partition.id = study.partition
        WHERE fault.tag = ? ORDER BY fault.created, fault.watermark LIMIT ? OFFSET ?""",
        (tag, limit, offset),
    )
    names = ("partitionName", "studyInstanceUid", "seriesInstanceUid", "sopInstanceUid")
    return [
        dict(zip(names, row[:4], strict=True)) | {"createdTime": _printed(row[4]), "errorMessage": row[5]}
        for row in rows
    ]


def _printed(ticks: int) -> str:
    """Return a UTC instant without zone (TAG-049)."""
    seconds, fraction = divmod(ticks, _TICKS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:07d}"
