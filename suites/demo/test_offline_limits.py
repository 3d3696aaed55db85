"""Outages that last, that hit the token service alone, or that an operator makes (CLAIM-OFFLINE-05 to CLAIM-OFFLINE-07)."""

import time
from dataclasses import dataclass

import pytest

from fixtures.data import Study
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World
from fixtures.world.outcomes import NO_RESOURCES, NOT_AUTHORISED
from fixtures.world.router_file import with_keys
from suites.demo.searches import local_searches

pytestmark = pytest.mark.demo

ROOM = 1_500_000
"""Bytes that the spool may take in addition to what it holds."""
_FILLED_ALARM = "the spool's disk"


@dataclass(frozen=True)
class Limits:
    """What the spool may hold, in bytes, and from where on it warns."""

    soft: int
    hard: int
    soft_percent: int


def _limits(world: World) -> Limits:
    """A hard limit a little above what is held, and a soft one between the two."""
    spool = world.router.status()["spool"]
    hard = int(spool["bytes"]) + ROOM
    # The same share is that of the disk at which the alarm comes, which must not be there already.
    wanted = max(100 - 40 * ROOM // hard, int(spool["disk_percent"]) + 2)
    percent = min(99, wanted)
    return Limits(hard * percent // 100, hard, percent)


@requirement("CLAIM-OFFLINE-05")
@needs("link", "control", "router-admin")
@pytest.mark.lasting(8)
def test_full_spool_refuses_and_what_was_accepted_is_delivered(world: World) -> None:
    """In a long outage the spool warns, then refuses with A700; restored, all that was accepted arrives and intake resumes.

    CLAIM-OFFLINE-05.
    """
    limits = _limits(world)
    keys = {
        "spool.hard_limit_bytes": str(limits.hard),
        "spool.soft_limit_percent": str(limits.soft_percent),
        "spool.hard_limit_percent": "99.9",
    }
    sent: list[Study] = []
    accepted: set[str] = set()
    warned_at = refused_at = used_then = 0
    with world.router_settings(lambda text: with_keys(text, keys)):
        assert not _is_warning(world)
        with world.cut("refuse"):
            for number in range(1, 40):
                study = world.series(instances=1, matrix=256)
                size = len(study.instances[0].part10)
                outcome = world.send([study], "intake").outcomes[0]
                sent.append(study)
                used = int(world.router.status()["spool"]["bytes"])
                assert used <= limits.hard + size, f"{used} bytes, {limits.hard} allowed and one object more"
                if not warned_at and _is_warning(world):
                    warned_at, used_then = number, used
                if outcome.status == 0x0000:
                    accepted.add(outcome.sop_instance_uid)
                    continue
                assert outcome.status == NO_RESOURCES, f"refused with {outcome.status}, not A700"
                refused_at = number
                break
            assert refused_at, f"{limits.hard} bytes were never full"
            assert 0 < warned_at < refused_at, f"warned at object {warned_at}, refused at object {refused_at}"
            assert limits.soft <= used_then < limits.hard, (
                f"warned at {used_then} bytes, not between {limits.soft} and {limits.hard}"
            )
            refused = world.sop_uids(sent) - accepted
            world.expect("pacs", [s for s in sent if world.sop_uids([s]) <= accepted])
            assert world.held("pacs", sent) & refused == set()
        world.expect("cloud", sent, without=refused)
        eventually(
            lambda: int(world.router.status()["spool"]["bytes"]) < limits.soft and not _is_warning(world),
            within=world.bounds.settle,
            because="the spool to fall below its soft limit by itself",
        )
        assert world.send(sent[-1:], "intake").all_success, "the intake did not resume by itself"
        world.expect_both(sent)
        world.expect_created_once(sent)
        assert world.dead_letters() == []
    world.evidence.note(
        f"Spool of {limits.hard} bytes in an outage: warned at object {warned_at}, refused object {refused_at} with A700; "
        f"after the restore all {len(accepted)} accepted ones arrived, and the refused one when it was sent again."
    )


def _is_warning(world: World) -> bool:
    return any(_FILLED_ALARM in alarm for alarm in world.router.status()["alarms"])


LIFE = 6
TOLERANCE = 300
"""Seconds by which the service forgives an expired token (AUTH-008); a clock so far behind takes them away."""


@requirement("CLAIM-OFFLINE-06")
@needs("control", "identity-admin", "http-interposer", "router-admin")
@pytest.mark.lasting(14)
def test_token_service_down_is_felt_when_the_token_ends(world: World) -> None:
    """With the token service dead uploads go on while the token lives, wait after that, and all arrive when it is back.

    CLAIM-OFFLINE-06.
    """
    early, bridged, late, refused = world.sized_studies(count=4, instances=2, matrix=16)
    running = world.router.status()["started"]
    with world.tokens_like(life=LIFE, clock=-TOLERANCE):
        begun = time.monotonic()
        with world.down("identity"):
            assert world.send([early], "intake").all_success
            assert world.send([bridged], "bridge").all_success, "the cached token was not used"
            _expect_listed(world, [early, bridged])
            assert time.monotonic() < begun + LIFE, "the machine is too slow to store within a token's life"
            world.wait_until(begun + LIFE + 0.5)
            connections, since = _identity_connections(world), time.monotonic()
            answers = world.send([refused], "bridge").statuses
            assert set(answers) <= {NO_RESOURCES, NOT_AUTHORISED}, (
                f"the token service is dead and the token has ended, and stores were answered {answers}"
            )
            assert world.send([late], "intake").all_success
            world.expect("pacs", [early, late])
            world.pause(1.5)
            waiting = world.backlog("cloud")
            assert waiting == 2, f"{waiting} instances wait, though no token can be had for 2"
            lasted, tries = time.monotonic() - since, _identity_connections(world) - connections
            bound = len(refused.instances) + world.probes_within(lasted)
            assert 0 < tries <= bound, f"{tries} tries in {lasted:.1f} s, at most {bound} expected"
    world.expect("cloud", [early, bridged, late])
    assert world.held("cloud", [refused]) == set()
    assert world.send([refused], "bridge").all_success
    world.expect("cloud", [early, bridged, late, refused])
    world.expect_created_once([early, bridged, late, refused])
    assert world.dead_letters() == []
    assert world.router.status()["started"] == running, "the router was restarted"
    world.evidence.note(
        f"Token service killed: 4 uploads with the cached token, then 2 waited and 2 were refused openly, "
        f"{tries} tries in {lasted:.1f} s; all delivered once when it was back."
    )


def _expect_listed(world: World, studies: list[Study]) -> None:
    eventually(
        lambda: world.held("cloud", studies) == world.sop_uids(studies),
        within=LIFE,
        because="uploads with the cached token",
    )


def _identity_connections(world: World) -> int:
    """How often somebody on premises has connected to the token service, as the link counts."""
    row = world.link.routes()["identity"]
    return int(row["connections"])


@requirement("CLAIM-OFFLINE-07")
@needs("router-admin")
def test_stopped_paths_behave_as_the_demo_says(world: World) -> None:
    """With both paths to the cloud stopped the PACS's query fails, local lookup and intake go on; started, all works again.

    CLAIM-OFFLINE-07: "DIMSE to DICOMWEB" is the cloud bridge, "DIMSE C-MOVE Processor" the bridge to the PACS.
    """
    held = world.preloaded(patients=(1, 2, 3))
    prior, new = world.cast.study(1, "prior"), world.series(instances=3)
    world.store_in_cloud([prior])
    keys = {"StudyInstanceUID": prior.study_instance_uid}
    assert world.query_from_pacs(keys).study_uids == {prior.study_instance_uid}
    prepared = world.prepare_pacs_retrieve(prior)
    running = world.router.status()["started"]
    with world.path_stopped("cloud-bridge"), world.path_stopped("pacs-bridge"):
        echo = world.modality("ORTHANC").echo(world.bridge)
        # A published container port takes the connection and ends it.
        assert echo.association in ("refused", "aborted"), (
            f"the stopped listener still answers: {echo.association}"
        )
        assert world.query_from_pacs(keys).http_status == 500
        assert prepared.run().state == "Failure"
        for search in local_searches(held):
            assert world.pacs_find_by_rest(search) & world.uids(held) == search.expected, search.name
        assert world.send([new], "intake").all_success
        world.expect("cloud", [prior, new])
        assert world.held("pacs", [prior]) == set()
    world.expect("pacs", [*held, new])
    world.query_works_again(keys, 1)
    assert world.query_from_pacs(keys).study_uids == {prior.study_instance_uid}
    assert world.retrieve_to_pacs(prior).succeeded
    world.expect("pacs", [*held, new, prior])
    assert world.router.status()["started"] == running, "a restart was needed"
    world.evidence.note(
        "Both paths stopped: the PACS's query was an error and its retrieval failed, local lookup and intake went on "
        "(the PACS's own copies of new studies waited in the router); started again, everything worked without a restart."
    )
