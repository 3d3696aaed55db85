"""Whether a destination may be tried now: operator's pause, stopped path, back-off and the probe after it."""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from typing import Final, Literal

from systems.router.config.limit_values import Backoff

State = Literal["running", "paused", "stopped", "backing off", "probing"]
_REFUSALS_IN_A_ROW: Final = 5


def delay(backoff: Backoff, failures: int, draw: Callable[[], float] = random.random) -> float:
    """Seconds before attempt `failures` + 1: exponential, jittered, never above the ceiling (ROUTER-102)."""
    exponent = min(max(0, failures - 1), 64)
    base = min(backoff.first_seconds * backoff.factor**exponent, backoff.ceiling_seconds)
    return min(backoff.ceiling_seconds, base * (1 + backoff.jitter * (2 * draw() - 1)))


class Gate:
    """After a failure of the destination all workers wait; then one probes, and its success lets all go on."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._changed = asyncio.Event()
        self._until = 0.0
        self._probing = False
        self.paused = False
        self.stopped = False
        self.failures = 0
        self.successes = 0
        self.down_since: float | None = None
        self.last_success: float | None = None
        self.last_error = ""
        self._refused: set[int] = set()

    def reconfigure(self, backoff: Backoff) -> None:
        """Back off like this after the next failure."""
        self._backoff = backoff

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    @property
    def state(self) -> State:
        """The state as the status page shows it."""
        if self.stopped:
            return "stopped"
        if self.paused:
            return "paused"
        if self.failures:
            return "probing" if self._probing else "backing off"
        return "running"

    @property
    def backoff_until(self) -> float | None:
        """When the next probe is due, in seconds since the epoch; None without back-off."""
        left = self._until - time.monotonic()
        return time.time() + left if self.failures and left > 0 else None

    async def admit(self) -> bool:
        """Wait until the destination may be tried; True when this is the one probe after a failure."""
        while True:
            changed = self._changed
            if self.paused or self.stopped or self._probing:
                await changed.wait()
                continue
            left = self._until - time.monotonic() if self.failures else 0.0
            if left > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), left)
                continue
            self._probing = bool(self.failures)
            return self._probing

    def unused(self, *, probe: bool) -> None:
        """The admission was not used: there was nothing to deliver, or the outcome says nothing."""
        if probe:
            self._probing = False
            self._notify()

    def succeeded(self) -> float | None:
        """The destination works. Returns the seconds it was down, or None when it was not."""
        self.served()
        if not self.failures:
            return None
        down = time.time() - (self.down_since or time.time())
        self.failures = 0
        self.down_since = None
        self._probing = False
        self._notify()
        return down

    def served(self) -> None:
        """It did something for us; this alone ends no outage."""
        self.successes += 1
        self.last_success = time.time()
        self._refused.clear()

    def refused(self, task_id: int, reason: str) -> bool:
        """One object was put off. True when so many in a row were that it cannot be the objects: then it counts as down."""
        self.last_error = reason
        self._refused.add(task_id)
        return len(self._refused) >= _REFUSALS_IN_A_ROW

    def failed(self, reason: str, retry_after: float | None) -> bool:
        """The destination does not work. Returns whether this began an outage. Late failures of one wave count once."""
        self.last_error = reason
        waiting = self.failures and not self._probing
        if waiting and time.monotonic() < self._until:
            return False
        began = self.failures == 0
        self.failures += 1
        if began:
            self.down_since = time.time()
        pause = max(delay(self._backoff, self.failures), retry_after or 0.0)
        self._until = time.monotonic() + pause
        self._probing = False
        self._notify()
        return began

    def wake(self) -> None:
        """An operator's wish: try at once."""
        self._until = 0.0
        self._notify()

    def hold(self, *, paused: bool | None = None, stopped: bool | None = None) -> None:
        """Pause or resume, stop or start."""
        self.paused = self.paused if paused is None else paused
        self.stopped = self.stopped if stopped is None else stopped
        self._notify()
