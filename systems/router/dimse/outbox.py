"""What leaves on a connection: messages cut into PDUs, at the pace at which the peer reads."""

import asyncio
from collections.abc import AsyncIterable, Callable
from typing import Final

from systems.router.dimse import pdu
from systems.router.dimse.errors import AssociationAborted, DimseError
from systems.router.dimse.settings import DEFAULT_MAX_PDU

_LARGEST_BURST: Final = 1 << 18


class Outbox:
    """The writing half of a connection. `stalled` is told when the peer reads nothing for too long."""

    def __init__(self, stalled: Callable[[AssociationAborted], None]) -> None:
        self.fragment_size = pdu.fragment_size(DEFAULT_MAX_PDU)
        self._stalled = stalled
        self._failure: DimseError | None = None
        self._transport: asyncio.Transport | None = None
        self._writable: asyncio.Future[None] | None = None

    def open(self, transport: asyncio.Transport) -> None:
        """Write to `transport` from now on."""
        self._transport = transport

    def pause(self) -> None:
        """The peer reads too slowly."""
        self._writable = asyncio.get_running_loop().create_future()

    def resume(self) -> None:
        """The peer has caught up."""
        self._wake()
        self._writable = None

    def fail(self, error: DimseError) -> None:
        """Nothing leaves any more; whoever waits gets `error`."""
        self._failure = error
        self._wake()

    def _wake(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    def write(self, *parts: bytes | memoryview) -> None:
        """Write in one go.

        Raises:
            DimseError: when the association has ended.

        """
        if self._failure is not None:
            raise self._failure
        if self._transport is not None:
            self._transport.writelines(parts)

    def last_words(self, content: bytes) -> None:
        """Write where that is still possible."""
        if self._failure is None and self._transport is not None and not self._transport.is_closing():
            self._transport.write(content)

    async def drain(self, within: float) -> None:
        """Wait until the peer has read enough of what was written, for `within` seconds at most.

        Raises:
            AssociationAborted: when it does not, or the association has ended.

        """
        if self._failure is not None:
            raise self._failure
        if self._writable is None:
            return
        try:
            async with asyncio.timeout(within):
                await self._writable
        except TimeoutError as error:
            stalled = AssociationAborted(f"the peer read nothing for {within:g} s")
            self._stalled(stalled)
            raise stalled from error
        if self._failure is not None:
            raise self._failure

    async def send(
        self, context_id: int, command: bytes, data: bytes | memoryview | None, within: float
    ) -> None:
        """Send a message: the command and the beginning of the data set leave together. Raises as `drain`."""
        parts = pdu.value(context_id, pdu.COMMAND, command, self.fragment_size)
        if data is not None:
            view, size = memoryview(data), 0
            step = self.fragment_size
            for start in range(0, max(len(view), 1), step):
                piece = view[start : start + step]
                parts += pdu.value(context_id, 0, piece, step, last=start + step >= len(view))
                size += len(piece)
                if size >= _LARGEST_BURST:
                    self.write(*parts)
                    parts, size = [], 0
                    await self.drain(within)
        if parts:
            self.write(*parts)
        await self.drain(within)

    async def send_stream(
        self, context_id: int, command: bytes, data: AsyncIterable[bytes | memoryview], within: float
    ) -> None:
        """Send a message whose data set is still being made; one chunk is held back to mark the last one."""
        self.write(*pdu.value(context_id, pdu.COMMAND, command, self.fragment_size))
        held: bytes | memoryview = b""
        async for chunk in data:
            if held:
                self.write(*pdu.value(context_id, 0, held, self.fragment_size, last=False))
                await self.drain(within)
            held = chunk if len(chunk) else held
        self.write(*pdu.value(context_id, 0, held, self.fragment_size))
        await self.drain(within)
