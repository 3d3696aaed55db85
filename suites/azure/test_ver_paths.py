"""API versions: which path segments name one, and what other segments are answered (VER-001 to VER-007, VER-014, VER-015)."""

import pytest

from fixtures.clients.dicomweb import DICOM_JSON, DicomWeb
from fixtures.traceability import requirement
from suites.azure.data import Made, Maker
from suites.azure.service import Service

pytestmark = pytest.mark.azure

JSON = [("Accept", DICOM_JSON)]
SERVED = ("v1.0-prerelease", "v1", "v2")


@pytest.fixture(scope="module")
def stored(v2: DicomWeb, make: Maker) -> Made:
    """One instance that is there."""
    made = make()
    assert v2.store([made.part10]).status == 200
    return made


@requirement("VER-001", "API-001")
@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("", JSON),
        ("api-version=2", JSON),
        ("api-version=v2", JSON),
        ("", [*JSON, ("api-version", "2")]),
        ("", [("Accept", f"{DICOM_JSON}; v=2.0, {DICOM_JSON}; version=2")]),
    ],
    ids=["nowhere", "query", "query with v", "header", "media type"],
)
def test_only_the_path_names_the_version(
    service: Service, stored: Made, query: str, headers: list[tuple[str, str]]
) -> None:
    """A version in a query parameter, header or media type is none; the same path below /v2 answers (VER-001, API-001)."""
    path = stored.path("study") + "/metadata"
    http = service.http()
    assert http.request("GET", f"/v2{path}", query=query, headers=headers).status == 200
    assert http.request("GET", path, query=query, headers=headers).status == 404


@requirement("VER-002", "API-001")
def test_unversioned_requests_touch_nothing(
    service: Service, v2: DicomWeb, stored: Made, make: Maker
) -> None:
    """GET, POST and DELETE without a version segment answer 404; nothing is stored or deleted (VER-002, API-001)."""
    http, other = service.http(), make()
    content = [("Content-Type", "application/dicom"), *JSON]
    assert http.request("GET", "/studies", headers=JSON).status == 404
    assert http.request("GET", stored.path("study") + "/metadata", headers=JSON).status == 404
    assert http.request("GET", "/changefeed").status == 404
    assert http.request("POST", "/studies", headers=content, body=other.part10).status == 404
    assert http.request("DELETE", stored.path("study")).status == 404

    assert v2.retrieve(*stored.uids) == [stored.part10], "an unversioned DELETE must not delete"
    assert v2.metadata(other.study).status == 404, "an unversioned POST must not store"
    assert http.request("POST", "/v2/studies", headers=content, body=other.part10).status == 200


@requirement("VER-003")
@pytest.mark.parametrize("version", SERVED)
def test_served_versions(service: Service, make: Maker, version: str) -> None:
    """Store, retrieve, metadata and delete work below each served version (VER-003)."""
    web, made = service.web(version=version), make()
    assert web.store([made.part10]).status == 200
    assert web.retrieve(*made.uids) == [made.part10]
    assert web.metadata(*made.uids).status == 200
    assert web.delete(*made.uids).status == 204
    assert web.metadata(*made.uids).status == 404


@requirement("VER-004")
def test_prerelease_follows_the_rules_of_v1(service: Service, make: Maker) -> None:
    """What v1 refuses and v2 takes with a warning, v1.0-prerelease refuses (VER-004)."""
    bad = make(raw={0x00080020: ("DA", b"NotADate")})
    prerelease = service.web(version="v1.0-prerelease").store([bad.part10])
    first = service.web(version="v1").store([bad.part10])
    second = service.web(version="v2").store([bad.part10])
    assert (prerelease.status, dict(prerelease.failed)) == (409, {bad.instance: 43264}), prerelease.describe()
    assert (first.status, dict(first.failed)) == (409, {bad.instance: 43264}), first.describe()
    assert (second.status, second.stored) == (202, (bad.instance,)), second.describe()


@requirement("VER-005")
@pytest.mark.parametrize(
    ("segment", "printed"), [("v3", "3"), ("v99", "99"), ("v2.1", "2.1"), ("v1-beta", "1.0-beta")]
)
@pytest.mark.parametrize("path", ["/studies", "/studies/1.2.3/metadata"])
def test_version_nobody_serves(service: Service, segment: str, printed: str, path: str) -> None:
    """A well-formed version that is not served answers 400 with a JSON error, also without a token (VER-005)."""
    assert service.http().request("GET", f"/v2{path}", headers=JSON).status in (200, 204, 404)
    answer = service.anonymous.request("GET", f"/{segment}{path}", headers=JSON)
    assert answer.status == 400, answer.describe()
    assert answer.content_type.partition(";")[0] == "application/json"
    error = answer.json()["error"]
    assert error["code"] == "UnsupportedApiVersion"
    assert f"/{segment}{path}" in error["message"], "the message names the request URL"
    assert f"'{printed}'" in error["message"], "the message names the version as the server prints it"
    assert "2" in answer.header("api-supported-versions").replace(" ", "").split(",")


@requirement("VER-006")
@pytest.mark.parametrize("segment", ["vabc", "v", "2", "version2", "v2a", "v-2", "v2.", "v1..0"])
def test_segment_that_is_no_version(service: Service, segment: str) -> None:
    """A segment that is no version matches no route: 404 (VER-006)."""
    answer = service.anonymous.request("GET", f"/{segment}/studies", headers=JSON)
    assert answer.status == 404, answer.describe()
    assert service.anonymous.request("GET", "/v2/studies", headers=JSON).status == 401


@requirement("VER-007")
@pytest.mark.parametrize("segment", ["v2.0", "v1.0", "v1-prerelease", "v1.0-PreRelease"])
def test_minor_version_zero(service: Service, stored: Made, segment: str) -> None:
    """An absent minor version is the minor version 0 (VER-007)."""
    found = service.web(version=segment).metadata(*stored.uids)
    assert found.status == 200, found.describe()
    assert found.json() == service.web().metadata(*stored.uids).json()


@requirement("VER-014")
@pytest.mark.parametrize(
    ("method", "path", "offered"),
    [
        ("PUT", "/studies", {"GET", "POST"}),
        ("DELETE", "/studies", {"GET", "POST"}),
        ("POST", "/studies/1.2/series", {"GET"}),
        ("HEAD", "/studies/1.2", {"GET", "POST", "DELETE"}),
        ("POST", "/studies/1.2/metadata", {"GET"}),
        ("PATCH", "/studies/1.2/series/1.3/instances/1.4", {"GET", "DELETE"}),
        ("POST", "/changefeed", {"GET"}),
    ],
)
def test_wrong_method(service: Service, method: str, path: str, offered: set[str]) -> None:
    """A method that a known path lacks answers 405 and says in Allow which there are, without a token (VER-014)."""
    for version in SERVED:
        answer = service.anonymous.request(method, f"/{version}{path}", headers=JSON)
        assert answer.status == 405, f"{version}: {answer.describe()}"
        allowed = {name.strip() for name in answer.header("Allow").split(",")}
        assert offered <= allowed, f"Allow is {allowed}"
        assert method not in allowed


@requirement("VER-015")
def test_letter_case_and_trailing_slash(service: Service, stored: Made) -> None:
    """Fixed segments match in any case and one trailing slash is ignored, without a redirect (VER-015)."""
    study, series, instance = stored.uids
    http = service.http()
    expected = http.request("GET", f"/v2{stored.path()}/metadata", headers=JSON)
    assert expected.status == 200
    for path in (
        f"/V2/Studies/{study}/SERIES/{series}/Instances/{instance}/MetaData",
        f"/v2/studies/{study}/series/{series}/instances/{instance}/metadata/",
        f"/V2/STUDIES/{study}/series/{series}/instances/{instance}/METADATA/",
    ):
        answer = http.request("GET", path, headers=JSON)
        assert (answer.status, answer.body) == (200, expected.body), f"{path}: {answer.describe()}"
    assert http.request("GET", f"/v2{stored.path()}/metadata//", headers=JSON).status == 404, "one slash only"
    assert service.anonymous.request("GET", "/HEALTH/Check").status == 200
    assert service.anonymous.request("GET", "/health/check/").status == 404
