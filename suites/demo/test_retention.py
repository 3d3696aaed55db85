"""Data are kept as long as stated and no longer (CLAIM-INTEGRITY-12)."""

import time

import pytest

from fixtures.data import Study
from fixtures.deployment.needles import files_with
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World, rules
from fixtures.world.outcomes import NO_RESOURCES
from fixtures.world.router_file import with_keys
from suites.demo.phi import Marked, marked

pytestmark = pytest.mark.demo

KEPT_SECONDS = 4
_LATE_SECONDS = 30.0
"""After the stated time: a cleaning round, and time for the router to do it beside other tests."""
_ROOM = 400_000
_VALIDATION_FAILED = 43264


@requirement("CLAIM-INTEGRITY-12")
@needs("control", "http-interposer", "router-admin")
@pytest.mark.lasting(10)
def test_what_is_delivered_leaves_the_spool_and_what_is_open_stays(world: World) -> None:
    """Delivered objects stay in the spool for the stated time and then leave it; held and given-up ones outlast the cleaning.

    CLAIM-INTEGRITY-12: the spool's files are searched for the patients of each; PACS, cloud and feed show no delete.
    """
    delivered, held, refused = (marked(world) for _ in range(3))
    first, second, third = (own.study() for own in (delivered, held, refused))
    victim = third.instances[0].fingerprint
    keys = {"spool.keep_delivered_seconds": str(KEPT_SECONDS)}
    with world.router_settings(lambda text: with_keys(text, keys)):
        with world.cloud_answers(rules.stored_with_failure(_VALIDATION_FAILED, victim)):
            assert world.send([third], "intake").all_success
            letter = _dead_letter(world, victim.sop_instance_uid)
        sent_at = time.monotonic()
        assert world.send([first], "intake").all_success
        world.expect("cloud", [first], second_look=False)
        there = _in_spool(world, delivered)
        in_time = time.monotonic() - sent_at < KEPT_SECONDS
        assert there or not in_time, "delivered objects left the spool before the stated time"
        world.router.pause("cloud")
        try:
            assert world.send([second], "intake").all_success
            _leaves_the_spool(world, delivered)
            assert _in_spool(world, held), "the cleaning removed objects that wait for a destination"
            assert _in_spool(world, refused), "the cleaning removed a dead letter"
        finally:
            world.router.resume("cloud")
        world.router.retry(letter)
        world.expect_both([first, second, third])
        for own in (held, refused):
            _leaves_the_spool(world, own)
    world.expect_both([first, second, third])
    world.expect_created_once([first, second, third])
    world.evidence.note(
        f"Delivered objects were {'' if in_time else '(this time nobody looked in time) '}in the spool for the stated "
        f"{KEPT_SECONDS} s and gone afterwards, beside others that waited or "
        "were given up and stayed until they were delivered; neither PACS nor cloud lost anything."
    )


@requirement("CLAIM-INTEGRITY-12")
@needs("control", "router-admin")
@pytest.mark.lasting(8)
def test_a_full_spool_removes_no_open_task(world: World) -> None:
    """Filled to its limit with objects that wait, the spool refuses new ones; several cleaning rounds remove none of the old.

    CLAIM-INTEGRITY-12.
    """
    limit = int(world.router.status()["spool"]["bytes"]) + _ROOM
    keys = {
        "spool.hard_limit_bytes": str(limit),
        "spool.hard_limit_percent": "99.9",
        "spool.keep_delivered_seconds": "1",
        "spool.keep_digest_seconds": "1",
    }
    taken: list[Study] = []
    with world.router_settings(lambda text: with_keys(text, keys)):
        world.router.pause("cloud")
        try:
            for _ in range(40):
                study = world.series(instances=1, matrix=128)
                (outcome,) = world.send([study], "intake").outcomes
                if outcome.status != 0x0000:
                    assert outcome.status == NO_RESOURCES, f"refused with {outcome.status}, not A700"
                    break
                taken.append(study)
            assert 0 < len(taken) < 40, f"a spool of {limit} bytes was not filled by {len(taken)} objects"
            world.expect("pacs", taken)
            _rounds(world, 3)
            waiting = world.backlog("cloud")
            assert waiting == len(taken), f"{waiting} of {len(taken)} objects wait after the cleaning"
        finally:
            world.router.resume("cloud")
        world.expect("cloud", taken)
    world.expect("pacs", taken)
    world.expect_created_once(taken)


def _leaves_the_spool(world: World, own: Marked) -> None:
    eventually(
        lambda: not _in_spool(world, own),
        within=KEPT_SECONDS + _LATE_SECONDS,
        every=0.5,
        because="delivered objects to leave the spool after the stated time",
    )


def _rounds(world: World, number: int) -> None:
    """Let cleaning rounds go by: with a retention of a second there is one each second."""
    world.pause(number * 1.2)


def _in_spool(world: World, own: Marked) -> list[str]:
    found = files_with(world.deployment, "router", [own.marker.encode()])
    return [name for name in found if name.startswith("data/spool/")]


def _dead_letter(world: World, uid: str) -> int:
    def there() -> list[int]:
        return [int(row["id"]) for row in world.router.dead_letters() if row["sop_instance_uid"] == uid]

    return eventually(there, within=world.bounds.settle, because="the refused instance to be a dead letter")[
        0
    ]
