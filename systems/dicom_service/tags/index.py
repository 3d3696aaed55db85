"""Writing the values of extended query tags into the index, inside a transaction."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from systems.dicom_service.dicom.attributes import Level
from systems.dicom_service.tags.values import Key

# A later stored value wins, whatever the order in which they are written (TAG-036).
_PUT = """INSERT INTO extended_tag_value (owner, tag, watermark, key)
    SELECT ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM extended_tag WHERE id = ? AND status != 'deleting')
    ON CONFLICT (owner, tag) DO UPDATE SET watermark = excluded.watermark, key = excluded.key
    WHERE excluded.watermark >= extended_tag_value.watermark"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A value of an instance for the tag with this row of the index."""

    tag: int
    level: Level
    key: Key


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an instance could not be indexed by a tag."""

    tag: int
    message: str


def put(
    connection: sqlite3.Connection, entries: Iterable[Entry], *, study: int, series: int, watermark: int
) -> None:
    """Index the values of one instance; `study` and `series` are its rows."""
    owners = {Level.STUDY: study, Level.SERIES: series, Level.INSTANCE: watermark}
    connection.executemany(
        _PUT, [(owners[entry.level], entry.tag, watermark, entry.key, entry.tag) for entry in entries]
    )


def put_faults(connection: sqlite3.Connection, faults: Iterable[Fault], *, watermark: int, now: int) -> None:
    """Note what could not be indexed; the first fault of a tag disables searching by it (TAG-044)."""
    for fault in faults:
        connection.execute(
            """UPDATE extended_tag SET enabled = 0 WHERE id = ? AND enabled
            AND NOT EXISTS (SELECT 1 FROM extended_tag_error WHERE tag = ?)""",
            (fault.tag, fault.tag),
        )
        connection.execute(
            """INSERT OR IGNORE INTO extended_tag_error (tag, watermark, created, message)
            SELECT ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM extended_tag WHERE id = ? AND status != 'deleting')""",
            (fault.tag, watermark, now, fault.message, fault.tag),
        )
