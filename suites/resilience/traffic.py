"""Mixed traffic for a router under stress: modalities, the bridge, queries and retrievals, by both kinds of client."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fixtures.actors.dcmtk import Dcmtk
from fixtures.actors.results import SendResult
from fixtures.data import Study
from fixtures.evidence.ledger import judge
from fixtures.waiting import eventually
from fixtures.world import World


class Traffic:
    """Senders and askers, each a thread that goes on until it is told to end; their errors are kept, not lost."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.sent: dict[str, list[Study]] = {"intake": [], "bridge": []}
        self.done: Counter[str] = Counter()
        self.errors: list[str] = []
        self._random = random.Random(seed)  # noqa: S311 - the same instants when a run is repeated
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._stored = world.series(instances=6, matrix=32)

    def prepare(self) -> None:
        """Put a study into the cloud, so that queries and moves have something to find."""
        self.world.store_in_cloud([self._stored])

    @property
    def studies(self) -> list[Study]:
        """Everything that was sent by any way."""
        return [study for studies in self.sent.values() for study in studies]

    def wait(self, least: float, most: float) -> None:
        """Let traffic run for a random time, in seconds."""
        threading.Event().wait(self._random.uniform(least, most))

    @contextmanager
    def running(self) -> Iterator[None]:
        """All kinds of traffic at once; the end of the block lets each finish what it is doing."""
        self._ended.clear()
        works = (self._to_intake, self._to_bridge, self._by_dcmtk, self._find, self._move)
        threads = [threading.Thread(target=self._loop, args=(work,), name=work.__name__) for work in works]
        with self.world.workstation.receiving(self.world.deployment.workstation_bind):
            for thread in threads:
                thread.start()
            try:
                yield
            finally:
                self._ended.set()
                for thread in threads:
                    thread.join()
        assert not self.errors, f"the traffic itself failed: {self.errors[:3]}"

    def _loop(self, work: Callable[[], None]) -> None:
        while not self._ended.is_set():
            try:
                work()
            except Exception as error:  # noqa: BLE001 - a dead thread would look like a quiet router
                self.errors.append(f"{work.__name__}: {error!r}")
                return
            # The router may be down at the moment: knocking all the time would only take its processor.
            self._ended.wait(0.1)

    def _new_study(self, path: str, instances: int) -> Study:
        # One at a time: their numbers come from one counter.
        with self._lock:
            study = self.world.series(instances=instances, matrix=48)
            self.world.register([study])
            self.sent[path].append(study)
            return study

    def _count(self, what: str, result: SendResult) -> None:
        self.done[f"{what} acknowledged"] += len(result.acknowledged)
        self.done[f"{what} unanswered"] += len(result.unknown)

    def _to_intake(self) -> None:
        study = self._new_study("intake", 8)
        self._count("intake", self.world.modality().send(study.instances, self.world.intake, via="intake"))

    def _to_bridge(self) -> None:
        study = self._new_study("bridge", 3)
        self._count("bridge", self.world.modality().send(study.instances, self.world.bridge, via="bridge"))

    def _by_dcmtk(self) -> None:
        study = self._new_study("intake", 4)
        program = Dcmtk("GDCM", self.world.recorder, self.world.ledger)
        self._count("storescu", program.send(study.instances, self.world.intake, via="intake"))

    def _find(self) -> None:
        keys = {"StudyInstanceUID": self._stored.study_instance_uid}
        found = self.world.workstation.find(self.world.bridge, "STUDY", keys)
        if found.status == 0x0000:
            assert len(found.matches) == 1, (
                f"an outage is never an empty list (ROUTER-069): {found.describe()}"
            )
            self.done["finds"] += 1

    def _move(self) -> None:
        keys = {"StudyInstanceUID": self._stored.study_instance_uid}
        title = self.world.deployment.workstation.ae_title
        moved = self.world.workstation.move(self.world.bridge, "STUDY", keys, title)
        if moved.status == 0x0000:
            assert moved.completed == 6, f"a move that ends well has brought all: {moved.describe()}"
            self.done["moves"] += 1

    def send_the_rest(self) -> None:
        """Send again whatever nobody has acknowledged; everything must be taken."""
        for path, studies in self.sent.items():
            acknowledged = self.world.ledger.acknowledged()
            left = [study for study in studies if self.world.sop_uids([study]) - acknowledged]
            sent = self.world.send(left, path)
            assert sent.all_success, f"the repeat of what was not acknowledged by {path}: {sent.describe()}"

    def look(self) -> None:
        """What was acknowledged is where it belongs, whole, once; nothing is anywhere that nobody has sent there."""
        both = self.world.sop_uids(self.sent["intake"])
        belongs = {"pacs": both, "cloud": both | self.world.sop_uids(self.sent["bridge"])}
        for side, planned in belongs.items():
            expected = planned & self.world.ledger.attempted
            must = expected & self.world.ledger.acknowledged()
            eventually(
                lambda side=side, must=must: self.world.held(side, self.studies) >= must,  # type: ignore[misc]
                within=self.world.bounds.settle,
                because=f"the {len(must)} acknowledged instances to be on the side {side!r}",
            )
            seen = list(self.world.fingerprints(side, self.studies))
            report = judge(self.world.ledger, side, seen, expected=expected)
            assert report.valid, report.describe()

    def expect_everything_once(self) -> None:
        """Both sides hold exactly what was sent there, and the cloud's change feed has one create for each instance."""
        self.world.expect("pacs", self.sent["intake"])
        self.world.expect("cloud", self.studies)
        self.world.expect_created_once(self.studies)
