"""Non-blocking sockets under an event loop: waiting for readiness, reset, and listeners that can refuse or stall.

Sockets are used directly rather than through transports, so that a byte is counted when the kernel took it, memory
is bounded by one chunk a direction, and half-close and reset mean what they mean in TCP.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable

from systems.link.config import Address
from systems.link.faults import Listening
from systems.shared.serving import StartError

_BACKLOG = 512
_MOST_FILLERS = 64
_FILLER_SECONDS = 0.2
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
# Linux's tcp_info starts with the state; these are TCP_CLOSE and TCP_CLOSE_WAIT of its include/net/tcp_states.h.
_HUNG_UP = frozenset({7, 8})


class StallError(RuntimeError):
    """The kernel cannot be brought to leave connection attempts unanswered."""


async def readable(sock: socket.socket) -> None:
    """Wait until reading will not block."""
    loop = asyncio.get_running_loop()
    await _ready(sock, loop.add_reader, loop.remove_reader)


async def writable(sock: socket.socket) -> None:
    """Wait until writing will not block."""
    loop = asyncio.get_running_loop()
    await _ready(sock, loop.add_writer, loop.remove_writer)


async def _ready(sock: socket.socket, add: Callable[..., None], remove: Callable[..., object]) -> None:
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def tell() -> None:
        if not ready.done():
            ready.set_result(None)

    add(sock.fileno(), tell)
    try:
        await ready
    finally:
        remove(sock.fileno())


def close_with_reset(sock: socket.socket) -> None:
    """Close so that the peer gets a reset (RST) at once and unsent data is dropped."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    sock.close()


def hung_up(sock: socket.socket) -> bool:
    """Whether the peer has closed or reset the connection, even when that was not read yet (Linux)."""
    if not hasattr(socket, "TCP_INFO"):
        return False
    try:
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in _HUNG_UP
    except OSError:
        return True


def without_delay(sock: socket.socket) -> None:
    """Make a TCP socket non-blocking and let small writes leave at once."""
    sock.setblocking(False)
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


async def connect(address: Address, within: float) -> socket.socket:
    """Return a connection to the first of the host's addresses that answers; the name is looked up each time.

    Raises `OSError`, also when it takes longer than `within` seconds.
    """
    loop = asyncio.get_running_loop()
    failure: OSError = OSError(f"{address} has no address")
    try:
        async with asyncio.timeout(within):
            for family, kind, protocol, _, place in await loop.getaddrinfo(
                address.host, address.port, type=socket.SOCK_STREAM
            ):
                sock = socket.socket(family, kind, protocol)
                try:
                    without_delay(sock)
                    await loop.sock_connect(sock, place)
                except OSError as error:
                    sock.close()
                    failure = error
                except BaseException:
                    sock.close()
                    raise
                else:
                    return sock
    except TimeoutError as error:
        raise OSError(f"{address} did not answer within {within:g} s") from error
    raise failure


class Listener:
    """A TCP port that accepts, refuses or leaves connection attempts unanswered, and stays ours meanwhile."""

    def __init__(self, address: Address) -> None:
        """Take the port. Raises `StartError` when it cannot be had."""
        self._family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        try:
            # A bound socket that never listens: attempts are refused, and nobody else gets the port.
            self._anchor = self._bound(address)
        except OSError as error:
            reason = error.strerror or error
            raise StartError(
                f"cannot listen on {address}: {reason}; free it or change the route's listen"
            ) from error
        self.address = Address(address.host, self._anchor.getsockname()[1])
        self._listening: socket.socket | None = None
        self._fillers: list[socket.socket] = []

    async def become(self, how: Listening) -> None:
        """Change what connection attempts meet. Raises `StallError` and refuses when the kernel cannot do it."""
        self._end_listening()
        if how is Listening.CLOSED:
            return
        sock = self._bound(self.address)
        sock.listen(_BACKLOG if how is Listening.OPEN else 0)
        self._listening = sock
        if how is Listening.STALLED:
            await self._fill()

    async def accept(self) -> socket.socket:
        """Return the next connection. The listener must be open; raises `OSError`."""
        if self._listening is None:
            raise OSError("the listener is closed")
        while True:
            try:
                sock, _ = self._listening.accept()
            except (BlockingIOError, ConnectionAbortedError):
                await readable(self._listening)
            else:
                without_delay(sock)
                return sock

    def close(self) -> None:
        """Give the port back."""
        self._end_listening()
        self._anchor.close()

    def _bound(self, address: Address) -> socket.socket:
        sock = socket.socket(self._family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setblocking(False)
            sock.bind((address.host, address.port))
        except OSError:
            sock.close()
            raise
        return sock

    async def _fill(self) -> None:
        """Fill the accept queue with connections of our own: Linux then drops further SYNs unanswered."""
        loop = asyncio.get_running_loop()
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.address.host, self.address.host)  # noqa: S104
        for _ in range(_MOST_FILLERS):
            filler = socket.socket(self._family, socket.SOCK_STREAM)
            filler.setblocking(False)
            self._fillers.append(filler)
            try:
                async with asyncio.timeout(_FILLER_SECONDS):
                    await loop.sock_connect(filler, (host, self.address.port))
            except TimeoutError:
                return
        self._end_listening()
        raise StallError("this kernel goes on accepting although the accept queue is full")

    def _end_listening(self) -> None:
        for filler in self._fillers:
            filler.close()
        self._fillers.clear()
        if self._listening is not None:
            self._listening.close()
            self._listening = None
