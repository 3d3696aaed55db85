"""Tokens: asked for, kept, renewed and refused; roles (ROUTER-009, 043, 120 to 122, 175, 203)."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fixtures.clients import link
from fixtures.clients.link import Match, Rule
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World
from suites.router.clients import shown, witness
from suites.router.conftest import VariantWorld
from suites.router.settings import STRICT

pytestmark = pytest.mark.router
DELETES = {"DICOM Data Owner", "globalAdmin"}


def _stores(status: int, times: int | None = None) -> Rule:
    return Rule(f"{status} for stores", link.respond(status, ""), Match(method="POST", times=times))


@contextmanager
def _token_service_away(world: World) -> Iterator[None]:
    """Refuse connections to the identity provider, seen to be felt by the router's own test."""
    world.link.set_fault("identity", "refuse")
    try:
        assert not world.connection_tests()["oauth"].passed, "the fault does not bite"
        yield
    finally:
        world.link.heal("identity")


@requirement("ROUTER-120", "ROUTER-009")
@needs("identity-admin", "control")
@pytest.mark.parametrize("form", ["v2", "v1"])
def test_token_in_both_forms(world: World, variant_world: VariantWorld, form: str) -> None:
    """Client credentials are asked for in the configured form, and the connection test says so without the token."""
    if form == "v2":
        _asks_for_token(world, form)
    else:
        with variant_world(STRICT) as strict:
            _asks_for_token(strict, form)


def _asks_for_token(world: World, form: str) -> None:
    mark = world.token_mark()
    result = world.connection_tests()["oauth"]
    assert result.passed, result.detail
    assert "eyJ" not in result.detail, "ROUTER-009: never the token"
    asked = world.token_requests(mark)
    assert asked, "ROUTER-120: no token was asked for"
    for request in asked:
        assert (request["form"], request["grant_type"]) == (form, "client_credentials"), (
            f"ROUTER-120: {request}"
        )
        assert request["status"] == 200, request
    study = world.series(instances=1)
    assert world.send([study], "bridge").all_success
    world.expect("cloud", [study])


@requirement("ROUTER-121")
@needs("identity-admin", "http-interposer")
def test_one_token_serves_all_workers(world: World) -> None:
    """Forty stores by both paths ask for no new token while the old one is good."""
    warm, *studies = world.sized_studies(count=5, instances=10)
    assert world.send([warm], "bridge").all_success
    mark = world.token_mark()
    assert world.send(studies[:2], "bridge").all_success
    assert world.send(studies[2:], "intake").all_success
    world.expect("cloud", [warm, *studies])
    asked = world.token_requests(mark)
    assert len(asked) <= 1, f"ROUTER-121: {len(asked)} token requests for 40 stores"


@requirement("ROUTER-121", "ROUTER-043")
@needs("identity-admin", "http-interposer")
def test_one_401_means_one_renewal_and_one_repeat(world: World) -> None:
    """A single 401 triggers exactly one renewal and one repeat of the request; the sender gets 0000."""
    before, study = world.sized_studies(count=2, instances=1)
    uid = study.instances[0].sop_instance_uid
    assert world.send([before], "bridge").all_success, "a router that was just started has no token yet"
    mark = world.token_mark()
    with world.cloud_answers(_stores(401, times=1)):
        sent = world.send([study], "bridge")
        tries = [e for e in world.link_since(world.rules_since) if uid in e.uids]
    assert sent.all_success, f"ROUTER-121: {sent.describe()}"
    assert [e.status for e in tries] == [401, 200], f"ROUTER-121: {[e.status for e in tries]}"
    assert len(world.token_requests(mark)) == 1, "ROUTER-121: exactly one forced renewal"
    world.expect("cloud", [study])


@requirement("ROUTER-121", "ROUTER-175")
@needs("identity-admin", "link")
def test_token_that_is_valid_outlives_the_token_service(world: World) -> None:
    """With the token service gone nothing changes while the token is good; a forced renewal that fails is an outage, and heals."""
    first, second, third = world.sized_studies(count=3, instances=1)
    assert world.send([first], "bridge").all_success
    with _token_service_away(world):
        assert world.send([second], "bridge").all_success, (
            "ROUTER-175: while the cached token is valid nothing changes"
        )
        with world.cloud_answers(_stores(401)):
            refused = world.send([third], "bridge").outcomes[0]
        assert refused.status in (0xA700, 0x0124), f"ROUTER-175: {shown(refused.status)}"
        assert world.send([third], "intake").all_success
        world.expect("pacs", [third])
    world.expect("cloud", [first, second, third])


@requirement("ROUTER-122", "ROUTER-043")
@needs("identity-admin", "http-interposer")
def test_authorisation_failure_holds_the_queue(world: World) -> None:
    """A secret that has expired pauses the cloud's queue: no task fails for good, 0124 at the bridge, and all is delivered later."""
    queued, asked = world.sized_studies(count=2, instances=2)
    dead = len(world.router.dead_letters())
    with world.secret_changed(), world.cloud_answers(_stores(401)):
        assert world.send([queued], "intake").all_success
        refused = world.send([asked], "bridge").outcomes[0]
        assert refused.status == 0x0124, f"ROUTER-122: {shown(refused.status)} {refused.comment}"
        row = eventually(
            lambda: (found := world.router.destination("cloud"))["last_error"] and found,
            within=20,
            because="the cloud's queue to say why it does not deliver (ROUTER-122)",
        )
        assert row["waiting"] + row["in_progress"] == 2, row
        assert len(world.router.dead_letters()) == dead, "ROUTER-122: a task was failed for good"
        world.expect("pacs", [queued])
    world.expect("cloud", [queued])
    assert world.send([asked], "bridge").all_success
    world.expect("cloud", [queued, asked])


@requirement("ROUTER-122")
@needs("http-interposer")
def test_missing_role_is_not_authorised(world: World) -> None:
    """403 is 0124 at the bridge and no dead letter in the queue."""
    study, queued = world.sized_studies(count=2, instances=1)
    with world.cloud_answers(_stores(403)) as answered:
        refused = witness(world, "dcmtk").send(study.instances, world.bridge, via="bridge").outcomes[0]
        assert refused.status == 0x0124, f"ROUTER-043 (403): {shown(refused.status)}"
        world.register([study])
        assert world.send([queued], "intake").all_success
        answered.wait_for_hit()
        world.expect("pacs", [queued])
        assert world.dead_letters() == [], "ROUTER-122: no task is failed permanently"
    world.expect("cloud", [queued])


@requirement("ROUTER-121")
@needs("identity-admin")
@pytest.mark.parametrize("offset", [-280, 280])
def test_clock_skew_of_the_token_service(world: World, offset: int) -> None:
    """A token service whose clock is almost 5 min off disturbs nothing: the life of a token counts from its receipt."""
    study = world.series(instances=2)
    world.identity_admin.set_clock(offset)
    try:
        with world.cloud_answers(_stores(401, times=1)):
            sent = world.send([study], "bridge")
        assert sent.all_success, f"ROUTER-121: clock off by {offset} s: {sent.describe()}"
    finally:
        world.identity_admin.set_clock(0)
        world.connection_tests()
    world.expect("cloud", [study])


@requirement("ROUTER-203")
@needs("identity-admin")
@pytest.mark.parametrize("role", ["DICOM Data Writer", "DICOM Data Owner"])
def test_router_works_without_the_right_to_delete(world: World, role: str) -> None:
    """With read and store rights only everything works; the status warns when the token's role could delete, and only then."""
    client = world.deployment.identity.applications["router"].client_id
    study = world.series(instances=2)
    world.identity_admin.set_application(client, roles=[role])
    try:
        with world.cloud_answers(_stores(401, times=1)):
            assert world.send([study], "bridge").all_success
        world.expect("cloud", [study])
        assert world.find_through_bridge("STUDY", study).status == 0x0000
        world.move_and_compare(study)
        warned = [w for w in world.router.status()["warnings"] if "delete" in w]
        assert bool(warned) is (role in DELETES), f"ROUTER-203 with role {role}: warnings {warned}"
    finally:
        world.identity_admin.set_application(client, roles=["DICOM Data Owner"])
        with world.cloud_answers(_stores(401, times=1)):
            world.send([study], "bridge")
