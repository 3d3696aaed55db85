"""Retries of the durable queues: growing delays, uncertain outcomes, dead letters (ROUTER-043, 102, 104, 108, 109, 127, 161)."""

from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from fixtures.clients import link
from fixtures.clients.link import Match, Rule
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World, rules
from suites.router.conftest import VariantWorld
from suites.router.settings import NARROW

pytestmark = pytest.mark.router


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
