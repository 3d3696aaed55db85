"""Authorization: what is decided before a token is looked at, and what before the role (AUTH-024 to AUTH-028)."""

import pytest

from fixtures.clients.dicomweb import DICOM_JSON, DicomWeb
from fixtures.traceability import requirement
from suites.azure import callers
from suites.azure.data import Made, Maker
from suites.azure.service import Service

pytestmark = pytest.mark.azure


@pytest.fixture(scope="module")
def stored(v2: DicomWeb, make: Maker) -> Made:
    """One instance that is there."""
    made = make()
    assert v2.store([made.part10]).status == 200
    return made


@requirement("AUTH-024")
@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize(
    ("path", "accept", "with_token"),
    [
        ("/studies/not-a-uid", "application/dicom; transfer-syntax=*", 400),
        ("/studies/not-a-uid/metadata", DICOM_JSON, 400),
        ("/studies/1.2.3/metadata", "application/xml", 406),
        ("/studies/1.2.3/metadata", DICOM_JSON, 404),
        ("/studies?limit=x", DICOM_JSON, 400),
        ("/changefeed?limit=x", "application/json", 400),
    ],
)
def test_token_before_arguments(
    service: Service, version: str, path: str, accept: str, with_token: int
) -> None:
    """Without a token a bad UID, Accept or parameter and an unknown resource are all 401 (AUTH-024)."""
    for http, expected in ((service.http(), with_token), (service.anonymous, 401)):
        answer = http.request("GET", f"/{version}{path}", headers=[("Accept", accept)])
        assert answer.status == expected, answer.describe()


@requirement("AUTH-025")
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_role_before_uids(service: Service, make: Maker, version: str) -> None:
    """Who lacks the data action gets 403 also for an invalid UID, who has it 400 (AUTH-025)."""
    calls = [
        callers.storing(make())[1].at("/studies/not-a-uid"),
        callers.deleting(make())[2].at("/studies/not-a-uid"),
        callers.deleting(make())[0].at("/studies/1.2/series/1.3/instances/not-a-uid"),
    ]
    for call in calls:
        assert call.by(service.http("reader"), version).status == 403, call.name
        assert call.by(service.http("owner"), version).status == 400, call.name


@requirement("AUTH-026")
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_accept_before_role(service: Service, stored: Made, make: Maker, version: str) -> None:
    """On STOW and metadata an unsupported Accept is 406 before the missing role is 403 (AUTH-026)."""
    other = make()
    cases = [(call, "reader") for call in callers.storing(other)]
    cases += [(call, "norole") for call in callers.retrieving(stored) if call.name.startswith("metadata")]
    for call, application in cases:
        headers = [pair for pair in call.headers if pair[0] != "Accept"]
        http, path = service.http(application), f"/{version}{call.path}"
        for accept, expected in ((DICOM_JSON, 403), ("application/xml", 406)):
            answer = http.request(call.method, path, headers=[*headers, ("Accept", accept)], body=call.body)
            assert answer.status == expected, f"{call.name}, Accept {accept}: {answer.describe()}"


@requirement("AUTH-027")
@pytest.mark.parametrize(
    ("method", "path", "content_type", "expected"),
    [
        ("GET", "/v2/nothing", None, 404),
        ("GET", "/vabc/studies", None, 404),
        ("GET", "/studies", None, 404),
        ("PUT", "/v2/studies", None, 405),
        ("POST", "/v2/studies/1.2.3/metadata", None, 405),
        ("POST", "/v2/studies", "text/plain", 415),
        ("POST", "/v2/studies/1.2.3", "application/json", 415),
        ("GET", "/v3/studies", None, 400),
        ("GET", "/v2/studies", None, 401),
        ("POST", "/v2/studies", "application/dicom", 401),
    ],
)
def test_routing_before_token(
    service: Service, method: str, path: str, content_type: str | None, expected: int
) -> None:
    """What routing decides needs no token, the same for the owner; what it lets pass is 401 (AUTH-027)."""
    headers = [*callers.JSON, *([("Content-Type", content_type)] if content_type else [])]
    body = b"anything" if content_type else b""
    answer = service.anonymous.request(method, path, headers=headers, body=body)
    assert answer.status == expected, answer.describe()
    if expected != 401:
        assert service.http().request(method, path, headers=headers, body=body).status == expected


@requirement("AUTH-028")
def test_anonymous_endpoints(service: Service) -> None:
    """The health report and the OpenAPI documents need no token, although the service does (AUTH-028)."""
    for path in ("/health/check", "/v1/api.json", "/v2/api.yaml", "/v1-prerelease/api.json"):
        assert service.anonymous.request("GET", path).status == 200, path
        headers = [("Authorization", "Bearer not-a-token")]
        assert service.anonymous.request("GET", path, headers=headers).status == 200, f"{path}, bad token"
    assert service.anonymous.request("GET", "/v2/changefeed").status == 401
