"""The HTTP client library and its trust stores, loaded with the first request.

aiohttp takes longer to load than all that a start needs, and most of that goes into reading the system's trust store.
"""

import asyncio
import ssl
from importlib import import_module
from pathlib import Path


async def load(ca_file: Path | None) -> ssl.SSLContext:
    """Load aiohttp and the trust store without holding up the loop.

    Raises:
        OSError: the trust store cannot be read.

    """
    return await asyncio.to_thread(_load, ca_file)


def _load(ca_file: Path | None) -> ssl.SSLContext:
    import_module("aiohttp")
    return trust(ca_file)


def trust(ca_file: Path | None) -> ssl.SSLContext:
    """A verifying context with the given trust store, or the system's."""
    return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
