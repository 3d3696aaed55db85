"""Identity: tokens that end, keys that change and clocks that differ, while data is on its way (CLAIM-AUTH-04, CLAIM-AUTH-10)."""

import datetime as dt
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fixtures.actors.results import MoveResult
from fixtures.clients import link
from fixtures.data import Study
from fixtures.traceability import needs, requirement
from fixtures.world import World, rules
from fixtures.world.outcomes import NOT_AUTHORISED
from suites.demo.api_matrix import JSON, studies_path

pytestmark = pytest.mark.demo

LIFE = 5
TOLERANCE = 300
"""Seconds by which the service forgives an expired token (AUTH-008). An identity provider whose clock is so far behind takes them away:
its tokens are refused when their life ends, as with a tolerance of 0."""


@requirement("CLAIM-AUTH-04")
@needs("identity-admin", "http-interposer", "router-admin")
@pytest.mark.lasting(20)
def test_transfers_outlive_their_tokens(world: World) -> None:
    """Stores on both paths over three lives of a token, and a C-MOVE longer than one: everything arrives, nobody sees a 401.

    CLAIM-AUTH-04.
    """
    stored = world.series(instances=28, matrix=16)
    world.store_in_cloud([stored])
    asked, passed = world.token_mark(), world.link_mark()
    with world.tokens_like(life=LIFE, clock=-TOLERANCE):
        started = time.monotonic()
        foreign = world.fresh_token("reader")
        assert _search_status(world, foreign) in (200, 204)
        with ThreadPoolExecutor(1) as beside, world.cloud_answers(_SLOW_RETRIEVALS):
            moving = beside.submit(_timed_move, world, stored)
            by_intake, by_bridge = _send_until(world, started + 3.2 * LIFE)
            taken = moving.result()
        lasted = time.monotonic() - started
        number = len(world.token_requests(asked))
        assert _search_status(world, foreign) == 401, "tokens do not end here, so nothing was shown"
    assert taken > LIFE, f"the C-MOVE took {taken:.1f} s, no longer than a token"
    world.expect_both(by_intake)
    world.expect("cloud", by_bridge)
    world.expect_created_once([*by_intake, *by_bridge])
    assert world.dead_letters() == []
    stores = [e for e in world.link_since(passed) if e.method == "POST"]
    refused = {uid for e in stores if e.status == 401 for uid in e.uids}
    accepted = {uid for e in stores if e.status == 200 for uid in e.uids}
    assert refused <= accepted, f"ended with a 401: {refused - accepted}"
    assert lasted / LIFE <= number <= 2 * lasted / LIFE + 3, (
        f"{number} token requests in {lasted:.0f} s with tokens of {LIFE} s"
    )
    world.evidence.note(
        f"{len(by_intake) + len(by_bridge)} studies stored and {len(stored.instances)} instances retrieved over {lasted:.0f} s "
        f"with tokens of {LIFE} s: nothing lost, {number} token requests, {len(refused)} stores repeated after a 401."
    )


@requirement("CLAIM-AUTH-04")
@needs("identity-admin", "http-interposer", "control", "router-admin")
def test_changed_signing_key_costs_one_renewal(world: World) -> None:
    """After a change of the signing key all workers meet a 401, each at most once, and one of them renews the token for all.

    CLAIM-AUTH-04.
    """
    before, asked_before, *waiting = world.sized_studies(count=10, instances=1, matrix=16)
    assert world.send([before, asked_before], "bridge").all_success
    world.router.pause("cloud")
    try:
        assert world.send(waiting, "intake").all_success
        world.change_signing_key()
        # The service keeps what it has read of the authority; anew, it sees only the new key set.
        with world.down("cloud"):
            pass
        # Renewals that could run side by side take long enough to be seen side by side.
        world.link.set_fault("identity", "delay", seconds=0.2)
        passed, asked = world.link_mark(), world.token_mark()
    finally:
        world.router.resume("cloud")
    world.expect("cloud", waiting)
    world.link.heal("identity")
    refused = [e for e in world.link_since(passed) if e.status == 401]
    number = len(world.token_requests(asked))
    workers = _workers(world)
    assert refused, "the old token was still good, so nothing was shown"
    assert len(refused) <= workers, f"{len(refused)} refusals of {workers} workers"
    assert number == 1, f"{number} renewals for one change of the key"
    world.expect_both(waiting)
    world.expect_created_once([before, asked_before, *waiting])
    assert world.dead_letters() == []
    world.evidence.note(
        f"The signing key changed under {len(waiting)} waiting studies: {len(refused)} refusals (401), one renewal, all delivered once."
    )


@requirement("CLAIM-AUTH-10")
@needs("identity-admin", "http-interposer", "migration", "router-admin")
@pytest.mark.parametrize("minutes", [-4, 4])
def test_clock_off_by_four_minutes_does_no_harm(world: World, minutes: int) -> None:
    """With the identity provider 4 min behind or ahead both paths, query and migration work, with hardly a new token for all of it.

    CLAIM-AUTH-10.
    """
    bridged, sent, migrated = world.sized_studies(count=3, instances=2, matrix=16)
    world.arrange(migrated, "pacs")
    with world.tokens_like(life=SHORT_LIFE, clock=60 * minutes):
        asked = world.token_mark()
        _everything_works(world, bridged, sent, migrated)
        number = len(world.token_requests(asked))
    assert number <= 1, f"{number} token requests with a clock {minutes} min off"
    world.expect("cloud", [bridged, sent, migrated])
    world.expect("pacs", [sent, migrated])
    world.evidence.note(
        f"Identity provider {minutes:+} min off: stores, query and migration as always, {number} new tokens."
    )


@requirement("CLAIM-AUTH-10")
@needs("identity-admin", "http-interposer", "migration", "router-admin")
@pytest.mark.parametrize("minutes", [-10, 10])
def test_clock_off_by_ten_minutes_fails_openly_and_loses_nothing(world: World, minutes: int) -> None:
    """With 10 min a store at the bridge is 0124, what a modality sends waits; set right, all is delivered and listed in order.

    CLAIM-AUTH-10: tokens of 10 min ahead are not valid yet, those of 10 min behind have ended.
    """
    bridged, sent, migrated = world.sized_studies(count=3, instances=2, matrix=16)
    world.arrange(migrated, "pacs")
    audited = max((int(line["seq"]) for line in world.router.audit()), default=0)
    with world.tokens_like(life=SHORT_LIFE, clock=60 * minutes):
        began = time.time()
        statuses = world.send([bridged], "bridge").statuses
        assert set(statuses) == {NOT_AUTHORISED}, [f"{s:04X}" if s is not None else "none" for s in statuses]
        assert world.send([sent], "intake").all_success
        world.expect("pacs", [sent])
        assert world.backlog("cloud") == 2
        assert world.held("cloud", [bridged, sent]) == set()
        assert world.dead_letters() == []
    world.expect("cloud", [sent])
    _everything_works(world, bridged, sent, migrated)
    world.expect("cloud", [bridged, sent, migrated])
    world.expect_created_once([bridged, sent, migrated])
    lines = world.router.audit(audited)
    numbers = [int(line["seq"]) for line in lines]
    assert numbers == list(range(audited + 1, audited + 1 + len(lines))), "the audit trail is not counted"
    # Seconds of the epoch are UTC; those of the provider's clock would lie minutes off.
    assert all(began - 60 < line["time"] < time.time() + 1 for line in lines), "audit times are not UTC"
    world.evidence.note(
        f"Identity provider {minutes:+} min off: bridge stores 0124, 2 instances waited, all delivered after the correction."
    )


@requirement("CLAIM-AUTH-10")
@needs("migration", "router-admin")
def test_study_of_tomorrow_is_taken_by_its_date_as_written(world: World) -> None:
    """Dates in the future and times without a zone arrive unchanged; a migration goes by the date as written and says so.

    CLAIM-AUTH-10.
    """
    today = dt.datetime.now(dt.UTC).date()
    # Two days ahead it is tomorrow or later wherever the router's clock is.
    tomorrow, long_ago = f"{today + dt.timedelta(days=2):%Y%m%d}", "19700101"
    future, old = world.dated_studies([tomorrow, long_ago], matrix=16)
    assert world.send([future, old], "intake").all_success
    world.expect_both([future, old])
    assert world.attribute_differences("cloud", [future]) == []

    done = world.migrate(select={"studies": sorted(world.uids([future, old]))}, delete=False)
    assert done.state == "done", done.describe()
    shown = {row["study_instance_uid"]: row for row in done.raw["studies"]}
    assert [shown[s.study_instance_uid]["study_date"] for s in (future, old)] == [tomorrow, long_ago]
    assert [shown[s.study_instance_uid]["in_future"] for s in (future, old)] == [True, False]
    by_age = world.migrate(select={"before": f"{today:%Y%m%d}"}, delete=False)
    chosen = {row["study_instance_uid"] for row in by_age.raw["studies"]}
    assert old.study_instance_uid in chosen
    assert future.study_instance_uid not in chosen, "a date in the future counted as old"


SHORT_LIFE = 240
"""Tokens of 4 min: 10 min behind they have ended even for a service that forgives 5 min, 4 min behind they have not."""
_SLOW_RETRIEVALS = rules.reads("slow retrievals", link.delay(1.0), rules.ONE_INSTANCE)
_PAUSE = 0.8


def _search_status(world: World, token: str) -> int:
    return world.with_token(token).request("GET", studies_path(world), headers=JSON).status


def _timed_move(world: World, study: Study) -> float:
    started = time.monotonic()
    moved: MoveResult = world.move_and_compare(study)
    assert moved.completed == len(study.instances), moved.describe()
    return time.monotonic() - started


def _send_until(world: World, end: float) -> tuple[list[Study], list[Study]]:
    """Small studies, in turn by the intake and by the bridge, until the moment; each must be answered 0000."""
    sent: dict[str, list[Study]] = {"intake": [], "bridge": []}
    while time.monotonic() < end:
        for path, studies in sent.items():
            study = world.series(instances=1, matrix=16)
            answer = world.send([study], path)
            assert answer.all_success, f"{path}, study {len(studies) + 1}: {answer.describe()}"
            studies.append(study)
        world.pause(_PAUSE)
    return sent["intake"], sent["bridge"]


def _workers(world: World) -> int:
    """How many deliveries to the cloud run side by side."""
    return sum(
        int(row["concurrency"]) for row in world.router.config()["destinations"] if row["kind"] == "dicomweb"
    )


def _everything_works(world: World, bridged: Study, sent: Study, migrated: Study) -> None:
    assert world.send([bridged], "bridge").all_success
    assert world.send([sent], "intake").all_success
    assert world.found_through_bridge("STUDY", bridged) == {bridged.study_instance_uid}
    done = world.migrate(select={"studies": [migrated.study_instance_uid]}, delete=False)
    assert done.state == "done", done.describe()
