"""Security as configured: off, without roles, several audiences, another claim (AUTH-001, AUTH-006, AUTH-012, AUTH-013)."""

import pytest

from fixtures.traceability import needs, requirement
from suites.azure import callers
from suites.azure.conftest import SpecialService
from suites.azure.data import Maker
from suites.azure.service import VERSIONS

pytestmark = [pytest.mark.azure, needs("control", "identity-admin")]

FIRST, SECOND = "https://first.example", "https://second.example"


@requirement("AUTH-001")
def test_security_off(special_service: SpecialService, make: Maker) -> None:
    """With security off every route works without Authorization, and a header that is sent is ignored (AUTH-001)."""
    security = ("--authority", "--authority-ca", "--audience")
    with special_service("--no-auth", without=security) as own:
        for version in VERSIONS:
            made = make()
            everything = [
                *callers.storing(made)[:1],
                *callers.retrieving(made),
                *callers.searching(made),
                *callers.feeding(),
                *callers.deleting(made)[2:],
            ]
            for call in everything:
                expected = 204 if call.name.startswith("delete") else 200
                assert call.by(own.anonymous, version).status == expected, call.name
            for http in (callers.bearing(own, "not-a-token"), own.http("norole")):
                assert callers.feeding()[0].by(http, version).status == 200, "the header is ignored"


@requirement("AUTH-006")
def test_several_audiences(special_service: SpecialService) -> None:
    """A token for any listed audience is taken, for the single one that the list replaces not (AUTH-006)."""
    call = callers.feeding()[0]
    options = ("--audience", FIRST, "--audience", SECOND)
    with special_service(*options, without=("--audience",)) as own:
        for audience in (FIRST, SECOND, ["https://other.example", SECOND]):
            assert call.by(callers.minted(own, aud=audience)).status == 200, audience
        assert call.by(callers.minted(own, aud=own.deployment.cloud.audience)).status == 401
        found = callers.challenge(call.by(own.anonymous))
        assert (found["resource_id"], found["realm"]) == (FIRST, FIRST), "the challenge names the first one"


@requirement("AUTH-012")
def test_authorization_off(special_service: SpecialService, make: Maker) -> None:
    """With authorization off every authenticated caller may do everything; a token is still needed (AUTH-012)."""
    with special_service("--no-roles") as own:
        for application in ("norole", "reader"):
            made, http = make(), own.http(application)
            for call in [
                callers.storing(made)[0],
                *callers.retrieving(made),
                *callers.feeding(),
                callers.deleting(made)[2],
            ]:
                assert call.by(http).status in (200, 204), f"{call.name} by {application}"
                assert call.by(own.anonymous).status == 401, call.name


@requirement("AUTH-013")
def test_roles_claim(special_service: SpecialService) -> None:
    """Roles are read from the configured claim and from no other; it holds a string or an array (AUTH-013)."""
    call = callers.feeding()[0]
    with special_service("--roles-claim", "groups") as own:
        for groups in ("globalReader", ["other", "globalReader"]):
            assert call.by(callers.minted(own, groups=groups, roles=None)).status == 200, groups
        assert call.by(callers.minted(own, roles=["globalReader"])).status == 403
