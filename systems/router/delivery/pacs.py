"""Carries queued objects to a DIMSE peer by C-STORE."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

from systems.router.config.limit_values import Timers
from systems.router.config.model import PacsBridge, Peer
from systems.router.delivery.attempt import Attempt, is_away
from systems.router.delivery.blocking import in_thread
from systems.router.dimse import identifier as identifiers
from systems.router.dimse.client import Association
from systems.router.dimse.errors import ContextNotAccepted, DimseError, NoAnswer
from systems.router.dimse.planning import plan_contexts
from systems.router.dimse.pool import AssociationPool
from systems.router.dimse.pool import Destination as DimseAddress
from systems.router.dimse.settings import ClientTimeouts, ProposedContext
from systems.router.dimse.status import Status
from systems.router.dimse.uids import STUDY_ROOT_FIND
from systems.router.errors import DamagedError
from systems.router.peers import peer_tls
from systems.router.store.arrivals import DAMAGED
from systems.router.store.model import Effect, Task
from systems.router.store.reading import data_set_offset
from systems.router.store.spool import Spool

BATCH_INSTANCES: Final = 32
BATCH_BYTES: Final = 64 << 20
_STREAMED_FROM: Final = 8 << 20
_DUPLICATE: Final = 0x0111
_SOP_CLASS_NOT_SUPPORTED: Final = 0x0122


class PacsCarrier:
    """Keeps associations open between objects; each object goes on a context of its own encoding (ROUTER-023, 024)."""

    def __init__(self, peer: Peer, bridge: PacsBridge, timers: Timers, spool: Spool) -> None:
        self._spool = spool
        self._pool = AssociationPool()
        self.reconfigure(peer, bridge, timers)

    def reconfigure(self, peer: Peer, bridge: PacsBridge, timers: Timers) -> None:
        """Call there like this from the next association on.

        Raises:
            ConfigError: the peer's certificate files cannot be used; nothing has changed then.

        """
        self._tls = peer_tls(peer)
        self._peer = peer
        self._bridge = bridge
        self._timeouts = ClientTimeouts(
            connect=timers.association_request_seconds,
            association=timers.association_request_seconds,
            dimse=timers.communication_seconds,
        )

    @property
    def batch_instances(self) -> int:
        """See `Carrier`."""
        return BATCH_INSTANCES

    @property
    def batch_bytes(self) -> int:
        """See `Carrier`."""
        return BATCH_BYTES

    async def close(self) -> None:
        """Release idle associations."""
        await self._pool.close()

    async def deliver(self, tasks: Sequence[Task]) -> list[Attempt]:
        """See `Carrier`. Objects go in order of arrival, per calling AE title and association."""
        attempts: list[Attempt] = []
        by_calling_ae: dict[str, list[Task]] = {}
        for task in tasks:
            calling = task.calling_ae if self._bridge.keep_calling_ae else self._bridge.calling_ae_title
            by_calling_ae.setdefault(calling, []).append(task)
        for calling, group in by_calling_ae.items():
            for contexts, some in _split(group):
                if is_away(attempts):
                    attempts += [Attempt(task, Effect.RETURNED, "") for task in some]
                else:
                    attempts += await self._deliver_on_one(calling, contexts, some)
        return attempts

    def _address(self, calling_ae: str) -> DimseAddress:
        peer = self._peer
        return DimseAddress(peer.ae_title, peer.host, peer.port, calling_ae, self._timeouts, self._tls)

    async def _deliver_on_one(
        self, calling_ae: str, contexts: list[ProposedContext], tasks: Sequence[Task]
    ) -> list[Attempt]:
        attempts: list[Attempt] = []
        try:
            async with self._pool.association(self._address(calling_ae), contexts) as association:
                for task in tasks:
                    attempts.append(await self._deliver_one(association, task))  # noqa: PERF401 - kept on error
        except NoAnswer as error:
            lost = tasks[len(attempts)]
            attempts.append(
                Attempt(
                    lost, Effect.OUTAGE, "no answer", str(error), uncertain=True, reached=True, suspect=True
                )
            )
        except DimseError as error:
            first = tasks[len(attempts)]
            attempts.append(Attempt(first, Effect.OUTAGE, "no association", str(error), first.uncertain))
        attempts += [Attempt(task, Effect.RETURNED, "") for task in tasks[len(attempts) :]]
        return attempts

    async def _deliver_one(self, association: Association, task: Task) -> Attempt:
        identity = task.identity
        if task.uncertain and await self._holds(task):
            return Attempt(task, Effect.DELIVERED, "found there")
        try:
            data = await self._data_set(task)
            status = await association.c_store(
                identity.sop_class_uid, identity.sop_instance_uid, identity.transfer_syntax_uid, data
            )
        except DamagedError as error:
            return Attempt(task, Effect.DEAD, DAMAGED, error.what)
        except ContextNotAccepted as error:
            return Attempt(task, Effect.DEAD, "not accepted", str(error))
        if status.code == _DUPLICATE and await self._holds(task):
            return Attempt(task, Effect.DELIVERED, "0111 found there")
        return judge(task, status)

    async def _data_set(self, task: Task) -> memoryview | AsyncIterator[bytes]:
        uid, location = task.identity.sop_instance_uid, task.location
        if location.length < _STREAMED_FROM:
            content = await asyncio.to_thread(self._spool.read, location, task.digest, uid)
            return memoryview(content)[data_set_offset(content) :]
        await asyncio.to_thread(self._spool.check, location, task.digest, uid)
        return _without_header(in_thread(lambda: self._spool.chunks(location, uid)))

    async def _holds(self, task: Task) -> bool:
        """Ask the peer for the instance by C-FIND (ROUTER-104). A peer that cannot be asked is taken not to hold it.

        Raises:
            DimseError: the peer does not answer.

        """
        identity = task.identity
        await identifiers.load()
        keys = identifiers.empty()
        keys.QueryRetrieveLevel = "IMAGE"
        keys.StudyInstanceUID = identity.study_instance_uid
        keys.SeriesInstanceUID = identity.series_instance_uid
        keys.SOPInstanceUID = identity.sop_instance_uid
        address = self._address(self._bridge.calling_ae_title)
        try:
            async with self._pool.association(address, [ProposedContext(STUDY_ROOT_FIND)]) as association:
                found = False
                async for _, match in association.c_find(STUDY_ROOT_FIND, keys):
                    uid = None if match is None else match.get("SOPInstanceUID")
                    found = found or uid == identity.sop_instance_uid
                return found
        except ContextNotAccepted:
            return False


def judge(task: Task, status: Status) -> Attempt:
    """From a C-STORE status to the queue's effect (ROUTER-087)."""
    text = f"{status.code:04X}"
    reason = status.comment or f"the peer answered {text}"
    if status.is_success or status.code in (0xB000, 0xB006, 0xB007):
        return Attempt(task, Effect.DELIVERED, text)
    if status.code & 0xFF00 == 0xA700:
        return Attempt(task, Effect.TRANSIENT, text, reason, reached=True)
    if status.code & 0xFF00 == 0xA900 or status.code == _SOP_CLASS_NOT_SUPPORTED:
        return Attempt(task, Effect.DEAD, text, reason)
    return Attempt(task, Effect.FAILED, text, reason)


def _split(tasks: Sequence[Task]) -> list[tuple[list[ProposedContext], list[Task]]]:
    """Contexts and tasks of each association needed; one is enough up to 128 contexts."""
    kinds = dict.fromkeys((task.identity.sop_class_uid, task.identity.transfer_syntax_uid) for task in tasks)
    groups: list[tuple[list[ProposedContext], list[Task]]] = []
    left = list(tasks)
    for contexts in plan_contexts(kinds):
        offered = {(context.abstract_syntax, *context.transfer_syntaxes) for context in contexts}
        mine = [t for t in left if (t.identity.sop_class_uid, t.identity.transfer_syntax_uid) in offered]
        left = [task for task in left if task not in mine]
        groups.append((contexts, mine))
    return [group for group in groups if group[1]]


async def _without_header(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    first = True
    async for chunk in chunks:
        yield chunk[data_set_offset(chunk) :] if first else chunk
        first = False
