"""Operations: where one stands, while it runs and after it has ended."""

import re
from datetime import datetime, timedelta

import pytest

from fixtures.clients.dicomweb import DICOM_JSON, DicomWeb
from fixtures.traceability import needs, requirement
from suites.azure.conftest import SpecialService
from suites.azure.data import Maker
from suites.azure.service import Service
from suites.azure.stow import stored
from suites.azure.tags import Tags, ended, operation, private, refused, tries
from suites.azure.updates import ask, model

pytestmark = pytest.mark.azure

# A valid request, as the documentation has it.
EXPORT = b"""{"source": {"type": "identifiers", "settings": {"values": ["1.2.3"]}}, "destination": {"type": "azureBlob",
    "settings": {"connectionString": "UseDevelopmentStorage=true", "blobContainerName": "somewhere"}}}"""
HEX = re.compile(r"[0-9a-f]{32}")


@pytest.fixture(scope="module")
def updated(v2: DicomWeb, make: Maker) -> str:
    """An operation that has ended: the update of a small study."""
    made = make()
    assert stored(v2, made).status == 200
    answer = ask(v2, [made.study], model(PatientID=made.dataset.PatientID))
    assert answer.status == 202, answer.describe()
    identifier: str = answer.json()["id"]
    ended(v2, identifier)
    return identifier


@requirement("OPS-001", "OPS-002", "OPS-003", "OPS-004", "OPS-006", "OPS-017")
def test_ended(web: DicomWeb, updated: str) -> None:
    """An ended operation is 200 with its members, its id with or without dashes (OPS-001 to OPS-006, OPS-017)."""
    assert HEX.fullmatch(updated), updated
    answer = operation(web, updated)
    assert answer.status == 200, answer.describe()
    assert answer.content_type.startswith("application/json"), answer.describe()
    for header in ("Location", "Retry-After"):
        assert not answer.header(header), answer.describe()
    state = answer.json()
    members = {
        "operationId",
        "type",
        "createdTime",
        "lastUpdatedTime",
        "status",
        "percentComplete",
        "results",
    }
    assert set(state) == members, state
    assert state["operationId"] == updated, state
    dashed = "-".join([updated[:8], updated[8:12], updated[12:16], updated[16:20], updated[20:]])
    for spelling in (dashed, updated.upper()):
        again = operation(web, spelling)
        assert (again.status, again.json()) == (200, state), again.describe()


@requirement("OPS-008", "OPS-009", "OPS-018")
def test_status_words(v1: DicomWeb, v2: DicomWeb, updated: str) -> None:
    """Success is succeeded on v2 and completed on v1, of the same operation (OPS-008, OPS-009, OPS-018)."""
    on_v1, on_v2 = operation(v1, updated).json(), operation(v2, updated).json()
    assert (on_v1["status"], on_v2["status"]) == ("completed", "succeeded")
    assert {**on_v1, "status": ""} == {**on_v2, "status": ""}


@requirement("OPS-010", "OPS-011", "OPS-012", "OPS-013")
def test_members(web: DicomWeb, updated: str) -> None:
    """An update is called so, is at 100 %, has times in order and no resources (OPS-010 to OPS-013)."""
    state = operation(web, updated).json()
    assert (state["type"], state["percentComplete"]) == ("update", 100), state
    assert "resources" not in state, state
    begun, last = (instant(state[name]) for name in ("createdTime", "lastUpdatedTime"))
    assert begun <= last, state


def instant(text: str) -> datetime:
    """An ISO 8601 instant, which has to be in UTC."""
    shortened = re.sub(r"(\.\d{1,6})\d*", r"\1", text).replace("Z", "+00:00")
    found = datetime.fromisoformat(shortened)
    assert found.utcoffset() == timedelta(0), f"{text} is not in UTC (OPS-011)"
    return found


@requirement("OPS-014", "OPS-015", "OPS-019")
def test_unknown(web: DicomWeb, updated: str) -> None:
    """An unknown id is 404 without text, one that is no GUID 404; there is no list and no cancelling (OPS-014 to OPS-019)."""
    unknown = operation(web, "0123456789abcdef" * 2)
    assert (unknown.status, unknown.body) == (404, b""), unknown.describe()
    assert operation(web, "not-a-guid").status == 404
    assert web.request("GET", "/operations").status == 404
    for method in ("DELETE", "POST", "PUT"):
        assert web.request(method, f"/operations/{updated}").status in (404, 405), method
    assert operation(web, updated).status == 200


@requirement("OPS-022")
@pytest.mark.parametrize("accept", [None, "*/*", "application/xml", DICOM_JSON])
def test_accept(web: DicomWeb, updated: str, accept: str | None) -> None:
    """Operations and tags are JSON whatever is accepted (OPS-022)."""
    headers = [("Accept", accept)] if accept else []
    for path in (f"/operations/{updated}", "/extendedquerytags"):
        answer = web.request("GET", path, headers=headers)
        assert answer.status == 200, answer.describe()
        assert answer.content_type.startswith("application/json"), answer.describe()


@requirement("OPS-005", "OPS-021", "OPS-002", "OPS-017")
@needs("extended-query-tags")
def test_pending(tags: Tags, make: Maker) -> None:
    """A running operation is 202 with its own place, and ends within a minute (OPS-005, OPS-021)."""
    assert stored(tags.web, *make.series(20)).status == 200
    pending = None
    for _ in tries():
        identifier = tags.start(private())
        seen = operation(tags.web, identifier)
        ended(tags.web, identifier)
        if seen.status == 202:
            pending = seen
            break
    assert pending is not None, "no operation was met while it ran"
    href = f"{tags.web.http.base_url}/{tags.web.version}/operations/{identifier}"
    assert pending.header("Location") == href, pending.describe()
    assert not pending.header("Retry-After"), pending.describe()
    state = pending.json()
    assert state["status"] in ("notStarted", "running"), state
    assert 0 <= state["percentComplete"] <= 100, state
    assert len(state["resources"]) == 1, state


@requirement("OPS-001")
def test_readers_only(service: Service, updated: str) -> None:
    """Operations are read with the read action: a reader may, somebody without role not (OPS-001)."""
    assert operation(service.web("reader"), updated).status == 200
    assert operation(service.web("norole"), updated).status == 403


@requirement("TAG-067", "UPD-031")
@needs("control")
def test_switched_off(special_service: SpecialService, make: Maker) -> None:
    """A service that starts no operations refuses tags and updates, on v1 too, and serves the rest (TAG-067, UPD-031)."""
    made = make()
    with special_service("--no-operations") as own:
        for version in ("v1", "v2"):
            web = own.web(version=version)
            refused(Tags(web).post([private()]), "temporarily disabled")
            refused(ask(web, [made.study], model(PatientID="X")), "temporarily disabled")
            export = web.request(
                "POST", "/export", headers=[("Content-Type", "application/json")], body=EXPORT
            )
            assert export.status == 404, export.describe()
            assert web.request("GET", "/extendedquerytags").json() == []
        assert stored(own.web(), made).status == 200
