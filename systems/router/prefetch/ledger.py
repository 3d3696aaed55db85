"""The durable work items of the prefetch: a trigger is on disk before it is acknowledged (ROUTER-136, ROUTER-145).

A trigger names its patient only until it is done; afterwards a keyed digest is left by which repeats are known.
"""

import secrets
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from systems.router.errors import RouterError
from systems.router.prefetch.trigger import Trigger, keys_of
from systems.router.side_database import SideDatabase

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS salt(value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS trigger(
  id INTEGER PRIMARY KEY, source TEXT NOT NULL, reference TEXT NOT NULL, message_type TEXT NOT NULL,
  patient_key TEXT NOT NULL, merge_key TEXT NOT NULL, body TEXT NOT NULL, state TEXT NOT NULL,
  not_before REAL NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0,
  merged INTEGER NOT NULL DEFAULT 0, instances INTEGER NOT NULL DEFAULT 0, accepted_at REAL NOT NULL,
  finished_at REAL, reason TEXT NOT NULL DEFAULT '', note TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS trigger_state ON trigger(state, id);
CREATE INDEX IF NOT EXISTS trigger_merge ON trigger(merge_key, id);
CREATE TABLE IF NOT EXISTS study(
  trigger INTEGER NOT NULL, study_instance_uid TEXT NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL,
  instances INTEGER NOT NULL, PRIMARY KEY(trigger, study_instance_uid));
CREATE TABLE IF NOT EXISTS arrived(study_instance_uid TEXT PRIMARY KEY, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS tally(name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""
ENDED: Final = ("done", "failed", "stopped")
STATES: Final = ("waiting", "running", *ENDED)
_COLUMNS: Final = (
    "id, source, reference, message_type, state, attempts, failures, merged, instances, accepted_at, finished_at, "
    "CASE WHEN not_before > 0 THEN not_before END AS not_before, reason, note"
)


class PrefetchFullError(RouterError):
    """As many triggers wait as may."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """The number of the trigger that does the work; `merged` when it was there before."""

    number: int
    merged: bool


@dataclass(frozen=True, slots=True)
class Item:
    """A trigger that is to be worked on."""

    number: int
    trigger: Trigger
    attempts: int
    failures: int
    accepted_at: float


@dataclass(frozen=True, slots=True)
class StudyOutcome:
    """What became of one study of the patient, without patient data."""

    study_instance_uid: str
    outcome: str
    reason: str = ""
    instances: int = 0


class TriggerLedger:
    """Triggers in, outcomes back; every method returns after its effect is durable."""

    def __init__(
        self, database: SideDatabase, *, window_seconds: float, max_waiting: int, by_order: bool
    ) -> None:
        self._database = database
        self.limit(window_seconds=window_seconds, max_waiting=max_waiting, by_order=by_order)
        self._salt = b""

    def limit(self, *, window_seconds: float, max_waiting: int, by_order: bool) -> None:
        """Merge and refuse by these values from the next trigger on."""
        self._window = window_seconds
        self._max_waiting = max_waiting
        self._by_order = by_order

    async def recover(self) -> int:
        """Let what a stop or crash interrupted wait again; returns how many that were."""

        def work(connection: sqlite3.Connection) -> int:
            row = connection.execute("SELECT value FROM salt").fetchone()
            self._salt = bytes(row[0]) if row else secrets.token_bytes(32)
            if row is None:
                connection.execute("INSERT INTO salt VALUES(?)", (self._salt,))
            # The restart may be what a trigger waited for.
            connection.execute("UPDATE trigger SET not_before = 0 WHERE state = 'waiting'")
            return connection.execute("UPDATE trigger SET state = 'waiting' WHERE state = 'running'").rowcount

        return await self._database.do(work)

    async def accept(self, trigger: Trigger) -> Recorded:
        """Record a trigger, or merge it with one for the same that is open or was accepted within the window.

        Raises:
            PrefetchFullError: too many wait.

        """
        return await self._database.do(lambda connection: self._accept(connection, trigger))

    async def accept_first(self, trigger: Trigger) -> Recorded | None:
        """As `accept` for the first instance of a study; None when the study is known already."""

        def work(connection: sqlite3.Connection) -> Recorded | None:
            new = connection.execute(
                "INSERT OR IGNORE INTO arrived VALUES(?, ?)", (trigger.study_instance_uid, time.time())
            ).rowcount
            return self._accept(connection, trigger) if new else None

        return await self._database.do(work)

    def _accept(self, connection: sqlite3.Connection, trigger: Trigger) -> Recorded:
        patient, same = keys_of(trigger, self._salt, by_order=self._by_order)
        now = time.time()
        known = connection.execute(
            "SELECT id FROM trigger WHERE merge_key = ? AND (state IN ('waiting', 'running') "
            "OR (state = 'done' AND accepted_at > ?)) ORDER BY id DESC LIMIT 1",
            (same, now - self._window),
        ).fetchone()
        if known is not None:
            connection.execute("UPDATE trigger SET merged = merged + 1 WHERE id = ?", (known[0],))
            return Recorded(known[0], merged=True)
        waiting = connection.execute("SELECT count(*) FROM trigger WHERE state = 'waiting'").fetchone()[0]
        if waiting >= self._max_waiting:
            raise PrefetchFullError(f"{waiting} triggers wait already; see prefetch.max_waiting")
        number = connection.execute(
            "INSERT INTO trigger(source, reference, message_type, patient_key, merge_key, body, state, accepted_at) "
            "VALUES(?, ?, ?, ?, ?, ?, 'waiting', ?)",
            (trigger.source, trigger.reference, trigger.message_type, patient, same, trigger.to_json(), now),
        ).lastrowid
        assert number is not None  # noqa: S101 - an insert has one
        return Recorded(number, merged=False)

    async def claim(self) -> Item | None:
        """The oldest trigger that is due and whose patient is not being worked on."""

        def work(connection: sqlite3.Connection) -> Item | None:
            row = connection.execute(
                "SELECT id, body, attempts, failures, accepted_at FROM trigger WHERE state = 'waiting' "
                "AND not_before <= ? AND patient_key NOT IN "
                "(SELECT patient_key FROM trigger WHERE state = 'running') ORDER BY id LIMIT 1",
                (time.time(),),
            ).fetchone()
            if row is None:
                return None
            connection.execute(
                "UPDATE trigger SET state = 'running', attempts = attempts + 1 WHERE id = ?", (row["id"],)
            )
            trigger = Trigger.from_json(row["body"])
            return Item(row["id"], trigger, row["attempts"] + 1, row["failures"], row["accepted_at"])

        return await self._database.do(work)

    async def next_due(self) -> float | None:
        """When the next delayed trigger may go, in seconds since the epoch; None without one."""
        rows = await self._database.rows("SELECT min(not_before) AS due FROM trigger WHERE state = 'waiting'")
        return None if rows[0]["due"] is None else float(rows[0]["due"])

    async def studies(self, item: Item, outcomes: Iterable[StudyOutcome]) -> None:
        """Record what became of studies; instances of earlier attempts stay counted."""
        rows = [
            (item.number, one.study_instance_uid, one.outcome, one.reason, one.instances) for one in outcomes
        ]

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "INSERT INTO study VALUES(?, ?, ?, ?, ?) ON CONFLICT(trigger, study_instance_uid) DO UPDATE SET "
                "outcome = CASE WHEN excluded.outcome = 'present' AND outcome IN ('fetched', 'completed') "
                "THEN outcome ELSE excluded.outcome END, "
                "reason = excluded.reason, instances = instances + excluded.instances",
                rows,
            )
            moved = sum(row[4] for row in rows)
            connection.execute(
                "UPDATE trigger SET instances = instances + ? WHERE id = ?", (moved, item.number)
            )

        await self._database.do(work)

    async def postpone(self, item: Item, reason: str, not_before: float, *, failed: bool) -> None:
        """Let a trigger wait until `not_before`; `failed` when the cause may lie in what it asks for."""
        await self._database.run(
            "UPDATE trigger SET state = 'waiting', not_before = ?, failures = failures + ?, reason = ? WHERE id = ?",
            (not_before, int(failed), reason, item.number),
        )

    async def put_back(self, item: Item) -> None:
        """Undo a claim: the router stops."""
        await self._database.run(
            "UPDATE trigger SET state = 'waiting', attempts = attempts - 1 WHERE id = ?", (item.number,)
        )

    async def note(self, item: Item, note: str) -> None:
        """Keep what a person should look at."""
        await self._database.run("UPDATE trigger SET note = ? WHERE id = ?", (note, item.number))

    async def finish(self, item: Item, state: str, reason: str = "") -> None:
        """End a trigger as `done`, `failed` or `stopped`; a done one no longer names its patient."""
        await self._database.run(
            "UPDATE trigger SET state = ?, reason = ?, finished_at = ?, "
            "body = CASE WHEN ? = 'done' THEN '' ELSE body END WHERE id = ?",
            (state, reason, time.time(), state, item.number),
        )
        if state == "done":
            await self._database.forget()

    async def retry(self, number: int) -> bool:
        """An operator's decision: a failed or stopped trigger waits again. False when there is none of that number."""

        def work(connection: sqlite3.Connection) -> bool:
            return bool(
                connection.execute(
                    "UPDATE trigger SET state = 'waiting', failures = 0, not_before = 0, finished_at = NULL, "
                    "accepted_at = ? WHERE id = ? AND state IN ('failed', 'stopped')",
                    (time.time(), number),
                ).rowcount
            )

        return await self._database.do(work)

    async def count(self, name: str) -> None:
        """Add one to a tally, such as messages by acknowledgement code."""
        await self._database.run(
            "INSERT INTO tally VALUES(?, 1) ON CONFLICT(name) DO UPDATE SET value = value + 1", (name,)
        )

    async def expire(self, keep_seconds: float) -> None:
        """Remove what ended long ago."""

        def work(connection: sqlite3.Connection) -> bool:
            before = time.time() - keep_seconds
            connection.execute(
                "DELETE FROM study WHERE trigger IN (SELECT id FROM trigger WHERE finished_at < ?)", (before,)
            )
            erased = connection.execute(
                "DELETE FROM trigger WHERE finished_at < ? RETURNING id", (before,)
            ).fetchall()
            connection.execute("DELETE FROM arrived WHERE at < ?", (before,))
            return bool(erased)

        if await self._database.do(work):
            await self._database.forget()

    async def totals(self) -> dict[str, Any]:
        """Triggers by state, merged ones, instances and tallies: all of one moment."""

        def work(connection: sqlite3.Connection) -> dict[str, Any]:
            states = dict.fromkeys(STATES, 0)
            states |= dict(
                connection.execute("SELECT state, count(*) FROM trigger GROUP BY state").fetchall()
            )
            merged, instances, noted = connection.execute(
                "SELECT coalesce(sum(merged), 0), coalesce(sum(instances), 0), coalesce(sum(note != ''), 0) "
                "FROM trigger"
            ).fetchone()
            tallies = dict(connection.execute("SELECT name, value FROM tally").fetchall())
            return {
                "triggers": states, "merged": merged, "instances": instances, "noted": noted, "messages": tallies,
            }  # fmt: skip

        return await self._database.do(work)

    async def list(self, limit: int) -> list[dict[str, Any]]:
        """Triggers for people, newest first, without patient data."""
        return await self._database.rows(f"SELECT {_COLUMNS} FROM trigger ORDER BY id DESC LIMIT ?", (limit,))  # noqa: S608

    async def report(self, number: int) -> dict[str, Any] | None:
        """One trigger and what became of each study; None for an unknown one."""
        rows = await self._database.rows(f"SELECT {_COLUMNS} FROM trigger WHERE id = ?", (number,))  # noqa: S608
        if not rows:
            return None
        studies = await self._database.rows(
            "SELECT study_instance_uid, outcome, reason, instances FROM study WHERE trigger = ? "
            "ORDER BY study_instance_uid",
            (number,),
        )
        return {**rows[0], "studies": studies}
