"""C-FIND, C-MOVE and C-GET of an accepted association: from the identifier to the final response."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from systems.router.dimse import command as commands
from systems.router.dimse import identifier as identifiers
from systems.router.dimse.connection import Connection
from systems.router.dimse.errors import ContextNotAccepted
from systems.router.dimse.exchange import Exchange
from systems.router.dimse.negotiation import Negotiated
from systems.router.dimse.requesting import send_store
from systems.router.dimse.service import (
    DataSet,
    FindRequest,
    GetRequest,
    Handler,
    MoveRequest,
    Peer,
    QueryRequest,
    RetrieveResponse,
)
from systems.router.dimse.status import DATA_SET_MISMATCH, Status
from systems.router.dimse.uids import MODALITY_WORKLIST_FIND, QUERY_RETRIEVE_CLASSES

if TYPE_CHECKING:
    from pydicom import Dataset

_SUB_OPERATION_TIMEOUT: Final = 60.0
_FIRST_SUB_OPERATION_ID: Final = 1
_QUERY_CLASSES: Final = QUERY_RETRIEVE_CLASSES | {MODALITY_WORKLIST_FIND}

T = TypeVar("T")


def _closing(iterator: AsyncIterator[T]) -> AbstractAsyncContextManager[AsyncIterator[T]]:
    """Close a handler's generator at once when the loop over it is left, not when it is collected."""
    return cast("AbstractAsyncContextManager[AsyncIterator[T]]", aclosing(cast("Any", iterator)))


class Queries:
    """Runs the query and retrieve operations of one association; knows the running one for C-CANCEL."""

    def __init__(self, connection: Connection, peer: Peer, negotiated: Negotiated, handler: Handler) -> None:
        self._connection = connection
        self._peer = peer
        self._negotiated = negotiated
        self._handler = handler
        self._current: QueryRequest | None = None
        self._next_message_id = _FIRST_SUB_OPERATION_ID
        classes = {context.abstract_syntax for context in negotiated.contexts.values()}
        # Kept, because the loop itself holds only a weak reference to a task.
        self._preparing = (
            asyncio.ensure_future(handler.prepare_queries()) if classes & _QUERY_CLASSES else None
        )
        connection.on_cancel = self._cancel
        connection.on_lost = self._lost

    def _cancel(self, message_id: int) -> None:
        if self._current is not None and self._current.message_id == message_id:
            self._current.cancelled.set()

    def _lost(self) -> None:
        if self._current is not None:
            self._current.requester_gone = True
            self._current.cancelled.set()

    async def run(self, exchange: Exchange) -> None:
        """Answer one C-FIND, C-MOVE or C-GET.

        Raises:
            DimseError: when the association ends under it.

        """
        data = exchange.message.data
        if data is None:
            await exchange.finish(Status(DATA_SET_MISMATCH, "the request has no identifier"))
            return
        raw = await data.read(identifiers.LARGEST_IDENTIFIER)
        await self._handler.prepare_queries()
        try:
            identifier = identifiers.decode(raw, exchange.context.transfer_syntax)
        except identifiers.IdentifierError as error:
            await exchange.finish(Status(DATA_SET_MISMATCH, str(error)))
            return
        try:
            await self._answer(exchange, identifier)
        finally:
            self._current = None

    async def _answer(self, exchange: Exchange, identifier: Dataset) -> None:
        command = exchange.message.command
        sop_class = exchange.context.abstract_syntax
        relational = sop_class in self._negotiated.relational
        common = (self._peer, command.message_id, sop_class, identifier, relational)
        if command.field == commands.C_FIND_RQ:
            find = self._current = FindRequest(*common)
            await self._find(exchange, find)
        elif command.field == commands.C_MOVE_RQ:
            move = self._current = MoveRequest(*common, destination=command.move_destination)
            await self._retrieve(exchange, self._handler.move(move))
        else:
            get = self._current = GetRequest(*common, send=self._send_instance)
            await self._retrieve(exchange, self._handler.get(get))

    async def _find(self, exchange: Exchange, request: FindRequest) -> None:
        async with _closing(self._handler.find(request)) as responses:
            async for response in responses:
                if not response.status.is_pending:
                    await exchange.finish(response.status)
                    return
                await exchange.pending(response.status, identifier=response.identifier or identifiers.empty())
                # Lets a C-CANCEL in between responses that are ready at once.
                await asyncio.sleep(0)

    async def _retrieve(self, exchange: Exchange, responses: AsyncIterator[RetrieveResponse]) -> None:
        async with _closing(responses) as each:
            async for response in each:
                if not response.status.is_pending:
                    await exchange.finish(
                        response.status, counters=response.counters, failed_uids=response.failed_uids
                    )
                    return
                await exchange.pending(response.status, counters=response.counters)

    async def _send_instance(
        self, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, data: DataSet
    ) -> Status:
        """The C-STORE sub-operation of C-GET: the roles are swapped, the association is the same."""
        context = next(
            (
                context
                for context in self._negotiated.contexts.values()
                if context.abstract_syntax == sop_class_uid
                and context.transfer_syntax == transfer_syntax_uid
                and sop_class_uid in self._negotiated.scp_roles
            ),
            None,
        )
        if context is None:
            raise ContextNotAccepted(sop_class_uid, transfer_syntax_uid)
        message_id = self._next_message_id
        self._next_message_id = message_id % 0xFFFF + 1
        return await send_store(
            self._connection,
            context.context_id,
            message_id,
            sop_class_uid,
            sop_instance_uid,
            data,
            move_originator=None,
            within=_SUB_OPERATION_TIMEOUT,
        )
