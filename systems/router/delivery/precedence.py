"""Acceptance first: deliveries step back while objects arrive, for a bounded time.

Whoever sends is freed as soon as possible, and what was accepted is durable, so its delivery can wait a moment. It does not
wait for long: each destination steps back for `step_back_seconds` at most and then shares the machine with the intake until
its queue is empty or the intake was quiet for as long.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from systems.router.config.limit_values import Delivery

# Longer than a modality on the same site takes from an answer to its next object, too short to be noticed.
QUIET_SECONDS: Final = 0.05


class Arriving:
    """Knows whether objects are arriving: one began to, was being made durable, or was answered a moment ago.

    A peer that falls silent in mid-object, or sends slowly, takes nothing from the deliveries and is not waited for.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._keeping = 0
        self._last = float("-inf")
        self._quiet = asyncio.Event()
        self._quiet.set()

    def note(self) -> None:
        """An object begins to arrive."""
        self._last = self._loop.time()
        if self._quiet.is_set():
            self._quiet.clear()
            self._loop.call_later(QUIET_SECONDS, self._look)

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Around making an object durable."""
        self.note()
        self._keeping += 1
        try:
            yield
        finally:
            self._keeping -= 1
            self.note()

    def _look(self) -> None:
        left = QUIET_SECONDS if self._keeping else self._last + QUIET_SECONDS - self._loop.time()
        if left > 0:
            self._loop.call_later(left, self._look)
        else:
            self._quiet.set()

    @property
    def busy(self) -> bool:
        """Whether objects are arriving."""
        return not self._quiet.is_set()

    @property
    def quiet_seconds(self) -> float:
        """For how long none has arrived; 0 while they do."""
        return 0.0 if self.busy else self._loop.time() - self._last

    async def quiet(self, within: float) -> None:
        """Wait until no more arrive, for `within` seconds at most."""
        try:
            async with asyncio.timeout(within):
                await self._quiet.wait()
        except TimeoutError:
            return


class StepBack:
    """How one destination steps back."""

    def __init__(self, arriving: Arriving, settings: Delivery) -> None:
        self._arriving = arriving
        self._loop = asyncio.get_running_loop()
        self._seconds = settings.step_back_seconds
        self._until: float | None = None

    def reconfigure(self, settings: Delivery) -> None:
        """Step back for so long from the next time on."""
        self._seconds = settings.step_back_seconds
        self._until = None

    def caught_up(self) -> None:
        """Nothing is left to deliver: what comes next may have to wait again."""
        self._until = None

    async def wait(self) -> bool:
        """Wait for the intake, if it is busy and there is time left to step back. Returns whether it waited."""
        if not self._arriving.busy:
            if self._arriving.quiet_seconds >= self._seconds:
                self._until = None
            return False
        now = self._loop.time()
        if self._until is None:
            self._until = now + self._seconds
        if self._until <= now:
            return False
        await self._arriving.quiet(self._until - now)
        return True
