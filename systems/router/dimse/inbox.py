"""What has arrived and waits to be taken: messages, and the data set of the message that is still arriving."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from systems.router.dimse.errors import DimseError, ProtocolError

T = TypeVar("T")


class Mailbox(Generic[T]):
    """A queue for one reader that can be closed with an error; what came before the error is still delivered."""

    __slots__ = ("_items", "_waiter", "failure", "on_wait")

    def __init__(self, on_wait: Callable[[], None] | None = None) -> None:
        self._items: deque[T] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self.failure: DimseError | None = None
        self.on_wait = on_wait

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        """Add an item and wake the reader."""
        self._items.append(item)
        self._wake()

    def fail(self, error: DimseError) -> None:
        """End the mailbox: the reader gets `error` after what is already there."""
        if self.failure is None:
            self.failure = error
        self._wake()

    def take(self) -> T | None:
        """The next item if there is one."""
        return self._items.popleft() if self._items else None

    async def get(self) -> T:
        """The next item; waits for it.

        Raises:
            DimseError: the one the mailbox was failed with.

        """
        while not self._items:
            if self.failure is not None:
                raise self.failure
            if self.on_wait is not None:
                self.on_wait()
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._items.popleft()

    def clear(self) -> list[T]:
        """Take everything that is there."""
        items = list(self._items)
        self._items.clear()
        return items

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class IncomingData:
    """A data set while it arrives: an async iterator over its fragments, with back-pressure on the connection.

    `taken` is called with the number of bytes that left this buffer.
    """

    __slots__ = ("_discarding", "_fragments", "_taken", "complete")

    def __init__(self, taken: Callable[[int], None], on_wait: Callable[[], None] | None = None) -> None:
        self._fragments: Mailbox[memoryview | None] = Mailbox(on_wait)
        self._taken = taken
        self._discarding = False
        self.complete = False

    def push(self, data: memoryview, *, last: bool) -> None:
        """Add a fragment; `last` ends the data set."""
        if len(data):
            if self._discarding:
                self._taken(len(data))
            else:
                self._fragments.put(data)
        if last:
            self.complete = True
            self._fragments.put(None)

    def fail(self, error: DimseError) -> None:
        """The rest will never come."""
        self._fragments.fail(error)

    def __aiter__(self) -> "IncomingData":
        return self

    async def __anext__(self) -> memoryview:
        fragment = await self._fragments.get()
        if fragment is None:
            self._fragments.put(None)
            raise StopAsyncIteration
        self._taken(len(fragment))
        return fragment

    async def read(self, limit: int) -> bytes:
        """The whole data set.

        Raises:
            ProtocolError: when it has more than `limit` bytes.

        """
        parts, size = [], 0
        async for fragment in self:
            size += len(fragment)
            if size > limit:
                message = f"a data set of more than {limit} bytes where an identifier was expected"
                raise ProtocolError(message)
            parts.append(fragment)
        return b"".join(parts)

    def ignore(self) -> None:
        """Drop what is there and what will come, without waiting for it."""
        self._discarding = True
        for fragment in self._fragments.clear():
            if fragment is not None:
                self._taken(len(fragment))
        if self.complete:
            self._fragments.put(None)

    async def discard(self) -> None:
        """Read the rest and drop it. Raises what the connection ended with, when it ends before the data set."""
        self._discarding = True
        async for _ in self:
            pass
