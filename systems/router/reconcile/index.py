"""What the ledger knows, study by study; an operator's repair. These run in the writer's transactions."""

from typing import Final

from systems.router.objects import Identity, Received
from systems.router.reconcile.model import Expected, Request
from systems.router.store.model import Location, TaskState
from systems.router.store.transaction import Transaction

_STUDIES: Final = """
SELECT DISTINCT study_instance_uid FROM object
WHERE study_instance_uid > ? AND received_at >= ? AND received_at < ? AND kind = 'routed'
ORDER BY study_instance_uid LIMIT ?"""
_INSTANCES: Final = """
SELECT object.id, sop_instance_uid, sop_class_uid, series_instance_uid, study_instance_uid, transfer_syntax_uid,
  digest, size, pack, pack_offset, length, destination, state, key_id, salt
FROM object LEFT JOIN task ON object_id = object.id
WHERE study_instance_uid = ? AND kind = 'routed' ORDER BY object.id"""


def studies_after(tx: Transaction, request: Request, after: str, limit: int) -> list[str]:
    """Studies of the period with a UID behind `after`, in order of their UIDs."""
    if request.studies:
        return [uid for uid in sorted(set(request.studies)) if uid > after][:limit]
    values = (after, request.since, request.until, limit)
    return [row[0] for row in tx.connection.execute(_STUDIES, values)]


def instances_of(tx: Transaction, study_instance_uid: str) -> dict[str, Expected]:
    """All routed instances of a study by SOP Instance UID."""
    found: dict[str, Expected] = {}
    for row in tx.connection.execute(_INSTANCES, (study_instance_uid,)):
        expected = found.get(row[1])
        if expected is None:
            location = Location.of(row[8], row[9], row[10], row[13], row[14]) if row[8] else None
            identity = Identity(row[1], row[2], row[3], row[4], row[5])
            expected = found[row[1]] = Expected(row[0], identity, row[6], row[7], location, {})
        if row[11] is not None:
            expected.states[row[11]] = row[12]
    return found


def put_back(tx: Transaction, expected: Expected, destination: str, copy: Received | None) -> bool:
    """Let a delivered instance be delivered again; `copy` is its content where the spool has it no more.

    The task is uncertain, so the destination is asked before anything is sent. False when it is no longer delivered.
    """
    changed = tx.connection.execute(
        "UPDATE task SET state = 0, uncertain = 1, failures = 0, not_before = 0, settled_at = NULL, status = '', "
        "reason = 'put back by a reconciliation' WHERE object_id = ? AND destination = ? AND state = ?",
        (expected.object_id, destination, TaskState.DELIVERED),
    ).rowcount
    if not changed:
        return False
    if copy is not None:
        place = tx.place(copy)
        tx.connection.execute(
            "UPDATE object SET pack = ?, pack_offset = ?, length = ?, key_id = ?, salt = ? WHERE id = ?",
            (place.pack, place.offset, place.length, *place.key_columns, expected.object_id),
        )
    tx.connection.execute("UPDATE object SET settled_at = NULL WHERE id = ?", (expected.object_id,))
    tx.counters.add("delivered", destination, -1)
    tx.counters.add("waiting", destination)
    tx.ready.add(destination)
    tx.audit.add(
        "operator put back",
        tx.now,
        sop_instance_uid=expected.identity.sop_instance_uid,
        destination=destination,
        digest=expected.digest,
    )
    return True
