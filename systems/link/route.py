"""A route: a listener, its connections and the fault they are under."""

import asyncio
import logging
import socket
from typing import Any

from systems.link.config import RouteConfig
from systems.link.connection import Conditions, Connection, Counters, Opener
from systems.link.faults import PASS, Fault, Listening
from systems.link.sockets import Listener, StallError, close_with_reset, connect

CONNECT_SECONDS = 10.0

_log = logging.getLogger(__name__)


class Route:
    """One way through the link. All methods are called in one event loop."""

    def __init__(self, config: RouteConfig, opener: Opener | None = None) -> None:
        """Take the route's port; `opener` replaces the plain TCP connection to the target. Raises `StartError`."""
        self.config = config
        self.conditions = Conditions()
        self.counters = Counters()
        self._listener = Listener(config.listen)
        self._opener = opener or self._connect
        self._connections: dict[Connection, asyncio.Task[None]] = {}
        self._accepting: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    @property
    def port(self) -> int:
        """The port clients connect to."""
        return self._listener.address.port

    async def open(self) -> None:
        """Begin to accept."""
        await self._listen(Listening.OPEN)

    async def close(self) -> None:
        """Reset what is open and give the port back."""
        await self._stop_accepting()
        await self._sever()
        self._listener.close()

    async def set_fault(self, fault: Fault) -> None:
        """Put the route under `fault`, for open and new connections, and return when it works.

        Raises `StallError` when connection attempts cannot be left unanswered here; the route then passes.
        """
        async with self._turn:
            old = self.conditions.fault
            if old.silent and not fault.silent:
                # While the silence still holds, or what they sent would slip through.
                await self._drop_those_who_left()
            self.conditions.change(fault)
            if fault.severs:
                await self._sever()
            if fault.listening is not old.listening:
                await self._relisten(fault)
            _log.info("fault set", extra={"route": self.config.name, **fault.document()})

    def document(self) -> dict[str, Any]:
        """Return the JSON form: name, mode, fault and counters."""
        return {
            "name": self.config.name,
            "mode": "http" if self.config.http else "tcp",
            "listen": str(self._listener.address),
            "target": str(self.config.target),
            "fault": self.conditions.fault.document(),
            "connections": self.counters.connections,
            "open": len(self._connections),
            "bytes_up": self.counters.bytes_up,
            "bytes_down": self.counters.bytes_down,
            "refused": self.counters.refused,
        }

    async def _connect(self, _: Connection) -> socket.socket:
        return await connect(self.config.target, CONNECT_SECONDS)

    async def _relisten(self, fault: Fault) -> None:
        try:
            await self._listen(fault.listening)
        except StallError:
            self.conditions.change(PASS)
            await self._listen(Listening.OPEN)
            raise

    async def _listen(self, how: Listening) -> None:
        await self._stop_accepting()
        await self._listener.become(how)
        if how is Listening.OPEN:
            self._accepting = asyncio.get_running_loop().create_task(self._accept())

    async def _stop_accepting(self) -> None:
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait([self._accepting])
            self._accepting = None

    async def _accept(self) -> None:
        while True:
            try:
                client = await self._listener.accept()
            except OSError as error:
                # Typically too many open files: connections that end make room again.
                _log.warning("cannot accept", extra={"route": self.config.name, "reason": str(error)})
                await asyncio.sleep(0.1)
                continue
            self.counters.connections += 1
            if self.conditions.fault.severs:
                self.counters.refused += 1
                close_with_reset(client)
            else:
                self._carry(Connection(client, self.conditions, self.counters, self._opener))

    def _carry(self, connection: Connection) -> None:
        task = connection.start()
        self._connections[connection] = task
        task.add_done_callback(lambda _: self._connections.pop(connection, None))

    async def _sever(self) -> None:
        await self._end([connection for connection in self._connections if connection.reset()])

    async def _drop_those_who_left(self) -> None:
        await self._end([connection for connection in self._connections if connection.reset_if_client_left()])

    async def _end(self, connections: list[Connection]) -> None:
        tasks = [self._connections[connection] for connection in connections]
        if tasks:
            await asyncio.wait(tasks)
