"""The durable queues: fan-out, retries, duplicates, conflicts, dead letters (ROUTER-049, 100 to 110, 155, 158)."""

import hashlib
import json
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from fixtures.clients import link
from fixtures.clients.link import Match, Rule
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World, rules
from suites.router.clients import shown, witness
from suites.router.conftest import VariantWorld, WitnessBy
from suites.router.settings import NARROW

pytestmark = pytest.mark.router

GENESIS = "0" * 64


def states(world: World, sop_instance_uid: str) -> str:
    """What the router says of one instance, as text."""
    answer = world.router.instance(sop_instance_uid)
    assert answer.status == 200, f"ROUTER-155: the instance is not known: {answer.describe()}"
    return json.dumps(answer.json())


def balance(status: dict[str, Any]) -> list[str]:
    """Destinations whose counters do not balance (ROUTER-155)."""
    parts = ("delivered", "waiting", "in_progress", "dead_lettered", "duplicates")
    return [
        f"{row['name']}: accepted {row['accepted']}, { ({part: row[part] for part in parts}) }"
        for row in status["destinations"]
        if row["accepted"] != sum(row[part] for part in parts)
    ]


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


@requirement("ROUTER-102", "ROUTER-127")
@needs("http-interposer")
def test_transient_failure_is_retried_with_growing_delays(world: World) -> None:
    """An object answered 503 three times is sent again after growing delays and then delivered once."""
    study = world.series(instances=1)
    own = study.instances[0].fingerprint
    with world.cloud_answers(rules.store_answered(503, own, body="busy", times=3)):
        assert world.send([study], "intake").all_success
        world.expect("cloud", [study])
        tries = [e for e in world.link.exchanges("cloud", world.rules_since) if e["method"] == "POST"]
    times = _times(tries, own.sop_instance_uid)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert len(times) == 4, f"ROUTER-102: {len(times)} attempts for three 503 and a success"
    # Factor 2 with jitter of a fifth: each delay exceeds the one before it by a quarter at the very least.
    assert gaps[2] > gaps[0], f"ROUTER-102: the delays do not grow: {[round(gap, 2) for gap in gaps]}"
    world.expect_created_once([study])


def _times(exchanges: list[dict[str, Any]], sop_instance_uid: str) -> list[float]:
    """When the instance was sent, in seconds since the epoch."""
    return [
        datetime.fromisoformat(e["time"]).timestamp()
        for e in exchanges
        if sop_instance_uid in (e.get("sop_instance_uids") or ())
    ]


@requirement("ROUTER-127", "ROUTER-043")
@needs("http-interposer")
def test_retry_after_is_honoured(world: World) -> None:
    """A 429 with Retry-After of 2 s is not followed by another attempt for that object before they are over."""
    study = world.series(instances=1)
    uid = study.instances[0].sop_instance_uid
    busy = Rule("429", link.respond(429, "slow down", {"Retry-After": "2"}), Match(method="POST", times=1))
    with world.cloud_answers(busy):
        assert world.send([study], "intake").all_success
        world.expect("cloud", [study])
        tries = world.link.exchanges("cloud", world.rules_since)
    times = _times(tries, uid)
    assert len(times) == 2, times
    assert times[1] - times[0] > 1.9, f"ROUTER-127: repeated after {times[1] - times[0]:.2f} s"


@requirement("ROUTER-102")
@needs("link")
def test_operator_can_wake_a_queue_at_once(world: World) -> None:
    """After an outage long enough for a long back-off, the operator's wake lets the queue go on at once."""
    study = world.series(instances=2)
    with world.cut("refuse"):
        assert world.send([study], "intake").all_success
        eventually(
            lambda: world.router.destination("cloud")["backoff_until"],
            within=20,
            because="the queue to be in back-off (ROUTER-102)",
        )
    world.router.wake("cloud")
    world.expect("cloud", [study])


@requirement("ROUTER-103", "ROUTER-155")
@needs("http-interposer")
def test_every_object_is_accounted_for(world: World) -> None:
    """In every snapshot taken while objects are delivered, refused and repeated, the counters of each destination balance."""
    good, bad = world.series(instances=20), world.series(instances=1)
    before = {row["name"]: row for row in world.router.status()["destinations"]}
    with world.cloud_answers(rules.stored_with_failure(43264, bad.instances[0].fingerprint)):
        with world.sending([good, bad, good], "intake") as sending:
            wrong = []
            while sending._thread is not None and sending._thread.is_alive():  # noqa: SLF001 - until it has ended
                wrong += balance(world.router.status())
        assert not wrong, f"ROUTER-155: {wrong[:3]}"
        world.expect("cloud", [good])
        eventually(
            lambda: [d for d in world.dead_letters() if d.destination == "cloud"],
            within=world.bounds.settle,
            because="the refused object to be a dead letter (ROUTER-103)",
        )
    status = world.router.drained(within=world.bounds.settle)
    assert balance(status) == []
    for name, row in ((row["name"], row) for row in status["destinations"] if row["name"] in before):
        grown = {key: row[key] - before[name][key] for key in ("accepted", "delivered", "duplicates")}
        assert grown["accepted"] == 41, f"ROUTER-155: {name} {grown}"
        assert grown["duplicates"] == 20, f"ROUTER-104: {name} {grown}"


@requirement("ROUTER-104")
@needs("http-interposer")
def test_uncertain_outcome_is_asked_about_before_sending_again(world: World) -> None:
    """The cloud stores and the answer is lost: the router asks whether it holds the instance, and does not send it again."""
    study = world.series(instances=1)
    own = study.instances[0].fingerprint
    with world.cloud_answers(rules.store_reset("after", own, times=1)):
        assert world.send([study], "intake").all_success
        world.expect("cloud", [study])
        world.router.drained(within=world.bounds.settle)
        seen = world.link_since(world.rules_since)
    posts = [e.sequence for e in seen if e.method == "POST" and own.sop_instance_uid in e.uids]
    asked = [e.sequence for e in seen if e.method == "GET" and own.sop_instance_uid in e.path]
    assert len(posts) == 1, f"ROUTER-104: sent {len(posts)} times"
    assert asked, "ROUTER-104: taken for delivered without asking"
    assert asked[0] > posts[0], "ROUTER-104: asked before it was sent"
    world.expect_created_once([study])


@requirement("ROUTER-104")
def test_duplicate_arrival_has_no_second_effect(world: World, by: WitnessBy) -> None:
    """The same object sent again is acknowledged 0000 and causes no second upload and no second entry in the change feed."""
    study = world.series(instances=2)
    world.register([study])
    assert len(by().send(study.instances, world.intake, via="intake").acknowledged) == 2
    world.expect_both([study])
    mark = world.link_mark()
    again = by().send(study.instances, world.intake, via="intake")
    assert [outcome.status for outcome in again.outcomes] == [0, 0], f"ROUTER-104: {again.describe()}"
    world.router.drained(within=world.bounds.settle)
    assert world.uploads_since(mark, study) == [], "ROUTER-104: a second delivery"
    world.expect_both([study])
    world.expect_created_once([study])


@requirement("ROUTER-105")
def test_same_uid_with_other_content_is_kept_apart(world: World) -> None:
    """It is answered A900, raised as an alarm, and delivered nowhere over the first one."""
    study = world.series(instances=1)
    assert world.send([study], "intake").all_success
    world.expect_both([study])
    before = world.router.status()["conflicts"]
    answer = world.send_unrecorded(world.altered(study), "intake").outcomes[0]
    assert answer.status == 0xA900, f"ROUTER-105: {shown(answer.status)} {answer.comment}"
    status = world.router.status()
    assert status["conflicts"] == before + 1, "ROUTER-105: not counted as kept apart"
    assert any("other content" in alarm for alarm in status["alarms"]), (
        f"ROUTER-105: no alarm: {status['alarms']}"
    )
    world.expect_both([study])


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


@requirement("ROUTER-108", "ROUTER-109", "ROUTER-161")
@needs("control", "http-interposer")
def test_poison_object_becomes_a_dead_letter_and_can_be_retried(variant_world: VariantWorld) -> None:
    """After a bounded number of failures it is dead-lettered with its identity and reason, alarmed, and delivered on retry."""
    with variant_world(NARROW) as world:
        poison, good = world.series(instances=1), world.series(instances=3)
        own = poison.instances[0].fingerprint
        with world.cloud_answers(rules.stored_with_failure(272, own)):
            assert world.send([poison, good], "intake").all_success
            world.expect("cloud", [good])
            (letter,) = eventually(
                lambda: [
                    r for r in world.router.dead_letters() if r["sop_instance_uid"] == own.sop_instance_uid
                ],
                within=world.bounds.settle,
                because="the poison object to be dead-lettered (ROUTER-108)",
            )
            tries = [e for e in world.link_since(world.rules_since) if own.sop_instance_uid in e.uids]
        assert letter["destination"] == "cloud", letter
        assert "272" in str(letter["reason"]), f"ROUTER-109: the reason: {letter}"
        assert {"first_attempt", "last_attempt"} <= letter.keys(), f"ROUTER-109: {sorted(letter)}"
        assert len(tries) <= 4, f"ROUTER-108: max_failures is 2, and it was sent {len(tries)} times"
        assert any("dead letter" in alarm for alarm in world.router.status()["alarms"]), (
            "ROUTER-109, ROUTER-161"
        )
        world.expect("pacs", [poison, good])
        world.router.retry(letter["id"])
        world.expect("cloud", [poison, good])
        assert world.router.http.request("POST", "/dead-letters/999999/retry").status == 404


@requirement("ROUTER-043", "ROUTER-109")
@needs("http-interposer")
@pytest.mark.parametrize("reason", [43264, 43265])
def test_permanent_refusal_is_dead_lettered_at_once(world: World, reason: int) -> None:
    """A refused object is sent once, is a dead letter with the cloud's reason, and reaches the PACS all the same."""
    study = world.series(instances=1)
    own = study.instances[0].fingerprint
    with world.cloud_answers(rules.stored_with_failure(reason, own)):
        assert world.send([study], "intake").all_success
        (letter,) = eventually(world.dead_letters, within=world.bounds.settle, because="the dead letter")
        tries = [e for e in world.link_since(world.rules_since) if own.sop_instance_uid in e.uids]
    assert str(reason) in letter.reason, letter
    assert len(tries) == 1, f"ROUTER-043: 'retry no, dead-letter', and it was sent {len(tries)} times"
    world.expect("pacs", [study])
    _retry_all(world)
    world.expect("cloud", [study])


def _retry_all(world: World) -> None:
    for row in world.router.dead_letters():
        if row["sop_instance_uid"] in world.ledger.attempted:
            world.router.retry(row["id"])


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


@requirement("ROUTER-158", "ROUTER-155")
def test_audit_trail_proves_where_each_instance_went(world: World) -> None:
    """Each instance has lines for its reception and each delivery, with AE titles, digest and time, in an unbroken chain."""
    study = world.series(instances=2)
    mark = max((int(line["seq"]) for line in world.router.audit()), default=0)
    assert world.send([study], "intake").all_success
    world.expect_both([study])
    world.router.drained(within=world.bounds.settle)
    lines = eventually(
        lambda: _complete(world.router.audit(mark), world.sop_uids([study])),
        within=10,
        because="the audit lines of both instances (ROUTER-158)",
    )
    for line in lines:
        if line["event"] == "received":
            assert line["calling_ae"] == "GDCM", f"ROUTER-158: AE titles: {line}"
            assert len(line["digest"]) == 64, line
    for before, after in pairwise(lines):
        assert after["previous"] == before["hash"], "ROUTER-158: the chain is broken"
    for line in lines:
        plain = {key: value for key, value in line.items() if key != "hash"}
        digest = hashlib.sha256(
            json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        ).hexdigest()
        assert digest == line["hash"], f"docs/router.md: the hash of line {line['seq']}"
    names = {str(i.dataset().PatientName) for i in study.instances} | {study.patient.patient_id}
    assert not [name for name in names if name in json.dumps(lines)], (
        "ROUTER-158: patient data in the audit trail"
    )


def _complete(lines: list[dict[str, Any]], uids: set[str]) -> list[dict[str, Any]]:
    seen = {(line["event"], line.get("sop_instance_uid"), line.get("destination")) for line in lines}
    wanted: set[tuple[Any, ...]] = {("received", uid, None) for uid in uids}
    wanted |= {("delivered", uid, name) for uid in uids for name in ("ORTHANC", "cloud")}
    assert wanted <= seen, f"missing: {sorted(map(str, wanted - seen))}"
    return lines
