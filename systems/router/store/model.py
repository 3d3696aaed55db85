"""The narrow interface of the queue (ROUTER-100, 101): a broker could stand behind it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any, Protocol

from systems.router.objects import Identity, Received
from systems.router.sealing import Seal


class TaskState(IntEnum):
    """States of a delivery task; the values are stored."""

    WAITING = 0
    IN_PROGRESS = 1
    DEAD = 2
    DELIVERED = 3


class Acceptance(Enum):
    """What became of an arrival."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class Location:
    """Where the Part 10 file of an object lies in the spool: a pack holds one or more files back to back.

    `seal` says how it is encrypted; None: it is not.
    """

    pack: str
    offset: int
    length: int
    seal: Seal | None = None

    @classmethod
    def of(cls, pack: str, offset: int, length: int, key_id: str, salt: bytes | None) -> "Location":
        """From the columns of the index of these names."""
        return cls(pack, offset, length, None if salt is None else Seal(key_id, salt))

    @property
    def key_columns(self) -> tuple[str, bytes | None]:
        """The columns `key_id` and `salt`."""
        return ("", None) if self.seal is None else (self.seal.key_id, self.seal.salt)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to an arrival; for `DIFFERS` the location of the first copy, if the spool still has it."""

    acceptance: Acceptance
    object_id: int
    existing: Location | None = None
    delivered_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """One object to be delivered to one destination."""

    task_id: int
    object_id: int
    destination: str
    identity: Identity
    digest: str
    location: Location
    calling_ae: str
    attempts: int
    failures: int
    uncertain: bool
    solo: bool
    received_at: float


class Effect(Enum):
    """What an attempt did, as far as the queue is concerned."""

    DELIVERED = "delivered"
    OUTAGE = "outage"
    TRANSIENT = "transient"
    FAILED = "failed"
    DEAD = "dead-lettered"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class Settlement:
    """The outcome of one attempt. `status` is short and stable, `reason` is for people.

    `uncertain`: the destination may hold the object, so it is asked before the next attempt (ROUTER-104).
    `not_before` is seconds since the epoch. `solo`: next time alone in its request, to isolate it. `until_recovery`: it may
    go earlier when the destination comes back from an outage.
    """

    task: Task
    effect: Effect
    status: str = ""
    reason: str = ""
    uncertain: bool = False
    solo: bool = False
    not_before: float = 0.0
    until_recovery: bool = False


@dataclass(slots=True)
class Counts:
    """accepted = delivered + waiting + in_progress + dead_lettered + duplicates (ROUTER-155)."""

    accepted: int = 0
    delivered: int = 0
    waiting: int = 0
    in_progress: int = 0
    dead_lettered: int = 0
    duplicates: int = 0


@dataclass(slots=True)
class Snapshot:
    """Counters of one moment."""

    destinations: dict[str, Counts] = field(default_factory=dict)
    received: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    received_bytes: dict[str, int] = field(default_factory=dict)
    conflicts: int = 0
    held: int = 0
    spool_bytes: int = 0


class Queue(Protocol):
    """Objects in, tasks out, settlements back; every method returns after its effect is durable."""

    async def accept(self, received: Received, destinations: Sequence[str], same_as: int = 0) -> Accepted:
        """Make an object and its tasks durable. `same_as`: it was proven equal to that object."""
        ...

    async def keep_apart(self, received: Received, kind: str) -> int:
        """Make an object durable without tasks: `conflict` (ROUTER-105) or `held` (ROUTER-191)."""
        ...

    async def record_upload(self, received: Received, destination: str, status: str) -> None:
        """Record an object the synchronous bridge delivered."""
        ...

    async def claim(self, destination: str, limit: int, byte_limit: int) -> list[Task]:
        """Take the oldest waiting task whose time has come and more of its study; a `solo` task comes alone."""
        ...

    async def claim_probe(self, destination: str, avoid: Collection[int]) -> list[Task]:
        """Take one task to find out whether the destination is back; those in `avoid` only when there are no others."""
        ...

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """Record outcomes."""
        ...

    async def release(self, destination: str, *, everything: bool = False) -> None:
        """Let tasks that only waited for the destination to come back go at once, or `everything` that waits."""
        ...

    async def count_refused(self, path: str) -> None:
        """Count a refused store."""
        ...

    async def retry(self, task_id: int) -> bool:
        """Put a dead-lettered task back; False when there is none of that number."""
        ...

    async def dead_letters(self, limit: int) -> list[dict[str, Any]]:
        """Dead-lettered tasks, oldest first."""
        ...

    async def waiting(self, destination: str, limit: int) -> list[dict[str, Any]]:
        """Open tasks of a destination, oldest first."""
        ...

    async def instance(self, sop_instance_uid: str) -> list[dict[str, Any]]:
        """All that is known of an instance, per object and destination."""
        ...

    def snapshot(self) -> Snapshot:
        """Counters of one moment."""
        ...
