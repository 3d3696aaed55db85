"""The event loop of the router: uvloop, with one guard for the descriptors it is given."""

import socket
from typing import Any

import uvloop


class RouterLoop(uvloop.Loop):
    """uvloop whose connections never close a descriptor twice.

    From `create_connection(sock=...)` on, libuv owns the descriptor. When the peer resets the connection before uvloop has noted
    the Python socket, that socket does not learn that its descriptor is gone, and closes the number once more when it is
    collected: by then it may belong to an association, a pack or the index (MagicStack/uvloop#645, aio-libs/aiohttp#10506).
    """

    async def create_connection(
        self,
        protocol_factory: Any,
        host: Any = None,
        port: Any = None,
        *,
        sock: socket.socket | None = None,
        **options: Any,
    ) -> Any:
        """As uvloop's own; a given socket no longer owns its descriptor afterwards, however this ends."""
        if sock is None:
            return await super().create_connection(protocol_factory, host, port, **options)
        try:
            return await super().create_connection(protocol_factory, sock=sock, **options)
        finally:
            sock.detach()
