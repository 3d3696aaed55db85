"""Whether an instance is safe: every mandatory destination was given it, and says itself that it holds it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from systems.router.commitment.requests import Reference
from systems.router.dimse.storage_classes import STORAGE_CLASSES
from systems.router.reconcile.sides import Side, SideError
from systems.router.store.model import TaskState
from systems.router.store.queue import SqliteQueue
from systems.router.store.transaction import Transaction

PROCESSING_FAILURE: Final = 0x0110
NO_SUCH_INSTANCE: Final = 0x0112
CLASS_DIFFERS: Final = 0x0119
CLASS_NOT_SUPPORTED: Final = 0x0122


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger has of an instance; `states` by destination."""

    sop_class_uid: str
    study_instance_uid: str
    states: dict[str, int]


@dataclass(slots=True)
class Outcome:
    """The result of a request: what is held, what failed and why, what cannot be said yet."""

    held: list[Reference] = field(default_factory=list)
    failed: list[tuple[Reference, int]] = field(default_factory=list)
    open: list[Reference] = field(default_factory=list)

    def give_up(self) -> None:
        """What cannot be said until now has failed."""
        self.failed += [(reference, PROCESSING_FAILURE) for reference in self.open]
        self.open = []


class Decider:
    """Decides one request; each study is asked for once at each destination."""

    def __init__(self, queue: SqliteQueue, sides: Mapping[str, Side], mandatory: Collection[str]) -> None:
        self._queue = queue
        self._sides = sides
        self._mandatory = mandatory
        self._held: dict[tuple[str, str], set[str] | None] = {}

    async def decide(self, references: Collection[Reference], private_classes: Collection[str]) -> Outcome:
        """The outcome for all instances."""
        outcome = Outcome()
        for reference in references:
            known = await self._queue.perform(partial(_look, sop_instance_uid=reference[1]))
            if known is None:
                is_storage = reference[0] in STORAGE_CLASSES or reference[0] in private_classes
                outcome.failed.append((reference, NO_SUCH_INSTANCE if is_storage else CLASS_NOT_SUPPORTED))
            elif known.sop_class_uid != reference[0]:
                outcome.failed.append((reference, CLASS_DIFFERS))
            else:
                await self._judge(reference, known, outcome)
        return outcome

    async def _judge(self, reference: Reference, known: Known, outcome: Outcome) -> None:
        wanted = {
            name: state for name, state in known.states.items() if name in self._mandatory
        } or known.states
        if not wanted or TaskState.DEAD in wanted.values():
            outcome.failed.append((reference, PROCESSING_FAILURE))
            return
        if any(state != TaskState.DELIVERED for state in wanted.values()):
            outcome.open.append(reference)
            return
        answers = [await self._holds(name, known.study_instance_uid, reference[1]) for name in wanted]
        if False in answers:
            outcome.failed.append((reference, NO_SUCH_INSTANCE))
        elif None in answers:
            outcome.open.append(reference)
        else:
            outcome.held.append(reference)

    async def _holds(self, name: str, study: str, uid: str) -> bool | None:
        """None: the destination cannot be asked now, or is not configured any more."""
        side = self._sides.get(name)
        if side is None:
            return None
        if (name, study) not in self._held:
            try:
                self._held[name, study] = {each async for each in side.instances(study)}
            except SideError:
                self._held[name, study] = None
        held = self._held[name, study]
        return None if held is None else uid in held


def _look(tx: Transaction, sop_instance_uid: str) -> Known | None:
    rows = tx.connection.execute(
        "SELECT sop_class_uid, study_instance_uid, destination, state FROM object "
        "LEFT JOIN task ON object_id = object.id WHERE sop_instance_uid = ? AND kind = 'routed'",
        (sop_instance_uid,),
    ).fetchall()
    if not rows:
        return None
    return Known(rows[0][0], rows[0][1], {row[2]: row[3] for row in rows if row[2] is not None})
