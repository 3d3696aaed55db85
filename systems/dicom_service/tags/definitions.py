"""Extended query tags as the index keeps them."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from systems.dicom_service.dicom.attributes import Level

ADDING = "adding"
READY = "ready"
DELETING = "deleting"

_COLUMNS = "id, path, vr, level, creator, status, enabled, operation"


@dataclass(frozen=True, slots=True)
class ExtendedTag:
    """One extended query tag; `number` is the DICOM tag, `path` the same in upper-case hex."""

    id: int
    path: str
    vr: str
    level: Level
    creator: str | None
    status: str
    enabled: bool
    operation: str | None

    @property
    def number(self) -> int:
        """The DICOM tag."""
        return int(self.path, 16)


@dataclass(frozen=True, slots=True)
class TagSet:
    """All extended query tags at one moment; `generation` grows with every change."""

    generation: int
    by_number: Mapping[int, ExtendedTag] = field(default_factory=dict)

    @property
    def indexed(self) -> Sequence[ExtendedTag]:
        """Those that are indexed: all but the ones being deleted."""
        return [tag for tag in self.by_number.values() if tag.status != DELETING]


NO_TAGS = TagSet(0)


class Tags:
    """The tags of one worker, read again only when they changed."""

    def __init__(self) -> None:
        self._known = NO_TAGS

    def current(self, connection: sqlite3.Connection) -> TagSet:
        """Return the tags as they are now."""
        now = generation(connection)
        if now != self._known.generation:
            # A change between the two reads makes the generation too old, never too new: it is read again.
            self._known = TagSet(now, {tag.number: tag for tag in everything(connection)})
        return self._known


def generation(connection: sqlite3.Connection) -> int:
    """Return a number that grows with every change of the tags."""
    return int(connection.execute("SELECT number FROM extended_tag_generation").fetchone()[0])


def everything(connection: sqlite3.Connection, limit: int = -1, offset: int = 0) -> list[ExtendedTag]:
    """Return the tags in the order they were added, all of them with a limit of -1."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM extended_tag ORDER BY id LIMIT ? OFFSET ?",  # noqa: S608 - own column names
        (limit, offset),
    )
    return [_tag(row) for row in rows]


def find(connection: sqlite3.Connection, path: str) -> ExtendedTag | None:
    """Return the tag of a path in upper-case hex, None when it was not added."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM extended_tag WHERE path = ?",  # noqa: S608 - own column names
        (path,),
    ).fetchone()
    return _tag(row) if row else None


def error_count(connection: sqlite3.Connection, tag: int) -> int:
    """Return how many instances could not be indexed by a tag."""
    row = connection.execute("SELECT COUNT(*) FROM extended_tag_error WHERE tag = ?", (tag,)).fetchone()
    return int(row[0])


def _tag(row: tuple[Any, ...]) -> ExtendedTag:
    identifier, path, vr, level, creator, status, enabled, operation = row
    return ExtendedTag(identifier, path, vr, Level(level), creator, status, bool(enabled), operation)
