"""Clients that store and delete until the service goes away under them, and what they remember of it."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

from fixtures.clients.answers import NoAnswer
from fixtures.clients.dicomweb import DicomWeb
from fixtures.data import Instance, Run, make_series
from fixtures.evidence.ledger import Ledger

VIA = "cloud"
_SCENE = 800
_STORED = (200, 202)
_PREPARED = 20


@dataclass
class Memory:
    """What was tried and what was answered, by all clients of a test together."""

    ledger: Ledger = field(default_factory=Ledger)
    study_of: dict[str, str] = field(default_factory=dict)
    deletions: dict[str, int | None] = field(default_factory=dict)
    """SOP Instance UIDs of which a deletion was tried, and its status; None: no answer came."""
    stored: int = 0
    unanswered: list[Instance] = field(default_factory=list)
    """Of stores to which no answer came, until somebody has asked what became of them."""
    problems: list[str] = field(default_factory=list)
    """Answers that nobody may get, whatever is killed."""
    turn: threading.Lock = field(default_factory=threading.Lock)

    def trying(self, instances: Sequence[Instance]) -> None:
        """Remember, before they are sent, that instances are stored."""
        with self.turn:
            for instance in instances:
                self.ledger.attempt(instance.fingerprint, VIA)
                self.study_of[instance.sop_instance_uid] = instance.fingerprint.study_instance_uid

    def answered(self, instances: Sequence[Instance], stored: Sequence[str], status: int | None) -> None:
        """Remember the answer of a store; `status` is None when none came."""
        with self.turn:
            for instance in instances:
                uid = instance.sop_instance_uid
                self.ledger.answer(uid, VIA, 200 if uid in stored else status)
            self.stored += len(stored)

    def deleting(self, uid: str, status: int | None) -> None:
        """Remember that an instance is deleted, or what was answered."""
        with self.turn:
            self.deletions[uid] = status

    @property
    def kept(self) -> set[str]:
        """SOP Instance UIDs of all that was tried and of which nobody tried a deletion."""
        return set(self.study_of) - self.deletions.keys()


class _Client(threading.Thread):
    """Stores `together` instances a request, and deletes those of every `deleting`th one again."""

    def __init__(
        self,
        web: DicomWeb,
        memory: Memory,
        prepared: Sequence[Sequence[Instance]],
        *,
        deleting: int = 0,
    ) -> None:
        super().__init__(daemon=True)
        self._web, self._memory, self._prepared, self._deleting = web, memory, prepared, deleting
        self.ending = threading.Event()

    def run(self) -> None:
        try:
            for number, instances in enumerate(self._prepared, 1):
                if self.ending.is_set():
                    return
                self._store(instances)
                if self._deleting and number % self._deleting == 0:
                    for instance in instances:
                        self._undo(instance)
        except NoAnswer:
            # What was under way stays without an answer in the memory.
            return
        finally:
            self._web.http.close()

    def _store(self, instances: Sequence[Instance]) -> None:
        self._memory.trying(instances)
        try:
            answer = self._web.store(instances)
        except NoAnswer:
            with self._memory.turn:
                self._memory.unanswered += instances
            raise
        if answer.status not in _STORED or answer.failed:
            self._memory.problems.append(answer.describe())
        self._memory.answered(instances, answer.stored, answer.status)

    def _undo(self, instance: Instance) -> None:
        uids = instance.fingerprint
        self._memory.deleting(instance.sop_instance_uid, None)
        answer = self._web.delete(
            uids.study_instance_uid, uids.series_instance_uid, instance.sop_instance_uid
        )
        if answer.status != 204:
            self._memory.problems.append(answer.describe())
        self._memory.deleting(instance.sop_instance_uid, answer.status)


@dataclass
class Load:
    """Four clients: single small instances, ten in a request, large files, and stores that are undone again."""

    run: Run
    memory: Memory = field(default_factory=Memory)
    _numbers: "count[int]" = field(default_factory=lambda: count(1))

    @contextmanager
    def under_way(self, web: Callable[[], DicomWeb]) -> Iterator[None]:
        """Keep the clients going; they end by themselves when the service does, at the latest with the block."""
        clients = [
            _Client(web(), self.memory, self._requests(6 * _PREPARED, 1)),
            _Client(web(), self.memory, self._requests(_PREPARED, 10)),
            _Client(web(), self.memory, self._requests(_PREPARED, 1, matrix=900)),
            _Client(web(), self.memory, self._requests(2 * _PREPARED, 2), deleting=2),
        ]
        for client in clients:
            client.start()
        try:
            yield
        finally:
            for client in clients:
                client.ending.set()
            for client in clients:
                client.join()

    def _requests(self, number: int, together: int, *, matrix: int = 64) -> list[list[Instance]]:
        study = make_series(
            self.run, _SCENE, number * together, number=next(self._numbers), rows=matrix, columns=matrix
        )
        made = list(study.stream())
        for instance in made:
            _ = instance.fingerprint  # now: while the clients run it would slow them down
        return [made[start : start + together] for start in range(0, len(made), together)]
