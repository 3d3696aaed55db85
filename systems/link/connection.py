"""One connection through a route: two pumps between two sockets, under the route's fault."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from systems.link.faults import PASS, Direction, Fault
from systems.link.sockets import close_with_reset, hung_up, readable, writable

_CHUNK = 262_144
_LINGER_SECONDS = 5.0
# A limited link sends in slices of this many seconds' worth.
_SLICE_SECONDS = 0.05

Opener = Callable[["Connection"], Awaitable[socket.socket]]
"""Returns the socket of a connection's far side; raises `OSError` when the target cannot be reached."""


@dataclass
class Counters:
    """What a route has carried: connections since the start, bytes each way, and connections turned away."""

    connections: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    refused: int = 0

    def add(self, direction: Direction, count: int) -> None:
        """Count bytes that were passed on."""
        if direction == "up":
            self.bytes_up += count
        else:
            self.bytes_down += count


class Conditions:
    """The present fault of a route. Who waits under it is woken when it changes."""

    def __init__(self) -> None:
        self.fault: Fault = PASS
        self.epoch = 0
        self._changed = asyncio.Event()
        self._free_at: dict[Direction, float] = {"up": 0.0, "down": 0.0}

    def change(self, fault: Fault) -> None:
        """Put `fault` in the place of the present one, at once and for all."""
        self.fault = fault
        self.epoch += 1
        self._changed.set()
        self._changed = asyncio.Event()
        self._free_at = {"up": 0.0, "down": 0.0}

    async def hold(self) -> None:
        """Wait while the route is silent."""
        while self.fault.silent:
            await self._changed.wait()

    async def wait(self, seconds: float) -> None:
        """Wait `seconds`, or until the fault changes."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    async def delay(self, direction: Direction) -> None:
        """Hold one chunk back when the fault is a delay."""
        if self.fault.kind == "delay" and self.fault.takes(direction):
            await self.wait(self.fault.seconds)

    async def admit(self, direction: Direction, wanted: int) -> int:
        """Return how many of `wanted` bytes may go now; all connections of the route share its bandwidth."""
        fault = self.fault
        if fault.kind != "bandwidth" or not fault.takes(direction):
            return wanted
        now = asyncio.get_running_loop().time()
        count = min(wanted, max(1, int(fault.bytes_per_second * _SLICE_SECONDS)))
        starts = max(now, self._free_at[direction])
        self._free_at[direction] = starts + count / fault.bytes_per_second
        await self.wait(self._free_at[direction] - now)
        return count


@dataclass(eq=False)
class Connection:
    """A client's connection and its far side."""

    client: socket.socket
    conditions: Conditions
    counters: Counters
    opener: Opener
    far: socket.socket | None = None
    companion: asyncio.Task[None] | None = None
    _task: asyncio.Task[None] | None = None
    _hard: bool = False
    _ended: set[Direction] = field(default_factory=set)
    _cut: dict[Direction, int] = field(default_factory=dict)
    _cut_epoch: int = -1

    def start(self) -> asyncio.Task[None]:
        """Begin to carry the connection."""
        self._task = asyncio.get_running_loop().create_task(self._run())
        # A task that is cancelled before its first step never gets to a `finally` of its own.
        self._task.add_done_callback(self._close)
        return self._task

    def reset(self) -> bool:
        """Reset both sides (RST), dropping what is under way; returns true."""
        self._hard = True
        if self._task is not None:
            self._task.cancel()
        return True

    def reset_if_client_left(self) -> bool:
        """Reset when the client has gone while the route was silent: what it sent meanwhile must not arrive later.

        Returns whether it had gone.
        """
        return "up" not in self._ended and hung_up(self.client) and self.reset()

    async def _run(self) -> None:
        try:
            await self._carry()
        except OSError:
            self._hard = True

    def _close(self, _: object) -> None:
        if self.companion is not None:
            self.companion.cancel()
        for sock in (self.client, self.far):
            if sock is not None:
                close_with_reset(sock) if self._hard else sock.close()

    async def _carry(self) -> None:
        await self.conditions.hold()
        try:
            self.far = await self.opener(self)
        except OSError:
            self.counters.refused += 1
            raise
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump("up", self.client, self.far))
                pumps.create_task(self._pump("down", self.far, self.client))
        except* OSError as failures:
            raise OSError("a side of the connection broke") from failures

    async def _pump(self, direction: Direction, source: socket.socket, sink: socket.socket) -> None:
        while data := await _receive(source):
            try:
                await self._pass_on(direction, sink, data)
            except (BrokenPipeError, ConnectionResetError):
                # The sink no longer reads but its last words may still be on their way back to the source.
                await _discard(source)
                return
        await self.conditions.hold()
        self._ended.add(direction)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    async def _pass_on(self, direction: Direction, sink: socket.socket, data: bytes) -> None:
        await self.conditions.delay(direction)
        rest = memoryview(data)
        while rest:
            await self.conditions.hold()
            allowed = self._before_cut(direction, await self.conditions.admit(direction, len(rest)))
            if self.conditions.fault.silent:
                continue
            try:
                sent = sink.send(rest[:allowed]) if allowed else 0
            except BlockingIOError:
                await writable(sink)
                continue
            self.counters.add(direction, sent)
            self._after_sending(direction, sent)
            rest = rest[sent:]
        # Reading and writing may both succeed at once for long: let the other connections have their turn.
        await asyncio.sleep(0)

    def _before_cut(self, direction: Direction, wanted: int) -> int:
        fault = self.conditions.fault
        if fault.kind != "cut-after":
            return wanted
        if self._cut_epoch != self.conditions.epoch:
            self._cut_epoch = self.conditions.epoch
            self._cut = {"up": 0, "down": 0}
        if not fault.takes(direction):
            return wanted
        left = fault.count - self._passed(fault)
        if left <= 0:
            self._cut_off()
        return min(wanted, left)

    def _after_sending(self, direction: Direction, sent: int) -> None:
        fault = self.conditions.fault
        if fault.kind != "cut-after" or self._cut_epoch != self.conditions.epoch:
            return
        self._cut[direction] += sent
        if self._passed(fault) >= fault.count:
            self._cut_off()

    def _passed(self, fault: Fault) -> int:
        return sum(count for direction, count in self._cut.items() if fault.takes(direction))

    def _cut_off(self) -> None:
        self._hard = True
        raise OSError("cut after the bytes that were allowed")


async def _receive(source: socket.socket) -> bytes:
    while True:
        try:
            return source.recv(_CHUNK)
        except BlockingIOError:
            await readable(source)


async def _discard(source: socket.socket) -> None:
    """Read and forget until the end of the stream, for a few seconds at most."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            while True:
                if not await _receive(source):
                    return
                await asyncio.sleep(0)
