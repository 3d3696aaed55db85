"""Puts the query and retrieve bridges together for the cloud bridge path.

They are loaded when a peer opens an association for queries: pydicom takes longer to load than all that a start needs.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from functools import cached_property
from typing import TYPE_CHECKING, Any

from systems.router.cloud.http import tls_context
from systems.router.cloud.tokens import TokenSource
from systems.router.config.model import Config
from systems.router.dimse.pool import AssociationPool, Destination
from systems.router.dimse.service import (
    FindRequest,
    FindResponse,
    GetRequest,
    MoveRequest,
    RetrieveResponse,
    SubOperations,
)
from systems.router.dimse.settings import ClientTimeouts
from systems.router.dimse.status import OUT_OF_RESOURCES_SUB_OPERATIONS, Status
from systems.router.peers import peer_tls
from systems.router.prefetch.courtesy import Courtesy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from systems.router.bridge.cloud_reader import HttpCloudReader
    from systems.router.bridge.query import QueryBridge
    from systems.router.bridge.retrieve import RetrieveBridge
    from systems.router.bridge.search import SearchLimits


class Bridges:
    """C-FIND, C-MOVE and C-GET answered from the cloud. `may_move` says whether the way to the peers is open."""

    def __init__(
        self,
        config: Config,
        tokens: TokenSource,
        may_move: Callable[[], bool],
        courtesy: Courtesy,
        remember: Callable[[str, Sequence[str]], Awaitable[None]],
        record: Callable[[str, str, Sequence[str]], Awaitable[None]],
    ) -> None:
        self._config = config
        self._tokens = tokens
        self._may_move = may_move
        self.pool = AssociationPool()
        self._courtesy = courtesy
        self._remember = remember
        self._record = record
        self._loading: asyncio.Future[None] | None = None

    def reconfigure(self, config: Config) -> None:
        """Answer the next request by this configuration; running ones end as they began."""
        self._config = config
        for name in ("_query", "_retrieve"):
            self.__dict__.pop(name, None)

    async def prepare(self) -> None:
        """Load what queries need without holding up the loop."""
        if self._loading is None:
            self._loading = asyncio.ensure_future(asyncio.to_thread(_load))
        await asyncio.shield(self._loading)

    @cached_property
    def reader(self) -> HttpCloudReader:
        """Reads the cloud for queries, retrievals and the prefetch."""
        from systems.router.bridge.cloud_reader import HttpCloudReader  # noqa: PLC0415 - see above

        limits, cloud = self._config.query, self._config.cloud
        return HttpCloudReader(
            cloud.base_url,
            self._tokens,
            version=cloud.version,
            tls=tls_context(cloud),
            connect_timeout=limits.search_connect_seconds,
            read_timeout=cloud.read_idle_seconds,
        )

    @property
    def search_limits(self) -> SearchLimits:
        """Bounds of a search."""
        from systems.router.bridge.search import SearchLimits  # noqa: PLC0415 - see above

        limits = self._config.query
        return SearchLimits(answer=max(0.1, limits.search_bound_seconds - 0.5), ceiling=limits.max_matches)

    @cached_property
    def _query(self) -> QueryBridge:
        from systems.router.bridge.query import QueryBridge, QuerySettings  # noqa: PLC0415 - see above

        ae_title = self._config.cloud_bridge.ae_title
        return QueryBridge(
            self.reader, QuerySettings(ae_title, lenient=self._lenient, limits=self.search_limits)
        )

    @cached_property
    def _retrieve(self) -> RetrieveBridge:
        from systems.router.bridge.retrieve import RetrieveBridge, RetrieveSettings  # noqa: PLC0415 - see above
        from systems.router.bridge.transfer import TransferLimits  # noqa: PLC0415

        limits = self._config.query
        return RetrieveBridge(
            self.reader,
            self.pool,
            self.destination,
            RetrieveSettings(
                time_limit=limits.move_bound_seconds,
                lenient=self._lenient,
                search=self.search_limits,
                remember=self._remember,
                record=self._record,
                transfer=TransferLimits(width=limits.move_width),
            ),
        )

    def _lenient(self, calling_ae: str) -> bool:
        peer = self._config.peer(calling_ae)
        return peer is not None and peer.relational_queries

    def destination(self, ae_title: str) -> Destination | None:
        """The row of the move-destination table (ROUTER-005)."""
        peer = self._config.peer(ae_title)
        if peer is None:
            return None
        timers = self._config.timers
        timeouts = ClientTimeouts(
            timers.association_request_seconds,
            timers.association_request_seconds,
            timers.communication_seconds,
        )
        calling = self._config.pacs_bridge.calling_ae_title
        return Destination(peer.ae_title, peer.host, peer.port, calling, timeouts, peer_tls(peer))

    async def close(self) -> None:
        """Close all connections."""
        await self.pool.close()
        if self._loading is not None:
            await asyncio.wait([self._loading])
        if "reader" in self.__dict__:
            await self.reader.close()

    def find(self, request: FindRequest) -> AsyncIterator[FindResponse]:
        """Answer C-FIND."""
        return self._query.find(request)

    async def move(self, request: MoveRequest) -> AsyncIterator[RetrieveResponse]:
        """Answer C-MOVE; without the PACS bridge nothing is sent anywhere."""
        if not self._may_move():
            status = Status(OUT_OF_RESOURCES_SUB_OPERATIONS, "the path pacs-bridge is stopped")
            yield RetrieveResponse(status, SubOperations())
            return
        responses: Any = self._courtesy.during(self._retrieve.move(request))
        async with aclosing(responses) as closing:
            async for response in closing:
                yield response

    def get(self, request: GetRequest) -> AsyncIterator[RetrieveResponse]:
        """Answer C-GET."""
        return self._courtesy.during(self._retrieve.get(request))


def _load() -> None:
    import systems.router.bridge.query  # noqa: PLC0415 - see above
    import systems.router.bridge.retrieve  # noqa: F401, PLC0415
