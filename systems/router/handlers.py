"""What a listening path does with each DIMSE request."""

import ipaddress
from collections.abc import AsyncIterator
from typing import Protocol, TypeVar

from systems.router.config.model import Listener
from systems.router.dimse.service import (
    BaseHandler,
    FindRequest,
    FindResponse,
    GetRequest,
    MoveRequest,
    Peer,
    RetrieveResponse,
    StoreRequest,
)
from systems.router.dimse.status import NOT_AUTHORISED, Status

T = TypeVar("T")


class Stores(Protocol):
    """Answers C-STORE: the intake or the synchronous bridge."""

    async def store(self, request: StoreRequest) -> Status:
        """Take an object or say why not."""
        ...


class Finds(Protocol):
    """Answers C-FIND."""

    async def prepare(self) -> None:
        """Load what the answers need."""
        ...

    def find(self, request: FindRequest) -> AsyncIterator[FindResponse]:
        """Pending responses and one final one."""
        ...


class Retrieves(Protocol):
    """Answers C-MOVE and C-GET."""

    async def prepare(self) -> None:
        """Load what the answers need."""
        ...

    def move(self, request: MoveRequest) -> AsyncIterator[RetrieveResponse]:
        """Pending responses and one final one."""
        ...

    def get(self, request: GetRequest) -> AsyncIterator[RetrieveResponse]:
        """Pending responses and one final one."""
        ...


_FOREIGN = Status(NOT_AUTHORISED, "your network address is not allowed here")


class PathHandler(BaseHandler):
    """A listening path: stores always, queries and retrievals where the path has a bridge for them."""

    def __init__(
        self,
        listener: Listener,
        stores: Stores,
        finds: Finds | None = None,
        retrieves: Retrieves | None = None,
    ) -> None:
        self._networks = [ipaddress.ip_network(network) for network in listener.allowed_networks]
        self._stores = stores
        self._finds = finds
        self._retrieves = retrieves

    def _is_foreign(self, peer: Peer) -> bool:
        if not self._networks:
            return False
        address = ipaddress.ip_address(peer.address.partition("%")[0])
        return not any(address in network for network in self._networks)

    async def echo(self, peer: Peer) -> Status:
        """Answer C-ECHO without touching cloud or queue (ROUTER-020)."""
        return _FOREIGN if self._is_foreign(peer) else await super().echo(peer)

    async def store(self, request: StoreRequest) -> Status:
        """Answer C-STORE."""
        return _FOREIGN if self._is_foreign(request.peer) else await self._stores.store(request)

    async def prepare_queries(self) -> None:
        """Load what identifiers and answers need."""
        await super().prepare_queries()
        for part in (self._finds, self._retrieves):
            if part is not None:
                await part.prepare()

    def find(self, request: FindRequest) -> AsyncIterator[FindResponse]:
        """Answer C-FIND."""
        if self._is_foreign(request.peer):
            return _once(FindResponse(_FOREIGN))
        return super().find(request) if self._finds is None else self._finds.find(request)

    def move(self, request: MoveRequest) -> AsyncIterator[RetrieveResponse]:
        """Answer C-MOVE."""
        if self._is_foreign(request.peer):
            return _once(RetrieveResponse(_FOREIGN))
        return super().move(request) if self._retrieves is None else self._retrieves.move(request)

    def get(self, request: GetRequest) -> AsyncIterator[RetrieveResponse]:
        """Answer C-GET."""
        if self._is_foreign(request.peer):
            return _once(RetrieveResponse(_FOREIGN))
        return super().get(request) if self._retrieves is None else self._retrieves.get(request)


async def _once(response: T) -> AsyncIterator[T]:
    yield response
