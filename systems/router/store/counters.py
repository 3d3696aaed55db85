"""The counters of a snapshot, kept exact by changing them only together with the transaction that earns them."""

import sqlite3
from collections import Counter
from dataclasses import fields, replace
from threading import Lock

from systems.router.store.model import Counts, Snapshot, TaskState

_STATES = {
    TaskState.WAITING: "waiting",
    TaskState.IN_PROGRESS: "in_progress",
    TaskState.DEAD: "dead_lettered",
}
_KEPT = ("accepted", "delivered", "duplicates", "received", "refused", "conflicts", "held", "bytes")
_FIELDS = frozenset(field.name for field in fields(Counts))


class Counters:
    """Running totals by (what, whose). Monotone ones live in the tally table, the rest is counted at start."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = Lock()
        self._totals: Counter[tuple[str, str]] = Counter()
        self._change: Counter[tuple[str, str]] = Counter()
        for name, value in connection.execute("SELECT name, value FROM tally"):
            what, _, whose = name.partition(":")
            self._totals[what, whose] = value
        for destination, state, count in connection.execute(
            "SELECT destination, state, count(*) FROM task WHERE state < 3 GROUP BY destination, state"
        ):
            self._totals[_STATES[TaskState(state)], destination] = count

    def add(self, what: str, whose: str = "", by: int = 1) -> None:
        """Note a change that the running transaction makes."""
        self._change[what, whose] += by

    def move(self, destination: str, before: TaskState, after: TaskState) -> None:
        """Note a task's change of state."""
        if before != after:
            self._change[_STATES[before], destination] -= 1
            self._change[_STATES.get(after, "delivered"), destination] += 1

    def write(self) -> None:
        """Put the changes of the running transaction into the tally table."""
        rows = [(f"{what}:{whose}", by) for (what, whose), by in self._change.items() if what in _KEPT and by]
        if rows:
            places = ", ".join(["(?, ?)"] * len(rows))
            self._connection.execute(
                f"INSERT INTO tally VALUES {places} "  # noqa: S608 - question marks only
                "ON CONFLICT(name) DO UPDATE SET value = value + excluded.value",
                [value for row in rows for value in row],
            )

    def committed(self) -> None:
        """Make the changes visible, all at one moment."""
        with self._lock:
            self._totals.update(self._change)
        self._change.clear()

    def rolled_back(self) -> None:
        """Forget the changes of a transaction that did not happen."""
        self._change.clear()

    def waiting(self, destination: str) -> int:
        """Tasks waiting for a destination."""
        with self._lock:
            return self._totals["waiting", destination]

    def snapshot(self, spool_bytes: int) -> Snapshot:
        """All counters of one moment."""
        with self._lock:
            totals = dict(self._totals)
        snapshot = Snapshot(spool_bytes=spool_bytes)
        for (what, whose), value in totals.items():
            if what in _FIELDS:
                counts = snapshot.destinations.get(whose, Counts())
                snapshot.destinations[whose] = replace(counts, **{what: value})
            elif what == "received":
                snapshot.received[whose] = value
            elif what == "refused":
                snapshot.refused[whose] = value
            elif what == "bytes":
                snapshot.received_bytes[whose] = value
        snapshot.conflicts = totals.get(("conflicts", ""), 0)
        snapshot.held = totals.get(("held", ""), 0)
        return snapshot
