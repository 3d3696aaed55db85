"""Identity: tokens and roles in front of the DICOM service (CLAIM-AUTH-*)."""

import base64
import json
from typing import Any

import pytest

from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World
from suites.demo.api_matrix import (
    ACCEPTED,
    JSON,
    answered_to_nobody,
    calls,
    data_action_allowed,
    forged_tokens,
    offered_by,
    studies_path,
)

pytestmark = pytest.mark.demo


@requirement("CLAIM-AUTH-01")
@pytest.mark.parametrize("form", ["v1", "v2"])
def test_client_credentials_give_a_token_the_service_accepts(world: World, form: str) -> None:
    """The router's form (resource) and azure-identity's form (scope) both give a Bearer token for the DICOM audience.

    CLAIM-AUTH-01.
    """
    answer = world.ask_for_token("owner", form)

    assert answer.status == 200, answer.describe()
    document = answer.json()
    assert document["token_type"] == "Bearer"
    assert int(document["expires_in"]) > 0
    token = str(document["access_token"])
    assert str(_claims(token)["aud"]).rstrip("/") == world.deployment.cloud.audience.rstrip("/")
    _expect_accepted(world, token)


@requirement("CLAIM-AUTH-01")
def test_azure_identity_gets_a_token_the_service_accepts(world: World) -> None:
    """The credential class that Azure programs use works unchanged.

    CLAIM-AUTH-01.
    """
    token = world.fresh_token("owner")
    _expect_accepted(world, token)


@requirement("CLAIM-AUTH-01")
@pytest.mark.parametrize("form", ["v1", "v2"])
@pytest.mark.parametrize("secret", [None, "not-the-secret"], ids=["no secret", "wrong secret"])
def test_no_token_without_the_secret(world: World, form: str, secret: str | None) -> None:
    """A token request without the right secret fails with a reason and without a token.

    CLAIM-AUTH-01.
    """
    answer = world.ask_for_token("owner", form, client_secret=secret)
    assert answer.status in (400, 401)
    assert answer.json()["error"] in ("invalid_client", "invalid_request")
    assert "access_token" not in answer.json()


@requirement("CLAIM-AUTH-02")
@needs("identity-admin")
def test_no_interface_answers_without_a_valid_token(world: World) -> None:
    """Every call that reads or changes data gives 401 with a Bearer challenge for each kind of bad token; nothing changes.

    CLAIM-AUTH-02.
    """
    study = world.cast.study(1, "prior")
    world.store_in_cloud([study])
    matrix = calls(world, study)
    feed = world.feed_mark()
    unguarded = [call.name for call in matrix if answered_to_nobody(world, call)]
    assert not unguarded, f"answered without any token: {unguarded}"
    offered = [call for call in matrix if offered_by(world, call)]
    missing = sorted({call.name for call in matrix} - {call.name for call in offered})
    assert {call.name for call in offered} >= {
        "store",
        "search studies",
        "retrieve study",
        "metadata",
        "frames",
        "delete study",
    }

    for kind, headers in forged_tokens(world).items():
        for call in offered:
            refused = world.anonymous.request(
                call.method, call.path, headers=[*call.headers, *headers], body=call.body
            )
            assert refused.status == 401, f"{call.name} with {kind}: {refused.status}"
            assert refused.header("WWW-Authenticate").startswith("Bearer"), (
                f"{call.name} with {kind}: no Bearer challenge"
            )
            assert study.patient.patient_id.encode() not in refused.body, (
                f"{call.name} with {kind} shows data"
            )

    world.expect("cloud", [study])
    assert world.feed_since(feed) == [], "a refused call changed the service"
    world.evidence.note(
        f"{len(offered)} calls x {len(forged_tokens(world))} kinds of bad token: 401 each, nothing shown, nothing changed."
    )
    if missing:
        world.evidence.note(f"Not offered by this service and so not checked: {', '.join(missing)}.")


@requirement("CLAIM-AUTH-02")
def test_health_and_preflight_answer_without_token_and_data(world: World) -> None:
    """Health needs no token and shows no data; neither does a CORS preflight.

    CLAIM-AUTH-02.
    """
    study = world.cast.study(1, "prior")
    world.store_in_cloud([study])
    health = world.anonymous.request("GET", "/health/check")
    assert health.status == 200
    preflight = world.anonymous.request(
        "OPTIONS",
        studies_path(world),
        headers=[("Origin", "https://viewer.example"), ("Access-Control-Request-Method", "GET")],
    )
    assert preflight.status != 401
    for answer in (health, preflight):
        assert study.study_instance_uid.encode() not in answer.body


@requirement("CLAIM-AUTH-03")
@pytest.mark.parametrize("application", ["norole", "reader", "writer", "owner"])
def test_each_role_may_do_what_it_is_for(world: World, application: str) -> None:
    """No role: 403 everywhere. Reader: reads only. Writer: stores, never deletes. Owner: everything. Refusals change nothing.

    CLAIM-AUTH-03.
    """
    study, stored_by_role = world.cast.study(1, "prior"), world.cast.study(2, "prior")
    world.store_in_cloud([study])
    feed = world.feed_mark()
    allowed_stores = 0
    for call in calls(world, study, store=stored_by_role):
        if not offered_by(world, call):
            continue
        answer = world.with_token(world.fresh_token(application)).request(
            call.method, call.path, headers=call.headers, body=call.body_for(application)
        )
        if data_action_allowed(application, call):
            assert answer.status in ACCEPTED, f"{application}: {call.name} answered {answer.status}"
            allowed_stores += call.name == "store"
        else:
            assert answer.status == 403, f"{application}: {call.name} answered {answer.status}, not 403"
    if application != "owner":
        world.expect("cloud", [study])
    if application in ("norole", "reader"):
        assert world.feed_since(feed) == []
        assert not world.held("cloud", [stored_by_role])
    else:
        assert allowed_stores == 1


@requirement("CLAIM-AUTH-03")
@needs("identity-admin")
def test_removed_role_takes_effect(world: World) -> None:
    """A role that is taken away stops working within the profile's propagation bound.

    CLAIM-AUTH-03.
    """

    def status() -> int:
        return (
            world.with_token(world.fresh_token("reader"))
            .request("GET", studies_path(world), headers=JSON)
            .status
        )

    assert status() in (200, 204)
    with world.role_removed("reader"):
        eventually(
            lambda: status() == 403,
            within=world.bounds.propagation + 2,
            because="the removed role to be refused",
        )
    eventually(
        lambda: status() in (200, 204),
        within=world.bounds.propagation + 2,
        because="the returned role to be accepted",
    )


def _expect_accepted(world: World, token: str) -> None:
    """The token opens the service, and a string that is none does not: a service that takes anything accepts nothing."""
    search = {
        name: world.with_token(one) for name, one in {"token": token, "any string": "not-a-token"}.items()
    }
    answers = {
        name: http.request("GET", studies_path(world), headers=JSON).status for name, http in search.items()
    }
    assert answers["token"] in (200, 204), f"the token is answered {answers['token']}"
    assert answers["any string"] == 401, f"any string for a token is answered {answers['any string']}"


def _claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims
