"""What the index does with tasks: claiming, settling, looking up."""

from collections.abc import Sequence
from typing import Any, Final

import orjson

from systems.router.objects import Identity
from systems.router.store.model import Effect, Location, Settlement, Task, TaskState
from systems.router.store.transaction import Transaction

# `state = 0` and `state < 3` are the conditions of the two partial indexes, word for word: without one of them a question reads
# all that was ever delivered, and with the wrong one all that is open.
_TASK = """
SELECT task.id, object_id, sop_instance_uid, sop_class_uid, series_instance_uid, study_instance_uid,
  transfer_syntax_uid, digest, pack, pack_offset, length, calling_ae, attempts, failures, uncertain, solo, received_at,
  key_id, salt
FROM task JOIN object ON object.id = object_id
WHERE destination = ? AND state = 0 AND not_before <= ? {rest}"""
# Of those on their way, of which there are few, all; of those that wait, of which there may be many, the first.
_OLDEST: Final = """
SELECT min(received_at) FROM object WHERE id IN (
  SELECT object_id FROM (SELECT object_id FROM task WHERE destination = ? AND state = 0 ORDER BY id LIMIT 1)
  UNION ALL SELECT object_id FROM task WHERE destination = ? AND state >= 1 AND state < 2 AND state < 3)"""
_STUDY: Final = 5
_CLAIM = _TASK.format(rest="ORDER BY task.id LIMIT ?")
_PROBE = _TASK.format(rest="AND task.id NOT IN (SELECT value FROM json_each(?)) ORDER BY task.id LIMIT 1")
_PROBE_AGAIN = _TASK.format(rest="ORDER BY last_attempt, task.id LIMIT 1")
# Studies that arrive at the same time lie interleaved in the queue: so far is looked ahead for more of the oldest one's.
_WINDOW: Final = 4

_ROWS = """
SELECT task.id, destination, state, sop_instance_uid, study_instance_uid, digest, attempts, failures, status, reason,
  received_at, first_attempt, last_attempt, not_before
FROM task JOIN object ON object.id = object_id WHERE {where} ORDER BY task.id LIMIT ?"""


def claim(tx: Transaction, destination: str, limit: int, byte_limit: int) -> list[Task]:
    """Mark the oldest due task, and more of its study, as in progress; the mark survives a kill and means uncertain then.

    A batch is of one study: as many studies are on their way as there are workers, so they start in order of arrival, and
    what befalls one request befalls one study.
    """
    chosen: list[Task] = []
    size = 0
    rows = tx.connection.execute(_CLAIM, (destination, tx.now, limit * _WINDOW))
    for row in rows:
        if chosen and row[_STUDY] != chosen[0].identity.study_instance_uid:
            continue
        task = _task(destination, row)
        size += task.location.length
        if chosen and (task.solo or size > byte_limit):
            break
        chosen.append(task)
        if task.solo or len(chosen) == limit:
            break
    rows.close()
    return _begin(tx, destination, chosen)


def claim_probe(tx: Transaction, destination: str, avoid: Sequence[int]) -> list[Task]:
    """Mark one task: the oldest that is not to be avoided, else the one that was not tried for longest."""
    numbers = orjson.dumps(avoid).decode()
    row = (
        tx.connection.execute(_PROBE, (destination, tx.now, numbers)).fetchone()
        or tx.connection.execute(_PROBE_AGAIN, (destination, tx.now)).fetchone()
    )
    return _begin(tx, destination, [_task(destination, row)] if row else [])


def _begin(tx: Transaction, destination: str, chosen: list[Task]) -> list[Task]:
    tx.connection.executemany(
        "UPDATE task SET state = 1, attempts = attempts + 1, last_attempt = ?, "
        "first_attempt = coalesce(first_attempt, ?) WHERE id = ?",
        [(tx.now, tx.now, task.task_id) for task in chosen],
    )
    for _ in chosen:
        tx.counters.move(destination, TaskState.WAITING, TaskState.IN_PROGRESS)
    return chosen


def _task(destination: str, row: tuple[Any, ...]) -> Task:
    identity = Identity(row[2], row[3], row[4], row[5], row[6])
    location = Location.of(row[8] or "", row[9], row[10], row[17], row[18])
    return Task(
        task_id=row[0],
        object_id=row[1],
        destination=destination,
        identity=identity,
        digest=row[7],
        location=location,
        calling_ae=row[11],
        attempts=row[12] + 1,
        failures=row[13],
        uncertain=bool(row[14]),
        solo=bool(row[15]),
        received_at=row[16],
    )


def settle(tx: Transaction, settlements: Sequence[Settlement], keep_seconds: float) -> None:
    """Record outcomes; an object with no open task left is settled and, with nothing to keep, leaves the spool."""
    for settlement in settlements:
        _settle_one(tx, settlement)
        if settlement.effect is Effect.DELIVERED:
            _settle_object(tx, settlement.task, keep_seconds)


_AFTER = {
    Effect.DELIVERED: TaskState.DELIVERED,
    Effect.DEAD: TaskState.DEAD,
    Effect.OUTAGE: TaskState.WAITING,
    Effect.TRANSIENT: TaskState.WAITING,
    Effect.FAILED: TaskState.WAITING,
    Effect.RETURNED: TaskState.WAITING,
}


def _settle_one(tx: Transaction, settlement: Settlement) -> None:
    task, effect = settlement.task, settlement.effect
    state = _AFTER[effect]
    changed = tx.connection.execute(
        "UPDATE task SET state = ?, attempts = attempts - ?, failures = failures + ?, uncertain = ?, solo = ?, "
        "outage = ?, not_before = ?, settled_at = ?, status = ?, reason = ? WHERE id = ? AND state = 1",
        (
            state,
            int(effect is Effect.RETURNED),
            int(effect in (Effect.FAILED, Effect.DEAD)),
            settlement.uncertain or (effect is Effect.RETURNED and task.uncertain),
            settlement.solo or (effect is Effect.RETURNED and task.solo),
            settlement.until_recovery,
            settlement.not_before,
            tx.now if state in (TaskState.DELIVERED, TaskState.DEAD) else None,
            settlement.status,
            settlement.reason,
            task.task_id,
        ),
    ).rowcount
    if not changed:
        return
    tx.counters.move(task.destination, TaskState.IN_PROGRESS, state)
    if state == TaskState.WAITING:
        tx.ready.add(task.destination)
    if effect is not Effect.RETURNED:
        tx.audit.add(
            effect.value if effect in (Effect.DELIVERED, Effect.DEAD) else "failed",
            tx.now,
            sop_instance_uid=task.identity.sop_instance_uid,
            destination=task.destination,
            digest=task.digest,
            attempt=task.attempts,
            status=settlement.status,
            reason=settlement.reason,
        )


def _settle_object(tx: Transaction, task: Task, keep_seconds: float) -> None:
    is_open = tx.connection.execute(
        "SELECT 1 FROM task WHERE object_id = ? AND state < 3 LIMIT 1", (task.object_id,)
    ).fetchone()
    if is_open:
        return
    if keep_seconds > 0:
        tx.connection.execute("UPDATE object SET settled_at = ? WHERE id = ?", (tx.now, task.object_id))
        return
    tx.connection.execute(
        "UPDATE object SET settled_at = ?, pack = NULL WHERE id = ?", (tx.now, task.object_id)
    )
    tx.release(task.location.pack)


def release(tx: Transaction, destination: str, *, everything: bool) -> None:
    """Let tasks go at once: those that only waited for the destination to come back, or `everything` that waits."""
    tx.connection.execute(
        "UPDATE task SET not_before = 0 WHERE destination = ? AND state = 0 AND (? OR outage = 1)",
        (destination, everything),
    )
    tx.ready.add(destination)


def retry(tx: Transaction, task_id: int) -> bool:
    """An operator's decision: a dead-lettered task waits again (ROUTER-109)."""
    row = tx.connection.execute(
        "UPDATE task SET state = 0, failures = 0, not_before = 0, settled_at = NULL, uncertain = 1, solo = 1 "
        "WHERE id = ? AND state = 2 RETURNING destination, object_id",
        (task_id,),
    ).fetchone()
    if row is None:
        return False
    destination, object_id = row
    uid = tx.connection.execute("SELECT sop_instance_uid FROM object WHERE id = ?", (object_id,)).fetchone()[
        0
    ]
    tx.counters.move(destination, TaskState.DEAD, TaskState.WAITING)
    tx.ready.add(destination)
    tx.audit.add("operator retry", tx.now, sop_instance_uid=uid, destination=destination)
    return True


def dead_letter(tx: Transaction, task_id: int) -> tuple[Location, str] | None:
    """Where the object of a dead letter lies, and its SOP Instance UID (ROUTER-109)."""
    row = tx.connection.execute(
        "SELECT pack, pack_offset, length, key_id, salt, sop_instance_uid FROM task JOIN object ON object.id = object_id "
        "WHERE task.id = ? AND state = 2 AND pack IS NOT NULL",
        (task_id,),
    ).fetchone()
    return None if row is None else (Location.of(*row[:5]), row[5])


def expire(tx: Transaction, keep_delivered: float, keep_digest: float) -> None:
    """Remove delivered copies and, much later, their digest records; never one with an open task (ROUTER-103)."""
    for object_id, pack in tx.connection.execute(
        "SELECT id, pack FROM object WHERE settled_at < ? AND pack IS NOT NULL LIMIT 1000",
        (tx.now - keep_delivered,),
    ).fetchall():
        tx.connection.execute("UPDATE object SET pack = NULL WHERE id = ?", (object_id,))
        tx.release(pack)
    tx.blank_released()
    old = tx.connection.execute(
        "SELECT id FROM object WHERE settled_at < ? AND pack IS NULL LIMIT 1000", (tx.now - keep_digest,)
    ).fetchall()
    tx.connection.executemany("DELETE FROM task WHERE object_id = ? AND state = 3", old)
    tx.connection.executemany("DELETE FROM object WHERE id = ?", old)


def next_due(tx: Transaction, destination: str) -> float | None:
    """When the next delayed task of a destination may go, in seconds since the epoch; None without one."""
    row = tx.connection.execute(
        "SELECT min(not_before) FROM task WHERE destination = ? AND state = 0", (destination,)
    ).fetchone()
    return None if row[0] is None else float(row[0])


def oldest(tx: Transaction, destination: str) -> float | None:
    """When the oldest open object of a destination was received, in seconds since the epoch."""
    row = tx.connection.execute(_OLDEST, (destination, destination)).fetchone()
    return None if row[0] is None else float(row[0])


def rows(tx: Transaction, where: str, values: tuple[Any, ...], limit: int) -> list[dict[str, Any]]:
    """Tasks for people; `where` is one of this package's own conditions."""
    cursor = tx.connection.execute(_ROWS.format(where=where), (*values, limit))
    names = [column[0] for column in cursor.description]
    found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    for row in found:
        row["state"] = TaskState(row["state"]).name.lower().replace("dead", "dead_lettered")
    return found


def instance(tx: Transaction, sop_instance_uid: str) -> list[dict[str, Any]]:
    """All that is known of an instance: its objects and what became of each at each destination."""
    cursor = tx.connection.execute(
        "SELECT id, kind, digest, size, path, calling_ae, called_ae, received_at, transfer_syntax_uid, "
        "study_instance_uid, series_instance_uid FROM object WHERE sop_instance_uid = ? ORDER BY id",
        (sop_instance_uid,),
    )
    names = [column[0] for column in cursor.description]
    found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    for item in found:
        item["destinations"] = rows(tx, "object_id = ?", (item["id"],), 1000)
    return found
