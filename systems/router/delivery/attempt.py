"""The outcome of one attempt to deliver one object, before back-off and bounds are applied."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from systems.router.store.model import Effect, Task


@dataclass(frozen=True, slots=True)
class Attempt:
    """What an attempt did.

    `OUTAGE`: the destination is away (no connection, no token). `TRANSIENT`: it answered, but not now. `FAILED` is a bounded
    failure of the object; `DEAD` is final.

    `reached`: the destination may have seen the object, so the object may be what it stumbled over. `shared`: the outcome
    speaks of a request that carried other objects too, so nobody knows whose it is. `suspect`: nothing usable was said
    about an object that was alone, which is borne only so often. `retry_after` is seconds.
    """

    task: Task
    effect: Effect
    status: str
    reason: str = ""
    uncertain: bool = False
    solo: bool = False
    reached: bool = False
    shared: bool = False
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


def is_away(attempts: Collection[Attempt]) -> bool:
    """Whether one of them found the destination away."""
    return any(attempt.effect is Effect.OUTAGE for attempt in attempts)
