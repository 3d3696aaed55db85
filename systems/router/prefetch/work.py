"""Works on the triggers: several patients at once, never the same one twice; what fails is tried again (ROUTER-142)."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Sequence
from typing import Any, Final, Protocol

from systems.router.config.limit_values import Backoff
from systems.router.config.prefetch import Prefetch
from systems.router.delivery.gate import delay
from systems.router.prefetch.ledger import Item, StudyOutcome, TriggerLedger
from systems.router.store.queue import SqliteQueue

log = logging.getLogger(__name__)
_LOOK_SECONDS: Final = 5.0


class Runs(Protocol):
    """Does the work of one trigger; the books are where it writes."""

    async def __call__(self, item: Item, books: "ItemBooks") -> None:
        """Raises `Trouble` for everything that is no success."""
        ...


class Trouble(Exception):  # noqa: N818 - named for what happened
    """A run without success. `state` is what becomes of the trigger, "waiting" to try again.

    `outage`: the cause lies with the cloud or the PACS, not with what was asked for.
    """

    def __init__(self, reason: str, *, state: str = "waiting", outage: bool = False) -> None:
        super().__init__(reason)
        self.state = state
        self.outage = outage


class ItemBooks:
    """What one run writes: into the ledger and into the audit trail, with the trigger's number."""

    def __init__(self, item: Item, ledger: TriggerLedger, queue: SqliteQueue) -> None:
        self._item = item
        self._ledger = ledger
        self._queue = queue

    async def studies(self, outcomes: Sequence[StudyOutcome]) -> None:
        """See `run.Books`."""
        await self._ledger.studies(self._item, outcomes)

    async def disagreement(self, studies: Sequence[str]) -> None:
        """See `run.Books`."""
        log.error(
            "prefetch %d: trigger and cloud disagree about the patient's name in %d studies",
            self._item.number,
            len(studies),
        )
        await self._ledger.note(self._item, "the patient's name in the trigger and in the cloud disagree")
        await self.audit("prefetch name disagreement", study_instance_uids=list(studies[:200]))

    async def audit(self, event: str, **facts: Any) -> None:
        """See `run.Books`."""
        await self._queue.note(event, trigger=self._item.number, **facts)


class Worker:
    """Claims what is due, and settles it."""

    def __init__(
        self, settings: Prefetch, backoff: Backoff, ledger: TriggerLedger, queue: SqliteQueue, run: Runs
    ) -> None:
        self._settings = settings
        self._backoff = backoff
        self._ledger = ledger
        self._queue = queue
        self._run = run
        self._woken = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._unsettled: list[Item] = []
        self._loop: asyncio.Task[None] | None = None

    def reconfigure(self, settings: Prefetch, backoff: Backoff) -> None:
        """Settle by these settings from now on."""
        self._settings, self._backoff = settings, backoff

    def start(self) -> None:
        """Work from now on."""
        self._loop = asyncio.create_task(self._work())

    def wake(self) -> None:
        """Look again: something is new."""
        self._woken.set()

    async def stop(self, grace_seconds: float) -> None:
        """Claim nothing more; what runs may finish within the grace and goes on after the next start otherwise."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=grace_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self._put_back_unsettled()
                await self._claim_all()
                wait = await self._until_due()
            except (OSError, sqlite3.Error):
                log.exception("the triggers cannot be read")
                wait = _LOOK_SECONDS
            try:
                async with asyncio.timeout(wait):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def _until_due(self) -> float:
        due = await self._ledger.next_due()
        full = len(self._running) >= self._settings.concurrency
        if due is None or full or due <= time.time():
            return _LOOK_SECONDS
        return min(_LOOK_SECONDS, due - time.time())

    async def _claim_all(self) -> None:
        while len(self._running) < self._settings.concurrency:
            item = await self._ledger.claim()
            if item is None:
                return
            task = asyncio.create_task(self._one(item))
            self._running.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._woken.set()

    async def _one(self, item: Item) -> None:
        try:
            try:
                await self._run(item, ItemBooks(item, self._ledger, self._queue))
            except asyncio.CancelledError:
                await self._ledger.put_back(item)
                raise
            except Trouble as trouble:
                await self._trouble(item, trouble)
            else:
                await self._finish(item, "done", "")
        except (OSError, sqlite3.Error):
            log.exception("prefetch %d could not be recorded; it is run again", item.number)
            self._unsettled.append(item)

    async def _put_back_unsettled(self) -> None:
        """What ended while the ledger could not be written waits again, once it can."""
        while self._unsettled:
            await self._ledger.put_back(self._unsettled[0])
            self._unsettled.pop(0)

    async def _trouble(self, item: Item, trouble: Trouble) -> None:
        reason = str(trouble)
        if trouble.state != "waiting":
            await self._finish(item, trouble.state, reason)
        elif time.time() - item.accepted_at > self._settings.give_up_seconds:
            await self._finish(item, "failed", f"{reason}; given up after prefetch.give_up_seconds")
        elif not trouble.outage and item.failures + 1 >= self._settings.max_failures:
            await self._finish(item, "failed", f"{reason}; given up after {item.failures + 1} attempts")
        else:
            log.warning("prefetch %d is tried again: %s", item.number, reason)
            wait = delay(self._backoff, item.attempts)
            await self._ledger.postpone(item, reason, time.time() + wait, failed=not trouble.outage)
            await self._queue.note("prefetch postponed", trigger=item.number, reason=reason)

    async def _finish(self, item: Item, state: str, reason: str) -> None:
        log.log(
            logging.INFO if state == "done" else logging.ERROR,
            "prefetch %d %s%s", item.number, state, f": {reason}" if reason else "",
        )  # fmt: skip
        await self._ledger.finish(item, state, reason)
        await self._queue.note(f"prefetch {state}", trigger=item.number, reason=reason)
