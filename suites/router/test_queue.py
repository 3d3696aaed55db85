"""The durable queues: fan-out, order, survival, and nothing deleted (ROUTER-049, 100, 101, 106, 108, 110, 174, 177, 203)."""

import pytest

from fixtures.clients import link
from fixtures.clients.link import Match, Rule
from fixtures.traceability import needs, requirement
from fixtures.world import World, rules
from suites.router.clients import witness
from suites.router.conftest import WitnessBy

pytestmark = pytest.mark.router


@requirement("ROUTER-049", "ROUTER-101")
def test_paused_destination_holds_up_nobody(world: World, by: WitnessBy) -> None:
    """With the cloud's queue paused the PACS gets everything; resumed, the cloud does. Success at one marks no other."""
    study = world.series(instances=4)
    world.register([study])
    world.router.pause("cloud")
    try:
        assert len(by().send(study.instances, world.intake, via="intake").acknowledged) == 4
        world.expect("pacs", [study])
        assert world.held("cloud", [study]) == set(), "ROUTER-101: a paused queue delivered"
        row = world.router.destination("cloud")
        assert (row["waiting"], row["state"]) == (4, "paused"), f"ROUTER-049: {row}"
        assert len(world.router.queue("cloud")["tasks"]) == 4, "ROUTER-101: the queue view"
    finally:
        world.router.resume("cloud")
    world.expect("cloud", [study])
    world.expect_created_once([study])


@requirement("ROUTER-049")
@needs("http-interposer")
def test_failing_cloud_delays_no_pacs_delivery(world: World) -> None:
    """While every store to the cloud is answered 503, new objects reach the PACS; later the cloud has all of them."""
    studies = world.sized_studies(count=2, instances=5)
    with world.cloud_answers(Rule("503", link.respond(503, "busy"), Match(method="POST"))) as answered:
        assert world.send(studies, "intake").all_success
        answered.wait_for_hit()
        world.expect("pacs", studies)
        assert world.held("cloud", studies) == set()
    world.expect("cloud", studies)
    world.expect_created_once(studies)


@requirement("ROUTER-100", "ROUTER-174")
@needs("control", "link")
def test_acknowledged_objects_survive_a_kill(world: World) -> None:
    """Acknowledged in an outage, killed, started: every object reaches both destinations once, without a network to start."""
    study = world.series(instances=5)
    world.register([study])
    with world.cut("refuse"):
        assert (
            len(witness(world, "dcmtk").send(study.instances, world.intake, via="intake").acknowledged) == 5
        )
        world.kill("router")
        world.start("router")
        world.expect("pacs", [study])
        assert world.backlog("cloud") == 5, "ROUTER-100: the tasks did not survive the kill"
    world.expect("cloud", [study])
    world.expect_created_once([study])


@requirement("ROUTER-106", "ROUTER-108")
@needs("http-interposer")
def test_one_retried_object_holds_up_no_other_study(world: World) -> None:
    """While one object is answered 503 again and again, later studies are delivered; it follows when it can."""
    stuck, *later = world.sized_studies(count=4, instances=2)
    own = stuck.instances[0].fingerprint
    with world.cloud_answers(rules.store_answered(503, own, body="busy")):
        assert world.send([stuck, *later], "intake").all_success
        world.expect("cloud", later)
        assert own.sop_instance_uid not in world.held("cloud", [stuck])
    world.expect("cloud", [stuck])


@requirement("ROUTER-106", "ROUTER-177")
@needs("link")
def test_backlog_is_drained_oldest_first_while_new_objects_come(world: World) -> None:
    """After an outage the first creates follow the order of arrival, and what arrives meanwhile is still accepted."""
    studies = world.sized_studies(count=20, instances=1, matrix=16)
    mark = world.feed_mark()
    with world.cut("refuse"):
        assert world.send(studies, "intake").all_success
    fresh = world.series(instances=1, matrix=16)
    assert world.send([fresh], "intake").all_success
    world.expect("cloud", [*studies, fresh])
    world.expect_order(mark, studies)


@requirement("ROUTER-110", "ROUTER-203")
@needs("http-interposer")
def test_routing_deletes_and_changes_nothing(world: World) -> None:
    """Store, repeat, conflict, query and retrieval make no request that deletes or updates, and nothing is gone."""
    study = world.series(instances=2)
    mark, feed = world.link_mark(), world.feed_mark()
    assert world.send([study], "intake").all_success
    world.expect_both([study])
    world.send_unrecorded(world.altered(study), "intake")
    assert world.send([study], "bridge").all_success
    assert world.move_through_bridge("STUDY", study).status == 0x0000
    methods = {e.method for e in world.link_since(mark)}
    assert methods == {"GET", "POST"}, f"ROUTER-110, ROUTER-203: the router sent {methods}"
    assert {entry["action"].lower() for entry in world.feed_since(feed)} == {"create"}
    world.expect_both([study])
