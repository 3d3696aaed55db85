"""Identity: a person's own token (CLAIM-AUTH-09)."""

import pytest

from fixtures.traceability import needs, requirement
from fixtures.world import World
from suites.demo.api_matrix import Call, calls, data_action_allowed, offered_by
from suites.demo.signing_in import SignedIn, claims_of, sign_in_of, signed_in

pytestmark = pytest.mark.demo

ONE_OF_EACH_KIND = {"store", "search studies", "retrieve study", "delete study", "bulk update"}


@requirement("CLAIM-AUTH-09")
@needs("identity-admin")
@pytest.mark.parametrize("way", ["code", "device"])
def test_persons_token_does_what_the_persons_role_allows(world: World, way: str) -> None:
    """Reader and writer, signed in by code with PKCE or on a device, get the answers of a client with the same role.

    CLAIM-AUTH-09. The registration they sign in at has the owner's role meanwhile, which is nobody's but its own.
    """
    study = world.cast.study(1, "prior")
    world.store_in_cloud([study])
    public = sign_in_of(world).client_id
    world.identity_admin.set_application(public, roles=["DICOM Data Owner"])
    try:
        people = {name: signed_in(world, name, way) for name in ("reader", "writer")}
    finally:
        world.identity_admin.set_application(public, roles=[])
    for name, person in people.items():
        _expect_delegated(world, name, person)

    matrix = [call for call in calls(world, study) if offered_by(world, call)]
    if way == "device":  # the same kind of token: a call of each kind tells
        matrix = [call for call in matrix if call.name in ONE_OF_EACH_KIND]
        assert len(matrix) == len(ONE_OF_EACH_KIND)
    compared = 0
    for name, person in people.items():
        client = world.fresh_token(name)
        for call in matrix:
            statuses = [_status(world, token, call, name) for token in (person.token, client)]
            assert statuses[0] == statuses[1], f"{name}: {call.name} {statuses[0]}, as a client {statuses[1]}"
            refused = statuses[0] == 403
            assert refused is not data_action_allowed(name, call), f"{name}: {call.name} {statuses[0]}"
            compared += 1
    world.expect("cloud", [study])
    world.evidence.note(
        f"Signed in by {way}: {compared} calls of two people were answered as those of clients with the same roles."
    )


@requirement("CLAIM-AUTH-09")
@needs("identity-admin")
def test_person_without_role_is_refused(world: World) -> None:
    """The same person is answered 200, without the role 403, and 200 again; the other person notices nothing.

    CLAIM-AUTH-09.
    """
    study = world.cast.study(1, "prior")
    world.store_in_cloud([study])
    (search,) = [call for call in calls(world, study) if call.name == "search studies"]
    reader = sign_in_of(world).people["reader"].name

    def statuses() -> list[int]:
        people = ("reader", "writer")
        return [_status(world, signed_in(world, name).token, search, name) for name in people]

    assert statuses() == [200, 200]
    world.identity_admin.set_user_roles(reader, [])
    try:
        assert statuses() == [403, 200]
        assert "roles" not in signed_in(world, "reader").claims
    finally:
        world.identity_admin.set_user_roles(reader, ["DICOM Data Reader"])
    assert statuses() == [200, 200]


def _expect_delegated(world: World, name: str, person: SignedIn) -> None:
    claims = person.claims
    client = claims_of(world.fresh_token(name))
    assert str(claims["aud"]).rstrip("/") == world.deployment.cloud.audience.rstrip("/")
    assert claims["preferred_username"] == sign_in_of(world).people[name].name
    assert claims["scp"], "a token without scopes is not a person's"
    assert claims["oid"] != client["oid"], "not a person of its own"
    assert claims["roles"] == client["roles"], f"{name} has {claims['roles']}"


def _status(world: World, token: str, call: Call, name: str) -> int:
    return (
        world.with_token(token)
        .request(call.method, call.path, headers=call.headers, body=call.body_for(name))
        .status
    )
