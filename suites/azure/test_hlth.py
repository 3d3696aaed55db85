"""The health report (HLTH-001, HLTH-002, HLTH-004, HLTH-006)."""

import pytest

from fixtures.traceability import needs, requirement
from suites.azure.service import Service

pytestmark = pytest.mark.azure

PATH = "/health/check"
STATES = {"Healthy", "Degraded", "Unhealthy"}


@requirement("HLTH-001", "HLTH-002")
def test_report(service: Service) -> None:
    """The report is 200 and JSON with an overall status and one entry a check (HLTH-001, HLTH-002)."""
    answer = service.anonymous.request("GET", PATH)
    assert answer.status == 200, answer.describe()
    assert answer.content_type.replace(" ", "") == "application/json;charset=utf-8"
    report = answer.json()
    assert report.keys() == {"overallStatus", "details"}
    assert report["overallStatus"] in ("Healthy", "Degraded"), "200 is not given for Unhealthy"
    assert report["details"], "there is at least one check"
    for detail in report["details"]:
        assert detail.keys() == {"name", "status", "description"}
        assert detail["status"] in STATES
        assert detail["description"] is None or isinstance(detail["description"], str)
        assert isinstance(detail["name"], str)
    assert "Unhealthy" not in {detail["status"] for detail in report["details"]}


@requirement("HLTH-001")
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_no_version(service: Service, version: str) -> None:
    """The route has no version segment (HLTH-001)."""
    assert service.http().request("GET", f"/{version}{PATH}").status == 404
    assert service.http().request("GET", PATH).status == 200


@requirement("HLTH-004")
@pytest.mark.parametrize("path", [f"{PATH}/", f"{PATH}/x", "/health", "/health/", "/health/checks"])
def test_other_paths(service: Service, path: str) -> None:
    """Only the exact path is the report (HLTH-004)."""
    assert service.anonymous.request("GET", path).status == 404
    assert service.anonymous.request("GET", "/Health/CHECK").status == 200, "letter case does not count"


@requirement("HLTH-004")
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_any_method(service: Service, method: str) -> None:
    """Any method gets the report (HLTH-004)."""
    answer = service.anonymous.request(method, PATH)
    assert answer.status == 200, answer.describe()
    assert answer.json().keys() == service.anonymous.request("GET", PATH).json().keys()


@needs("open-source")
@requirement("HLTH-006")
def test_check_names(service: Service) -> None:
    """The checks of the blob stores go by the names of the open-source server (HLTH-006)."""
    names = {detail["name"] for detail in service.anonymous.request("GET", PATH).json()["details"]}
    assert {"DcmHealthCheck", "MetadataHealthCheck", "WorkitemHealthCheck"} <= names
