"""One received request and its responses: any number of pending ones and exactly one final one (ROUTER-048)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from systems.router.dimse import command_sets
from systems.router.dimse import identifier as identifiers
from systems.router.dimse.connection import Connection, Message
from systems.router.dimse.service import SubOperations
from systems.router.dimse.settings import AcceptedContext
from systems.router.dimse.status import Status

if TYPE_CHECKING:
    from pydicom import Dataset

LARGEST_COUNTER: Final = 0xFFFF


class Exchange:
    """What is said about one request; `answered` once the final response has been written."""

    def __init__(
        self, connection: Connection, message: Message, context: AcceptedContext, write_timeout: float
    ) -> None:
        self.answered = False
        self.final: Status | None = None
        self.message = message
        self.context = context
        self._connection = connection
        self._write_timeout = write_timeout

    async def pending(
        self, status: Status, *, identifier: Dataset | None = None, counters: SubOperations | None = None
    ) -> None:
        """Send a pending response.

        Raises:
            IdentifierError: when the identifier cannot be encoded.
            DimseError: when the association has ended.

        """
        data = None if identifier is None else identifiers.encode(identifier, self.context.transfer_syntax)
        await self._send(status, data, counters)

    async def finish(
        self, status: Status, *, counters: SubOperations | None = None, failed_uids: tuple[str, ...] = ()
    ) -> None:
        """Send the final response, after the whole request has arrived; a second final response is dropped.

        Raises:
            DimseError: when the association has ended.

        """
        if self.answered:
            return
        if self.message.data is not None:
            await self.message.data.discard()
        self.answered = True
        self.final = status
        data = None
        if failed_uids:
            identifier = identifiers.empty()
            identifier.FailedSOPInstanceUIDList = list(failed_uids)
            data = identifiers.encode(identifier, self.context.transfer_syntax)
        await self._send(status, data, counters)

    async def _send(self, status: Status, data: bytes | None, counters: SubOperations | None) -> None:
        response = command_sets.response(
            self.message.command, status, has_data_set=data is not None, counters=_fitting(counters)
        )
        await self._connection.out.send(self.context.context_id, response, data, self._write_timeout)


def _fitting(counters: SubOperations | None) -> SubOperations | None:
    """Counters are 16-bit on the wire; more than 65535 sub-operations are reported as 65535."""
    if counters is None:
        return None
    return SubOperations(
        min(counters.remaining, LARGEST_COUNTER),
        min(counters.completed, LARGEST_COUNTER),
        min(counters.failed, LARGEST_COUNTER),
        min(counters.warning, LARGEST_COUNTER),
    )
