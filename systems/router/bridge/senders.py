"""Where the sub-operations of C-MOVE and C-GET go (ROUTER-087, ROUTER-090)."""

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack, aclosing
from typing import Any, Protocol, cast

from pydicom import Dataset

from systems.router.bridge.retrieved import InstanceReference, RetrievedInstance
from systems.router.dimse.client import Association
from systems.router.dimse.errors import ContextNotAccepted, DimseError, NoAnswer
from systems.router.dimse.planning import MOST_CONTEXTS, contexts_for
from systems.router.dimse.pool import AssociationPool, Destination
from systems.router.dimse.service import GetRequest
from systems.router.dimse.settings import ProposedContext
from systems.router.dimse.status import Status
from systems.router.dimse.uids import STUDY_ROOT_FIND


class DestinationLost(Exception):  # noqa: N818 - named for what happened
    """No association with the destination can be had: the retrieval ends."""


class Sender(Protocol):
    """Takes checked instances to where they are wanted."""

    async def send(self, instance: RetrievedInstance) -> Status:
        """Send one; calls wait their turn.

        Raises:
            ContextNotAccepted: when the receiver does not take it as it is stored.
            NoAnswer: when the outcome is unknown.
            DestinationLost: when there is no receiver any more.

        """
        ...

    async def holds(self, reference: InstanceReference) -> bool:
        """Whether the receiver says that it has the instance."""
        ...

    async def close(self) -> None:
        """Give back what is borrowed."""
        ...


class MoveSender:
    """Sends to a destination of the table on one association, renegotiated when a new encoding turns up."""

    def __init__(
        self,
        pool: AssociationPool,
        destination: Destination,
        sop_classes: Iterable[str],
        originator: tuple[str, int],
    ) -> None:
        self._pool = pool
        self._destination = destination
        self._originator = originator
        self._syntaxes: dict[str, dict[str, None]] = {uid: {} for uid in sop_classes if uid}
        self._stack = AsyncExitStack()
        self._association: Association | None = None
        self._proposed: frozenset[ProposedContext] = frozenset()
        self._turn = asyncio.Lock()

    async def send(self, instance: RetrievedInstance) -> Status:
        """See `Sender`."""
        async with self._turn:
            association = await self._ready_for(instance)
            try:
                return await association.c_store(
                    instance.sop_class_uid,
                    instance.reference.sop_instance_uid,
                    instance.transfer_syntax_uid,
                    instance.data,
                    move_originator=self._originator,
                )
            except NoAnswer:
                await self._drop()
                raise

    async def _ready_for(self, instance: RetrievedInstance) -> Association:
        wanted = ProposedContext(instance.sop_class_uid, (instance.transfer_syntax_uid,))
        if self._association is not None and self._association.alive and wanted in self._proposed:
            return self._association
        await self._give_back()
        self._syntaxes.setdefault(instance.sop_class_uid, {})[instance.transfer_syntax_uid] = None
        contexts = self._contexts(instance.sop_class_uid)
        try:
            self._association = await self._stack.enter_async_context(
                self._pool.association(self._destination, contexts)
            )
        except DimseError as error:
            message = f"no association with {self._destination.ae_title}: {error}"
            raise DestinationLost(message) from error
        self._proposed = frozenset(contexts)
        return self._association

    def _contexts(self, first: str) -> list[ProposedContext]:
        """Those of the present SOP class always, of the others as many as fit one association."""
        contexts = contexts_for(first, self._syntaxes[first])[:MOST_CONTEXTS]
        for sop_class, syntaxes in self._syntaxes.items():
            more = contexts_for(sop_class, syntaxes)
            if sop_class != first and len(contexts) + len(more) <= MOST_CONTEXTS:
                contexts += more
        return contexts

    async def holds(self, reference: InstanceReference) -> bool:
        """Ask the destination by C-FIND; no answer is no."""
        keys = Dataset()
        keys.QueryRetrieveLevel = "IMAGE"
        keys.StudyInstanceUID = reference.study_instance_uid
        keys.SeriesInstanceUID = reference.series_instance_uid
        keys.SOPInstanceUID = reference.sop_instance_uid
        try:
            async with self._pool.association(
                self._destination, [ProposedContext(STUDY_ROOT_FIND)]
            ) as association:
                found = False
                async with aclosing(cast("Any", association.c_find(STUDY_ROOT_FIND, keys))) as responses:
                    async for status, match in responses:
                        if match is not None and match.get("SOPInstanceUID") == reference.sop_instance_uid:
                            found = True
                        if not status.is_pending:
                            return found and bool(status.is_success)
        except DimseError:
            return False
        return False

    async def _drop(self) -> None:
        if self._association is not None:
            self._association.abort()
        await self._give_back()

    async def _give_back(self) -> None:
        self._association = None
        await self._stack.aclose()

    async def close(self) -> None:
        """Return the association to the pool."""
        async with self._turn:
            await self._give_back()


class GetSender:
    """Sends back on the association of the C-GET request."""

    def __init__(self, request: GetRequest) -> None:
        self._request = request
        self._turn = asyncio.Lock()

    async def send(self, instance: RetrievedInstance) -> Status:
        """See `Sender`."""
        async with self._turn:
            try:
                return await self._request.send(
                    instance.sop_class_uid,
                    instance.reference.sop_instance_uid,
                    instance.transfer_syntax_uid,
                    instance.data,
                )
            except (ContextNotAccepted, NoAnswer):
                raise
            except DimseError as error:
                message = f"the requester left: {error}"
                raise DestinationLost(message) from error

    async def holds(self, reference: InstanceReference) -> bool:  # noqa: ARG002
        """The requester offers no query: unknown counts as no."""
        return False

    async def close(self) -> None:
        """Nothing is borrowed."""
