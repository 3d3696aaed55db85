"""The workers of one destination (ROUTER-049, ROUTER-101 to 108)."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Sequence
from typing import Final

from systems.router.config.limit_values import Backoff
from systems.router.config.model import Destination
from systems.router.delivery.attempt import Attempt, Carrier
from systems.router.delivery.gate import Gate
from systems.router.delivery.precedence import StepBack
from systems.router.delivery.settling import Settling
from systems.router.dimse.measures import Histogram
from systems.router.store.arrivals import DAMAGED
from systems.router.store.model import Effect, Task
from systems.router.store.queue import SqliteQueue

log = logging.getLogger(__name__)
_LONGEST_SLEEP: Final = 30.0
_LOCAL: Final = frozenset({DAMAGED, "too large", "defect"})


class WorkerGroup:
    """Claims, delivers and settles for one destination; nothing it does touches another one."""

    def __init__(
        self,
        destination: Destination,
        queue: SqliteQueue,
        carrier: Carrier,
        backoff: Backoff,
        step_back: StepBack,
    ) -> None:
        self.destination = destination
        self.gate = Gate(backoff)
        self.carrier = carrier
        self.step_back = step_back
        self._queue = queue
        self._backoff = backoff
        self._settling = Settling(destination.name, backoff, destination.max_failures)
        self._workers: list[asyncio.Task[None]] = []
        self._busy: set[asyncio.Task[None] | None] = set()
        self._stopping = False
        self.seconds = Histogram()

    def reconfigure(self, destination: Destination, backoff: Backoff) -> None:
        """Work at this pace from the next round on; the number of workers stays."""
        self.destination, self._backoff = destination, backoff
        self.gate.reconfigure(backoff)
        self._settling.reconfigure(backoff, destination.max_failures)

    def start(self) -> None:
        """Start the workers."""
        self._workers = [asyncio.create_task(self._run()) for _ in range(self.destination.concurrency)]

    async def stop(self, grace_seconds: float) -> None:
        """Let running deliveries finish for `grace_seconds`; one cut off then counts as uncertain at the next start."""
        self._stopping = True
        idle = [worker for worker in self._workers if worker not in self._busy]
        for worker in idle:
            worker.cancel()
        busy = [worker for worker in self._workers if worker not in idle]
        if busy:
            _, unfinished = await asyncio.wait(busy, timeout=grace_seconds)
            for worker in unfinished:
                worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        await self.carrier.close()

    async def _run(self) -> None:
        while not self._stopping:
            probe = await self.gate.admit()
            # A probe is one object, and whether the destination is back is worth knowing.
            if not probe and await self._step_back():
                continue
            me = asyncio.current_task()
            self._busy.add(me)
            try:
                worked = await self._round(probe=probe)
            except (sqlite3.Error, OSError):
                log.exception("the queue of %s cannot be used", self.destination.name)
                self.gate.unused(probe=probe)
                await asyncio.sleep(self._backoff.first_seconds)
                continue
            finally:
                self._busy.discard(me)
            if not worked and not self._stopping:
                await self._wait()

    async def _step_back(self) -> bool:
        """Let the intake go first. Returns whether that took time, in which the gate may have changed."""
        return bool(self._queue.waiting_count(self.destination.name)) and await self.step_back.wait()

    async def _round(self, *, probe: bool) -> bool:
        """Claim, deliver, settle. Returns whether there was anything to do."""
        ready = self._queue.ready(self.destination.name)
        ready.clear()
        tasks = await self._claim(probe=probe)
        if not tasks:
            self.gate.unused(probe=probe)
            self.step_back.caught_up()
            return False
        if self._queue.waiting_count(self.destination.name):
            ready.set()
        attempts = await self._deliver(tasks)
        await self._conclude(attempts, probe=probe)
        if self.destination.rate_per_second:
            await asyncio.sleep(len(tasks) * self.destination.concurrency / self.destination.rate_per_second)
        return True

    async def _claim(self, *, probe: bool) -> list[Task]:
        name = self.destination.name
        if probe:
            return await self._queue.claim_probe(name, self._settling.troubled)
        return await self._queue.claim(name, self.carrier.batch_instances, self.carrier.batch_bytes)

    async def _wait(self) -> None:
        """Sleep until a task arrives or a delayed one is due."""
        try:
            due = await self._queue.next_due(self.destination.name)
        except (sqlite3.Error, OSError):
            due = time.time() + self._backoff.first_seconds
        seconds = _LONGEST_SLEEP if due is None else min(_LONGEST_SLEEP, max(0.01, due - time.time()))
        try:
            await asyncio.wait_for(self._queue.ready(self.destination.name).wait(), seconds)
        except TimeoutError:
            return

    async def _deliver(self, tasks: Sequence[Task]) -> list[Attempt]:
        try:
            return await self.carrier.deliver(tasks)
        except Exception as error:  # a defect met by one object must not end the worker (ROUTER-108)
            log.exception("delivery to %s failed with a defect", self.destination.name)
            reason = f"defect of the router: {type(error).__name__}"
            return [
                Attempt(task, Effect.FAILED, "defect", reason, uncertain=True, solo=True) for task in tasks
            ]

    async def _conclude(self, attempts: Sequence[Attempt], *, probe: bool) -> None:
        """Decide about the destination, then about each object, then record."""
        works = any(_spoke(attempt) for attempt in attempts)
        away = self._away(attempts, probe=probe)
        if works and away is not None:
            self.gate.served()
        if away is not None and self.gate.failed(away.reason, away.retry_after):
            name = self.destination.name
            log.warning("%s is down: %s", name, away.reason)
            await self._queue.note("destination down", destination=name, reason=away.reason)
        # After the gate: what goes back to the queue now is not to be claimed before the next probe.
        await self._queue.settle([self._settling.settle(each, self.gate.successes) for each in attempts])
        now = time.time()
        for attempt in attempts:
            if attempt.effect is Effect.DELIVERED:
                self.seconds.add(max(0.0, now - attempt.task.received_at))
        if away is None and works:
            await self._report_recovery(self.gate.succeeded())
        elif away is None:
            self.gate.unused(probe=probe)

    def _away(self, attempts: Sequence[Attempt], *, probe: bool) -> Attempt | None:
        """The attempt that says that the destination cannot be used: it was not reached, or it puts off one and all."""
        for attempt in attempts:
            if attempt.effect is Effect.OUTAGE:
                return attempt
            if attempt.effect is Effect.TRANSIENT and not attempt.shared:
                new = self._settling.is_new_trouble(attempt)
                if probe or (new and self.gate.refused(attempt.task.task_id, attempt.reason)):
                    return attempt
        return None

    async def _report_recovery(self, down_seconds: float | None) -> None:
        if down_seconds is None:
            return
        name = self.destination.name
        backlog = self._queue.waiting_count(name)
        log.warning("%s is back after %.1f s, %d instances to catch up", name, down_seconds, backlog)
        await self._queue.note(
            "destination recovered", destination=name, outage_seconds=round(down_seconds, 3), backlog=backlog
        )
        await self._queue.release(name)


def _spoke(attempt: Attempt) -> bool:
    """Whether the destination itself gave this outcome, which shows that it works."""
    if attempt.effect in (Effect.FAILED, Effect.DEAD):
        return attempt.status not in _LOCAL
    return attempt.effect is Effect.DELIVERED
