"""Modality worklist queries of the intake, relayed to the RIS or PACS: nothing of them goes anywhere else (ROUTER-027)."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final, cast

from systems.router.config.model import Config, Peer
from systems.router.dimse.client import Association
from systems.router.dimse.errors import ContextNotAccepted, DimseError
from systems.router.dimse.identifier import IdentifierError
from systems.router.dimse.service import FindRequest, FindResponse
from systems.router.dimse.settings import ClientTimeouts, ProposedContext
from systems.router.dimse.status import CANCELLED, Status
from systems.router.dimse.uids import MODALITY_WORKLIST_FIND
from systems.router.peers import peer_tls

log = logging.getLogger(__name__)
_NOT_THERE: Final = 0xC101


class WorklistRelay:
    """Relays each query on an association of its own, and each response in order."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def reconfigure(self, config: Config) -> None:
        """Relay the next query by this configuration."""
        self._config = config

    async def prepare(self) -> None:
        """Nothing is needed but identifiers."""

    async def find(self, request: FindRequest) -> AsyncIterator[FindResponse]:
        """Pending responses and one final one, within the bound of the calling peer (ROUTER-048)."""
        bound = self._config.bound_for(request.peer.calling_ae)
        server = self._config.peer(self._config.worklist.peer)
        if server is None:  # taken out of the configuration since the association was negotiated
            yield FindResponse(Status(_NOT_THERE, "no worklist server is configured any more"))
            return
        try:
            async with asyncio.timeout(bound):
                association = await self._connect(server, bound)
        except (DimseError, TimeoutError) as error:
            log.warning("the worklist cannot be asked: %s", error or f"no association within {bound:g} s")
            yield FindResponse(Status(_NOT_THERE, "the worklist server cannot be reached"))
            return
        try:
            async with aclosing(cast("Any", self._relay(association, request, bound))) as responses:
                async for response in responses:
                    yield response
        finally:
            await association.release()

    async def _connect(self, peer: Peer, bound: float) -> Association:
        return await Association.connect(
            peer.host,
            peer.port,
            calling_ae=self._config.pacs_bridge.calling_ae_title,
            called_ae=peer.ae_title,
            contexts=[ProposedContext(MODALITY_WORKLIST_FIND)],
            # Silence of the worklist server ends before the modality's own patience does.
            timeouts=ClientTimeouts(bound, bound, bound),
            tls=peer_tls(peer),
        )

    async def _relay(
        self, association: Association, request: FindRequest, bound: float
    ) -> AsyncIterator[FindResponse]:
        try:
            query = association.c_find(MODALITY_WORKLIST_FIND, request.identifier)
            async with aclosing(cast("Any", query)) as responses:
                async for status, match in responses:
                    if request.cancelled.is_set() and status.is_pending:
                        # Leaving the loop sends C-CANCEL on.
                        yield FindResponse(Status(CANCELLED))
                        return
                    yield FindResponse(status, match)
        except ContextNotAccepted:
            yield FindResponse(Status(_NOT_THERE, "the worklist server takes no worklist queries"))
        except (DimseError, IdentifierError) as error:
            log.warning("a worklist query of association %d failed: %s", request.peer.association_id, error)
            yield FindResponse(Status(_NOT_THERE, f"the worklist server gave no answer within {bound:g} s"))
