"""Lets the prefetch take what live traffic leaves: intake and interactive retrieval go first (ROUTER-143)."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any, Final, TypeVar, cast

from systems.router.config.prefetch import Prefetch
from systems.router.dimse.service import StoreRequest
from systems.router.dimse.status import Status
from systems.router.handlers import Stores

T = TypeVar("T")
_LINGER_SECONDS: Final = 0.5
_LOOK_SECONDS: Final = 0.05


class Courtesy:
    """Knows whether live traffic runs, and gives turns to the prefetch.

    On an idle router `width` instances are on their way at once. While there is live traffic, and for a moment after
    it, there is one, and after each a rest that leaves the prefetch `share` of the time: slower, but never starved.
    """

    def __init__(self, width: int = 4, share: float = 0.2) -> None:
        self._turns = asyncio.Semaphore(width)
        self._one = asyncio.Lock()
        self._share = share
        self._live = 0
        self._last = float("-inf")

    @classmethod
    def of(cls, settings: Prefetch | None) -> "Courtesy":
        """By the configuration; the defaults where there is none."""
        return cls() if settings is None else cls(settings.width, settings.busy_share)

    @contextmanager
    def live(self) -> Iterator[None]:
        """Around every operation that somebody waits for."""
        self._live += 1
        try:
            yield
        finally:
            self._live -= 1
            self._last = asyncio.get_running_loop().time()

    async def during(self, responses: AsyncIterator[T]) -> AsyncIterator[T]:
        """The same responses, with `live` around them."""
        with self.live():
            async with aclosing(cast("Any", responses)) as closing:
                async for response in closing:
                    yield response

    @property
    def busy(self) -> bool:
        """Whether live traffic runs or ran a moment ago."""
        return self._live > 0 or asyncio.get_running_loop().time() < self._last + _LINGER_SECONDS

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Around the transfer of one instance by the prefetch."""
        async with self._turns:
            if not self.busy:
                yield
                return
            async with self._one:
                loop = asyncio.get_running_loop()
                started = loop.time()
                yield
                rest_until = loop.time() + (loop.time() - started) * (1 / self._share - 1)
                while self.busy and (left := rest_until - loop.time()) > 0:  # noqa: ASYNC110 - ends by the clock too
                    await asyncio.sleep(min(left, _LOOK_SECONDS))


class LiveStores:
    """C-STORE as `stores` answers it, counted as live traffic."""

    def __init__(self, stores: Stores, courtesy: Courtesy) -> None:
        self._stores = stores
        self._courtesy = courtesy

    async def store(self, request: StoreRequest) -> Status:
        """See `handlers.Stores`."""
        with self._courtesy.live():
            return await self._stores.store(request)
