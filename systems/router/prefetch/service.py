"""The prefetch of a running router: its listener, its triggers and its work, started and stopped as one."""

import asyncio
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final

from systems.router.bridges import Bridges
from systems.router.config.model import Config
from systems.router.config.prefetch import Prefetch
from systems.router.objects import Received
from systems.router.prefetch import ledger, returns
from systems.router.prefetch.courtesy import Courtesy
from systems.router.prefetch.ledger import Item, TriggerLedger
from systems.router.prefetch.mllp import MllpPath
from systems.router.prefetch.returns import Returns
from systems.router.prefetch.triggers import Triggers
from systems.router.prefetch.work import ItemBooks, Runs, Trouble, Worker
from systems.router.side_database import SideDatabase
from systems.router.store.queue import SqliteQueue

_EVENT_OF_LOOP: Final = "not routed: it came from the cloud"


class PrefetchService:
    """Always there, because C-MOVE needs its memory of returns; it prefetches where [prefetch] is configured."""

    def __init__(
        self,
        config: Config,
        queue: SqliteQueue,
        bridges: Bridges,
        courtesy: Courtesy,
        may_move: Callable[[], bool],
    ) -> None:
        self._config = config
        self._queue = queue
        self._bridges = bridges
        self._courtesy = courtesy
        self._may_move = may_move
        self._database = SideDatabase(
            config.data / "prefetch" / "prefetch.sqlite", ledger.SCHEMA + returns.SCHEMA, "prefetch ledger"
        )
        self.returns = Returns(self._database, (peer.ae_title for peer in config.peers))
        self._parts = self._make(config.prefetch) if config.prefetch else None
        self._runs: Runs | None = None

    def _make(self, settings: Prefetch) -> "_Parts":
        return _Parts(settings, self._database, self._queue, self._config, self._run)

    def reconfigure(self, config: Config) -> None:
        """Work by this configuration from the next trigger on; what runs ends as it began."""
        self._config = config
        self._runs = None
        if self._parts and config.prefetch:
            self._parts.reconfigure(config.prefetch, config)

    @property
    def path(self) -> MllpPath | None:
        """The MLLP listener, where one is configured."""
        return self._parts.path if self._parts and self._parts.settings.hl7.enabled else None

    async def start(self) -> None:
        """Go on with what waits. The listener is started with the other paths, after this."""
        if self._parts:
            await self._parts.ledger.recover()
            self._parts.worker.start()

    async def stop(self, grace_seconds: float) -> None:
        """Finish what runs within the grace; the rest goes on after the next start."""
        if self._parts:
            await self._parts.worker.stop(grace_seconds)

    async def close(self) -> None:
        """Close the database."""
        await asyncio.to_thread(self._database.close)

    async def expire(self) -> None:
        """Apply the retention times."""
        await self.returns.expire()
        if self._parts:
            await self._parts.ledger.expire(self._parts.settings.keep_seconds)

    async def without_loops(self, received: Received, destinations: tuple[str, ...]) -> tuple[str, ...]:
        """The destinations of an arriving object, without those it comes from; a new study triggers (ROUTER-137, 144)."""
        if not await self.returns.came_back(received):
            if self._parts:
                await self._parts.triggers.arrived(received)
            return destinations
        left = tuple(name for name in destinations if not self._is_source(name, received.calling_ae))
        await self._queue.note(
            _EVENT_OF_LOOP,
            sop_instance_uid=received.identity.sop_instance_uid,
            study_instance_uid=received.identity.study_instance_uid,
            digest=received.digest,
            calling_ae=received.calling_ae,
            counted="" if left else received.path,
        )
        return left

    def _is_source(self, name: str, calling_ae: str) -> bool:
        destination = self._config.destination(name)
        return destination is not None and (destination.kind == "dicomweb" or destination.peer == calling_ae)

    async def _run(self, item: Item, books: ItemBooks) -> None:
        if not self._may_move():
            raise Trouble("the path pacs-bridge is stopped", outage=True)
        if self._runs is None:
            module = await asyncio.to_thread(import_module, "systems.router.prefetch.runs")
            self._runs = module.PatientRuns(
                self._config,
                self._config.prefetch,
                self._bridges,
                self.returns,
                self._courtesy,
                self._on_their_way,
            )
        await self._runs(item, books)

    async def _on_their_way(self, studies: Sequence[str]) -> frozenset[str]:
        peer = self._config.pacs_bridge.peer
        names = [one.name for one in self._config.destinations if one.kind == "dimse" and one.peer == peer]
        return await self._queue.open_instances(names, studies)

    async def status(self) -> dict[str, Any]:
        """Triggers by state, messages by acknowledgement code, instances moved; whether it gives way now."""
        if not self._parts:
            return {"configured": False}
        totals = await self._parts.ledger.totals()
        return {"configured": True, "gives_way": self._courtesy.busy, **totals}

    async def list(self, limit: int) -> list[dict[str, Any]]:
        """Triggers, newest first."""
        return await self._parts.ledger.list(limit) if self._parts else []

    async def report(self, number: int) -> dict[str, Any] | None:
        """One trigger with the outcome of each study; None for an unknown one."""
        return await self._parts.ledger.report(number) if self._parts else None

    async def retry(self, number: int) -> bool:
        """Let a failed or stopped trigger run again, and record it. False when there is none of that number."""
        if not self._parts or not await self._parts.ledger.retry(number):
            return False
        await self._queue.note("operator prefetch retry", trigger=number)
        self._parts.worker.wake()
        return True


class _Parts:
    """What there is only where prefetch is configured."""

    def __init__(
        self, settings: Prefetch, database: SideDatabase, queue: SqliteQueue, config: Config, run: Runs
    ) -> None:
        self.settings = settings
        self.ledger = TriggerLedger(
            database,
            window_seconds=settings.window_seconds,
            max_waiting=settings.max_waiting,
            by_order=_by_order(settings),
        )
        self.worker = Worker(settings, config.backoff, self.ledger, queue, run)
        self.triggers = Triggers(settings, self.ledger, queue, self.worker.wake)
        self.path = MllpPath(settings.hl7, self.triggers.answer, self.triggers.too_long)

    def reconfigure(self, settings: Prefetch, config: Config) -> None:
        """See `PrefetchService.reconfigure`."""
        self.settings = settings
        self.ledger.limit(
            window_seconds=settings.window_seconds,
            max_waiting=settings.max_waiting,
            by_order=_by_order(settings),
        )
        self.worker.reconfigure(settings, config.backoff)
        self.triggers.reconfigure(settings)


def _by_order(settings: Prefetch) -> bool:
    """Whether two orders for one patient may ask for different studies."""
    priors = settings.priors
    return priors.same_modality or priors.same_body_part or priors.exclude_ordered


def alarms(status: dict[str, Any]) -> list[str]:
    """What a person should look at, as sentences."""
    if not status["configured"]:
        return []
    triggers, found = status["triggers"], []
    if triggers["failed"]:
        found.append(f"prefetch: {triggers['failed']} triggers failed; see /prefetch")
    if triggers["stopped"]:
        found.append(f"prefetch: {triggers['stopped']} triggers stopped by strict_name; see /prefetch")
    if status["noted"]:
        found.append(
            f"prefetch: {status['noted']} triggers disagree with the cloud about a name; see /prefetch"
        )
    return found
