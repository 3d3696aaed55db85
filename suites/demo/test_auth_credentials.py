"""Identity: a wrong secret, and registrations of their own for router and viewer (CLAIM-AUTH-05, CLAIM-AUTH-06)."""

import base64
import hashlib
import json
import time

import pytest

from fixtures.deployment.system_files import SystemFiles
from fixtures.traceability import needs, requirement
from fixtures.world import World
from fixtures.world.outcomes import NOT_AUTHORISED
from suites.demo.signing_in import signed_in, viewer_through_link

pytestmark = pytest.mark.demo

SECRET_FILE = "client-secret"
WRONG = "wrong-secret-of-this-test"


@requirement("CLAIM-AUTH-05")
@needs("control", "identity-admin", "http-interposer", "router-admin")
def test_wrong_secret_is_noticed_and_its_correction_needs_no_restart(world: World) -> None:
    """The OAuth test names status and error, bridge stores are 0124, the rest waits; corrected, all of it arrives.

    CLAIM-AUTH-05.
    """
    files = SystemFiles(world.deployment, "router")
    right = files.read(SECRET_FILE).decode()
    refused, queued = world.sized_studies(count=2, instances=3, matrix=16)
    running = world.router.status()["started"]
    world.renew_router_token()
    asked, began = world.token_mark(), time.monotonic()
    with files.replaced(SECRET_FILE, WRONG.encode()):
        # The router goes on with the token it has: a hospital notices a wrong secret when that one ends.
        assert world.renew_router_token().status != 0x0000, "a token was had with a wrong secret"
        tested = world.connection_tests()["oauth"]
        assert not tested.passed
        assert "401" in tested.detail, tested.detail
        assert "invalid_client" in tested.detail, tested.detail
        sent = world.send([refused], "bridge")
        assert set(sent.statuses) == {NOT_AUTHORISED}, sent.describe()
        assert world.send([queued], "intake").all_success
        world.expect("pacs", [queued])
        assert world.backlog("cloud") == 3
        assert world.held("cloud", [refused, queued]) == set()
        world.pause(1.5)
        lasted, requests = time.monotonic() - began, world.token_requests(asked)
        bound = len(refused.instances) + OTHER_REQUESTS + world.probes_within(lasted)
        assert {r["status"] for r in requests} == {401}
        assert len(requests) <= bound, (
            f"{len(requests)} token requests in {lasted:.1f} s, at most {bound} expected"
        )
        said = _said_by_router(world, *(o.comment for o in sent.outcomes), tested.detail)
    world.expect("cloud", [queued])
    assert world.send([refused], "bridge").all_success
    world.expect("cloud", [refused, queued])
    world.expect_created_once([refused, queued])
    assert world.dead_letters() == []
    assert world.router.status()["started"] == running, "the router was restarted"
    shown = [what for what, value in _forms(right, WRONG).items() if value in said]
    assert not shown, f"the router says {shown}"
    world.evidence.note(
        f"Wrong secret: the OAuth test said '{tested.detail}', bridge stores 0124, 3 instances waited; "
        f"{len(requests)} token requests in {lasted:.1f} s; all delivered after the correction, without a restart."
    )


OTHER_REQUESTS = 4
"""Besides stores and probes: the search whose token was refused, the OAuth test, the search and the repeat of the connection test."""


@requirement("CLAIM-AUTH-06")
@needs("identity-admin", "http-interposer", "migration", "router-admin")
def test_router_and_viewer_can_share_a_registration(world: World) -> None:
    """With one identity for both, store, search, open and migrate work.

    CLAIM-AUTH-06: the viewer's requests as OHIF makes them; the viewer itself in a browser is in suites/viewer.
    """
    stored, migrated = world.sized_studies(count=2, instances=2, matrix=16)
    world.arrange(migrated, "pacs")
    shared = world.fresh_token("router")
    assert world.send([stored], "intake").all_success
    world.expect_both([stored])
    done = world.migrate(select={"studies": [migrated.study_instance_uid]}, delete=False)
    assert done.state == "done", done.describe()
    mark = world.link_mark()
    viewer = viewer_through_link(world, shared)
    assert viewer.lists(world.uids([stored, migrated]))
    viewer.opens([stored, migrated])
    assert _callers(world, mark) == {world.router_client}


@requirement("CLAIM-AUTH-06")
@needs("identity-admin", "http-interposer", "migration", "router-admin")
@pytest.mark.lasting(8)
def test_revoking_the_router_leaves_the_viewer_working(world: World) -> None:
    """With two registrations of smaller roles everything works; with the router's disabled the viewer goes on, uploads wait.

    CLAIM-AUTH-06.
    """
    stored, migrated, waiting, refused = world.sized_studies(count=4, instances=2, matrix=16)
    world.arrange(migrated, "pacs")
    person = signed_in(world, "reader")
    with world.roles_of("router", "DICOM Data Writer"):
        mark = world.link_mark()
        assert world.send([stored], "intake").all_success
        world.expect_both([stored])
        assert world.found_through_bridge("STUDY", stored) == {stored.study_instance_uid}
        done = world.migrate(select={"studies": [migrated.study_instance_uid]}, delete=False)
        assert done.state == "done", done.describe()
        assert _callers(world, mark) == {world.router_client}
        mark = world.link_mark()
        viewer = viewer_through_link(world, person.token)
        assert viewer.lists(world.uids([stored, migrated]))
        viewer.opens([stored, migrated])
        assert _callers(world, mark) == {person.client_id}, "the viewer used another application's token"
        with world.tokens_like(life=REVOKED_LIFE, clock=-TOLERANCE), world.disabled("router"):
            world.pause(REVOKED_LIFE)
            assert world.send([waiting], "intake").all_success
            world.expect("pacs", [waiting])
            assert set(world.send([refused], "bridge").statuses) == {NOT_AUTHORISED}
            viewer = viewer_through_link(world, signed_in(world, "reader").token)
            assert viewer.lists(world.uids([stored, migrated]))
            viewer.opens([stored])
            assert viewer.store_status(refused) == 403
            assert world.held("cloud", [waiting, refused]) == set()
            assert world.backlog("cloud") == 2
    world.expect("cloud", [waiting])
    world.expect_both([stored, migrated, waiting])
    assert world.dead_letters() == []
    world.evidence.note(
        "Two registrations: each application was seen with its own client id; with the router's disabled the viewer listed and "
        "opened studies, a store with its token was 403, 2 uploads waited and were delivered when it was enabled again."
    )


REVOKED_LIFE = 3
TOLERANCE = 300
"""Seconds by which the service forgives an expired token (AUTH-008); a clock so far behind takes them away."""


def _callers(world: World, mark: int) -> set[str]:
    """The client ids of the requests that passed the link after a mark."""
    return {str(e["client_id"]) for e in world.link.exchanges("cloud", mark) if e["status"] != 401}


def _said_by_router(world: World, *more: str) -> str:
    router = world.router
    parts = [router.config(), router.status(), router.metrics(), router.audit(), *more]
    return world.control.logs("router") + json.dumps(parts)


def _forms(right: str, wrong: str) -> dict[str, str]:
    """Both secrets, and what gives them away."""
    return {
        f"the {name} secret{form}": value
        for name, secret in (("right", right), ("wrong", wrong))
        for form, value in (
            ("", secret),
            ("'s hash", hashlib.sha256(secret.encode()).hexdigest()),
            (" in base64", base64.b64encode(secret.encode()).decode()),
        )
    }
