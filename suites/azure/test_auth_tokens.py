"""Authentication: which tokens are taken and what a refusal looks like (AUTH-002 to AUTH-010, AUTH-029)."""

from typing import Any

import pytest

from fixtures.clients.dicomweb import DICOM_JSON, DicomWeb
from fixtures.clients.identity import TokenSource
from fixtures.traceability import needs, requirement
from suites.azure import callers
from suites.azure.data import Made, Maker
from suites.azure.service import VERSIONS, Service

pytestmark = pytest.mark.azure

HOSTED_AUDIENCE = "https://dicom.healthcareapis.azure.com"
# The default tolerance is five minutes (AUTH-008): well before and well beyond it.
WITHIN, BEYOND = 120, 900


@pytest.fixture(scope="module")
def stored(v2: DicomWeb, make: Maker) -> Made:
    """One instance that is there."""
    made = make()
    assert v2.store([made.part10]).status == 200
    return made


@pytest.fixture
def asking(stored: Made) -> callers.Call:
    """A request that a good token is answered 200."""
    return callers.Call("metadata", "GET", stored.path() + "/metadata", "read", callers.JSON)


@requirement("AUTH-002")
@pytest.mark.parametrize("version", VERSIONS)
def test_no_token(service: Service, v2: DicomWeb, stored: Made, make: Maker, version: str) -> None:
    """Every DICOM route answers 401 with an empty body without Authorization, and changes nothing (AUTH-002)."""
    other = make()
    refused = [
        *callers.storing(other),
        *callers.retrieving(stored),
        *callers.searching(stored),
        *callers.feeding(),
        *callers.deleting(stored),
    ]
    for call in refused:
        answer = call.by(service.anonymous, version)
        assert (answer.status, answer.body) == (401, b""), f"{call.name}: {answer.describe()}"
        assert callers.challenge(answer)["scheme"] == "Bearer", call.name
    assert v2.retrieve(*stored.uids) == [stored.part10]
    assert v2.metadata(other.study).status == 404
    for call in callers.retrieving(stored):
        assert call.by(service.http(), version).status == 200, f"{call.name} with a token"


@requirement("AUTH-003")
def test_challenge(service: Service, asking: callers.Call) -> None:
    """A 401 names the authority and, twice, the audience; without a token it speaks of no error (AUTH-003)."""
    answer = asking.by(service.anonymous)
    found = callers.challenge(answer)
    deployment = service.deployment
    assert answer.status == 401
    assert found["scheme"] == "Bearer"
    assert found["authorization_uri"].startswith("https://")
    assert deployment.identity.tenant in found["authorization_uri"]
    audience = deployment.cloud.audience.rstrip("/")
    assert found["resource_id"].rstrip("/") == found["realm"].rstrip("/") == audience
    assert "error" not in found


@needs("identity-admin")
@requirement("AUTH-004")
@pytest.mark.parametrize("flaw", ["expired", "audience", "issuer", "signature"])
def test_challenge_for_a_bad_token(service: Service, asking: callers.Call, flaw: str) -> None:
    """The refusal of a token says invalid_token and why, besides what it always says (AUTH-004)."""
    flaws: dict[str, dict[str, object]] = {
        "expired": {"exp": callers.in_seconds(-BEYOND), "nbf": callers.in_seconds(-2 * BEYOND)},
        "audience": {"aud": "https://other.example"},
        "issuer": {"iss": "https://issuer.example/"},
        "signature": {},
    }
    answer = asking.by(
        callers.minted(service, signed="foreign" if flaw == "signature" else "current", **flaws[flaw])
    )
    found = callers.challenge(answer)
    assert answer.status == 401
    assert {"authorization_uri", "resource_id", "realm"} <= found.keys()
    assert found["error"] == "invalid_token"
    assert found["error_description"]


@needs("identity-admin")
@requirement("AUTH-005")
@pytest.mark.parametrize("audience", ["https://other.example", f"{HOSTED_AUDIENCE}.example", "", None])
def test_audience(service: Service, asking: callers.Call, audience: str | None) -> None:
    """A good token for somebody else, or for nobody, is refused; one for the service is taken (AUTH-005)."""
    assert asking.by(callers.minted(service, aud=service.deployment.cloud.audience)).status == 200
    assert asking.by(callers.minted(service, aud=audience)).status == 401


@requirement("AUTH-029")
def test_hosted_audience(service: Service, asking: callers.Call) -> None:
    """Unmodified clients of the hosted service get in: its resource with azure-identity's .default scope (AUTH-029)."""
    identity = service.deployment.identity
    tokens = TokenSource(identity, identity.applications["owner"], audience=HOSTED_AUDIENCE)
    assert asking.by(service.anonymous.with_token(tokens)).status == 200
    assert asking.by(service.anonymous).status == 401, "it is the token that lets them in"


@needs("identity-admin")
@requirement("AUTH-007")
def test_issuer_and_signing_key(service: Service, asking: callers.Call) -> None:
    """Another issuer, or a key that the authority does not publish, is refused (AUTH-007)."""
    assert asking.by(callers.minted(service)).status == 200
    assert asking.by(callers.minted(service, iss="https://issuer.example/")).status == 401
    assert asking.by(callers.minted(service, iss=None)).status == 401
    assert asking.by(callers.minted(service, signed="foreign")).status == 401


@needs("identity-admin")
@requirement("AUTH-008")
@pytest.mark.parametrize(
    ("times", "taken"),
    [
        ({"exp": 600}, True),
        ({"exp": -WITHIN}, True),
        ({"exp": -BEYOND}, False),
        ({"exp": 2 * BEYOND, "nbf": WITHIN}, True),
        ({"exp": 2 * BEYOND, "nbf": BEYOND}, False),
        ({"exp": None}, False),
    ],
    ids=["good", "just expired", "expired", "nearly valid", "not yet valid", "without exp"],
)
def test_lifetime(service: Service, asking: callers.Call, times: dict[str, int | None], taken: bool) -> None:
    """Tokens are good from nbf to exp with five minutes of tolerance, and never without exp (AUTH-008)."""
    claims = {name: None if at is None else callers.in_seconds(at) for name, at in times.items()}
    early = callers.in_seconds(-4 * BEYOND)
    given: dict[str, Any] = {"iat": early, "nbf": early, **claims}
    answer = asking.by(callers.minted(service, **given))
    assert answer.status == (200 if taken else 401), answer.describe()
    assert asking.by(service.anonymous).status == 401, "without a token nobody gets in"


@requirement("AUTH-009")
def test_changed_token(service: Service, asking: callers.Call) -> None:
    """A token whose payload or signature was changed after signing is refused (AUTH-009)."""
    token = service.tokens("owner")()
    head, payload, signature = token.split(".")
    assert asking.by(callers.bearing(service, token)).status == 200
    changed = callers.with_claims(service.tokens("norole")(), roles=[callers.OWNER])
    other_end = "A" if signature[10] != "A" else "B"
    for bad in (
        changed,
        f"{head}.{payload}.{signature[:10]}{other_end}{signature[11:]}",
        f"{head}.{payload}.",
        f"{head}.{payload}",
    ):
        assert asking.by(callers.bearing(service, bad)).status == 401


@needs("identity-admin")
@requirement("AUTH-009")
def test_unsigned_token(service: Service, asking: callers.Call) -> None:
    """A token with alg none is refused (AUTH-009)."""
    assert asking.by(callers.minted(service)).status == 200
    assert asking.by(callers.minted(service, signed="none")).status == 401


@requirement("AUTH-010")
@pytest.mark.parametrize("scheme", ["Basic", "Digest", "Negotiate", "MAC", ""])
def test_other_schemes(service: Service, stored: Made, scheme: str) -> None:
    """The token under another scheme than Bearer, or under none, is refused (AUTH-010)."""
    token = service.tokens("owner")()
    path = f"/v2{stored.path()}/metadata"
    for named, expected in (("Bearer", 200), (scheme, 401)):
        headers = [("Accept", DICOM_JSON), ("Authorization", f"{named} {token}".strip())]
        answer = service.anonymous.request("GET", path, headers=headers)
        assert answer.status == expected, f"{named!r}: {answer.describe()}"
