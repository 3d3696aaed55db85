"""Which data action each resource beyond STOW, WADO and DELETE needs (AUTH-022, API-013)."""

import json
from collections.abc import Mapping

import pytest

from fixtures.traceability import needs, requirement
from suites.azure.callers import JSON, Call
from suites.azure.conftest import SpecialService
from suites.azure.data import Maker
from suites.azure.service import VERSIONS, Service
from suites.azure.tags import ended

pytestmark = pytest.mark.azure

PERMISSIONS: Mapping[str, frozenset[str]] = {
    "norole": frozenset(),
    "reader": frozenset({"read"}),
    "writer": frozenset({"read", "write"}),
    "owner": frozenset({"read", "write", "delete", "manageExtendedQueryTags", "export"}),
}
# A tag nobody has added, an operation nobody has started.
TAG = "0011F0F1"
OPERATION = "0" * 31 + "1"


def call(name: str, method: str, path: str, action: str, body: object = None) -> Call:
    """A call with a JSON body of the kind its resource takes."""
    model = "application/dicom+json" if path.startswith("/workitems") else "application/json"
    headers = JSON if body is None else (*JSON, ("Content-Type", model))
    return Call(name, method, path, action, headers, b"" if body is None else json.dumps(body).encode())


def reading(uid: str) -> list[Call]:
    """What reads; of what nobody has made."""
    return [
        call("operation", "GET", f"/operations/{OPERATION}", "read"),
        call("list tags", "GET", "/extendedquerytags", "read"),
        call("one tag", "GET", f"/extendedquerytags/{TAG}", "read"),
        call("tag errors", "GET", f"/extendedquerytags/{TAG}/errors", "read"),
        call("search work items", "GET", "/workitems?limit=1", "read"),
        call("retrieve work item", "GET", f"/workitems/{uid}", "read"),
    ]


def writing(uid: str) -> list[Call]:
    """What changes something, were there something to change."""
    state = [
        {"00741000": {"vr": "CS", "Value": ["IN PROGRESS"]}, "00081195": {"vr": "UI", "Value": ["1.2.3"]}}
    ]
    return [
        call("create work item", "POST", f"/workitems?{uid}", "write", [{}]),
        call("update work item", "POST", f"/workitems/{uid}", "write", [{}]),
        call("change state", "PUT", f"/workitems/{uid}/state", "write", state),
        call("request cancellation", "POST", f"/workitems/{uid}/cancelrequest", "write", [{}]),
    ]


def managing() -> list[Call]:
    """Extended query tags: each refused for its argument when the role is right."""
    wrong = [{"path": "NoSuchKeyword", "level": "study"}]
    return [
        call("add tags", "POST", "/extendedquerytags", "manageExtendedQueryTags", wrong),
        call(
            "change tag",
            "PATCH",
            f"/extendedquerytags/{TAG}",
            "manageExtendedQueryTags",
            {"queryStatus": "enabled"},
        ),
        call("delete tag", "DELETE", f"/extendedquerytags/{TAG}", "manageExtendedQueryTags"),
    ]


def assert_decided_by_role(service: Service, version: str, calls: list[Call]) -> None:
    """Every application is let in exactly where its role permits the action."""
    for one in calls:
        for application, permitted in PERMISSIONS.items():
            answer = one.by(service.http(application), version)
            what = f"{one.name} by {application}: {answer.describe()}"
            if answer.status == 202:
                ended(service.web(version=version), answer.json()["id"])
            if one.action in permitted:
                assert answer.status not in (401, 403, 405, 415), what
                assert answer.status < 500, what
            else:
                assert answer.status == 403, what
        assert one.by(service.anonymous, version).status == 401, f"{one.name} without a token"


@requirement("AUTH-022", "API-013")
@pytest.mark.parametrize("version", VERSIONS)
def test_reading(service: Service, make: Maker, version: str) -> None:
    """Operations, tags and work items are read with the data action read (AUTH-022, API-013)."""
    assert_decided_by_role(service, version, reading(make.uid()))


@requirement("AUTH-022", "API-013")
@pytest.mark.parametrize("version", VERSIONS)
def test_writing(service: Service, make: Maker, version: str) -> None:
    """Work items are created, updated, claimed and cancelled with write (AUTH-022, API-013)."""
    assert_decided_by_role(service, version, writing(make.uid()))


@requirement("AUTH-022", "API-013")
def test_bulk_update(service: Service, make: Maker) -> None:
    """A bulk update needs write (AUTH-022, API-013)."""
    change = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "New^Name"}]}}
    body = {"studyInstanceUids": [make.uid()], "changeDataset": change}
    assert_decided_by_role(service, "v2", [call("update", "POST", "/studies/$bulkUpdate", "write", body)])


@requirement("AUTH-022", "API-013")
@pytest.mark.parametrize("version", VERSIONS)
def test_managing_tags(service: Service, version: str) -> None:
    """Tags are added, changed and deleted with manageExtendedQueryTags (AUTH-022, API-013)."""
    assert_decided_by_role(service, version, managing())


@needs("export")
@requirement("AUTH-022", "API-013")
@pytest.mark.parametrize("version", VERSIONS)
def test_export(service: Service, version: str) -> None:
    """An export needs export (AUTH-022, API-013)."""
    body = {
        "source": {"type": "identifiers", "settings": {"values": ["not-a-uid"]}},
        "destination": {
            "type": "azureBlob",
            "settings": {"blobContainerUri": "https://nowhere.example/none"},
        },
    }
    assert_decided_by_role(service, version, [call("export", "POST", "/export", "export", body)])


@needs("control")
@requirement("AUTH-022")
def test_partitions(special_service: SpecialService) -> None:
    """The list of partitions is read with read (AUTH-022)."""
    with special_service("--partitions") as own:
        for version in VERSIONS:
            assert_decided_by_role(own, version, [call("partitions", "GET", "/partitions", "read")])
