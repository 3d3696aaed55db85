"""Re-indexing: what was stored before a tag was added becomes searchable by it (TAG-033, TAG-037, TAG-044)."""

import sqlite3
from dataclasses import dataclass
from functools import partial

from systems.dicom_service.dicom.elements import describe_part10
from systems.dicom_service.dicom.text import Decoder
from systems.dicom_service.operations.runner import Ended, Run
from systems.dicom_service.storage import catalog
from systems.dicom_service.storage.catalog import Stored
from systems.dicom_service.storage.store import Store
from systems.dicom_service.storage.writer import Clock, Transaction
from systems.dicom_service.tags import definitions
from systems.dicom_service.tags.definitions import ExtendedTag
from systems.dicom_service.tags.index import Entry, Fault, put, put_faults
from systems.dicom_service.tags.instances import found_in
from systems.shared.header_errors import HeaderError

_BATCH = 64
_ALMOST_DONE = 99


@dataclass(frozen=True, slots=True)
class _Read:
    """What one instance has for the tags."""

    watermark: int
    entries: list[Entry]
    faults: list[Fault]


def reindex(run: Run) -> Ended:
    """Index all instances by the operation's tags, in the order they were stored; goes on where it was interrupted.

    There is no last instance fixed beforehand: a bulk update gives an instance a higher number while this runs.
    """
    given: list[int] = run.operation.input["tags"]
    last = int((run.operation.progress or {}).get("last", 0))
    while True:
        run.check()
        connection = run.store.connection
        tags = [
            tag
            for tag in definitions.everything(connection)
            if tag.id in given and tag.status == definitions.ADDING
        ]
        batch = _next(connection, last) if tags else []
        if not batch:
            return Ended(also=lambda change: _make_ready(change, given))
        read = [_read(run.store, stored, tags) for stored in batch]
        last = batch[-1].watermark
        run.store.run(Transaction(partial(_batch, run, read, last, _percent(connection, last))))


def _batch(
    run: Run, read: list[_Read], last: int, percent: int, connection: sqlite3.Connection, clock: Clock
) -> None:
    _write(read, connection, clock)
    run.advance(connection, clock, {"last": last}, percent)


def _next(connection: sqlite3.Connection, last: int) -> list[Stored]:
    """Return the next instances, [] only when there are none; what is deleted between the two reads is not seen."""
    while True:
        rows = connection.execute(
            "SELECT watermark FROM instance WHERE watermark > ? ORDER BY watermark LIMIT ?", (last, _BATCH)
        ).fetchall()
        found = catalog.by_watermarks(connection, [row[0] for row in rows])
        if found or not rows:
            return [found[watermark] for watermark in sorted(found)]


def _percent(connection: sqlite3.Connection, last: int) -> int:
    newest = connection.execute("SELECT MAX(watermark) FROM instance").fetchone()[0]
    return min(_ALMOST_DONE, 100 * last // newest) if newest else _ALMOST_DONE


def _read(store: Store, stored: Stored, tags: list[ExtendedTag]) -> _Read:
    read = _Read(stored.watermark, [], [])
    try:
        head = store.blobs.read(stored.place, 0, stored.head_stop)
        data_set = describe_part10(head + store.blobs.read(stored.place, stored.tail_start))
    except (OSError, HeaderError):
        # One that was deleted a moment ago is no fault: nothing is noted for what the index does not have any more.
        read.faults.extend(Fault(tag.id, "The instance cannot be read.") for tag in tags)
        return read
    found = found_in(data_set, Decoder(data_set), tags, stored.dropped)
    faults = [Fault(tag.id, cause) for tag, cause in found.faults]
    return _Read(stored.watermark, found.entries, faults)


def _write(read: list[_Read], connection: sqlite3.Connection, clock: Clock) -> None:
    for one in read:
        row = connection.execute(
            "SELECT study, series FROM instance WHERE watermark = ?", (one.watermark,)
        ).fetchone()
        if row is not None:
            put(connection, one.entries, study=row[0], series=row[1], watermark=one.watermark)
            put_faults(connection, one.faults, watermark=one.watermark, now=clock.now())


def _make_ready(connection: sqlite3.Connection, tags: list[int]) -> None:
    connection.executemany(
        "UPDATE extended_tag SET status = 'ready', operation = NULL WHERE id = ? AND status = 'adding'",
        [(tag,) for tag in tags],
    )
