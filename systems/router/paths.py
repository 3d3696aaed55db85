"""The three paths, each started and stopped on its own (ROUTER-001, ROUTER-007)."""

from collections.abc import Sequence
from typing import Protocol

from systems.router.config.model import Listener, Peer
from systems.router.delivery.group import WorkerGroup
from systems.router.dimse.server import DimseServer
from systems.router.errors import ResourceError


class Path(Protocol):
    """Something that can be started, stopped and asked."""

    name: str

    @property
    def running(self) -> bool:
        """Whether it works."""
        ...

    @property
    def ae_title(self) -> str:
        """Its AE title."""
        ...

    @property
    def port(self) -> int:
        """The port it listens on, 0 where it does not."""
        ...

    async def start(self) -> None:
        """Start; nothing happens when it runs."""
        ...

    async def stop(self, grace_seconds: float) -> None:
        """Stop; running operations may finish within `grace_seconds`."""
        ...


class ListeningPath:
    """A DIMSE listener. A port asked for as 0 stays the same over stop and start."""

    def __init__(self, listener: Listener, server: DimseServer) -> None:
        self.name = listener.name
        self.server = server
        self._listener = listener
        self._port = listener.port

    def reconfigure(self, listener: Listener) -> None:
        """Show, and at the next start use, these values; the port in use stays."""
        self._listener = listener

    @property
    def running(self) -> bool:
        """See `Path`."""
        return self.server.running

    @property
    def ae_title(self) -> str:
        """See `Path`."""
        return self._listener.ae_title

    @property
    def port(self) -> int:
        """See `Path`."""
        return self._port

    async def start(self) -> None:
        """See `Path`.

        Raises:
            ResourceError: the port cannot be had.

        """
        if self.running:
            return
        host = self._listener.host
        try:
            await self.server.start(host, self._port)
        except OSError as error:
            raise ResourceError(
                f"paths.{self.name}: cannot listen on {host}:{self._port}: {error.strerror or error}; "
                "free the port or configure another one"
            ) from error
        self._port = self.server.port

    async def stop(self, grace_seconds: float) -> None:
        """See `Path`."""
        await self.server.stop(grace_seconds)


class PacsPath:
    """Towards the PACS: queue deliveries by DIMSE and C-MOVE sub-operations; it listens nowhere."""

    port = 0

    def __init__(self, name: str, peer: Peer, groups: Sequence[WorkerGroup]) -> None:
        self.name = name
        self._peer = peer
        self._groups = groups
        self._running = False

    @property
    def running(self) -> bool:
        """See `Path`."""
        return self._running

    @property
    def ae_title(self) -> str:
        """The peer's AE title."""
        return self._peer.ae_title

    async def start(self) -> None:
        """See `Path`."""
        self._running = True
        for group in self._groups:
            group.gate.hold(stopped=False)

    async def stop(self, grace_seconds: float) -> None:  # noqa: ARG002 - running deliveries finish by themselves
        """See `Path`."""
        self._running = False
        for group in self._groups:
            group.gate.hold(stopped=True)
