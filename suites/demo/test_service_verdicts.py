"""What suites/azure found out about store, search, retrieve and delete (CLAIM-INTEGRITY-04)."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from fixtures.reporting.run import suite_run
from fixtures.traceability import blocked, not_applicable, requirement
from fixtures.traceability.catalogue import Record
from fixtures.traceability.inventory import named_in_sources
from fixtures.world import World

pytestmark = pytest.mark.demo

AREAS = ("STOW", "QIDO", "WADO", "META", "FRAME", "REND", "DEL")
REPORT = "CONFORMANCE_SERVICE_REPORT"
_HOLDS = ("pass", "known-deviation", "not-applicable")


def _musts(config: pytest.Config, world: World) -> list[Record]:
    """What the conformance statement demands of these groups and a client can see on such a service."""
    found = [one for one in suite_run(config).catalogue if one.suite == "azure" and one.area in AREAS]
    assert {one.area for one in found} == set(AREAS), "a group has no record at all"
    return [one for one in found if one.level == "must" and one.testable(world.profile.capabilities)]


@requirement("CLAIM-INTEGRITY-04")
def test_every_demand_of_the_conformance_statement_has_a_test(
    world: World, pytestconfig: pytest.Config
) -> None:
    """Each must record of store, search, retrieve and delete is named by a test of suites/azure.

    CLAIM-INTEGRITY-04: a record without a test would make the claim unproven.
    """
    musts = _musts(pytestconfig, world)
    named = named_in_sources(suite_run(pytestconfig).suites_dir, {one.id for one in musts})
    without = [one.id for one in musts if one.id not in named]
    assert not without, f"records without a test: {without}"
    world.evidence.note(
        f"All {len(musts)} demands on store, search, retrieve and delete have tests in suites/azure."
    )


@requirement("CLAIM-INTEGRITY-04")
def test_no_demand_of_the_conformance_statement_failed(world: World, pytestconfig: pytest.Config) -> None:
    """In the run of suites/azure that CONFORMANCE_SERVICE_REPORT names, each must record has a verdict and none failed.

    CLAIM-INTEGRITY-04: it has to be a run of the same suites; the nightly run names its own.
    """
    name = os.environ.get(REPORT, "")
    if not name:
        not_applicable(
            "no run of suites/azure is named, so its verdicts are not collected here",
            probe=f"{REPORT} is not set",
        )
    if not Path(name).is_file():
        blocked(f"the run of suites/azure that {REPORT} names has left no report: {name}")
    document: dict[str, Any] = json.loads(Path(name).read_text("utf-8"))
    theirs, ours = document["run"]["versions"].get("suites"), suite_run(pytestconfig).versions()["suites"]
    if theirs != ours:
        not_applicable("the run that is named is one of other suites", probe=f"{theirs} there, {ours} here")
    verdicts = {row["id"]: row["verdict"] for row in document["records"]}
    wrong = {
        one.id: verdicts.get(one.id, "no verdict")
        for one in _musts(pytestconfig, world)
        if verdicts.get(one.id) not in _HOLDS
    }
    assert not wrong, f"store, search, retrieve or delete does not hold: {wrong}"
    world.evidence.note(f"suites/azure decided all of them on {document['run']['finished']}: none failed.")
