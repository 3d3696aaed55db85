"""SIGKILL in a loop under load: what the service has acknowledged is there, and nothing is there by halves."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

from fixtures.data import Run
from fixtures.deployment.deployment import Control
from fixtures.evidence.ledger import judge
from fixtures.reporting.evidence import Evidence
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from suites.azure.service import Service
from suites.resilience.conftest import ServiceOf
from suites.resilience.load import Load
from suites.resilience.visible import Feed, described, found, retrieved

_CHECKED = "the store was checked"


@dataclass
class _Kills:
    service: Service
    load: Load
    feed: Feed = field(default_factory=Feed)
    totals: "Counter[str]" = field(default_factory=Counter)

    @property
    def control(self) -> Control:
        assert self.service.deployment.control is not None, "@needs(control)"
        return self.service.deployment.control

    def round(self, number: int) -> None:
        """Load, kill at another moment than last time, start again, and look at all that this round has touched."""
        memory = self.load.memory
        before, wanted = set(memory.study_of), memory.stored + 3 + 11 * number % 97
        with self.load.under_way(self.service.web):
            eventually(
                lambda: memory.stored >= wanted,
                within=self.service.settle,
                every=0.001,
                because=f"stores of round {number} to be acknowledged",
            )
            self.control.kill("cloud")
        starts = len(self._checks())
        self.control.start("cloud")
        self._count_repairs(starts)
        touched = {memory.study_of[uid] for uid in memory.study_of.keys() - before}
        here = self.look(touched)
        self._store_again(here)

    def _checks(self) -> list[dict[str, Any]]:
        lines = [line for line in self.control.logs("cloud").splitlines() if line.startswith("{")]
        return [entry for entry in map(json.loads, lines) if entry["message"].startswith(_CHECKED)]

    def _count_repairs(self, starts: int) -> None:
        checks = self._checks()
        assert len(checks) == starts + 1, "a start says once what it has repaired"
        assert checks[-1]["missing"] == 0, f"the index names what is not on disk: {checks[-1]}"
        self.totals["repaired bytes"] += checks[-1]["bytes"]
        self.totals["repaired files"] += checks[-1]["files"]
        self.totals["starts that repaired"] += bool(checks[-1]["bytes"] or checks[-1]["files"])

    def _store_again(self, here: set[str]) -> None:
        """Whatever became of a store without an answer, it does not stand in the way of the next (DEL-022)."""
        memory, web = self.load.memory, self.service.web()
        for instance in memory.unanswered:
            uids = instance.fingerprint
            status = web.delete(
                uids.study_instance_uid, uids.series_instance_uid, instance.sop_instance_uid
            ).status
            assert status == (204 if instance.sop_instance_uid in here else 404)
            answer = web.store([instance])
            assert answer.status == 200, answer.describe()
            memory.answered([instance], answer.stored, answer.status)
        memory.unanswered.clear()

    def look(self, studies: set[str]) -> set[str]:
        """Compare what all resources show of the studies with one another and with what was answered; return what is there."""
        memory = self.load.memory
        assert memory.problems == [], "while it runs, every request is answered as it should be"
        self.service.http("owner").close()  # its connection ended with the service that was killed
        v2, v1 = self.service.web(), self.service.web(version="v1")
        seen = list(retrieved(v2, studies))
        here = {one.sop_instance_uid for one in seen}
        touched = {uid for uid, study in memory.study_of.items() if study in studies}

        self.feed.follow(v1)
        assert self.feed.problems == []
        assert found(v2, studies) == here, "search and retrieval must show the same instances"
        assert described(v2, studies) == here, "metadata and retrieval must show the same instances"
        assert self.feed.current & touched == here, "change feed and retrieval must show the same instances"

        deleted = {uid for uid, status in memory.deletions.items() if status == 204}
        assert not here & deleted, "a deletion that was acknowledged stays"
        kept = memory.kept & touched
        report = judge(
            memory.ledger, "cloud", (one for one in seen if one.sop_instance_uid in kept), expected=kept
        )
        assert report.valid is not False, report.describe()
        assert here <= touched, "nothing is there that nobody has sent"
        self.totals["unanswered, there whole"] += len(report.recovered)
        self.totals["unanswered, not there"] += len(report.unknown)
        return here


@needs("control")
@requirement("STOW-065", "DEL-022")
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_acknowledged_survives_sigkill(
    service_of: ServiceOf, this_run: Run, rounds: int, workers: str, evidence: Evidence
) -> None:
    """Stores of all sizes and deletions run while the service is killed; its store is whole after every start."""
    load = Load(Run(f"{this_run.run_id}-kills-{workers}"))
    with service_of("--workers", workers) as service:
        kills = _Kills(service, load)
        for number in range(rounds):
            kills.round(number)
        memory = load.memory
        kills.look(set(memory.study_of.values()))
        assert memory.stored >= 3 * rounds, "something was acknowledged in every round"
        assert kills.control.logs("cloud").count("failed unexpectedly") == 0

    deletions = Counter(memory.deletions.values())
    evidence.figure("kills", rounds)
    evidence.figure("instances tried", len(memory.study_of))
    evidence.figure("instances acknowledged", memory.stored)
    evidence.figure("deletions acknowledged", deletions[204])
    for name, value in sorted(kills.totals.items()):
        evidence.figure(name, value)
