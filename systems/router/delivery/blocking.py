"""Blocking iterations as asynchronous ones."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path


async def in_thread(chunks: Callable[[], Iterator[bytes]]) -> AsyncIterator[bytes]:
    """The items of `chunks()`, each fetched in a thread."""
    iterator = chunks()
    while (chunk := await asyncio.to_thread(next, iterator, None)) is not None:
        yield chunk


def file_chunks(path: Path) -> Iterator[bytes]:
    """The content of a file in pieces of 1 MiB."""
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            yield chunk
