"""Browsers of other origins (CORS-001 to CORS-004)."""

from collections.abc import Iterator

import pytest

from fixtures.clients.answers import Response
from fixtures.clients.http import HttpClient
from fixtures.traceability import needs, requirement
from suites.azure.conftest import SpecialService
from suites.azure.service import Service

pytestmark = pytest.mark.azure

OURS, ALSO_OURS, FOREIGN = "https://viewer.example", "http://localhost:3000", "https://other.example"
PATHS = ("/v2/changefeed?limit=1", "/health/check")


@pytest.fixture(scope="module")
def configured(special_service: SpecialService) -> Iterator[Service]:
    """A service that two origins may call from a browser."""
    with special_service(
        *("--cors-origin", OURS, "--cors-origin", ALSO_OURS),
        *("--cors-method", "GET", "--cors-method", "POST"),
        *("--cors-header", "Authorization", "--cors-header", "X-Own"),
        *("--cors-max-age", "1440"),
    ) as own:
        yield own


def preflight(http: HttpClient, origin: str, path: str = "/v2/studies", method: str = "GET") -> Response:
    """What a browser asks before a request of another origin."""
    asked = [("Origin", origin), ("Access-Control-Request-Method", method)]
    return http.request(
        "OPTIONS", path, headers=[*asked, ("Access-Control-Request-Headers", "authorization")]
    )


def listed(answer: Response, name: str) -> set[str]:
    """The values of a header that is a list."""
    return {value.strip() for value in answer.header(name).split(",") if value.strip()}


@requirement("CORS-001")
@pytest.mark.parametrize("path", PATHS)
def test_no_cors_by_default(service: Service, path: str) -> None:
    """Without configured origins a request with Origin is served, and nothing is allowed to a browser (CORS-001)."""
    answer = service.http().request("GET", path, headers=[("Origin", OURS)])
    assert answer.status == 200
    assert answer.json() == service.http().request("GET", path).json(), "it is served like any other request"
    assert not [name for name, _ in answer.headers if name.lower().startswith("access-control-")]


@needs("control")
@requirement("CORS-002")
@pytest.mark.parametrize("path", PATHS)
def test_configured_origin(configured: Service, path: str) -> None:
    """Each configured origin is named in the answer, another one is served without (CORS-002)."""
    for origin in (OURS, ALSO_OURS):
        answer = configured.http().request("GET", path, headers=[("Origin", origin)])
        assert (answer.status, answer.header("Access-Control-Allow-Origin")) == (200, origin)
    for origin in (FOREIGN, OURS + ".example", OURS.replace("https", "http"), "null"):
        answer = configured.http().request("GET", path, headers=[("Origin", origin)])
        assert (answer.status, answer.header("Access-Control-Allow-Origin")) == (200, ""), origin


@needs("control")
@requirement("CORS-002")
def test_configured_origin_sees_errors(configured: Service) -> None:
    """A browser may read refusals too, so that a viewer can say what is wrong (CORS-002)."""
    for http, path, status in (
        (configured.anonymous, "/v2/changefeed", 401),
        (configured.http("norole"), "/v2/changefeed", 403),
        (configured.http(), "/v2/changefeed?limit=x", 400),
    ):
        answer = http.request("GET", path, headers=[("Origin", OURS)])
        assert (answer.status, answer.header("Access-Control-Allow-Origin")) == (status, OURS)


@needs("control")
@requirement("CORS-003")
def test_preflight(configured: Service) -> None:
    """A preflight is 204 without a token and lists the configured methods, headers and age (CORS-003)."""
    answer = preflight(configured.anonymous, OURS)
    assert (answer.status, answer.header("Access-Control-Allow-Origin")) == (204, OURS)
    assert listed(answer, "Access-Control-Allow-Methods") == {"GET", "POST"}
    assert {name.lower() for name in listed(answer, "Access-Control-Allow-Headers")} == {
        "authorization",
        "x-own",
    }
    assert answer.header("Access-Control-Max-Age") == "1440"
    refused = preflight(configured.anonymous, FOREIGN)
    assert refused.status == 204
    assert not [name for name, _ in refused.headers if name.lower().startswith("access-control-")]


@requirement("CORS-003")
@pytest.mark.parametrize("path", ["/v2/studies", "/v1/studies/1.2.3"])
def test_preflight_without_origins(service: Service, path: str) -> None:
    """A preflight is 204 without a token also where no origin is configured, and allows nothing (CORS-003)."""
    answer = preflight(service.anonymous, OURS, path)
    assert answer.status == 204, answer.describe()
    assert not [name for name, _ in answer.headers if name.lower().startswith("access-control-")]


@needs("control")
@requirement("CORS-004")
def test_credentials(configured: Service, special_service: SpecialService) -> None:
    """Credentials are allowed only where that is configured, and only to the configured origin (CORS-004)."""
    name = "Access-Control-Allow-Credentials"
    assert not preflight(configured.anonymous, OURS).header(name)
    assert not configured.http().request("GET", PATHS[0], headers=[("Origin", OURS)]).header(name)
    with special_service("--cors-origin", OURS, "--cors-credentials") as own:
        assert preflight(own.anonymous, OURS).header(name) == "true"
        assert own.http().request("GET", PATHS[0], headers=[("Origin", OURS)]).header(name) == "true"
        foreign = own.http().request("GET", PATHS[0], headers=[("Origin", FOREIGN)])
        assert (foreign.status, foreign.header(name)) == (200, "")
        assert not preflight(own.anonymous, OURS).header("Access-Control-Max-Age"), "sent only when it is set"
