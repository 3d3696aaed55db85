"""JSON that is not DICOM: names, enumerations, tolerance; the OpenAPI paths; /v1 without bulk update (API-004 to API-010)."""

import json
import re
from typing import Any

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import needs, requirement
from suites.azure.data import Maker
from suites.azure.service import VERSIONS, Service
from suites.azure.tags import JSON, ended, private, private_path, tags_of

pytestmark = pytest.mark.azure

CAMEL = re.compile(r"[a-z][A-Za-z0-9]*")
CONTENT = [("Content-Type", "application/json")]


def names(value: Any) -> set[str]:
    """Every property name in a JSON document."""
    if isinstance(value, dict):
        return set(value) | {name for one in value.values() for name in names(one)}
    return {name for one in value for name in names(one)} if isinstance(value, list) else set()


def has_null(value: Any) -> bool:
    """Whether a property anywhere is null."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return value is None or any(has_null(one) for one in inner)


@needs("change-feed")
@requirement("API-007", "API-008")
def test_change_feed(web: DicomWeb, make: Maker) -> None:
    """Entries of the feed have camelCase names, PascalCase action and state, and no nulls (API-007, API-008)."""
    made = make()
    assert web.store([made.part10]).status == 200
    assert web.delete(made.study).status == 204
    entries = [entry for entry in web.change_feed_all() if entry["sopInstanceUid"] == made.instance]
    assert [entry["action"] for entry in entries] == ["Create", "Delete"]
    assert {entry["state"] for entry in entries} == {"Deleted"}
    for entry in entries:
        assert all(CAMEL.fullmatch(name) for name in entry), entry.keys()
        assert not has_null(entry)
        assert "metadata" not in entry, "a property that has no value is left out"


@needs("extended-query-tags")
@requirement("API-007", "API-008", "API-004")
def test_tags_and_operations(web: DicomWeb) -> None:
    """Tags and operations have camelCase names and values, no nulls; a tag that exists is 409 (API-004, API-007, API-008)."""
    with tags_of(web) as own:
        added = private()
        operation = own.add(added).json()
        tag = own.one(added["path"])
        again = own.post([added])
        assert again.status == 409, again.describe()
        assert again.content_type.partition(";")[0] == "text/plain"
    assert (operation["type"], operation["status"]) == (
        "reindex",
        "completed" if web.version == "v1" else "succeeded",
    )
    assert (tag["level"], tag["status"], tag["queryStatus"]) == ("instance", "ready", "enabled")
    for document in (operation, tag):
        assert all(CAMEL.fullmatch(name) for name in names(document)), document
        assert not has_null(document)


@needs("extended-query-tags")
@requirement("API-007", "API-008")
def test_tolerant_reading(web: DicomWeb) -> None:
    """Names and enumerations of a body are read in any case; comments and trailing commas are tolerated (API-007, API-008)."""
    path = private_path()
    body = f'[{{"PATH": "{path}", "Level": "STUDY", "vR": "LO", "PrivateCreator": "X Y", /* why */ }},]'
    with tags_of(web) as own:
        answer = web.request("POST", "/extendedquerytags", headers=CONTENT, body=body.encode())
        try:
            assert answer.status == 202, answer.describe()
            ended(web, answer.json()["id"])
            tag = own.one(path)
        finally:
            own.delete(path)
    assert (tag["level"], tag["privateCreator"]) == ("study", "X Y")


@requirement("API-008")
@pytest.mark.parametrize("level", ["patient", "", "studies"])
def test_unknown_enumeration(web: DicomWeb, level: str) -> None:
    """A name that the enumeration lacks is 400 (API-008)."""
    body = [{"path": private_path(), "level": level, "vr": "LO", "privateCreator": "X"}]
    answer = web.request("POST", "/extendedquerytags", headers=CONTENT, body=json.dumps(body).encode())
    assert answer.status == 400, answer.describe()
    assert web.get(f"/extendedquerytags/{body[0]['path']}", accept=JSON).status == 404


@requirement("API-010")
@pytest.mark.parametrize("document", ["v1-prerelease", "v1", "v2"])
def test_paths(service: Service, document: str) -> None:
    """Every resource is listed, those of a partition twice, export not on the prerelease version (API-010)."""
    version = "v1.0-prerelease" if document == "v1-prerelease" else document
    listed = set(service.anonymous.request("GET", f"/{document}/api.json").json()["paths"])
    shapes = {re.sub(r"\{[^}]*\}", "{}", path) for path in listed}
    series, instance = "studies/{}/series/{}", "studies/{}/series/{}/instances/{}"
    single = {"changefeed", "changefeed/latest", "extendedquerytags", "operations/{}", "partitions"}
    single |= {"extendedquerytags/{}", "extendedquerytags/{}/errors"}
    twice = {
        *("studies", "series", "instances", "studies/$bulkUpdate", "studies/{}", "studies/{}/metadata"),
        *("studies/{}/series", "studies/{}/instances", series, f"{series}/metadata", f"{series}/instances"),
        *(instance, f"{instance}/metadata", f"{instance}/rendered", f"{instance}/frames/{{}}"),
        *(f"{instance}/frames/{{}}/rendered", "workitems", "workitems/{}", "workitems/{}/state"),
        "workitems/{}/cancelrequest",
        *(["export"] if document != "v1-prerelease" else []),
    }
    expected = {f"/{version}/{path}" for path in single | twice}
    expected |= {f"/{version}/partitions/{{}}/{path}" for path in twice}
    assert shapes >= expected, f"missing: {sorted(expected - shapes)}"
    assert all(path.startswith(f"/{version}/") for path in listed)
    assert (f"/{version}/export" in shapes) == (document != "v1-prerelease")
    assert not [
        path
        for path in shapes
        if re.match(rf"/{version}/partitions/{{}}/(changefeed|extended|operations)", path)
    ]


@requirement("VER-013", "ERR-002")
@pytest.mark.parametrize("version", ["v1.0-prerelease", *VERSIONS])
def test_bulk_update_by_version(service: Service, make: Maker, version: str) -> None:
    """A valid bulk update is 404 with an empty body below /v1 and accepted below /v2 (VER-013, ERR-002)."""
    change = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "New^Name"}]}}
    body = json.dumps({"studyInstanceUids": [make.uid()], "changeDataset": change}).encode()
    answer = service.http().request("POST", f"/{version}/studies/$bulkUpdate", headers=CONTENT, body=body)
    if version == "v2":
        assert answer.status == 202, answer.describe()
        ended(service.web(version=version), answer.json()["id"])
    else:
        assert (answer.status, answer.body) == (404, b""), answer.describe()
    no_json = service.http().request("POST", f"/{version}/studies/$bulkUpdate", headers=CONTENT, body=b"{")
    assert no_json.status == 400, "a body that cannot be read is refused first"
