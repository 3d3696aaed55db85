"""Runs a search and describes its matches (QIDO-098 to QIDO-103, QIDO-124)."""

import sqlite3
from dataclasses import dataclass
from typing import Any

from systems.dicom_service.dicom.attributes import (
    MODALITIES_IN_STUDY,
    SERIES_ATTRIBUTES,
    SERIES_INSTANCE_UID,
    SERIES_RELATED_INSTANCES,
    STUDY_ATTRIBUTES,
    STUDY_INSTANCE_UID,
    STUDY_RELATED_INSTANCES,
    Indexed,
    Level,
)
from systems.dicom_service.dicom.json_model import Json, person_name, tag_key
from systems.dicom_service.search.parameters import Query
from systems.dicom_service.services.descriptions import Descriptions
from systems.dicom_service.storage import catalog
from systems.dicom_service.storage.catalog import Stored
from systems.dicom_service.storage.store import Store

_STUDY_INDEXED = frozenset(
    {
        STUDY_INSTANCE_UID,
        MODALITIES_IN_STUDY,
        STUDY_RELATED_INSTANCES,
        *(item.tag for item in STUDY_ATTRIBUTES),
    }
)
_SERIES_INDEXED = frozenset(
    {SERIES_INSTANCE_UID, SERIES_RELATED_INSTANCES, *(item.tag for item in SERIES_ATTRIBUTES)}
)
_INDEXED = _STUDY_INDEXED | _SERIES_INDEXED
_COMPUTED = {
    Level.STUDY: frozenset({MODALITIES_IN_STUDY, STUDY_RELATED_INSTANCES}),
    Level.SERIES: frozenset({SERIES_RELATED_INSTANCES}),
    Level.INSTANCE: frozenset[int](),
}
_TABLE = {Level.STUDY: "study", Level.SERIES: "series"}
_JOINED = {Level.STUDY: "study", Level.SERIES: "series JOIN study ON study.id = series.study"}
_INSTANCE_STUDY = "instance JOIN study ON study.id = instance.study"
_INSTANCE_SERIES = " JOIN series ON series.id = instance.series"


@dataclass(frozen=True, slots=True)
class _Match:
    """A matching study or series: its rows of the index and its newest instance."""

    study: int
    series: int
    newest: int


async def run(query: Query, version: int, store: Store, descriptions: Descriptions) -> list[Json]:
    """Return the DICOM JSON objects of one page of matches, newest first."""
    if query.target.level is Level.INSTANCE:
        instances = await store.read(lambda connection: _instances(connection, query))
        return await descriptions.parts(instances, query.returned)
    matches = await store.read(lambda connection: _matches(connection, query))
    if version > 1 and query.returned <= _INDEXED:
        return await store.read(
            lambda connection: [_from_index(connection, match, query.returned) for match in matches]
        )
    return await _from_newest(query, matches, store, descriptions)


def _where(query: Query) -> tuple[str, list[Any]]:
    parts: list[str] = ["+study.partition = ?"]
    values: list[Any] = [query.target.partition]
    if query.target.study_uid is not None:
        parts.append("study.study_uid = ?")
        values.append(query.target.study_uid)
    if query.target.series_uid is not None:
        parts.append("series.series_uid = ?")
        values.append(query.target.series_uid)
    for condition in query.conditions:
        parts.append(f"({condition.sql})")
        values += condition.values
    return " AND ".join(parts), [*values, query.paging.limit, query.paging.offset]


def _instances(connection: sqlite3.Connection, query: Query) -> list[Stored]:
    """Return one page; only numbers are sorted and skipped, and only the page's rows are read."""
    where, values = _where(query)
    joined = _INSTANCE_STUDY + (_INSTANCE_SERIES if "series." in where else "")
    select = f"SELECT instance.watermark FROM {joined} WHERE {where}"  # noqa: S608 - values are bound
    select += " ORDER BY instance.watermark DESC LIMIT ? OFFSET ?"
    rows = connection.execute(select, values).fetchall()
    found = catalog.by_watermarks(connection, [row[0] for row in rows])
    return [found[row[0]] for row in rows if row[0] in found]


def _matches(connection: sqlite3.Connection, query: Query) -> list[_Match]:
    where, values = _where(query)
    table = _TABLE[query.target.level]
    series = "series.id" if query.target.level is Level.SERIES else "0"
    page = f"SELECT study.id AS study, {series} AS series FROM {_JOINED[query.target.level]} WHERE {where}"  # noqa: S608
    page += f" ORDER BY {table}.id DESC LIMIT ? OFFSET ?"
    newest = f"SELECT MAX(watermark) FROM instance WHERE instance.{table} = page.{table}"  # noqa: S608 - own names only
    rows = connection.execute(f"SELECT study, series, ({newest}) FROM ({page}) AS page", values)  # noqa: S608
    return [_Match(study, series_id, newest) for study, series_id, newest in rows if newest is not None]


async def _from_newest(
    query: Query, matches: list[_Match], store: Store, descriptions: Descriptions
) -> list[Json]:
    """Return the values of each match's newest instance, those of the index over them when a computed one is asked for."""
    marks = [match.newest for match in matches]
    found = await store.read(lambda connection: catalog.by_watermarks(connection, marks))
    present = [match for match in matches if match.newest in found]
    level = query.target.level
    results = await descriptions.parts(
        [found[match.newest] for match in present], query.returned - _COMPUTED[level]
    )
    if not query.returned & _COMPUTED[level]:
        return results
    tags = query.returned & (_STUDY_INDEXED if level is Level.STUDY else _SERIES_INDEXED)

    def overlay(connection: sqlite3.Connection) -> list[Json]:
        return [
            dict(sorted({**own, **_with_value(_from_index(connection, match, tags))}.items()))
            for own, match in zip(results, present, strict=True)
        ]

    return await store.read(overlay)


def _with_value(document: Json) -> Json:
    return {key: entry for key, entry in document.items() if "Value" in entry}


def _from_index(connection: sqlite3.Connection, match: _Match, tags: frozenset[int]) -> Json:
    """Return the values the index holds for a study or series."""
    result: Json = {}
    if tags & _STUDY_INDEXED:
        _add(
            result,
            tags,
            STUDY_ATTRIBUTES,
            _row(connection, "study", STUDY_ATTRIBUTES, "study_uid", match.study),
        )
    series = match.series or _series_of(connection, match.newest)
    if tags & _SERIES_INDEXED:
        _add(
            result,
            tags,
            SERIES_ATTRIBUTES,
            _row(connection, "series", SERIES_ATTRIBUTES, "series_uid", series),
        )
    if MODALITIES_IN_STUDY in tags:
        _put(result, MODALITIES_IN_STUDY, "CS", _modalities(connection, match.study))
    if STUDY_RELATED_INSTANCES in tags:
        _put(result, STUDY_RELATED_INSTANCES, "IS", [_count(connection, "study", match.study)])
    if SERIES_RELATED_INSTANCES in tags:
        _put(result, SERIES_RELATED_INSTANCES, "IS", [_count(connection, "series", series)])
    return dict(sorted(result.items()))


def _row(
    connection: sqlite3.Connection, table: str, attributes: tuple[Indexed, ...], uid: str, row_id: int
) -> tuple[Any, ...]:
    columns = ", ".join([uid, *(attribute.column for attribute in attributes)])
    query = f"SELECT {columns} FROM {table} WHERE id = ?"  # noqa: S608 - own names only
    row: tuple[Any, ...] | None = connection.execute(query, (row_id,)).fetchone()
    return row or (None,) * (len(attributes) + 1)


def _add(result: Json, tags: frozenset[int], attributes: tuple[Indexed, ...], row: tuple[Any, ...]) -> None:
    uid_tag = STUDY_INSTANCE_UID if attributes is STUDY_ATTRIBUTES else SERIES_INSTANCE_UID
    if uid_tag in tags and row[0] is not None:
        _put(result, uid_tag, "UI", [row[0]])
    for attribute, value in zip(attributes, row[1:], strict=True):
        if attribute.tag in tags and value is not None:
            values = [person_name(value) if attribute.vr == "PN" else value] if value else []
            _put(result, attribute.tag, attribute.vr, values)


def _put(result: Json, tag: int, vr: str, values: list[Any]) -> None:
    result[tag_key(tag)] = {"vr": vr, "Value": values} if values else {"vr": vr}


def _series_of(connection: sqlite3.Connection, watermark: int) -> int:
    row = connection.execute("SELECT series FROM instance WHERE watermark = ?", (watermark,)).fetchone()
    return int(row[0]) if row else 0


def _modalities(connection: sqlite3.Connection, study: int) -> list[str]:
    rows = connection.execute(
        "SELECT DISTINCT modality FROM series WHERE study = ? AND modality IS NOT NULL AND modality != '' ORDER BY 1",
        (study,),
    )
    return [row[0] for row in rows]


def _count(connection: sqlite3.Connection, table: str, row_id: int) -> int:
    query = f"SELECT COUNT(*) FROM instance WHERE {table} = ?"  # noqa: S608 - one of two column names
    return int(connection.execute(query, (row_id,)).fetchone()[0])
