"""What becomes of a trigger after a run, without a network."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any, cast

import pytest

from systems.router.config.limit_values import Backoff
from systems.router.prefetch import ledger, returns
from systems.router.prefetch.ledger import ENDED, Item, TriggerLedger
from systems.router.prefetch.work import ItemBooks, Trouble, Worker
from systems.router.side_database import SideDatabase
from systems.router.store.queue import SqliteQueue
from tests.router_prefetch.test_ledger import trigger
from tests.router_prefetch.test_orders import settings


class Events:
    """An audit trail that keeps the events, and tells of the last one."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.ended = asyncio.Event()

    async def note(self, event: str, **_: Any) -> None:
        self.seen.append(event)
        if event.removeprefix("prefetch ") in ENDED:
            self.ended.set()


class Runs:
    """Raises what it is told, one after the other, and then succeeds."""

    def __init__(self, *troubles: Exception) -> None:
        self.troubles = list(troubles)

    async def __call__(self, item: Item, books: ItemBooks) -> None:
        del item, books
        if self.troubles:
            raise self.troubles.pop(0)


def outcome(folder: Path, runs: Runs, **values: object) -> tuple[dict[str, Any], list[str]]:
    """The report of a trigger that has ended, and the audit events on the way."""

    async def work() -> tuple[dict[str, Any], list[str]]:
        events = Events()
        database = SideDatabase(folder / "l.sqlite", ledger.SCHEMA + returns.SCHEMA, "ledger")
        book = TriggerLedger(database, window_seconds=0, max_waiting=9, by_order=False)
        await book.recover()
        number = (await book.accept(trigger())).number
        queue = cast("SqliteQueue", events)
        worker = Worker(settings(**values), Backoff(0.01, 1, 0.01, 0), book, queue, runs)
        worker.start()
        try:
            async with asyncio.timeout(20):
                await events.ended.wait()
            found = await book.report(number)
            assert found is not None
            return found, events.seen
        finally:
            await worker.stop(1)
            database.close()

    return asyncio.run(work())


def test_outages_are_never_the_triggers_fault(tmp_path: Path) -> None:
    """ROUTER-142: only what it asks for counts."""
    runs = Runs(*(Trouble("away", outage=True) for _ in range(8)))
    report, events = outcome(tmp_path, runs, max_failures=2)
    assert (report["state"], report["attempts"], report["failures"]) == ("done", 9, 0)
    assert events == ["prefetch postponed"] * 8 + ["prefetch done"]


def test_own_failures_are_bounded(tmp_path: Path) -> None:
    """ROUTER-142: given up and reported."""
    runs = Runs(*(Trouble("refused") for _ in range(8)))
    report, events = outcome(tmp_path, runs, max_failures=3)
    assert (report["state"], report["attempts"]) == ("failed", 3)
    assert "given up after 3 attempts" in report["reason"]
    assert events[-1] == "prefetch failed"


def test_outage_without_end_is_given_up_after_its_time(tmp_path: Path) -> None:
    """ROUTER-142: priors of yesterday's order help nobody."""
    runs = Runs(*(Trouble("away", outage=True) for _ in range(5000)))
    report, _ = outcome(tmp_path, runs, give_up_seconds=1)
    assert report["state"] == "failed"
    assert "give_up_seconds" in report["reason"]


def test_stopped_is_stopped(tmp_path: Path) -> None:
    """ROUTER-138: strict mode asks nobody again."""
    report, _ = outcome(tmp_path, Runs(Trouble("names", state="stopped")))
    assert (report["state"], report["attempts"]) == ("stopped", 1)


def test_ledger_that_cannot_be_written_for_a_while_loses_no_trigger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ROUTER-136: a full disk at the end of a run makes it run again, without a restart."""
    finish = TriggerLedger.finish
    failures = [sqlite3.OperationalError("database or disk is full")]

    async def once(self: TriggerLedger, item: Item, state: str, reason: str = "") -> None:
        if failures:
            raise failures.pop()
        await finish(self, item, state, reason)

    monkeypatch.setattr(TriggerLedger, "finish", once)
    report, events = outcome(tmp_path, Runs())
    assert report["state"] == "done"
    assert events == ["prefetch done"]
