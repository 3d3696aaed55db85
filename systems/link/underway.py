"""An exchange under way: its sides, its request and the record of it."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from systems.link.journal import Journal, new_entry
from systems.link.messages import Head
from systems.link.stored import scanner_for
from systems.link.streams import Stream, Target


@dataclass(frozen=True, slots=True)
class Sides:
    """What an exchange stands between; `reset` resets the client's TCP connection."""

    client: Stream
    target: Target
    reset: Callable[[], object]
    scheme: str


class Underway:
    """What carrying the request and carrying the answer have in common."""

    def __init__(self, sides: Sides, head: Head, journal: Journal) -> None:
        self.sides = sides
        self.client = sides.client
        self.head = head
        self.entry = new_entry(head)
        self.scanner = scanner_for(head)
        self._journal = journal
        self._began = time.monotonic()

    def send_head(self, head: Head, *, last: bool = False) -> None:
        """Pass the head of the answer on; `last` says that nothing follows it."""
        self.entry.status = head.status
        if last:
            self.record("answered")
        self.client.write(head.raw)

    async def reset(self) -> None:
        """Reset the connection of the client, as a rule demands, and wait for the end that this brings."""
        self.record("reset")
        self.sides.reset()
        await forever()

    async def tunnel(self, request: bytes, answer: Head | None = None) -> bool:
        """Carry bytes both ways to their end: for what cannot be followed as HTTP, and for switched protocols."""
        target = await self.sides.target.stream()
        if answer is not None:
            self.send_head(answer)
        target.write(request)
        copies = [
            asyncio.create_task(_copy(self.client, target)),
            asyncio.create_task(_copy(target, self.client)),
        ]
        try:
            await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for copy in copies:
                copy.cancel()
        self.record("answered" if answer else "not followed")
        return False

    def record(self, outcome: str) -> None:
        """Put the exchange into the journal with this outcome, unless it is there already."""
        if self.entry.outcome != "open":
            return
        self.entry.outcome = outcome
        self.entry.seconds = round(time.monotonic() - self._began, 6)
        if self.scanner is not None:
            self.entry.sop_instance_uids = [instance.sop_instance_uid for instance in self.scanner.instances]
        self._journal.add(self.entry)


async def _copy(source: Stream, sink: Stream) -> None:
    with contextlib.suppress(OSError):
        while data := await source.reader.read(65_536):
            sink.write(data)
            await sink.drain()


async def forever() -> None:
    """Wait for the end of the connection, which cancels the exchange."""
    await asyncio.get_running_loop().create_future()
