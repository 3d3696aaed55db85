"""The HTTP side of a route: ends TLS, carries exchanges to the target, records them and applies the rules.

It stands behind the route's TCP layer, so every fault of that layer works on HTTP routes too. A client's connection
has one connection to the target of its own: what the two say about keeping it open passes through unchanged.
"""

import asyncio
import logging
import socket
from dataclasses import dataclass, field

from systems.link.config import RouteConfig
from systems.link.connection import Connection
from systems.link.exchange import Exchange
from systems.link.journal import Journal
from systems.link.messages import MessageError, read_head
from systems.link.route import CONNECT_SECONDS
from systems.link.rules import RuleBook
from systems.link.streams import Stream, Target, accept, server_context, target_context
from systems.link.underway import Sides

_log = logging.getLogger(__name__)


@dataclass
class HttpFront:
    """The proxy of one HTTP route."""

    config: RouteConfig
    rules: RuleBook = field(default_factory=RuleBook)
    journal: Journal = field(default_factory=Journal)

    def __post_init__(self) -> None:
        if self.config.http is None:
            raise ValueError(f"route {self.config.name} is not in HTTP mode")
        self.server_tls = server_context(self.config.http)
        self.target_tls = target_context(self.config.http)

    async def open(self, connection: Connection) -> socket.socket:
        """Return the socket through which a route's connection reaches this proxy."""
        outside, inside = socket.socketpair()
        for sock in (outside, inside):
            sock.setblocking(False)
        connection.companion = asyncio.get_running_loop().create_task(self._serve(inside, connection))
        return outside

    async def _serve(self, sock: socket.socket, connection: Connection) -> None:
        try:
            client = await accept(sock, self.server_tls)
        except OSError as error:
            _log.info(
                "no TLS with a client", extra={"route": self.config.name, "reason": type(error).__name__}
            )
            sock.close()
            return
        await _Conversation(self, client, connection).run()


class _Conversation:
    """The exchanges of one client connection, one after the other."""

    def __init__(self, front: HttpFront, client: Stream, connection: Connection) -> None:
        self._front = front
        self._client = client
        self._idle = True
        config = front.config
        target = Target(config.target, front.target_tls, CONNECT_SECONDS, self._target_ended)
        scheme = "https" if front.server_tls else "http"
        self._sides = Sides(client, target, connection.reset, scheme)

    async def run(self) -> None:
        try:
            while (head := await read_head(self._client.reader)) is not None:
                self._idle = False
                if not await Exchange(self._sides, head, self._front.rules, self._front.journal).run():
                    break
                self._idle = True
        except (OSError, MessageError) as error:
            reason = str(error) if isinstance(error, MessageError) else type(error).__name__
            _log.info("an exchange broke", extra={"route": self._front.config.name, "reason": reason})
        finally:
            self._sides.target.abort()
            self._client.close()

    def _target_ended(self) -> None:
        # A client that keeps the connection for later must learn that it is gone, as it would without the link.
        if self._idle:
            self._client.close()
