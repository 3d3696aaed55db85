"""What is known at the moment of loss, and the return to normal (CLAIM-RECOVERY-05, CLAIM-RECOVERY-07)."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World, rules

pytestmark = pytest.mark.demo

CLOUD = "cloud"


@dataclass(frozen=True)
class Exposure:
    """What an export of the audit trail says of the cloud: SOP Instance UIDs."""

    recoverable: frozenset[str]
    exposed: Mapping[str, float]
    """Received for the cloud and not delivered there: UID to the time of reception."""


def exposure_of(export: Iterable[Mapping[str, Any]]) -> Exposure:
    """Compute it from the lines of the export alone."""
    received: dict[str, float] = {}
    delivered: set[str] = set()
    for line in export:
        uid = line.get("sop_instance_uid", "")
        if line["event"] in ("received", "duplicate") and CLOUD in line["destinations"]:
            received.setdefault(uid, float(line["time"]))
        if line["event"] == "delivered" and line["destination"] == CLOUD:
            delivered.add(uid)
    waiting = {uid: at for uid, at in received.items() if uid not in delivered}
    return Exposure(frozenset(delivered), waiting)


@requirement("CLAIM-RECOVERY-05")
@needs("control", "wipe", "link", "router-admin")
@pytest.mark.lasting(8)
def test_audit_export_predicts_what_is_lost(world: World) -> None:
    """With the link cut and then all on premises destroyed, the export says exactly which instances the cloud has and which not.

    CLAIM-RECOVERY-05.
    """
    first = _audit_mark(world)
    direct, *delivered = world.sized_studies(count=3, instances=2, matrix=16)
    queued = world.sized_studies(count=4, instances=2, matrix=16)
    assert world.send([direct], "pacs").all_success
    assert world.send(delivered[:1], "intake").all_success
    assert world.send(delivered[1:], "bridge").all_success
    world.expect(CLOUD, delivered)
    world.router.drained(within=world.bounds.settle)
    with world.cut("refuse"):
        assert world.send(queued, "intake").all_success
        world.expect("pacs", queued)
        export = world.router.audit(first)
        world.destroy("pacs", "router")
        lost_at = time.time()
        assert world.pacs_is_dead()
    everything = [direct, *delivered, *queued]
    truth = world.held(CLOUD, everything)
    predicted = exposure_of(export)
    assert predicted.recoverable & world.sop_uids(everything) == truth, "said to be recoverable"
    assert predicted.exposed.keys() == world.sop_uids(queued), "said to be lost"
    assert world.sop_uids(everything) - truth == world.sop_uids([direct, *queued])
    assert not world.sop_uids([direct]) & {*predicted.recoverable, *predicted.exposed}, (
        "never seen by the router"
    )
    world.expect(CLOUD, delivered)
    oldest = lost_at - min(predicted.exposed.values())
    world.evidence.figure("recovery point with the link cut", len(predicted.exposed), "instances")
    world.evidence.note(
        f"All on premises destroyed in an outage: the audit export named {len(truth)} instances as recoverable and "
        f"{len(predicted.exposed)} as lost (the oldest {oldest:.1f} s old), and so it was; "
        f"{len(direct.instances)} never sent to the router were claimed by nobody."
    )


@requirement("CLAIM-RECOVERY-05")
@needs("control", "http-interposer", "router-admin")
def test_exposure_with_the_link_up_is_what_is_in_flight(world: World) -> None:
    """The router dies while it delivers: what the cloud lacks is among the few instances that were on their way.

    CLAIM-RECOVERY-05. When nothing is on its way, nothing is exposed.
    """
    first = _audit_mark(world)
    settled, busy = world.series(instances=4, matrix=16), world.sized_studies(count=6, instances=2, matrix=16)
    assert world.send([settled], "intake").all_success
    world.expect(CLOUD, [settled])
    world.router.drained(within=world.bounds.settle)
    assert exposure_of(world.router.audit(first)).exposed == {}
    with world.cloud_answers(rules.stores_delayed(0.3)), world.sending(busy, "intake") as sending:
        eventually(
            lambda: bool(world.held(CLOUD, busy)) and sending.acknowledged,
            within=world.bounds.settle,
            every=0.02,
            because="deliveries to be under way",
        )
        before = world.router.destination(CLOUD)
        export = world.router.audit(first)
        after = world.router.destination(CLOUD)
        world.kill("router")
        lost_at = time.time()
    acknowledged = sending.result().acknowledged
    truth = world.held(CLOUD, [settled, *busy])
    world.start("router")
    predicted = exposure_of(export)
    lost = acknowledged - truth
    late = acknowledged - predicted.recoverable - predicted.exposed.keys()
    assert predicted.recoverable >= world.sop_uids([settled])
    assert predicted.recoverable <= truth, f"claimed, not there: {sorted(predicted.recoverable - truth)}"
    assert lost <= predicted.exposed.keys() | late, f"lost, not said: {sorted(lost)}"
    # Both counters go on while the export is read: these are the most that can have been on their way meanwhile.
    gone = before["delivered"] + before["duplicates"] + before["dead_lettered"]
    assert len(predicted.exposed) <= after["accepted"] - gone, "more exposed than in flight"
    seconds = lost_at - min(predicted.exposed.values(), default=lost_at)
    world.evidence.figure("recovery point with the link up", len(lost), "instances")
    world.evidence.figure("age of the oldest instance in flight", round(seconds, 2), "s")
    world.evidence.note(
        f"Router killed while it delivered: {len(lost)} of {len(acknowledged)} acknowledged instances were not in the cloud, "
        f"all of them in flight for at most {seconds:.1f} s; at rest none is exposed."
    )
    unanswered = [s for s in busy if world.sop_uids([s]) - acknowledged]
    assert world.send(unanswered, "intake").all_success
    world.expect_both([settled, *busy])


@requirement("CLAIM-RECOVERY-07")
@needs("control")
@pytest.mark.lasting(8)
def test_pacs_that_returns_gets_what_it_missed(world: World) -> None:
    """With the PACS gone 20 studies are taken and reach the cloud; when it is back it gets each of them once, by itself.

    CLAIM-RECOVERY-07.
    """
    studies = world.sized_studies(count=20, instances=2, matrix=16)
    with world.down("pacs"):
        assert world.pacs_is_dead()
        sent = world.send(studies, "intake")
        assert sent.all_success, sent.describe()
        world.expect(CLOUD, studies)
        assert world.backlog("pacs") == 40
    world.expect_both(studies)
    world.expect_created_once(studies)
    after = world.series(instances=2, matrix=16)
    assert world.send([after], "intake").all_success
    world.expect_both([after])
    counts = world.pacs_instance_counts(studies)
    assert counts == [2] * 20, f"instances of each study in the PACS: {counts}"
    world.evidence.note(
        "20 studies taken while the PACS was dead: all 0000 and in the cloud, 40 instances waited, all of them once in the PACS "
        "after its return, without a manual step; dual delivery went on."
    )


def _audit_mark(world: World) -> int:
    return max((int(line["seq"]) for line in world.router.audit()), default=0)
