"""Fetch and send, several at a time: the first instance leaves before the last is fetched (ROUTER-090)."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from systems.router.bridge.cloud import (
    CloudError,
    CloudReader,
    CloudRefused,
    CloudUnauthorised,
    CloudUnreachable,
)
from systems.router.bridge.progress import Progress
from systems.router.bridge.retrieved import InstanceReference, NotAsRequested, RetrievedInstance, fetch
from systems.router.bridge.search import Cancelled, interruptible
from systems.router.bridge.senders import DestinationLost, Sender
from systems.router.dimse.errors import ContextNotAccepted, NoAnswer
from systems.router.dimse.status import Status

_LOG: Final = logging.getLogger("router.bridge")
_ALREADY_THERE: Final = 0x0111
_KEPT_WITH_WARNING: Final = frozenset({0xB000, 0xB006, 0xB007})
_HOPELESS_AFTER: Final = 8


@dataclass(frozen=True, slots=True)
class TransferLimits:
    """`width` sub-operations at once; attempts at fetching and at sending, with growing seconds between them."""

    width: int = 4
    fetch_attempts: int = 3
    send_attempts: int = 3
    first_delay: float = 0.5


class Transfer:
    """Carries out the sub-operations of one C-MOVE or C-GET; `ended_by` is the loss that ended it early, if one did."""

    def __init__(
        self, cloud: CloudReader, sender: Sender, progress: Progress, limits: TransferLimits
    ) -> None:
        self.ended_by: CloudError | DestinationLost | None = None
        self._cloud = cloud
        self._sender = sender
        self._progress = progress
        self._limits = limits
        self._stop = asyncio.Event()
        self._failures_in_a_row = 0

    def stop(self) -> None:
        """Begin no new sub-operation; the one being sent is finished (ROUTER-088)."""
        self._stop.set()

    async def run(self, references: Sequence[InstanceReference]) -> None:
        """Work until everything has an outcome or the transfer is stopped."""
        queue = iter(references)
        async with asyncio.TaskGroup() as group:
            for _ in range(max(1, min(self._limits.width, len(references)))):
                group.create_task(self._work(queue))

    async def _work(self, queue: Iterator[InstanceReference]) -> None:
        for reference in queue:
            if self._stop.is_set():
                return
            try:
                await self._one(reference)
            except Cancelled:
                return
            except (CloudUnreachable, CloudUnauthorised, DestinationLost) as error:
                self._progress.fail(reference)
                self._end(error)
                return

    def _end(self, error: CloudError | DestinationLost) -> None:
        _LOG.warning("retrieval ends early: %s", error)
        self.ended_by = self.ended_by or error
        self._stop.set()

    async def _one(self, reference: InstanceReference) -> None:
        """One sub-operation; whatever is wrong with this instance does not end the others (ROUTER-086)."""
        try:
            instance = await interruptible(self._fetched(reference), self._stop)
            status = await self._sent(instance)
        except (CloudUnreachable, CloudUnauthorised, DestinationLost, Cancelled):
            raise
        except (CloudError, NotAsRequested, ContextNotAccepted, NoAnswer, OSError) as error:
            _LOG.warning("instance %s was not sent: %s", reference.sop_instance_uid, error)
            self._progress.fail(reference)
            self._note(error)
            return
        except Exception as error:  # noqa: BLE001 - a defect met on one instance must not cost the others (ROUTER-086)
            # Only the type: the text may hold patient data.
            _LOG.error("instance %s was not sent: %s", reference.sop_instance_uid, type(error).__name__)
            self._progress.fail(reference)
            return
        self._failures_in_a_row = 0
        if status.is_success:
            self._progress.complete(reference)
        elif status.code in _KEPT_WITH_WARNING:
            self._progress.warn(reference)
        else:
            _LOG.warning("instance %s was refused with %04X", reference.sop_instance_uid, status.code)
            self._progress.fail(reference)

    def _note(self, error: Exception) -> None:
        """Many transient refusals one after the other are the loss of the cloud."""
        if isinstance(error, CloudRefused) and error.is_transient:
            self._failures_in_a_row += 1
            if self._failures_in_a_row >= _HOPELESS_AFTER:
                self._end(error)

    async def _fetched(self, reference: InstanceReference) -> RetrievedInstance:
        delay = self._limits.first_delay
        for _ in range(self._limits.fetch_attempts - 1):
            wait = delay
            try:
                return await fetch(self._cloud, reference)
            except CloudUnauthorised:
                raise
            except CloudRefused as refused:
                if not refused.is_transient:
                    raise
                wait = max(delay, refused.retry_after or 0)
            except (CloudError, NotAsRequested) as error:
                _LOG.info("instance %s is fetched again: %s", reference.sop_instance_uid, error)
            await asyncio.sleep(wait)
            delay *= 2
        return await fetch(self._cloud, reference)

    async def _sent(self, instance: RetrievedInstance) -> Status:
        """Send until the receiver decides: A7xx and no answer are asked again (ROUTER-087)."""
        delay = self._limits.first_delay
        for left in range(self._limits.send_attempts - 1, -1, -1):
            try:
                status = await self._sender.send(instance)
            except (NoAnswer, DestinationLost):
                if not left:
                    raise
            else:
                if status.code == _ALREADY_THERE and await self._sender.holds(instance.reference):
                    return Status(0)
                if not 0xA700 <= status.code <= 0xA7FF or not left:
                    return status
            try:
                async with asyncio.timeout(delay):
                    await self._stop.wait()
            except TimeoutError:
                delay *= 2
            else:
                raise Cancelled
        message = "no attempt at sending was allowed"
        raise NoAnswer(message)
