"""The whole demo in one walk, and whether the run as a whole says all it should (CLAIM-PROVISION-07)."""

import pytest

from fixtures.reporting.run import RunRecord, suite_run
from fixtures.traceability import Verdict, needs, requirement
from fixtures.traceability.coverage import Target, judge
from fixtures.traceability.inventory import named_in_sources
from fixtures.traceability.verdicts import ExitCode, exit_code
from fixtures.world import World
from fixtures.world.orders import order_for, run

pytestmark = pytest.mark.demo


class Walk:
    """Counts the studies of PACS and cloud after each step."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._steps: list[str] = []

    def step(self, name: str, pacs: int, cloud: int) -> None:
        """The step is over: the counts have to be these."""
        seen = self._world.study_counts()
        assert seen == (pacs, cloud), f"after '{name}': PACS/cloud {seen[0]}/{seen[1]}, not {pacs}/{cloud}"
        self._steps.append(f"{name} {pacs}/{cloud}")

    def describe(self) -> str:
        """All steps with their counts."""
        return ", ".join(self._steps)


@requirement("CLAIM-PROVISION-07")
@needs("control", "link", "wipe", "migration")
@pytest.mark.lasting(30)
def test_the_whole_demo_in_order_on_one_environment(world: World) -> None:
    """Preload, direct push, router, Jule, viewer, dual delivery, migration, priors, prefetch, outages and recovery in turn.

    CLAIM-PROVISION-07: the study counts of PACS and cloud after each step are those of the demo.
    """
    walk = Walk(world)
    with world.down("router"):
        recent = world.preloaded()
        walk.step("preload", 8, 0)
        new = world.preloaded("new", patients=(1, 2, 3))
        walk.step("direct push", 11, 0)
    assert world.pacs.echo("QIETOAZURE").status == 200
    walk.step("router added", 11, 0)
    jule = world.cast.study(1, "recent")
    assert world.push_from_pacs(jule).state == "Success"
    walk.step("Jule pushed", 11, 1)
    assert world.viewer_list() == {jule.study_instance_uid}
    assert world.view_all_frames([jule]) == world.frames([jule])
    walk.step("viewer", 11, 1)
    for patients, name, counts in (((4, 5, 6), "dual delivery", (14, 4)), ((7, 8), "two more", (16, 6))):
        dual = world.studies("new", patients=patients)
        assert world.send(dual, "intake").all_success
        world.expect_both(dual)
        new += dual
        walk.step(name, *counts)
    priors = world.studies("prior")
    assert world.send(priors, "bridge").all_success
    world.expect("cloud", priors)
    walk.step("migration", 16, 14)
    assert world.query_from_pacs({"PatientID": jule.patient.patient_id}).study_uids == world.uids(
        [jule, priors[0]]
    )
    assert world.retrieve_to_pacs(priors[0]).succeeded
    walk.step("prior retrieved", 17, 14)
    assert run(world, order_for(priors[1].patient))["state"] == "done"
    world.expect("pacs", [*recent, *new, *priors[:2]])
    walk.step("prefetch", 18, 14)
    _go_through_outages(world, walk)
    world.evidence.note(f"Studies in PACS/cloud after each step: {walk.describe()}.")


def _go_through_outages(world: World, walk: Walk) -> None:
    offline, after = world.sized_studies(count=2, instances=2, matrix=16)
    with world.cut("refuse"):
        assert world.send([offline], "intake").all_success
        world.expect("pacs", [offline])
        walk.step("internet outage", 19, 14)
    world.expect("cloud", [offline])
    walk.step("internet back", 19, 15)
    with world.down("pacs"):
        assert world.pacs_is_dead()
        assert world.viewer_list() == world.cloud_study_uids()
        assert world.view_all_frames([offline]) == len(offline.instances)
        assert world.send([after], "intake").all_success
        world.expect("cloud", [after])
    world.expect("pacs", [after])
    walk.step("PACS outage over", 20, 16)
    world.destroy("pacs")
    world.start("pacs", wipe=True)
    walk.step("PACS lost", 0, 16)
    back = [world.cast.study(1, "recent"), world.cast.study(4, "new"), after]
    assert world.restore(sorted(world.uids(back))) == len(back)
    world.expect("pacs", back)
    walk.step("recovery begun", 3, 16)


@requirement("CLAIM-PROVISION-07")
def test_run_says_what_it_tested_and_has_a_verdict_for_every_claim(
    world: World, run_record: RunRecord, pytestconfig: pytest.Config
) -> None:
    """Each role's product, version and build are in the report; each claim has a test or a reason; an empty run fails.

    CLAIM-PROVISION-07.
    """
    stated = run_record.versions
    roles = [role for role in ("pacs", "router", "link", "cloud", "identity") if world.deployment.has(role)]
    unnamed = [role for role in roles if not any(sign.isdigit() for sign in stated.get(role, ""))]
    assert not unnamed, f"the report does not name the version of {unnamed}: {stated}"
    assert str(world.pacs.system()["Version"]) in stated["pacs"], "not what the running PACS states"
    if world.deployment.control is not None:
        for role in roles:
            assert world.control.build(role) in stated[role], f"{role}: not the build that runs"

    session = suite_run(pytestconfig)
    sources = named_in_sources(session.suites_dir, session.catalogue.records)
    target = Target(session.profile.capabilities, session.profile.deviations, sources)
    judged = judge([], frozenset({"demo"}), session.catalogue, target)
    assert len(judged.records) == len([one for one in session.catalogue if one.is_claim]) > 0
    assert judged.holes == (), f"claims without a test: {', '.join(judged.holes)}"
    for nothing in ((), (Verdict.NOT_APPLICABLE,), (Verdict.NOT_RUN,)):
        assert exit_code(nothing) == ExitCode.NOTHING_JUDGED
    world.evidence.note(
        f"The report names {'; '.join(f'{role}: {stated[role]}' for role in roles)}. All {len(judged.records)} claims have a "
        "test or a stated reason why none can decide them here."
    )
