"""The synchronous store: every answer tells what the cloud holds (ROUTER-042 to 046, 048, 160)."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fixtures.clients import link
from fixtures.clients.link import Match, Rule
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import CloudOutcome, World, rules
from suites.router.clients import shown, witness
from suites.router.conftest import VariantWorld, WitnessBy
from suites.router.settings import STRICT

pytestmark = pytest.mark.router

ALLOWED_EXACTLY = {0x0000, 0xB000, 0xB006, 0xB007, 0x0117, 0x0122, 0x0124, 0x0210, 0x0211, 0x0212}
WARNINGS_AND_SUCCESS = {0x0000, 0xB000, 0xB006, 0xB007}
BOUND_SECONDS = 5
"""`timers.default_bound_seconds` of the reference router, for a caller that is not in its table."""


def _of_the_standard(status: int | None) -> bool:
    """Whether C-STORE may be answered so (PS3.4 table B.2-1, PS3.7 annex C; ROUTER-045)."""
    return status is not None and (
        status in ALLOWED_EXACTLY or status >> 8 in (0xA7, 0xA9) or status >> 12 == 0xC
    )


@requirement("ROUTER-043", "ROUTER-044", "ROUTER-045", "ROUTER-160")
@needs("http-interposer")
def test_each_cloud_outcome_is_answered_by_the_table(world: World) -> None:
    """Storescu sees for each outcome of the cloud the status of the table, with a short cause where it failed."""
    outcomes = world.cloud_outcomes()
    world.register([outcome.study for outcome in outcomes])
    _ = [outcome.study.instances for outcome in outcomes]

    def sent(outcome: CloudOutcome) -> tuple[int | None, str]:
        result = witness(world, "dcmtk").send(outcome.study.instances, world.bridge, via="bridge")
        return result.outcomes[0].status, result.outcomes[0].comment

    with (
        world.cloud_answers(*(rule for outcome in outcomes for rule in outcome.rules)),
        ThreadPoolExecutor(6) as pool,
    ):
        answers = list(pool.map(sent, outcomes))
    wrong = []
    for outcome, (status, comment) in zip(outcomes, answers, strict=True):
        if status not in outcome.allowed:
            wrong.append(
                f"{outcome.name}: {shown(status)}, the table of ROUTER-043 allows {outcome.allowed_text}"
            )
        if not _of_the_standard(status):
            wrong.append(f"{outcome.name}: {shown(status)} is no status of the Storage service (ROUTER-045)")
        if status not in WARNINGS_AND_SUCCESS and not 0 < len(comment) <= 64:
            wrong.append(f"{outcome.name}: Error Comment {comment!r}, ROUTER-160 asks for a short cause")
        held = outcome.sop_instance_uid in world.held("cloud", [outcome.study])
        if status in WARNINGS_AND_SUCCESS and not held:
            wrong.append(f"{outcome.name}: {shown(status)} and the cloud has nothing (ROUTER-044)")
    assert not wrong, "\n".join(wrong)


@requirement("ROUTER-042")
@needs("http-interposer")
@pytest.mark.parametrize("kind", ["another instance", "neither sequence", "no JSON", "cut in the middle"])
def test_success_is_read_from_the_body_only(world: World, by: WitnessBy, kind: str) -> None:
    """A 200 whose body does not name this instance as stored is a failure of unknown kind: A700, and retried with success."""
    study, other = world.series(instances=1), world.series(instances=1)
    world.register([study, other])
    own, another = study.instances[0].fingerprint, other.instances[0].fingerprint
    json_type = "application/dicom+json"
    item = {
        "00081150": {"vr": "UI", "Value": [another.sop_class_uid]},
        "00081155": {"vr": "UI", "Value": [another.sop_instance_uid]},
    }
    named = json.dumps({"00081199": {"vr": "SQ", "Value": [item]}})
    body = {
        "another instance": named,
        "neither sequence": "{}",
        "no JSON": "<html>ok</html>",
        "cut in the middle": named[:60],
    }[kind]
    with world.cloud_answers(rules.store_answered(200, own, body=body, content_type=json_type)):
        answer = by().send(study.instances, world.bridge, via="bridge").outcomes[0]
    assert answer.status == 0xA700, (
        f"ROUTER-042, ROUTER-043 (unknown): {shown(answer.status)} {answer.comment}"
    )
    assert world.held("cloud", [study]) == set()
    assert by().send(study.instances, world.bridge, via="bridge").acknowledged, "the positive twin"
    world.expect("cloud", [study])


@requirement("ROUTER-044", "ROUTER-105")
def test_conflict_is_judged_by_comparing(world: World, by: WitnessBy) -> None:
    """What the cloud holds already is 0000 when identical and A900 when it differs; the first copy stays as it is."""
    same, first = world.series(instances=1), world.series(instances=1)
    differing = world.altered(first)
    world.store_in_cloud([same, first])
    answer = by().send(same.instances, world.bridge, via="bridge").outcomes[0]
    assert answer.status == 0x0000, f"ROUTER-043 (45070, proven identical): {shown(answer.status)}"
    refused = world.send_unrecorded(differing, "bridge").outcomes[0]
    assert refused.status == 0xA900, f"ROUTER-043 (45070, differs): {shown(refused.status)}"
    assert refused.comment, "ROUTER-043: with comment"
    world.expect("cloud", [same, first])


@requirement("ROUTER-046", "ROUTER-048", "ROUTER-170")
@needs("link")
def test_success_waits_for_the_cloud_and_failure_does_not_wait_for_ever(world: World) -> None:
    """While the cloud is silent the store gets A700 within the caller's bound, never 0000; afterwards it gets 0000."""
    study = world.series(instances=1)
    world.register([study])
    assert world.router.path("cloud-bridge")["mode"] == "synchronous", "ROUTER-046: the mode is in the status"
    with world.cut("blackhole"):
        began = time.monotonic()
        answer = witness(world, "dcmtk").send(study.instances, world.bridge, via="bridge").outcomes[0]
        took = time.monotonic() - began
    assert answer.status == 0xA700, f"ROUTER-170: {shown(answer.status)} {answer.comment}"
    assert took < BOUND_SECONDS + 3, (
        f"ROUTER-048: answered after {took:.1f} s, the bound is {BOUND_SECONDS} s"
    )
    assert witness(world, "dcmtk").send(study.instances, world.bridge, via="bridge").acknowledged
    world.expect("cloud", [study])


@requirement("ROUTER-048")
@needs("http-interposer")
def test_upload_that_ends_after_the_bound_counts_as_delivered(world: World) -> None:
    """The answer comes at the bound (A700); the upload that ends later is recorded, so the repeat needs no second one."""
    study = world.series(instances=1)
    own = study.instances[0].fingerprint
    slow = Rule("slow store", link.delay(BOUND_SECONDS + 1.0, "after"), Match(method="POST", times=1))
    mark = world.link_mark()
    with world.cloud_answers(slow):
        first = world.send([study], "bridge").outcomes[0]
        assert first.status == 0xA700, f"ROUTER-048: {shown(first.status)}"
        eventually(
            lambda: world.router.instance(own.sop_instance_uid).status == 200,
            within=10,
            because="the late upload to be recorded as delivered (ROUTER-048)",
        )
    assert world.send([study], "bridge").all_success
    assert len(world.uploads_since(mark, study)) == 1, "ROUTER-048: uploaded a second time"
    world.expect("cloud", [study])
    world.expect_created_once([study])


@requirement("ROUTER-046")
@needs("control", "link")
def test_queued_mode_answers_after_durable_acceptance(variant_world: VariantWorld) -> None:
    """In queued mode the bridge answers 0000 in an outage, says so in the status, and delivers after a kill."""
    with variant_world(STRICT) as world:
        assert world.router.path("cloud-bridge")["mode"] == "queued"
        study = world.series(instances=3)
        with world.cut("refuse"):
            assert world.send([study], "bridge").all_success, "ROUTER-046: accepted durably in queued mode"
            assert world.held("cloud", [study]) == set()
            world.kill("router")
        world.start("router")
        world.expect("cloud", [study])
        world.expect_created_once([study])
        assert world.held("pacs", [study]) == set(), "the bridge's path leads to the cloud only"
