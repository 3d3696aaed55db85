"""What an outage of each part does, and what follows it (ROUTER-170 to 177, 185 to 187, 189, 190)."""

import pytest

from fixtures.clients import link
from fixtures.clients.link import Match, Rule
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World
from suites.router.clients import shown, study_keys, witness
from suites.router.conftest import VariantWorld, WitnessBy
from suites.router.settings import FULL, NARROW

pytestmark = pytest.mark.router

REQUEST_LIMIT = 300_000
"""`cloud.max_request_bytes` of the narrow router."""
MANY = 10_000


@requirement("ROUTER-170", "ROUTER-177")
@needs("link")
def test_cloud_unreachable(world: World, by: WitnessBy) -> None:
    """Intake and PACS go on, the cloud's tasks wait, nothing is dropped; all is delivered without anybody's help and told of."""
    studies = world.sized_studies(count=3, instances=4)
    world.register(studies)
    mark = max((int(line["seq"]) for line in world.router.audit()), default=0)
    with world.cut("refuse"):
        for study in studies:
            sent = by().send(study.instances, world.intake, via="intake")
            assert len(sent.acknowledged) == 4, f"ROUTER-170: {sent.describe()}"
        world.expect("pacs", studies)
        assert world.backlog("cloud") == 12, "ROUTER-170: cloud tasks wait"
        assert world.dead_letters() == [], "ROUTER-170: nothing is dropped"
    world.expect("cloud", studies)
    world.expect_created_once(studies)
    told = eventually(
        lambda: [x for x in world.router.audit(mark) if x["event"] == "destination recovered"],
        within=10,
        because="the recovery to be reported (ROUTER-177)",
    )
    assert told[-1]["outage_seconds"] > 0, f"ROUTER-177: the outage interval: {told[-1]}"
    assert told[-1]["backlog"] >= 1, f"ROUTER-177: the number of instances caught up: {told[-1]}"


@requirement("ROUTER-171", "ROUTER-049")
@needs("control")
def test_pacs_unreachable(world: World) -> None:
    """Intake and cloud go on, the PACS's tasks wait; C-MOVE to it is A702 with every instance listed; then it gets all."""
    study, stored = world.sized_studies(count=2, instances=3)
    world.store_in_cloud([stored])
    with world.down("pacs"):
        assert world.send([study], "intake").all_success, "ROUTER-171: intake continues"
        world.expect("cloud", [study])
        assert world.backlog("pacs") == 3, "ROUTER-171: PACS tasks wait"
        moved = witness(world, "dcmtk").move(world.bridge, "STUDY", study_keys(stored), "ORTHANC")
        assert moved.status == 0xA702, f"ROUTER-171: {moved.describe()}"
        assert set(moved.failed_uids) == world.sop_uids([stored]), (
            f"ROUTER-171: lists failures: {moved.failed_uids}"
        )
    world.expect("pacs", [study])
    world.expect_created_once([study])


@requirement("ROUTER-176", "ROUTER-127", "ROUTER-048")
@needs("control", "http-interposer")
def test_half_open_cloud(variant_world: VariantWorld) -> None:
    """An answer whose body never comes is cut by the read-idle limit, counted as transient, and the object delivered later."""
    with variant_world(NARROW) as world:
        study, asked = world.sized_studies(count=2, instances=1)
        hanging = Rule("hangs", link.hang_after_headers(), Match(method="POST", times=1))
        with world.cloud_answers(hanging) as answered:
            assert world.send([study], "intake").all_success
            answered.wait_for_hit()
            world.expect("cloud", [study])
            world.router.drained(within=world.bounds.settle)
        assert world.dead_letters() == [], "ROUTER-176: counted as transient"
        world.expect_created_once([study])
        world.store_in_cloud([asked])
        with world.cloud_answers(Rule("hangs", link.hang_after_headers(), Match(method="GET"))):
            found = world.workstation.find(world.bridge, "STUDY", study_keys(asked))
        assert found.status == 0xC101, f"ROUTER-176: an association held open: {found.describe()}"


@requirement("ROUTER-175")
@needs("control")
def test_token_service_down(world: World) -> None:
    """With the token service dead and no token left the cloud counts as unreachable; when it is back all is delivered."""
    study = world.series(instances=2)
    with world.down("identity"):
        world.stop("router")
        world.start("router")
        assert world.send([study], "intake").all_success
        world.expect("pacs", [study])
        refused = world.send([study], "bridge").outcomes[0]
        assert refused.status == 0xA700, f"ROUTER-175: as cloud unreachable: {shown(refused.status)}"
        assert world.held("cloud", [study]) == set()
        assert world.dead_letters() == []
    world.expect("cloud", [study])


@requirement("ROUTER-189")
@needs("control")
def test_start_without_anybody_else(world: World) -> None:
    """The router starts and takes objects with PACS, cloud and token service absent, and delivers when they come."""
    study = world.series(instances=2)
    world.register([study])
    world.stop("router")
    with world.down("pacs", "cloud", "identity"):
        world.start("router")
        sent = witness(world, "dcmtk").send(study.instances, world.intake, via="intake")
        assert len(sent.acknowledged) == 2, f"ROUTER-189: {sent.describe()}"
    world.expect_both([study])


@requirement("ROUTER-190", "ROUTER-174")
@needs("control", "http-interposer")
def test_graceful_stop_in_the_middle(world: World) -> None:
    """SIGTERM while objects arrive and leave: what was acknowledged is delivered once after the next start."""
    study = world.series(instances=60)
    with world.cloud_answers(Rule("slow", link.delay(0.3), Match(method="POST"))):
        with world.sending([study], "intake") as sending:
            eventually(
                lambda: len(sending.acknowledged) > 5, within=20, every=0.002, because="the sender to be busy"
            )
            world.stop("router")
            assert not world.control.running("router")
        acknowledged = sending.result().acknowledged
    world.start("router")
    assert acknowledged
    eventually(
        lambda: world.held("cloud", [study]) >= acknowledged,
        within=world.bounds.settle,
        because="everything that was acknowledged before the stop to be in the cloud (ROUTER-190)",
    )
    assert world.send([study], "intake").all_success
    world.expect_both([study])
    world.expect_created_once([study])


@requirement("ROUTER-185", "ROUTER-047")
@needs("control")
def test_full_spool_refuses_and_resumes_by_itself(variant_world: VariantWorld) -> None:
    """At the hard limit stores get A700 and leave nothing; when the backlog has gone the intake takes objects again."""
    with variant_world(FULL) as world:
        study = world.series(instances=16, matrix=256)
        world.router.pause("cloud")
        try:
            sent = world.send([study], "intake")
            refused = {
                o.sop_instance_uid for o in sent.outcomes if o.status is not None and o.status >> 8 == 0xA7
            }
            assert refused, f"ROUTER-185: 2 MB fit into a spool of 1.5 MB: {sent.statuses}"
            assert sent.acknowledged, "ROUTER-185: nothing fitted at all"
            assert sent.acknowledged | refused == world.sop_uids([study]), (
                f"ROUTER-185: A700, not {sent.statuses}"
            )
            assert world.router.ready().status in (200, 503)
            for uid in refused:
                assert world.router.instance(uid).status == 404, (
                    "ROUTER-047: something of a refused object remains"
                )
        finally:
            world.router.resume("cloud")
        world.expect("cloud", [study], without=refused)
        eventually(
            lambda: world.send([study], "intake").all_success,
            within=world.bounds.settle,
            because="the intake to resume by itself (ROUTER-185)",
        )
        world.expect_both([study])


@requirement("ROUTER-186", "ROUTER-109")
@needs("control", "http-interposer")
def test_object_above_the_request_limit(variant_world: VariantWorld) -> None:
    """It is dead-lettered for the cloud by name, without an attempt, and reaches the PACS; batches stay below the limit."""
    with variant_world(NARROW) as world:
        huge, batch = world.series(instances=1, matrix=512), world.series(instances=8, matrix=256)
        mark = world.link_mark()
        world.router.pause("cloud")
        assert world.send([huge, batch], "intake").all_success
        world.router.resume("cloud")
        world.expect("cloud", [batch])
        (letter,) = eventually(
            world.dead_letters, within=world.bounds.settle, because="the dead letter (ROUTER-186)"
        )
        assert letter.sop_instance_uid in world.sop_uids([huge])
        assert letter.reason, "ROUTER-186: a named reason"
        assert world.uploads_since(mark, huge) == [], "ROUTER-186: without an upload attempt"
        sizes = [
            int(e["request_bytes"]) for e in world.link.exchanges("cloud", mark) if e["method"] == "POST"
        ]
        assert max(sizes) <= REQUEST_LIMIT, f"ROUTER-186: a request of {max(sizes)} bytes"
        world.expect("pacs", [huge, batch])


@requirement("ROUTER-187")
@needs("large-files")
@pytest.mark.timeout(1800)
def test_study_of_ten_thousand_instances(world: World) -> None:
    """Dual delivery, C-FIND and C-MOVE of 10,000 instances, none lost, none twice."""
    study = world.series(instances=MANY, matrix=8)
    assert world.send([study], "intake").all_success
    for side in ("pacs", "cloud"):
        world.expect(side, [study], within=600)
    assert len(world.found_through_bridge("IMAGE", study)) == MANY, "ROUTER-187: C-FIND by paging"
    assert world.move_and_compare(study).status == 0x0000
