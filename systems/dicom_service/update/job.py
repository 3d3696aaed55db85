"""Making the new versions of a study the current ones, in one transaction."""

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from systems.dicom_service.dicom.attributes import STUDY_ATTRIBUTES
from systems.dicom_service.storage.blobs import Incoming, Location
from systems.dicom_service.storage.jobs import note_change, refresh_study
from systems.dicom_service.storage.writer import Clock
from systems.dicom_service.tags.index import put
from systems.dicom_service.update.asked import Changes
from systems.dicom_service.update.rewriting import Renewed

_KEEP_ORIGINAL = """INSERT INTO original
    SELECT watermark, watermark, transfer_syntax, segment, object, offset, size, head_stop, tail_start, dropped
    FROM instance WHERE watermark = ?"""
_RENEW = """UPDATE instance SET watermark = ?, segment = ?, object = ?, offset = ?, size = ?, head_stop = ?,
    tail_start = ?, dropped = ? WHERE watermark = ?"""
# Numbers of instances are never used twice: they order the newest first and make ETags.
_NEXT = "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'instance' RETURNING seq"


@dataclass(slots=True)
class RenewStudy:
    """Replace the versions of a study's instances; the result is how many there were to replace."""

    objects: Path
    study_uid: str
    partition: int
    changes: Changes
    renewed: Sequence[Renewed]
    note_progress: Callable[[sqlite3.Connection, Clock, int], None]
    """Called in the transaction with the number of instances replaced."""
    _unwanted: list[str] = field(default_factory=list)

    def blobs(self, _connection: sqlite3.Connection) -> Sequence[bytes | Incoming]:
        """Return the new files."""
        return [one.content for one in self.renewed]

    def apply(self, connection: sqlite3.Connection, places: Sequence[Location], clock: Clock) -> int:
        """Make the new versions current; an instance that was deleted meanwhile stays deleted."""
        self._unwanted.clear()
        count = study = 0
        for one, place in zip(self.renewed, places, strict=True):
            row = connection.execute(
                "SELECT study, series, object FROM instance WHERE watermark = ?", (one.before.watermark,)
            ).fetchone()
            if row is None:
                self._unwanted.extend([place.object] if place.object else [])
                continue
            study = row[0]
            self._renew(connection, one, place, row, clock)
            count += 1
        if study:
            refresh_study(connection, study, [self._indexed(item.tag) for item in STUDY_ATTRIBUTES])
        self.note_progress(connection, clock, count)
        return count

    def _indexed(self, tag: int) -> str | None:
        """Return the new value for the index; an empty one leaves the old value there (UPD-025)."""
        values = self.changes.get(tag)
        return values[0].rstrip(" \0") or None if values else None

    def _renew(
        self,
        connection: sqlite3.Connection,
        one: Renewed,
        place: Location,
        row: tuple[Any, ...],
        clock: Clock,
    ) -> None:
        before = one.before
        study, series, object_name = row
        kept = connection.execute(
            "SELECT 1 FROM original WHERE watermark = ?", (before.watermark,)
        ).fetchone()
        if kept is None:
            connection.execute(_KEEP_ORIGINAL, (before.watermark,))
        elif object_name is not None:
            self._unwanted.append(object_name)
        watermark = int(connection.execute(_NEXT).fetchone()[0])
        where = (place.segment, place.object, place.offset, place.size, one.head_stop, one.tail_start)
        dropped = json.dumps(one.dropped) if one.dropped else None
        connection.execute(_RENEW, (watermark, *where, dropped, before.watermark))
        put(connection, one.entries, study=study, series=series, watermark=watermark)
        uids = (self.study_uid, before.series_uid, before.sop_uid)
        note_change(connection, clock, "Update", self.partition, uids, watermark)

    def committed(self, _result: int) -> None:
        """Remove versions between the original and the latest (UPD-021), and those of deleted instances."""
        for name in self._unwanted:
            (self.objects / name).unlink(missing_ok=True)

    def failed(self) -> None:
        """Remove the new files."""
        for one in self.renewed:
            if isinstance(one.content, Incoming):
                one.content.discard()
