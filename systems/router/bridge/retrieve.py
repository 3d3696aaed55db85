"""C-MOVE and C-GET answered by WADO-RS and C-STORE (ROUTER-080 to ROUTER-091)."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final, cast

from systems.router.bridge.cloud import CloudError, CloudReader, CloudUnauthorised, CloudUnreachable
from systems.router.bridge.instances import resolve
from systems.router.bridge.keys import BadIdentifier
from systems.router.bridge.progress import Progress
from systems.router.bridge.retrieved import InstanceReference
from systems.router.bridge.search import Cancelled, SearchLimits, TooManyMatches
from systems.router.bridge.senders import GetSender, MoveSender, Sender
from systems.router.bridge.transfer import Transfer, TransferLimits
from systems.router.dimse.pool import AssociationPool, Destination
from systems.router.dimse.service import (
    GetRequest,
    MoveRequest,
    QueryRequest,
    RetrieveResponse,
    SubOperations,
)
from systems.router.dimse.status import (
    CANCELLED,
    DATA_SET_MISMATCH,
    MOVE_DESTINATION_UNKNOWN,
    NOT_AUTHORISED,
    OUT_OF_RESOURCES_MATCHES,
    OUT_OF_RESOURCES_SUB_OPERATIONS,
    PENDING,
    SUB_OPERATIONS_WITH_FAILURES,
    SUCCESS,
    Status,
)

_LOG: Final = logging.getLogger("router.bridge")
_TIME_LIMIT: Final = 0xC002
_UNREACHABLE: Final = 0xC101


def _never(_: str) -> bool:
    return False


async def _forget(_: str, __: Sequence[str]) -> None:
    return


async def _unrecorded(_: str, __: str, ___: Sequence[str]) -> None:
    return


@dataclass(frozen=True, slots=True)
class RetrieveSettings:
    """Times are seconds; pending responses are sent every `interval` and after `report_every` sub-operations.

    `remember` is told the destination and the SOP Instance UIDs before anything is sent there (ROUTER-144); `record` the
    requester, the destination and the SOP Instance UIDs it has taken, before the final response (ROUTER-158).
    """

    interval: float = 5.0
    report_every: int = 50
    time_limit: float = 3600.0
    lenient: Callable[[str], bool] = _never
    remember: Callable[[str, Sequence[str]], Awaitable[None]] = _forget
    record: Callable[[str, str, Sequence[str]], Awaitable[None]] = _unrecorded
    search: SearchLimits = field(default_factory=SearchLimits)
    transfer: TransferLimits = field(default_factory=TransferLimits)


def _no_list(error: CloudError | TooManyMatches) -> Status:
    """The status of a retrieval whose instances could not be listed (ROUTER-084)."""
    if isinstance(error, CloudUnauthorised):
        return Status(NOT_AUTHORISED, "the cloud refuses the router's authorisation")
    if isinstance(error, CloudUnreachable):
        return Status(_UNREACHABLE, "cloud unreachable")
    return Status(OUT_OF_RESOURCES_MATCHES, "the list of instances is not complete")


class RetrieveBridge:
    """Answers C-MOVE and C-GET from a DICOMweb service.

    `destinations` gives the table entry of an AE title, None for one that is not in the table (ROUTER-005).
    """

    def __init__(
        self,
        cloud: CloudReader,
        pool: AssociationPool,
        destinations: Callable[[str], Destination | None],
        settings: RetrieveSettings | None = None,
    ) -> None:
        self._cloud = cloud
        self._pool = pool
        self._destinations = destinations
        self._settings = settings or RetrieveSettings()

    async def move(self, request: MoveRequest) -> AsyncIterator[RetrieveResponse]:
        """Yield pending responses and one final response."""
        destination = self._destinations(request.destination)
        if destination is None:
            yield RetrieveResponse(
                Status(MOVE_DESTINATION_UNKNOWN, f"{request.destination} is not a destination")
            )
            return
        originator = (request.peer.calling_ae, request.message_id)

        async def sender(references: Sequence[InstanceReference]) -> Sender:
            await self._settings.remember(destination.ae_title, [one.sop_instance_uid for one in references])
            classes = dict.fromkeys(reference.sop_class_uid for reference in references)
            return MoveSender(self._pool, destination, classes, originator)

        async with _closing(self._retrieve(request, destination.ae_title, sender)) as responses:
            async for response in responses:
                yield response

    async def get(self, request: GetRequest) -> AsyncIterator[RetrieveResponse]:
        """Yield pending responses and one final response; objects go back on the same association (ROUTER-026)."""

        async def sender(_: Sequence[InstanceReference]) -> Sender:
            return GetSender(request)

        async with _closing(self._retrieve(request, request.peer.calling_ae, sender)) as responses:
            async for response in responses:
                yield response

    async def _retrieve(
        self,
        request: QueryRequest,
        receiver: str,
        make_sender: Callable[[Sequence[InstanceReference]], Awaitable[Sender]],
    ) -> AsyncIterator[RetrieveResponse]:
        deadline = asyncio.get_running_loop().time() + self._settings.time_limit
        listing = asyncio.ensure_future(self._listed(request))
        try:
            # A long list takes time, and a requester that hears nothing gives up (ROUTER-176).
            while not (await asyncio.wait({listing}, timeout=self._settings.interval))[0]:
                yield RetrieveResponse(Status(PENDING))
        finally:
            listing.cancel()
        answer = listing.result()
        if isinstance(answer, Status):
            _LOG.warning("retrieval for %s ends with %s before it began", request.peer.calling_ae, answer)
            yield RetrieveResponse(answer, SubOperations())
            return
        progress = Progress(answer)
        sender = await make_sender(answer)
        transfer = Transfer(self._cloud, sender, progress, self._settings.transfer)
        work = asyncio.ensure_future(transfer.run(answer))
        try:
            async with _closing(self._reports(request, work, transfer, progress, deadline)) as reports:
                async for report in reports:
                    yield report
        finally:
            if not work.done():
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
            await sender.close()
            if progress.kept_uids:
                await self._settings.record(request.peer.calling_ae, receiver, progress.kept_uids)
        yield self._final(request, transfer, progress, expired=asyncio.get_running_loop().time() >= deadline)

    async def _listed(self, request: QueryRequest) -> list[InstanceReference] | Status:
        """The instances in the order of sending, or why there is no list (ROUTER-084)."""
        relational = request.relational or self._settings.lenient(request.peer.calling_ae)
        try:
            found = [
                reference
                async for reference in resolve(
                    self._cloud,
                    request.identifier,
                    request.sop_class_uid,
                    relational=relational,
                    limits=self._settings.search,
                    cancelled=request.cancelled,
                )
            ]
        except BadIdentifier as error:
            return Status(DATA_SET_MISMATCH, str(error), (error.tag,))
        except Cancelled:
            return Status(CANCELLED)
        except (CloudError, TooManyMatches) as error:
            _LOG.warning("the list of instances is not complete: %s", error or type(error).__name__)
            return _no_list(error)
        series = {uid: n for n, uid in enumerate(dict.fromkeys(one.series_instance_uid for one in found))}
        return sorted(found, key=lambda one: (series[one.series_instance_uid], one.number))

    async def _reports(
        self,
        request: QueryRequest,
        work: asyncio.Future[Any],
        transfer: Transfer,
        progress: Progress,
        deadline: float,
    ) -> AsyncIterator[RetrieveResponse]:
        """Pending responses in time until the work is done; passes on C-CANCEL and the time limit."""
        loop = asyncio.get_running_loop()
        cancelled = asyncio.ensure_future(request.cancelled.wait())
        cancelled.add_done_callback(lambda _: transfer.stop())
        next_report, reported = loop.time() + self._settings.interval, 0
        try:
            while not work.done():
                changed: asyncio.Future[Any] = asyncio.ensure_future(progress.changed.wait())
                wait = max(0.0, min(next_report, deadline) - loop.time())
                await asyncio.wait({work, changed}, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                progress.changed.clear()
                if loop.time() >= deadline:
                    return
                if loop.time() >= next_report or progress.done - reported >= self._settings.report_every:
                    next_report, reported = loop.time() + self._settings.interval, progress.done
                    yield RetrieveResponse(Status(PENDING), progress.counters)
        finally:
            cancelled.cancel()
        work.result()

    def _final(
        self, request: QueryRequest, transfer: Transfer, progress: Progress, *, expired: bool
    ) -> RetrieveResponse:
        """The final response by the table of ROUTER-084."""
        remaining = progress.counters.remaining
        if remaining and request.cancelled.is_set():
            status = Status(CANCELLED)
        else:
            progress.fail_rest()
            status = _outcome(transfer, progress)
            if expired and remaining:
                status = Status(_TIME_LIMIT, "the time limit of the retrieval is exceeded")
        counters = progress.counters
        _LOG.info(
            "retrieval for %s ends with %s: %d completed, %d failed, %d warning, %d remaining",
            request.peer.calling_ae,
            status,
            counters.completed,
            counters.failed,
            counters.warning,
            counters.remaining,
        )
        return RetrieveResponse(status, counters, tuple(progress.failed_uids))


def _outcome(transfer: Transfer, progress: Progress) -> Status:
    kept = progress.completed + progress.warning
    if not progress.failed_uids and not progress.warning:
        return Status(SUCCESS)
    if kept:
        return Status(SUB_OPERATIONS_WITH_FAILURES, "some sub-operations failed or gave a warning")
    if isinstance(transfer.ended_by, CloudUnauthorised):
        return Status(NOT_AUTHORISED, "the cloud refuses the router's authorisation")
    return Status(OUT_OF_RESOURCES_SUB_OPERATIONS, str(transfer.ended_by or "all sub-operations failed"))


def _closing(generator: AsyncIterator[Any]) -> Any:
    return aclosing(cast("Any", generator))
