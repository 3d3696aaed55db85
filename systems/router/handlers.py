"""What a listening path does with each DIMSE request."""

from collections.abc import AsyncIterator
from typing import Protocol

from systems.router.dimse.service import (
    ActionRequest,
    BaseHandler,
    FindRequest,
    FindResponse,
    GetRequest,
    MoveRequest,
    RetrieveResponse,
    StoreRequest,
)
from systems.router.dimse.status import Status


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


class Commits(Protocol):
    """Answers N-ACTION."""

    async def act(self, request: ActionRequest) -> Status:
        """Take a request for storage commitment or say why not."""
        ...


class PathHandler(BaseHandler):
    """A listening path: stores and commits always, queries and retrievals where the path has a bridge for them."""

    def __init__(
        self,
        stores: Stores,
        commits: Commits,
        finds: Finds | None = None,
        retrieves: Retrieves | None = None,
    ) -> None:
        self._stores = stores
        self._commits = commits
        self._finds = finds
        self._retrieves = retrieves

    async def store(self, request: StoreRequest) -> Status:
        """Answer C-STORE."""
        return await self._stores.store(request)

    async def act(self, request: ActionRequest) -> Status:
        """Answer N-ACTION."""
        return await self._commits.act(request)

    async def prepare_queries(self) -> None:
        """Load what identifiers and answers need."""
        await super().prepare_queries()
        for part in (self._finds, self._retrieves):
            if part is not None:
                await part.prepare()

    def find(self, request: FindRequest) -> AsyncIterator[FindResponse]:
        """Answer C-FIND."""
        return super().find(request) if self._finds is None else self._finds.find(request)

    def move(self, request: MoveRequest) -> AsyncIterator[RetrieveResponse]:
        """Answer C-MOVE."""
        return super().move(request) if self._retrieves is None else self._retrieves.move(request)

    def get(self, request: GetRequest) -> AsyncIterator[RetrieveResponse]:
        """Answer C-GET."""
        return super().get(request) if self._retrieves is None else self._retrieves.get(request)
