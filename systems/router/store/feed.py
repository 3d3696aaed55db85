"""What the index says of deliveries to one destination, for the reader of the change feed (ROUTER-196)."""

from collections.abc import Sequence
from typing import Any

import orjson

from systems.router.store.model import TaskState
from systems.router.store.transaction import Transaction


def states_of(tx: Transaction, destination: str, sop_instance_uids: Sequence[str]) -> dict[str, str]:
    """The state of each instance's delivery to `destination`; instances without one are left out."""
    rows = tx.connection.execute(
        "SELECT sop_instance_uid, max(state) FROM object JOIN task ON object_id = object.id "
        "WHERE destination = ? AND sop_instance_uid IN (SELECT value FROM json_each(?)) GROUP BY sop_instance_uid",
        (destination, orjson.dumps(list(sop_instance_uids)).decode()),
    )
    return {str(uid): TaskState(state).name.lower() for uid, state in rows}


def delivered_after(
    tx: Transaction, destination: str, object_id: int, before: float, limit: int
) -> list[tuple[int, str, str]]:
    """Object id, SOP and Study Instance UID of what `destination` confirmed before that time (seconds since the epoch), in order."""
    rows = tx.connection.execute(
        "SELECT object.id, sop_instance_uid, study_instance_uid FROM object JOIN task ON object_id = object.id "
        "WHERE object.id > ? AND destination = ? AND state = 3 AND task.settled_at < ? ORDER BY object.id LIMIT ?",
        (object_id, destination, before, limit),
    )
    return [(int(number), str(uid), str(study)) for number, uid, study in rows]


def is_open(tx: Transaction, destination: str, study_instance_uid: str) -> bool:
    """Whether something of the study is still to be delivered to `destination`."""
    found = tx.connection.execute(
        "SELECT 1 FROM object JOIN task ON object_id = object.id "
        "WHERE study_instance_uid = ? AND destination = ? AND state IN (0, 1) LIMIT 1",
        (study_instance_uid, destination),
    ).fetchone()
    return found is not None


def forget_deliveries(tx: Transaction, destination: str, study_instance_uid: str) -> list[tuple[Any, ...]]:
    """Take back that `destination` has the study, so that what comes again is delivered again; the rows, for `restore`."""
    rows = tx.connection.execute(
        "SELECT task.* FROM task JOIN object ON object_id = object.id "
        "WHERE study_instance_uid = ? AND destination = ? AND state = 3",
        (study_instance_uid, destination),
    ).fetchall()
    tx.connection.executemany("DELETE FROM task WHERE id = ?", [(row[0],) for row in rows])
    return [tuple(row) for row in rows]


def restore_deliveries(tx: Transaction, rows: Sequence[tuple[Any, ...]]) -> None:
    """Put back what `forget_deliveries` took, but for what has been queued anew meanwhile."""
    for row in rows:
        places = ", ".join("?" * len(row))
        tx.connection.execute(f"INSERT OR IGNORE INTO task VALUES({places})", row)
