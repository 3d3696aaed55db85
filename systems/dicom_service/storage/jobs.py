"""The changes the store knows: keep new instances, delete a study, series or instance."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from systems.dicom_service.dicom.attributes import SERIES_ATTRIBUTES, STUDY_ATTRIBUTES, Indexed
from systems.dicom_service.dicom.elements import open_part10
from systems.dicom_service.dicom.intake import Examined
from systems.dicom_service.dicom.text import Decoder
from systems.dicom_service.storage.blobs import Incoming, Location
from systems.dicom_service.storage.keys import name_key, text_key
from systems.dicom_service.storage.writer import Clock
from systems.dicom_service.tags.definitions import TagSet, everything, generation
from systems.dicom_service.tags.index import Entry, put
from systems.dicom_service.tags.instances import found_in

_KEYED = frozenset({"LO", "PN", "SH", "CS"})


class Outcome(Enum):
    """What became of an instance."""

    STORED = "stored"
    DUPLICATE = "duplicate"


def key_of(attribute: Indexed, value: str) -> str:
    """Return the value in the form in which searches compare it."""
    return name_key(value) if attribute.vr == "PN" else text_key(value)


@dataclass(frozen=True, slots=True)
class _Parent:
    """The statements of a table above the instances: study or series."""

    attributes: tuple[Indexed, ...]
    find: str
    by_id: str
    insert: str
    update: str

    @classmethod
    def of(cls, table: str, identity: Sequence[str], attributes: tuple[Indexed, ...]) -> "_Parent":
        values = [attribute.column for attribute in attributes]
        columns = [name for attribute in attributes for name in _columns(attribute)]
        names = [*identity, *columns]
        return cls(
            attributes,
            f"SELECT id, {', '.join(values)} FROM {table} WHERE {' AND '.join(f'{name} = ?' for name in identity)}",  # noqa: S608
            f"SELECT id, {', '.join(values)} FROM {table} WHERE id = ?",  # noqa: S608
            f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))}) RETURNING id",  # noqa: S608
            f"UPDATE {table} SET {', '.join(f'{name} = ?' for name in columns)} WHERE id = ?",  # noqa: S608
        )

    def find_row(self, connection: sqlite3.Connection, *identity: int | str) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = connection.execute(self.find, identity).fetchone()
        return row

    def create(
        self, connection: sqlite3.Connection, identity: Sequence[int | str], values: Sequence[str | None]
    ) -> int:
        row = connection.execute(self.insert, [*identity, *_with_keys(self.attributes, values)]).fetchone()
        return int(row[0])

    def refresh(
        self, connection: sqlite3.Connection, row: tuple[Any, ...], values: Sequence[str | None]
    ) -> None:
        """Take over the values of a newer instance; an empty one counts as none (STOW-056, STOW-124, QIDO-099)."""
        merged = tuple(new or old for new, old in zip(values, row[1:], strict=True))
        if merged != row[1:]:
            connection.execute(self.update, [*_with_keys(self.attributes, merged), row[0]])


def _columns(attribute: Indexed) -> list[str]:
    return [attribute.column, f"{attribute.column}_key"] if attribute.vr in _KEYED else [attribute.column]


_STUDY = _Parent.of("study", ("partition", "study_uid"), STUDY_ATTRIBUTES)
_SERIES = _Parent.of("series", ("study", "series_uid"), SERIES_ATTRIBUTES)
_FIND = """SELECT 1 FROM instance JOIN series ON series.id = instance.series JOIN study ON study.id = series.study
    WHERE study.partition = ? AND study.study_uid = ? AND series.series_uid = ? AND instance.sop_uid = ?"""
_INSERT = """INSERT INTO instance (study, series, sop_uid, transfer_syntax, segment, object, offset, size, head_stop,
    tail_start, dropped) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING watermark"""
_CHANGE = """INSERT INTO change (timestamp, action, partition, study_uid, series_uid, sop_uid, watermark, current)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""
_SUPERSEDE = """UPDATE change SET current = ?
    WHERE sop_uid = ? AND series_uid = ? AND study_uid = ? AND partition = ?"""


def _with_keys(attributes: Sequence[Indexed], values: Sequence[str | None]) -> list[str | None]:
    row: list[str | None] = []
    for attribute, value in zip(attributes, values, strict=True):
        row.append(value)
        if attribute.vr in _KEYED:
            row.append(None if value is None else key_of(attribute, value))
    return row


def refresh_study(connection: sqlite3.Connection, study: int, values: Sequence[str | None]) -> None:
    """Take over new values of the study attributes, None for those that stay."""
    row = connection.execute(_STUDY.by_id, (study,)).fetchone()
    _STUDY.refresh(connection, row, values)


def note_change(
    connection: sqlite3.Connection,
    clock: Clock,
    action: str,
    partition: int,
    uids: tuple[str, str, str],
    watermark: int,
) -> None:
    """Add a change of an instance that is there to the change feed; its earlier entries become replaced."""
    study_uid, series_uid, sop_uid = uids
    connection.execute(_SUPERSEDE, (watermark, sop_uid, series_uid, study_uid, partition))
    connection.execute(_CHANGE, (clock.now(), action, partition, *uids, watermark, watermark))


@dataclass(slots=True)
class NewInstance:
    """An examined instance and its bytes."""

    examined: Examined
    content: bytes | Incoming

    @property
    def uids(self) -> tuple[str, str, str]:
        """Study, series and SOP instance UID without padding."""
        found = self.examined
        return found.study_uid, found.series_uid, (found.sop_instance_uid or "").rstrip(" \0")


@dataclass(slots=True)
class KeepInstances:
    """Store instances, in order; a triple of UIDs that is already stored is a duplicate and changes nothing."""

    instances: Sequence[NewInstance]
    partition: int = 1
    _written: list[NewInstance] = field(default_factory=list)
    _generation: int = 0

    def blobs(self, connection: sqlite3.Connection) -> Sequence[bytes | Incoming]:
        """Return the contents that are not stored yet, as far as can be seen outside the transaction."""
        seen: set[tuple[str, str, str]] = set()
        for new in self.instances:
            if (
                new.uids not in seen
                and connection.execute(_FIND, (self.partition, *new.uids)).fetchone() is None
            ):
                self._written.append(new)
                seen.add(new.uids)
        return [new.content for new in self._written]

    def apply(
        self, connection: sqlite3.Connection, places: Sequence[Location], clock: Clock
    ) -> list[Outcome]:
        """Index the written instances; return one outcome for each instance of the request."""
        where = {id(new): place for new, place in zip(self._written, places, strict=True)}
        self._generation = generation(connection)
        return [
            self._keep(connection, new, where[id(new)], clock) if id(new) in where else Outcome.DUPLICATE
            for new in self.instances
        ]

    def _keep(
        self, connection: sqlite3.Connection, new: NewInstance, place: Location, clock: Clock
    ) -> Outcome:
        found, (study_uid, series_uid, sop_uid) = new.examined, new.uids
        study_row = _STUDY.find_row(connection, self.partition, study_uid)
        study = (
            study_row[0]
            if study_row
            else _STUDY.create(connection, (self.partition, study_uid), found.study_values)
        )
        series_row = _SERIES.find_row(connection, study, series_uid) if study_row else None
        series = (
            series_row[0]
            if series_row
            else _SERIES.create(connection, (study, series_uid), found.series_values)
        )
        dropped = json.dumps(found.dropped) if found.dropped else None
        where = (place.segment, place.object, place.offset, place.size, found.head_stop, found.tail_start)
        row = (study, series, sop_uid, found.transfer_syntax_uid, *where, dropped)
        inserted = connection.execute(_INSERT, row).fetchone()
        if inserted is None:
            return Outcome.DUPLICATE
        if study_row:
            _STUDY.refresh(connection, study_row, found.study_values)
        if series_row:
            _SERIES.refresh(connection, series_row, found.series_values)
        watermark = inserted[0]
        entries = self._tag_entries(connection, new)
        if entries:
            put(connection, entries, study=study, series=series, watermark=watermark)
        note_change(connection, clock, "Create", self.partition, new.uids, watermark)
        return Outcome.STORED

    def _tag_entries(self, connection: sqlite3.Connection, new: NewInstance) -> Sequence[Entry]:
        """Return the values of extended query tags, those of tags added since the instance was examined included."""
        if new.examined.tag_generation == self._generation:
            return new.examined.tag_entries
        data = new.content.view() if isinstance(new.content, Incoming) else new.content
        _, data_set = open_part10(data)
        tags = TagSet(0, {tag.number: tag for tag in everything(connection)})
        return found_in(data_set, Decoder(data_set), tags.indexed, new.examined.dropped).entries

    def committed(self, result: list[Outcome]) -> None:
        """Remove received files that were not kept."""
        for new, outcome in zip(self.instances, result, strict=True):
            if outcome is not Outcome.STORED and isinstance(new.content, Incoming):
                new.content.discard()

    def failed(self) -> None:
        """Remove all received files."""
        for new in self.instances:
            if isinstance(new.content, Incoming):
                new.content.discard()


@dataclass(slots=True)
class Remove:
    """Delete a study, a series or an instance; the result is the number of instances removed."""

    objects: Path
    study_uid: str
    series_uid: str | None = None
    sop_uid: str | None = None
    partition: int = 1
    _files: list[str] = field(default_factory=list)

    def blobs(self, _connection: sqlite3.Connection) -> Sequence[bytes | Incoming]:
        """Deleting writes no blob."""
        return ()

    def apply(self, connection: sqlite3.Connection, _places: Sequence[Location], clock: Clock) -> int:
        """Remove the instances and what becomes empty above them."""
        rows = self._instances(connection)
        for watermark, _study, _series, series_uid, sop_uid, *object_names in rows:
            connection.execute("DELETE FROM instance WHERE watermark = ?", (watermark,))
            connection.execute(_SUPERSEDE, (None, sop_uid, series_uid, self.study_uid, self.partition))
            change = (
                clock.now(),
                "Delete",
                self.partition,
                self.study_uid,
                series_uid,
                sop_uid,
                watermark,
                None,
            )
            connection.execute(_CHANGE, change)
            self._files.extend(name for name in object_names if name is not None)
        for series in {row[2] for row in rows}:
            connection.execute(
                "DELETE FROM series WHERE id = ? AND NOT EXISTS (SELECT 1 FROM instance WHERE series = ?)",
                (series, series),
            )
        for study in {row[1] for row in rows}:
            connection.execute(
                "DELETE FROM study WHERE id = ? AND NOT EXISTS (SELECT 1 FROM instance WHERE study = ?)",
                (study, study),
            )
        return len(rows)

    def _instances(self, connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
        condition, values = "study.partition = ? AND study.study_uid = ?", [self.partition, self.study_uid]
        if self.series_uid is not None:
            condition += " AND series.series_uid = ?"
            values.append(self.series_uid)
        if self.sop_uid is not None:
            condition += " AND instance.sop_uid = ?"
            values.append(self.sop_uid)
        return connection.execute(
            f"""SELECT instance.watermark, study.id, series.id, series.series_uid, instance.sop_uid, instance.object,
                original.object
            FROM study JOIN series ON series.study = study.id JOIN instance ON instance.series = series.id
            LEFT JOIN original ON original.watermark = instance.watermark
            WHERE {condition} ORDER BY instance.watermark""",  # noqa: S608 - the condition is ours, values are bound
            values,
        ).fetchall()

    def committed(self, _result: int) -> None:
        """Remove the files of deleted instances; a reader that has one open reads it to its end."""
        for name in self._files:
            (self.objects / name).unlink(missing_ok=True)

    def failed(self) -> None:
        """Nothing was removed."""
