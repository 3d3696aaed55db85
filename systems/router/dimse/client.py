"""Outgoing associations: C-ECHO, C-STORE, C-FIND and C-MOVE as the requester."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from systems.router.dimse import command as commands
from systems.router.dimse import command_sets, pdu
from systems.router.dimse import identifier as identifiers
from systems.router.dimse.connecting import establish
from systems.router.dimse.connection import Connection
from systems.router.dimse.errors import ContextNotAccepted, DimseError, NoAnswer
from systems.router.dimse.requesting import (
    RunningQuery,
    next_response,
    send_event_report,
    send_request,
    send_store,
    status_of,
)
from systems.router.dimse.service import RetrieveResponse
from systems.router.dimse.settings import AcceptedContext, ClientTimeouts, ProposedContext
from systems.router.dimse.status import Status
from systems.router.dimse.uids import VERIFICATION

if TYPE_CHECKING:
    from pydicom import Dataset


class Association:
    """An association we asked for. One operation at a time; later callers wait their turn."""

    def __init__(
        self, connection: Connection, accepted: Sequence[AcceptedContext], timeouts: ClientTimeouts
    ) -> None:
        self.accepted = tuple(accepted)
        self._connection = connection
        self._timeouts = timeouts
        self._turn = asyncio.Lock()
        self._message_id = 0

    @classmethod
    async def connect(
        cls,
        host: str,
        port: int,
        *,
        calling_ae: str,
        called_ae: str,
        contexts: Sequence[ProposedContext],
        timeouts: ClientTimeouts | None = None,
        tls: ssl.SSLContext | None = None,
        relational: Iterable[str] = (),
    ) -> Association:
        """Open a connection and negotiate; `relational` are SOP classes to ask relational queries for.

        Raises:
            ValueError: for more than 128 contexts (see `planning.plan_contexts`).
            AssociationRefused: when there is no connection.
            AssociationRejected: when the peer rejects the association.
            AssociationTimedOut: when the peer does not answer in time.
            AssociationAborted: when the peer aborts instead of answering.

        """
        timeouts = timeouts or ClientTimeouts()
        connection, accepted = await establish(
            host,
            port,
            calling_ae=calling_ae,
            called_ae=called_ae,
            contexts=contexts,
            timeouts=timeouts,
            tls=tls,
            relational=relational,
        )
        return cls(connection, accepted, timeouts)

    @property
    def alive(self) -> bool:
        """Whether the association still stands, as far as this side knows; a release of the peer ends it."""
        if self._connection.failure is None and len(self._connection.requests):
            self._connection.finish(pdu.release_response())
        return self._connection.failure is None

    def context_for(self, sop_class_uid: str, transfer_syntax_uid: str | None = None) -> AcceptedContext:
        """The accepted context for a SOP class, in exactly this transfer syntax when one is given.

        Raises:
            ContextNotAccepted: when there is none.

        """
        for context in self.accepted:
            if context.abstract_syntax == sop_class_uid and transfer_syntax_uid in {
                None,
                context.transfer_syntax,
            }:
                return context
        raise ContextNotAccepted(sop_class_uid, transfer_syntax_uid or "")

    def _next_message_id(self) -> int:
        self._message_id = self._message_id % 0xFFFF + 1
        return self._message_id

    async def c_echo(self) -> Status:
        """Verify the peer.

        Raises:
            ContextNotAccepted: when the peer does not offer Verification.
            NoAnswer: when no usable response came.

        """
        context = self.context_for(VERIFICATION)
        async with self._turn:
            message_id = self._next_message_id()
            mailbox = self._connection.responses(message_id)
            done = False
            try:
                request = command_sets.echo_request(message_id, VERIFICATION)
                await send_request(self._connection, context.context_id, request, None, self._timeouts.dimse)
                status = status_of((await next_response(mailbox, self._timeouts.dimse)).command)
                done = True
                return status
            finally:
                self._connection.forget(message_id)
                if not done:
                    self.abort()

    async def c_store(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        transfer_syntax_uid: str,
        data: bytes | memoryview | AsyncIterable[bytes | memoryview],
        *,
        move_originator: tuple[str, int] | None = None,
    ) -> Status:
        """Send an object: `data` is the data set in `transfer_syntax_uid`, without group 0002.

        After `NoAnswer` the association is aborted, because a late response would be taken for another one. When `data`
        is an iterable that fails, the association is aborted too and the error passes through.

        Raises:
            ContextNotAccepted: when the peer does not take this SOP class in this transfer syntax.
            NoAnswer: when no usable response came; the peer may hold the object or not.

        """
        context = self.context_for(sop_class_uid, transfer_syntax_uid)
        async with self._turn:
            done = False
            try:
                status = await send_store(
                    self._connection,
                    context.context_id,
                    self._next_message_id(),
                    sop_class_uid,
                    sop_instance_uid,
                    data,
                    move_originator=move_originator,
                    within=self._timeouts.dimse,
                )
                done = True
                return status
            finally:
                if not done:
                    self.abort()

    async def c_find(
        self, sop_class_uid: str, identifier: Dataset
    ) -> AsyncIterator[tuple[Status, Dataset | None]]:
        """Query: yields (status, identifier) for each pending response and (status, None) at last.

        Closing the iteration early (`contextlib.aclosing`) sends C-CANCEL and waits for the final response.

        Raises:
            ContextNotAccepted: when the peer does not offer this SOP class.
            IdentifierError: when an identifier cannot be encoded or decoded.
            NoAnswer: when the responses end without a final one; the association is aborted then.

        """
        async with self._query(commands.C_FIND_RQ, sop_class_uid, identifier) as running:
            while (response := await running.next()) is not None:
                yield response.status, response.identifier if response.status.is_pending else None

    async def c_move(
        self, sop_class_uid: str, identifier: Dataset, destination: str
    ) -> AsyncIterator[RetrieveResponse]:
        """Ask the peer to send objects to `destination`: yields each response, the final one last.

        Closing the iteration early sends C-CANCEL. Raises as `c_find`.
        """
        async with self._query(commands.C_MOVE_RQ, sop_class_uid, identifier, destination) as running:
            while (response := await running.next()) is not None:
                failed = (
                    None
                    if response.identifier is None
                    else response.identifier.get("FailedSOPInstanceUIDList")
                )
                uids = (
                    ()
                    if not failed
                    else (str(failed),)
                    if isinstance(failed, str)
                    else tuple(map(str, failed))
                )
                yield RetrieveResponse(response.status, response.command.sub_operations, uids)

    async def n_event_report(
        self, sop_class_uid: str, sop_instance_uid: str, event_type_id: int, information: Dataset
    ) -> Status:
        """Report an event about an instance.

        Raises:
            ContextNotAccepted: when the peer does not take this SOP class.
            IdentifierError: when the information cannot be encoded.
            NoAnswer: when no usable response came.

        """
        context = self.context_for(sop_class_uid)
        data = identifiers.encode(information, context.transfer_syntax)
        async with self._turn:
            instance = (sop_class_uid, sop_instance_uid)
            return await send_event_report(
                self._connection,
                context.context_id,
                self._next_message_id(),
                instance,
                event_type_id,
                data,
                within=self._timeouts.dimse,
            )

    @asynccontextmanager
    async def _query(
        self, field: int, sop_class_uid: str, identifier: Dataset, destination: str = ""
    ) -> AsyncIterator[RunningQuery]:
        context = self.context_for(sop_class_uid)
        data = identifiers.encode(identifier, context.transfer_syntax)
        async with self._turn:
            message_id = self._next_message_id()
            request = command_sets.query_request(field, message_id, sop_class_uid, destination)
            running = RunningQuery(self._connection, context, message_id, self._timeouts.dimse)
            try:
                await running.start(request, data)
                yield running
            except NoAnswer:
                self.abort()
                raise
            finally:
                try:
                    await running.cancel()
                except NoAnswer:
                    self.abort()
                self._connection.forget(message_id)

    async def release(self) -> None:
        """End the association in good order; a peer that does not answer is not waited for long."""
        connection = self._connection
        if not self.alive:
            return
        async with self._turn:
            connection.expected = frozenset({pdu.RELEASE_RP, pdu.RELEASE_RQ})
            try:
                connection.out.write(pdu.release_request())
                async with asyncio.timeout(self._timeouts.association):
                    await connection.control.get()
            except (DimseError, TimeoutError):
                connection.abort(pdu.BY_SERVICE_USER)
            else:
                connection.close()

    def abort(self) -> None:
        """End the association at once."""
        self._connection.abort(pdu.BY_SERVICE_USER)
