"""Requests refused for their form: query strings, typed values, UIDs, audit headers (ERR-011 to ERR-019, API-005, API-006)."""

import pytest

from fixtures.clients.dicomweb import DICOM_JSON, DicomWeb
from fixtures.traceability import requirement
from suites.azure import callers
from suites.azure.data import Made, Maker
from suites.azure.service import VERSIONS, Service

pytestmark = pytest.mark.azure

AUDIT = "X-MS-AZUREDICOM-AUDIT-"


@pytest.fixture(scope="module")
def stored(v2: DicomWeb, make: Maker) -> Made:
    """One instance that is there."""
    made = make()
    assert v2.store([made.part10]).status == 200
    return made


@requirement("ERR-011", "API-005")
@pytest.mark.parametrize("query", ["x=<", "x=%3c", "x=%3C", "a=1&b=2%3Cscript", "%3c=1"])
def test_angle_bracket(service: Service, stored: Made, make: Maker, query: str) -> None:
    """A query string with < or %3c is 400 on every route, before routing and without a token (ERR-011, API-005)."""
    calls = [*callers.storing(make()), *callers.retrieving(stored), *callers.deleting(stored)]
    paths = [(call.method, f"/v2{call.path}") for call in calls]
    paths += [
        ("GET", "/v1/studies"),
        ("GET", "/v2/changefeed"),
        ("GET", "/health/check"),
        ("GET", "/no/route"),
    ]
    for method, path in paths:
        answer = service.anonymous.request(method, path, query=query, headers=callers.JSON)
        assert answer.status == 400, f"{method} {path}: {answer.describe()}"
        assert b"invalid characters" in answer.body.lower(), "the body says what is wrong"
    assert service.anonymous.request("GET", "/health/check", query="x=%3E").status == 200, "> is harmless"
    assert service.web().retrieve(*stored.uids) == [stored.part10]


@requirement("ERR-012", "API-006")
@pytest.mark.parametrize(
    ("version", "path", "parameter", "value", "good"),
    [
        (None, "/studies", "Limit", "abc", "1"),
        (None, "/studies", "Limit", "0", "1"),
        (None, "/studies", "Limit", "201", "200"),
        (None, "/instances", "Offset", "-1", "0"),
        (None, "/series", "FuzzyMatching", "maybe", "true"),
        (None, "/changefeed", "includeMetadata", "yes", "false"),
        ("v1", "/changefeed", "limit", "101", "100"),
        ("v1", "/changefeed", "offset", "-1", "0"),
        ("v2", "/changefeed", "Limit", "201", "200"),
        ("v2", "/changefeed", "Offset", "x", "0"),
        ("v2", "/changefeed", "StartTime", "2023-01-01T00:00:00", "2023-01-01T00:00:00Z"),
        ("v2", "/changefeed", "EndTime", "soon", "2023-01-01T00:00:00Z"),
    ],
)
def test_typed_parameters(
    service: Service, version: str | None, path: str, parameter: str, value: str, good: str
) -> None:
    """A value that does not bind is 400 and the sentence begins with its parameter, spelt as declared (ERR-012, API-006)."""
    sent = parameter[0].lower() + parameter[1:]
    for one in [version] if version else VERSIONS:
        web = service.web(version=one)
        answer = web.get(path, accept="application/*", query=[(sent, value)])
        assert answer.status == 400, answer.describe()
        beginning = f"The query parameter '{parameter}' is invalid."
        assert answer.body.decode().startswith(beginning), answer.body.decode()
        assert len(answer.body) > len(beginning) + 1, "a reason follows"
        assert web.get(path, accept="application/*", query=[(sent, good)]).status in (200, 204)


@requirement("ERR-012")
def test_quality(web: DicomWeb, stored: Made) -> None:
    """A quality that is no number is refused by name; a number is taken (ERR-012)."""
    answer = web.rendered(*stored.uids, query=[("quality", "abc")])
    assert answer.status == 400, answer.describe()
    assert answer.body.decode().startswith("The query parameter 'quality' is invalid.")
    assert web.rendered(*stored.uids, query=[("quality", "50")]).status == 200


@requirement("ERR-013")
@pytest.mark.parametrize("bad", ["not-a-uid", "1.2.", "1.2.03a", "9" * 65])
def test_message_for_a_bad_uid(web: DicomWeb, stored: Made, bad: str) -> None:
    """The sentence for a bad UID names its element and the VR UI (ERR-013)."""
    study, series, instance = stored.uids
    for element, uids in (
        ("StudyInstanceUid", (bad,)),
        ("SeriesInstanceUid", (study, bad)),
        ("SopInstanceUid", (study, series, bad)),
    ):
        for answer in (web.metadata(*uids), web.delete(*uids)):
            assert answer.status == 400, answer.describe()
            text = answer.body.decode()
            assert element in text, text
            assert "'UI'" in text, text
    assert web.metadata(study, series, instance).status == 200


@requirement("ERR-014")
def test_security_headers(service: Service, stored: Made) -> None:
    """Every answer, also of refusals, the health report and documents, has the three security headers (ERR-014)."""
    http, study = service.http(), stored.path("study")
    for answer in (
        http.request("GET", f"/v2{study}/metadata", headers=callers.JSON),
        http.request(
            "GET",
            f"/v1{study}",
            headers=[("Accept", 'multipart/related; type="application/dicom"; transfer-syntax=*')],
        ),
        http.request("GET", f"/v2{study}/metadata", headers=[("Accept", "text/html")]),
        http.request("GET", "/v2/studies/1.2.3/metadata", headers=callers.JSON),
        http.request("GET", "/v2/studies", query="x=<"),
        http.request("GET", "/v3/studies"),
        http.request("PUT", "/v2/studies"),
        http.request("GET", "/nothing"),
        service.anonymous.request("GET", "/v2/studies"),
        service.anonymous.request("GET", "/health/check"),
        service.anonymous.request("GET", "/v2/api.json"),
    ):
        assert answer.header("X-Content-Type-Options") == "nosniff", answer.describe()
        assert answer.header("X-Frame-Options") == "SAMEORIGIN", answer.describe()
        assert answer.header("Content-Security-Policy") == "frame-src 'self';", answer.describe()


@requirement("ERR-015")
@pytest.mark.parametrize("prefix", [AUDIT, AUDIT.lower()])
def test_number_of_audit_headers(service: Service, stored: Made, prefix: str) -> None:
    """Ten custom audit headers are taken, eleven are 400 (ERR-015)."""
    path = f"/v2{stored.path()}/metadata"
    for number, status in ((10, 200), (11, 400)):
        own = [(f"{prefix}{place}", "value") for place in range(number)]
        # The real server may close the connection after the 400: each request has its own.
        http = service.anonymous.with_token(service.tokens("owner"))
        answer = http.request("GET", path, headers=[("Accept", DICOM_JSON), *own])
        http.close()
        assert answer.status == status, f"{number}: {answer.describe()}"


@requirement("ERR-016")
def test_length_of_audit_headers(service: Service, stored: Made) -> None:
    """2048 characters in a custom audit header are taken, 2049 are 400 (ERR-016)."""
    path = f"/v2{stored.path()}/metadata"
    for length, status in ((2048, 200), (2049, 400)):
        http = service.anonymous.with_token(service.tokens("owner"))
        answer = http.request("GET", path, headers=[("Accept", DICOM_JSON), (f"{AUDIT}USER", "x" * length)])
        http.close()
        assert answer.status == status, f"{length}: {answer.describe()}"


@requirement("ERR-019")
@pytest.mark.parametrize("version", VERSIONS)
def test_unknown_sub_resources(service: Service, stored: Made, version: str) -> None:
    """There are no bulk data, thumbnails, pixel data, rendered studies or series, or frames of a series (ERR-019)."""
    study, series, instance = (stored.path(level) for level in ("study", "series", "instance"))
    for path in (
        *(f"{level}/bulkdata" for level in (study, series, instance)),
        *(f"{level}/thumbnail" for level in (study, series, instance)),
        *(f"{level}/pixeldata" for level in (study, series, instance)),
        f"{instance}/bulkdata/7FE00010",
        f"{study}/rendered",
        f"{series}/rendered",
        f"{series}/frames",
        f"{instance}/frames",
        f"{instance}/frames/1/thumbnail",
    ):
        for accept in ("*/*", "image/jpeg", DICOM_JSON):
            answer = service.http().request("GET", f"/{version}{path}", headers=[("Accept", accept)])
            assert answer.status == 404, f"{path}: {answer.describe()}"
    assert service.web(version=version).rendered(*stored.uids).status == 200
