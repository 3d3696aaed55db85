"""The acceptor's side of one association: negotiation, then one operation after the other until the end."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from systems.router.dimse import associate, negotiation, pdu
from systems.router.dimse.connection import Connection
from systems.router.dimse.errors import AssociationAborted, DimseError, ProtocolError
from systems.router.dimse.measures import Measures
from systems.router.dimse.operations import Operations
from systems.router.dimse.service import Handler, Peer
from systems.router.dimse.settings import DimseSettings

_LOG: Final = logging.getLogger("router.dimse")
_TICKS_PER_TIMEOUT: Final = 4


class AcceptedAssociation:
    """Runs an association from its first byte to its last."""

    def __init__(
        self,
        association_id: int,
        connection: Connection,
        settings: DimseSettings,
        handler: Handler,
        has_room: Callable[[], bool],
        measures: Measures,
    ) -> None:
        self.established = False
        self._id = association_id
        self._connection = connection
        self._settings = settings
        self._handler = handler
        self._has_room = has_room
        self._measures = measures
        self._operations: Operations | None = None
        self._stopping = False

    async def run(self) -> None:
        """Serve until the association ends; raises nothing but cancellation and defects of this package."""
        try:
            operations = await self._negotiate()
            if operations is not None:
                await self._serve(operations)
        except DimseError as error:
            _LOG.info("association %d ended: %s", self._id, error)
            if isinstance(error, ProtocolError):
                self._connection.abort(pdu.BY_SERVICE_PROVIDER, error.reason, error)
        finally:
            self.established = False
            # After a release or a rejection this changes nothing: the connection has ended already.
            self._connection.abort(pdu.BY_SERVICE_USER)

    async def _negotiate(self) -> Operations | None:
        """Answer the association request; None when it was rejected."""
        connection = self._connection
        try:
            async with asyncio.timeout(self._settings.association_timeout):
                _, body = await connection.control.get()
        except TimeoutError as error:
            message = f"no association request within {self._settings.association_timeout:g} s"
            raise AssociationAborted(message) from error
        request = associate.decode(body)
        host, port = connection.address
        rejection = negotiation.check(self._settings, request, host)
        if rejection is None and not self._has_room():
            rejection = negotiation.LOCAL_LIMIT_EXCEEDED
        if rejection is not None:
            _LOG.warning(
                "association %d from %s (%s) to %s rejected with %d/%d/%d",
                self._id,
                request.calling_ae,
                host,
                request.called_ae,
                rejection.result,
                rejection.source,
                rejection.reason,
            )
            self._measures.associations["rejected"] += 1
            connection.finish(pdu.associate_reject(rejection.result, rejection.source, rejection.reason))
            return None
        answer, negotiated = negotiation.negotiate(self._settings, request)
        connection.use(negotiated.contexts, negotiated.peer_max_pdu)
        connection.out.write(pdu.framed(pdu.ASSOCIATE_AC, associate.encode(answer, accept=True)))
        self.established = True
        self._measures.associations["accepted"] += 1
        peer = Peer(self._id, request.calling_ae, request.called_ae, host, port)
        _LOG.info(
            "association %d from %s (%s): %d of %d contexts accepted",
            self._id,
            peer.calling_ae,
            host,
            len(negotiated.contexts),
            len(request.contexts),
        )
        return Operations(
            connection, peer, negotiated, self._handler, self._settings.idle_timeout, self._measures
        )

    async def _serve(self, operations: Operations) -> None:
        self._operations = operations
        watchdog = asyncio.get_running_loop().call_later(self._tick, self._watch)
        try:
            while not self._stopping:
                message = await self._connection.requests.get()
                if message is None:
                    self._connection.finish(pdu.release_response())
                    _LOG.info("association %d released", self._id)
                    return
                await operations.run(message)
        finally:
            watchdog.cancel()
            self._operations = None

    @property
    def _tick(self) -> float:
        return self._settings.idle_timeout / _TICKS_PER_TIMEOUT

    def _watch(self) -> None:
        """Abort when we wait for the peer and it has been silent for the idle time (ROUTER-029)."""
        operations, connection = self._operations, self._connection
        if operations is None or connection.failure is not None:
            return
        loop = asyncio.get_running_loop()
        since = max(connection.last_received, connection.waiting_since)
        if operations.waits_for_peer and loop.time() - since >= self._settings.idle_timeout:
            silent = AssociationAborted(f"the peer was silent for {self._settings.idle_timeout:g} s")
            connection.abort(pdu.BY_SERVICE_USER, 0, silent)
            return
        loop.call_later(self._tick, self._watch)

    def stop_after_operation(self) -> None:
        """End the association: now when it is idle, else after the response of the running operation."""
        self._stopping = True
        if self._operations is None or not self._operations.running:
            self._connection.abort(
                pdu.BY_SERVICE_USER, 0, AssociationAborted("the listener has been stopped")
            )
