"""The two sides of the HTTP proxy inside a route: the client's, whose TLS ends here, and the target's."""

import asyncio
import socket
import ssl
from collections.abc import Callable

from systems.link.config import Address, HttpMode
from systems.link.messages import HEAD_LIMIT

_HANDSHAKE_SECONDS = 30.0
# How long a side that was told the end (close_notify) may take to agree.
_SHUTDOWN_SECONDS = 2.0


class Stream:
    """A byte stream with back-pressure both ways."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer

    def write(self, data: bytes) -> None:
        """Queue bytes; follow with `drain` where more will come."""
        self._writer.write(data)

    async def drain(self) -> None:
        """Wait until the queue is short. Raises `OSError` when the other side has gone."""
        await self._writer.drain()

    def close(self) -> None:
        """Close in good order when everything queued was sent."""
        self._writer.close()

    def abort(self) -> None:
        """Close at once."""
        self._writer.transport.abort()


class _Watching(asyncio.StreamReaderProtocol):
    """Tells when the other side ends the stream, even when nobody reads."""

    def __init__(self, reader: asyncio.StreamReader, ended: Callable[[], None]) -> None:
        super().__init__(reader)
        self._tell = ended

    def eof_received(self) -> bool | None:
        self._tell()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._tell()
        super().connection_lost(exc)


async def accept(sock: socket.socket, context: ssl.SSLContext | None) -> Stream:
    """Return the stream of an accepted connection after its TLS handshake. Raises `OSError`."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=HEAD_LIMIT)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.connect_accepted_socket(
        lambda: protocol,
        sock,
        ssl=context,
        ssl_handshake_timeout=_HANDSHAKE_SECONDS if context else None,
        ssl_shutdown_timeout=_SHUTDOWN_SECONDS if context else None,
    )
    return Stream(reader, asyncio.StreamWriter(transport, protocol, reader, loop))


class Target:
    """The way to the target: one connection, opened when first needed."""

    def __init__(
        self, address: Address, context: ssl.SSLContext | None, within: float, ended: Callable[[], None]
    ) -> None:
        """`ended` is called when the target ends the connection; `within` bounds connecting, in seconds."""
        self._address = address
        self._context = context
        self._within = within
        self._ended = ended
        self._stream: Stream | None = None

    async def stream(self) -> Stream:
        """Return the connection. Raises `OSError` when the target cannot be reached or its certificate is wrong."""
        if self._stream is None:
            loop = asyncio.get_running_loop()
            reader = asyncio.StreamReader(limit=HEAD_LIMIT)
            protocol = _Watching(reader, self._ended)
            host = self._address.host
            async with asyncio.timeout(self._within):
                transport, _ = await loop.create_connection(
                    lambda: protocol,
                    host,
                    self._address.port,
                    ssl=self._context,
                    server_hostname=host if self._context else None,
                    ssl_shutdown_timeout=_SHUTDOWN_SECONDS if self._context else None,
                )
            self._stream = Stream(reader, asyncio.StreamWriter(transport, protocol, reader, loop))
        return self._stream

    def abort(self) -> None:
        """Close at once."""
        if self._stream is not None:
            self._stream.abort()
            self._stream = None


def server_context(mode: HttpMode) -> ssl.SSLContext | None:
    """Return the TLS context clients meet, `None` for plain HTTP. Raises `OSError` for unusable files."""
    if mode.certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(mode.certificate, mode.key)
    context.set_alpn_protocols(["http/1.1"])
    return context


def target_context(mode: HttpMode) -> ssl.SSLContext | None:
    """Return the TLS context that verifies the target, `None` for plain HTTP. Raises `OSError` for an unusable CA."""
    if not mode.target_tls:
        return None
    context = ssl.create_default_context(cafile=mode.target_ca)
    context.set_alpn_protocols(["http/1.1"])
    return context
