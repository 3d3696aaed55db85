"""Runs the DIMSE operations of an accepted association, one at a time (window 1), each with one final response."""

import logging
import time
import traceback
from typing import Final

from systems.router.dimse import command as commands
from systems.router.dimse.actions import Actions
from systems.router.dimse.connection import Connection, Message
from systems.router.dimse.errors import DimseError
from systems.router.dimse.exchange import Exchange
from systems.router.dimse.measures import Measures
from systems.router.dimse.negotiation import Negotiated
from systems.router.dimse.queries import Queries
from systems.router.dimse.service import Handler, Peer, StoreRequest
from systems.router.dimse.status import (
    CANNOT_UNDERSTAND,
    DATA_SET_MISMATCH,
    SOP_CLASS_NOT_SUPPORTED,
    UNRECOGNISED_OPERATION,
    Status,
)
from systems.router.dimse.uids import (
    FIND_CLASSES,
    GET_CLASSES,
    MODALITY_WORKLIST_FIND,
    MOVE_CLASSES,
    QUERY_RETRIEVE_CLASSES,
    STORAGE_COMMITMENT,
    VERIFICATION,
)

_LOG: Final = logging.getLogger("router.dimse")
_UNABLE_TO_PROCESS: Final = 0xC001

_QUERY_CONTEXTS: Final = {
    commands.C_FIND_RQ: FIND_CLASSES | {MODALITY_WORKLIST_FIND},
    commands.C_MOVE_RQ: MOVE_CLASSES,
    commands.C_GET_RQ: GET_CLASSES,
}
_NOT_STORAGE: Final = QUERY_RETRIEVE_CLASSES | {VERIFICATION, MODALITY_WORKLIST_FIND, STORAGE_COMMITMENT}


def where(error: BaseException) -> str:
    """The type of an error and the line it came from; its text may hold patient data and stays out of logs."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {frames[-1].name}, line {frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"


class Operations:
    """The operations of one association."""

    def __init__(
        self,
        connection: Connection,
        peer: Peer,
        negotiated: Negotiated,
        handler: Handler,
        write_timeout: float,
        measures: Measures,
    ) -> None:
        self.running = False
        self._connection = connection
        self._peer = peer
        self._contexts = negotiated.contexts
        self._handler = handler
        self._write_timeout = write_timeout
        self._measures = measures
        self._queries = Queries(connection, peer, negotiated, handler)
        self._actions = Actions(connection, peer, handler)
        self._receiving: Message | None = None

    @property
    def waits_for_peer(self) -> bool:
        """Whether silence of the peer is what keeps this association from going on."""
        message = self._receiving
        return message is None or (message.data is not None and not message.data.complete)

    async def run(self, message: Message) -> None:
        """Carry out one request and answer it, whatever the handler does (ROUTER-048).

        Raises:
            DimseError: when the association ends under it.

        """
        exchange = Exchange(
            self._connection, message, self._contexts[message.context_id], self._write_timeout
        )
        self.running, self._receiving = True, message
        began = time.monotonic()
        try:
            await self._attempt(exchange)
            # A handler that failed or came to no final status has not answered yet.
            code = CANNOT_UNDERSTAND if message.command.field == commands.C_STORE_RQ else _UNABLE_TO_PROCESS
            await exchange.finish(Status(code, "internal error of the router"))
        finally:
            self.running, self._receiving = False, None
            if exchange.final is not None:
                seconds = time.monotonic() - began
                self._measures.answered(message.command.field, exchange.final.code, seconds)

    async def _attempt(self, exchange: Exchange) -> None:
        try:
            await self._carry_out(exchange)
        except Exception as error:
            # Whatever a handler raises, the peer gets an answer; the end of the association is for the caller.
            if self._connection.failure is not None and isinstance(error, DimseError):
                raise
            _LOG.error("association %d: the handler failed: %s", self._peer.association_id, where(error))

    async def _carry_out(self, exchange: Exchange) -> None:
        field, abstract_syntax = exchange.message.command.field, exchange.context.abstract_syntax
        if field == commands.C_STORE_RQ and abstract_syntax not in _NOT_STORAGE:
            await exchange.finish(await self._store(exchange))
        elif field == commands.C_ECHO_RQ and abstract_syntax == VERIFICATION:
            await exchange.finish(await self._handler.echo(self._peer))
        elif field == commands.N_ACTION_RQ and abstract_syntax == STORAGE_COMMITMENT:
            await self._actions.run(exchange)
        elif abstract_syntax in _QUERY_CONTEXTS.get(field, ()):
            await self._queries.run(exchange)
        else:
            _LOG.warning(
                "association %d: no operation %04X on this context", self._peer.association_id, field
            )
            await exchange.finish(Status(UNRECOGNISED_OPERATION, "operation not supported on this context"))

    async def _store(self, exchange: Exchange) -> Status:
        command, data = exchange.message.command, exchange.message.data
        if command.sop_class_uid != exchange.context.abstract_syntax:
            return Status(SOP_CLASS_NOT_SUPPORTED, "SOP class differs from the presentation context")
        if data is None or not command.sop_instance_uid:
            return Status(DATA_SET_MISMATCH, "no data set or no SOP Instance UID")
        return await self._handler.store(
            StoreRequest(
                peer=self._peer,
                message_id=command.message_id,
                sop_class_uid=command.sop_class_uid,
                sop_instance_uid=command.sop_instance_uid,
                transfer_syntax_uid=exchange.context.transfer_syntax,
                data=data,
                move_originator_ae=command.move_originator,
                move_originator_message_id=command.move_originator_id,
            )
        )
