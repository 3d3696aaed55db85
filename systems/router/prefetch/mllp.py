"""HL7's minimal lower layer protocol: 0B, a message, 1C 0D, and the answer likewise (ROUTER-002)."""

import asyncio
import ipaddress
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from systems.router.config.prefetch import PREFETCH_TRIGGER, Hl7Listener
from systems.router.errors import ResourceError

log = logging.getLogger(__name__)
START: Final = b"\x0b"
END: Final = b"\x1c\r"
Answer = Callable[[bytes], Awaitable[bytes]]
TooLong = Callable[[bytes, int], bytes]


class MllpPath:
    """The listening path `prefetch-trigger`: messages of one connection are answered in their order."""

    name = PREFETCH_TRIGGER
    ae_title = ""

    def __init__(self, settings: Hl7Listener, answer: Answer, too_long: TooLong) -> None:
        self._settings = settings
        self._answer = answer
        self._too_long = too_long
        self._networks = [ipaddress.ip_network(network) for network in settings.allowed_networks]
        self._port = settings.port
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], asyncio.Event] = {}

    @property
    def running(self) -> bool:
        """Whether it listens."""
        return self._server is not None

    @property
    def port(self) -> int:
        """The port; the same over stop and start."""
        return self._port

    async def start(self) -> None:
        """Listen.

        Raises:
            ResourceError: the port cannot be had.

        """
        if self._server is not None:
            return
        host = self._settings.host
        try:
            self._server = await asyncio.start_server(
                self._connected, host, self._port, limit=self._settings.max_message_bytes
            )
        except OSError as error:
            raise ResourceError(
                f"prefetch.hl7: cannot listen on {host}:{self._port}: {error.strerror or error}; "
                "free the port or configure another one"
            ) from error
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self, grace_seconds: float) -> None:
        """Take no more messages; those that are being answered may finish within `grace_seconds`."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for idle in self._connections.values():
            idle.set()
        if self._connections:
            _, late = await asyncio.wait(self._connections, timeout=grace_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - runs as one
        if len(self._connections) >= self._settings.max_connections or self._is_foreign(writer):
            log.warning("an MLLP connection was refused: too many, or from a network that is not allowed")
            writer.close()
            return
        stopping = self._connections[task] = asyncio.Event()
        try:
            while not stopping.is_set():
                payload = await self._message(reader, writer, stopping)
                if payload is None:
                    return
                await self._reply(writer, await self._answer(payload))
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            log.info("an MLLP connection ended: %s", type(error).__name__)
        finally:
            del self._connections[task]
            writer.close()

    def _is_foreign(self, writer: asyncio.StreamWriter) -> bool:
        if not self._networks:
            return False
        address = ipaddress.ip_address(str(writer.get_extra_info("peername")[0]).partition("%")[0])
        return not any(address in network for network in self._networks)

    async def _message(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stopping: asyncio.Event
    ) -> bytes | None:
        """The next message; None when the sender is done, silent for too long or has sent too much."""
        if not await self._begun(reader, stopping):
            return None
        try:
            async with asyncio.timeout(self._settings.message_seconds):
                framed = await reader.readuntil(END)
        except asyncio.LimitOverrunError as error:
            head = await reader.read(min(error.consumed, 4096))
            await self._reply(writer, self._too_long(head, self._settings.max_message_bytes))
            return None
        return framed[: -len(END)]

    async def _begun(self, reader: asyncio.StreamReader, stopping: asyncio.Event) -> bool:
        """Wait for the start of a message; what stands between messages is dropped."""
        stop = asyncio.ensure_future(stopping.wait())
        try:
            while True:
                first = asyncio.ensure_future(reader.read(1))
                await asyncio.wait(
                    {first, stop}, timeout=self._settings.idle_seconds, return_when=asyncio.FIRST_COMPLETED
                )
                if not first.done():
                    first.cancel()
                    return False
                if first.result() in (START, b""):
                    return first.result() == START
        finally:
            stop.cancel()

    async def _reply(self, writer: asyncio.StreamWriter, message: bytes) -> None:
        writer.write(START + message + END)
        async with asyncio.timeout(self._settings.message_seconds):
            await writer.drain()
