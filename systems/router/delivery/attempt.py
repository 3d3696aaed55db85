"""The outcome of one attempt to deliver one object, before back-off and bounds are applied."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from systems.router.store.model import Effect, Task


@dataclass(frozen=True, slots=True)
class Attempt:
    """What an attempt did.

    `OUTAGE` speaks of the destination (`holds_destination`) or of an object whose turn must wait without counting as its
    failure; `FAILED` is a bounded failure of the object; `DEAD` is final. `suspect`: the object may be what broke
    the destination. `conflict` raises the identity alarm. `retry_after` is seconds.
    """

    task: Task
    effect: Effect
    status: str
    reason: str = ""
    uncertain: bool = False
    solo: bool = False
    holds_destination: bool = False
    suspect: bool = False
    retry_after: float | None = None


class Carrier(Protocol):
    """Carries objects to one destination."""

    @property
    def batch_instances(self) -> int:
        """Objects to claim at once."""
        ...

    @property
    def batch_bytes(self) -> int:
        """Bytes to claim at once."""
        ...

    async def deliver(self, tasks: Sequence[Task]) -> list[Attempt]:
        """Try to deliver; exactly one attempt per task, whatever happens."""
        ...

    async def close(self) -> None:
        """Give connections back."""
        ...
