"""What the index does with an arriving object: new, duplicate or different (ROUTER-104, ROUTER-105)."""

from collections.abc import Sequence
from typing import Any

from systems.router.objects import Received
from systems.router.store.model import Acceptance, Accepted, Location, TaskState
from systems.router.store.transaction import Transaction

DAMAGED = "damaged"


def accept(tx: Transaction, received: Received, destinations: Sequence[str], same_as: int) -> Accepted:
    """Record an arrival and its tasks. A different object under a known UID is not recorded here."""
    known = tx.connection.execute(
        "SELECT id, digest, pack, pack_offset, length, key_id, salt FROM object "
        "WHERE sop_instance_uid = ? AND kind != 'conflict' ORDER BY id LIMIT 1",
        (received.identity.sop_instance_uid,),
    ).fetchone()
    if known is None:
        object_id = insert_object(tx, received, tx.place(received), "routed")
        _add_tasks(tx, object_id, destinations)
        _count_received(tx, received)
        tx.audit.add("received", tx.now, **_facts(received), destinations=list(destinations))
        return Accepted(Acceptance.STORED, object_id)
    object_id, digest, pack, *place = known
    existing = Location.of(pack, *place) if pack else None
    tasks = tx.connection.execute(
        "SELECT destination, state, status FROM task WHERE object_id = ?", (object_id,)
    ).fetchall()
    if same_as != object_id and not received.matches(digest):
        delivered = tuple(name for name, state, _ in tasks if state == TaskState.DELIVERED)
        return Accepted(Acceptance.DIFFERS, object_id, existing, delivered)
    _accept_again(tx, received, destinations, object_id, existing, digest, tasks)
    return Accepted(Acceptance.DUPLICATE, object_id)


def _accept_again(
    tx: Transaction,
    received: Received,
    destinations: Sequence[str],
    object_id: int,
    existing: Location | None,
    digest: str,
    tasks: list[tuple[str, int, str]],
) -> None:
    """A known object: destinations that never had it get it; a damaged copy is replaced by the good one."""
    there = {name for name, _, _ in tasks}
    missing = [name for name in destinations if name not in there]
    is_open = any(state != TaskState.DELIVERED for _, state, _ in tasks)
    uid = received.identity.sop_instance_uid
    whole = existing is not None and tx.spool.looks_whole(existing, digest, uid)
    if not whole and (missing or is_open):
        _replace_copy(tx, received, object_id, existing)
        _revive_damaged(tx, object_id)
    _add_tasks(tx, object_id, missing)
    for name in destinations:
        if name in there:
            tx.counters.add("accepted", name)
            tx.counters.add("duplicates", name)
    _count_received(tx, received)
    tx.audit.add("duplicate", tx.now, **_facts(received), destinations=list(destinations))


def _replace_copy(tx: Transaction, received: Received, object_id: int, existing: Location | None) -> None:
    location = tx.place(received)
    tx.connection.execute(
        "UPDATE object SET pack = ?, pack_offset = ?, length = ?, key_id = ?, salt = ?, size = ?, digest = ?, "
        "transfer_syntax_uid = ?, kind = 'routed', settled_at = NULL WHERE id = ?",
        (
            location.pack,
            location.offset,
            location.length,
            *location.key_columns,
            received.size,
            received.digest,
            received.identity.transfer_syntax_uid,
            object_id,
        ),
    )
    tx.release(existing.pack if existing else None)


def _revive_damaged(tx: Transaction, object_id: int) -> None:
    revived = tx.connection.execute(
        "UPDATE task SET state = ?, not_before = 0, status = '', reason = '' "
        "WHERE object_id = ? AND state = ? AND status = ? RETURNING destination",
        (TaskState.WAITING, object_id, TaskState.DEAD, DAMAGED),
    ).fetchall()
    for (destination,) in revived:
        tx.counters.move(destination, TaskState.DEAD, TaskState.WAITING)
        tx.ready.add(destination)


def keep_apart(tx: Transaction, received: Received, kind: str) -> int:
    """Record an object without tasks: `conflict` (ROUTER-105) or `held`, which matched no rule (ROUTER-191)."""
    object_id = insert_object(tx, received, tx.place(received), kind)
    if kind == "held":
        tx.counters.add("held")
        _count_received(tx, received)
    else:
        tx.counters.add("conflicts")
        tx.counters.add("refused", received.path)
    tx.audit.add("kept apart", tx.now, **_facts(received), kind=kind)
    return object_id


def record_upload(tx: Transaction, received: Received, destination: str, status: str) -> None:
    """Record what the synchronous bridge delivered itself: an object without a spooled copy."""
    known = tx.connection.execute(
        "SELECT object.id, task.state FROM object LEFT JOIN task ON task.object_id = object.id "
        "AND task.destination = ? WHERE sop_instance_uid = ? AND kind != 'conflict' ORDER BY object.id LIMIT 1",
        (destination, received.identity.sop_instance_uid),
    ).fetchone()
    _count_received(tx, received)
    tx.counters.add("accepted", destination)
    if known is not None and known[1] is not None:
        tx.counters.add("duplicates", destination)
        tx.audit.add("duplicate", tx.now, **_facts(received), destinations=[destination])
        return
    object_id = known[0] if known else insert_object(tx, received, None, "routed")
    tx.connection.execute(
        "INSERT INTO task(object_id, destination, state, attempts, first_attempt, last_attempt, settled_at, status) "
        "VALUES(?, ?, ?, 1, ?, ?, ?, ?)",
        (object_id, destination, TaskState.DELIVERED, tx.now, tx.now, tx.now, status),
    )
    tx.counters.add("delivered", destination)
    tx.audit.add("delivered", tx.now, **_facts(received), destination=destination, status=status)


def insert_object(tx: Transaction, received: Received, location: Location | None, kind: str) -> int:
    """Insert the object's row; without a location it counts as settled at once."""
    identity = received.identity
    cursor = tx.connection.execute(
        "INSERT INTO object(sop_instance_uid, sop_class_uid, series_instance_uid, study_instance_uid, "
        "transfer_syntax_uid, digest, size, pack, pack_offset, length, path, calling_ae, called_ae, received_at, "
        "kind, settled_at, key_id, salt) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            identity.sop_instance_uid,
            identity.sop_class_uid,
            identity.series_instance_uid,
            identity.study_instance_uid,
            identity.transfer_syntax_uid,
            received.digest,
            received.size,
            location.pack if location else None,
            location.offset if location else 0,
            location.length if location else 0,
            received.path,
            received.calling_ae,
            received.called_ae,
            tx.now,
            kind,
            None if location else tx.now,
            *(location.key_columns if location else ("", None)),
        ),
    )
    assert cursor.lastrowid is not None  # noqa: S101 - an insert has one
    return cursor.lastrowid


def _add_tasks(tx: Transaction, object_id: int, destinations: Sequence[str]) -> None:
    if destinations:
        places = ", ".join(["(?, ?, 0)"] * len(destinations))
        tx.connection.execute(
            f"INSERT INTO task(object_id, destination, state) VALUES {places}",  # noqa: S608 - question marks only
            [value for destination in destinations for value in (object_id, destination)],
        )
    for destination in destinations:
        tx.counters.add("accepted", destination)
        tx.counters.add("waiting", destination)
        tx.ready.add(destination)


def _count_received(tx: Transaction, received: Received) -> None:
    tx.counters.add("received", received.path)
    tx.counters.add("bytes", received.path, received.size)


def _facts(received: Received) -> dict[str, Any]:
    return {
        "sop_instance_uid": received.identity.sop_instance_uid,
        "study_instance_uid": received.identity.study_instance_uid,
        "digest": received.digest,
        "path": received.path,
        "calling_ae": received.calling_ae,
        "called_ae": received.called_ae,
    }
