"""What the index says of the delivery of objects, for whoever keeps the original until it is confirmed."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from systems.router.store.model import TaskState
from systems.router.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Kept:
    """The object an acknowledged data set became part of. `routed`: it has a destination."""

    object_id: int
    routed: bool


def kept(tx: Transaction, sop_instance_uid: str) -> Kept | None:
    """The object that stands for this instance; None where there is none."""
    row = tx.connection.execute(
        "SELECT id, EXISTS (SELECT 1 FROM task WHERE object_id = object.id) FROM object WHERE sop_instance_uid = ? AND kind != 'conflict' ORDER BY id LIMIT 1",
        (sop_instance_uid,),
    ).fetchone()
    return None if row is None else Kept(int(row[0]), bool(row[1]))


def unconfirmed(tx: Transaction, object_ids: Sequence[int]) -> frozenset[int]:
    """Those of the objects that some destination has not confirmed.

    An object that is not there any more has been delivered: nothing else lets its record expire (ROUTER-103).
    """
    rows = tx.connection.execute(
        "SELECT id FROM object WHERE id IN (SELECT value FROM json_each(?)) AND ("
        "NOT EXISTS (SELECT 1 FROM task WHERE object_id = object.id) OR "
        "EXISTS (SELECT 1 FROM task WHERE object_id = object.id AND state != ?))",
        (orjson.dumps(list(object_ids)).decode(), TaskState.DELIVERED),
    )
    return frozenset(int(row[0]) for row in rows)
