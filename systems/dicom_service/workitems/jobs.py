"""The changes of work items. Each reads, checks and writes inside one transaction: of two claims one succeeds."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from systems.dicom_service.storage.blobs import Incoming, Location
from systems.dicom_service.storage.writer import Clock
from systems.dicom_service.workitems import index, states, tags
from systems.dicom_service.workitems.items import Item, element
from systems.dicom_service.workitems.rule_tables import FINAL, UPDATE
from systems.dicom_service.workitems.rules import Broken, check

NOT_FOUND = "The workitem instance is not found."
ALREADY_CANCELED = "The UPS is already in the requested state of CANCELED."
_NOT_CLAIMED = "The target URI did not reference a claimed workitem."


class Refused(Exception):  # noqa: N818 - an answer, no fault of the program
    """The work item's state or data forbid the change."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Record:
    """A stored work item."""

    row: int
    state: str
    lock: str | None
    item: Item


def find(connection: sqlite3.Connection, partition: int, uid: str) -> Record | None:
    """Return the work item of that UID, None when there is none."""
    row = connection.execute(
        "SELECT id, state, transaction_uid, document FROM workitem WHERE uid = ? AND partition = ?",
        (uid, partition),
    ).fetchone()
    return Record(row[0], row[1], row[2], orjson.loads(row[3])) if row else None


def now() -> str:
    """Return the present as a DICOM date-time in UTC."""
    return f"{datetime.now(UTC):%Y%m%d%H%M%S.%f}+0000"


class _Change:
    """What all jobs here have in common: they write no blobs."""

    def blobs(self, _connection: sqlite3.Connection) -> Sequence[bytes | Incoming]:
        """A work item lives in the index."""
        return ()

    def committed(self, _result: Any) -> None:
        """Nothing to clean up."""

    def failed(self) -> None:
        """Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Create(_Change):
    """Keep a new, checked work item; raises `Refused` when the UID is taken (UPS-011)."""

    partition: int
    uid: str
    item: Item

    def apply(self, connection: sqlite3.Connection, _places: Sequence[Location], _clock: Clock) -> None:
        """Insert it with its index entries."""
        row = connection.execute(
            "INSERT INTO workitem (partition, uid, state, document) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING RETURNING id",
            (self.partition, self.uid, states.SCHEDULED, orjson.dumps(self.item)),
        ).fetchone()
        if row is None:
            message = f"The workitem instance {self.uid} already exists; create it with a different UID."
            raise Refused(409, message)
        _add_entries(connection, row[0], index.entries(self.item))


@dataclass(frozen=True, slots=True)
class Update(_Change):
    """Merge attributes into a work item (UPS-023 to UPS-034, UPS-075); raises `Refused`."""

    partition: int
    uid: str
    transaction_uid: str
    item: Item

    def apply(self, connection: sqlite3.Connection, _places: Sequence[Location], _clock: Clock) -> None:
        """Check state, lock and rules in this order, then write."""
        found = find(connection, self.partition, self.uid)
        if found is None:
            raise Refused(400, _NOT_CLAIMED)
        self._check_state(found)
        _held(self.item, UPDATE)
        given = {key: entry for key, entry in self.item.items() if key != tags.TRANSACTION_UID}
        merged = {**found.item, **given, tags.MODIFIED: element("DT", now())}
        too_long = index.too_long(merged)
        if too_long is not None:
            raise Refused(400, f"The value of {too_long} is too long.")
        _write(connection, found, merged, found.state, found.lock)
        _reindex(connection, found.row, merged)

    def _check_state(self, found: Record) -> None:
        if found.state == states.CANCELED:
            raise Refused(409, "The workitem is already canceled and cannot be updated.")
        if found.state == states.COMPLETED:
            raise Refused(400, "The workitem is already COMPLETED and cannot be updated.")
        if found.state == states.IN_PROGRESS and found.lock != self.transaction_uid:
            raise Refused(400, f"{_NOT_CLAIMED} The transaction UID is not that of the claim.")
        if found.state == states.SCHEDULED and self.transaction_uid:
            raise Refused(400, f"{_NOT_CLAIMED} A SCHEDULED workitem takes no transaction UID.")


@dataclass(frozen=True, slots=True)
class ChangeState(_Change):
    """Claim, complete or cancel (UPS-038 to UPS-049); the result is the text of a warning, mostly none."""

    partition: int
    uid: str
    transaction_uid: str
    target: str

    def apply(self, connection: sqlite3.Connection, _places: Sequence[Location], _clock: Clock) -> str:
        """Check transition and final-state rules, then write."""
        found = find(connection, self.partition, self.uid)
        if found is None:
            raise Refused(404, NOT_FOUND)
        outcome = states.transition(found.state, found.lock, self.target, self.transaction_uid)
        if outcome.error:
            raise Refused(
                400, f"The state cannot change from {found.state} to {self.target}: {outcome.error}."
            )
        if outcome.warning:
            return f"The workitem is already in the final state {found.state}: {outcome.warning}."
        changed = {**found.item, tags.STATE: element("CS", self.target)}
        if self.target in FINAL:
            _held(changed, FINAL[self.target])
        _write(connection, found, changed, self.target, self.transaction_uid)
        _reindex(connection, found.row, changed)
        return ""


@dataclass(frozen=True, slots=True)
class Cancel(_Change):
    """Grant a request to cancel an item that nobody has claimed (UPS-050 to UPS-057); raises `Refused`."""

    partition: int
    uid: str
    item: Item

    def apply(self, connection: sqlite3.Connection, _places: Sequence[Location], _clock: Clock) -> None:
        """Check the state, then write what the request says and what follows from it."""
        found = find(connection, self.partition, self.uid)
        if found is None:
            raise Refused(404, NOT_FOUND)
        if found.state == states.CANCELED:
            raise Refused(409, ALREADY_CANCELED)
        refusal = states.cancel_refusal(found.state)
        if refusal:
            raise Refused(400, f"The cancel request is refused, the workitem is {found.state}: {refusal}.")
        changed = {**found.item, **self._cancellation()}
        _held(changed, FINAL[states.CANCELED])
        _write(connection, found, changed, states.CANCELED, found.lock)
        _reindex(connection, found.row, changed)

    def _cancellation(self) -> Item:
        """Return the attributes of a cancelled item (UPS-053)."""
        reason = element("SQ", {tags.REASON: self.item.get(tags.REASON, element("LT"))})
        moment = element("DT", now())
        contact = {
            tags.CONTACT_URI: self.item.get(tags.CONTACT_URI, element("UR")),
            tags.CONTACT_NAME: self.item.get(tags.CONTACT_NAME, element("LO")),
        }
        progress = {
            tags.CANCELLED_AT: moment,
            tags.DISCONTINUATION_REASON: reason,
            tags.COMMUNICATIONS: element("SQ", contact),
        }
        result = {
            tags.STATE: element("CS", states.CANCELED),
            tags.CANCELLED_AT: moment,
            tags.DISCONTINUATION_REASON: reason,
            tags.PROGRESS: element("SQ", progress),
        }
        if tags.PERFORMED in self.item:
            result[tags.PERFORMED] = self.item[tags.PERFORMED]
        return result


def _held(item: Item, rules: Any) -> None:
    try:
        check(item, rules)
    except Broken as broken:
        raise Refused(400, str(broken)) from broken


def _write(connection: sqlite3.Connection, found: Record, item: Item, state: str, lock: str | None) -> None:
    document = orjson.dumps(dict(sorted(item.items())))
    connection.execute(
        "UPDATE workitem SET state = ?, transaction_uid = ?, document = ? WHERE id = ?",
        (state, lock, document, found.row),
    )


def _reindex(connection: sqlite3.Connection, row: int, item: Item) -> None:
    """Replace the index entries; an attribute without one at creation stays without (UPS-075)."""
    paths = {
        path
        for (path,) in connection.execute(
            "SELECT DISTINCT path FROM workitem_value WHERE workitem = ?", (row,)
        )
    }
    connection.execute("DELETE FROM workitem_value WHERE workitem = ?", (row,))
    _add_entries(connection, row, [entry for entry in index.entries(item) if entry[0] in paths])


def _add_entries(connection: sqlite3.Connection, row: int, entries: Sequence[tuple[str, str]]) -> None:
    connection.executemany(
        "INSERT INTO workitem_value (workitem, path, value) VALUES (?, ?, ?)",
        [(row, path, value) for path, value in entries],
    )
