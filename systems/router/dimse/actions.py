"""N-ACTION of an accepted association, and the N-EVENT-REPORT that may follow on it (PS3.7 sections 10.1.1, 10.1.4)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from systems.router.dimse import identifier as identifiers
from systems.router.dimse.connection import Connection
from systems.router.dimse.errors import AssociationAborted
from systems.router.dimse.exchange import Exchange
from systems.router.dimse.requesting import send_event_report
from systems.router.dimse.service import ActionRequest, Handler, Peer
from systems.router.dimse.status import DATA_SET_MISMATCH, Status

if TYPE_CHECKING:
    from pydicom import Dataset

_WITHIN: Final = 30.0
# Apart from those of C-GET sub-operations on the same association.
_FIRST_MESSAGE_ID: Final = 0x8000


class Actions:
    """Runs the N-ACTION operations of one association."""

    def __init__(self, connection: Connection, peer: Peer, handler: Handler) -> None:
        self._connection = connection
        self._peer = peer
        self._handler = handler
        self._message_id = _FIRST_MESSAGE_ID
        self._turn = asyncio.Lock()

    async def run(self, exchange: Exchange) -> None:
        """Answer one N-ACTION.

        Raises:
            DimseError: when the association ends under it.

        """
        command, data = exchange.message.command, exchange.message.data
        if data is None:
            await exchange.finish(Status(DATA_SET_MISMATCH, "the request has no action information"))
            return
        raw = await data.read(identifiers.LARGEST_IDENTIFIER)
        await identifiers.load()
        try:
            information = identifiers.decode(raw, exchange.context.transfer_syntax)
        except identifiers.IdentifierError as error:
            await exchange.finish(Status(DATA_SET_MISMATCH, str(error)))
            return
        answered = asyncio.Event()
        sop_class, context_id = exchange.context.abstract_syntax, exchange.context.context_id

        async def tell(event_type_id: int, report: Dataset) -> Status:
            await answered.wait()
            if self._connection.failure is not None:
                message = "the association of the request has ended"
                raise AssociationAborted(message)
            async with self._turn:
                self._message_id = self._message_id % 0xFFFF + 1
                return await send_event_report(
                    self._connection,
                    context_id,
                    self._message_id,
                    (sop_class, command.requested_instance_uid),
                    event_type_id,
                    identifiers.encode(report, exchange.context.transfer_syntax),
                    within=_WITHIN,
                )

        request = ActionRequest(
            self._peer,
            command.message_id,
            sop_class,
            command.requested_instance_uid,
            command.action_type_id,
            information,
            tell,
        )
        try:
            await exchange.finish(await self._handler.act(request))
        finally:
            answered.set()
