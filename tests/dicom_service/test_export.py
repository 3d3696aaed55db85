"""Exports across restarts, and what the built-in storage account gives to whom."""

import json
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fixtures.waiting import eventually
from systems.dicom_service.export.asked import Destination, destination
from systems.dicom_service.export.containers import ACCOUNT, Containers
from systems.dicom_service.export.work import export
from systems.dicom_service.operations.records import Kind, Operation, Status
from systems.dicom_service.operations.runner import Run
from systems.dicom_service.storage.store import Store
from systems.dicom_service.web.problems import BadRequest
from tests.dicom_service.conftest import Service, dataset, part10, start

CONTAINER = f"/{ACCOUNT}/exports"


def _export(service: Service, *identifiers: str) -> str:
    settings = {"connectionString": "UseDevelopmentStorage=true", "blobContainerName": "exports"}
    body = {
        "source": {"type": "identifiers", "settings": {"values": list(identifiers)}},
        "destination": {"type": "azureBlob", "settings": settings},
    }
    answer = service.request(
        "POST", "/v2/export", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    assert answer.status == 202, answer.body
    return str(answer.json()["id"])


def _ended(service: Service, identifier: str) -> dict[str, Any]:
    def state() -> dict[str, Any] | None:
        answer = service.get(f"/v2/operations/{identifier}")
        return answer.json() if answer.status == 200 else None

    return eventually(state, within=20, because="the export should end") or {}


def test_an_export_outlives_a_restart(tmp_path: Path) -> None:
    """What was accepted is carried out by the next start, and its results stay readable."""
    service = start(tmp_path / "data", tmp_path / "log")
    assert service.request("PUT", f"{CONTAINER}?restype=container").status == 201
    made = [dataset() for _ in range(30)]
    for one in made:
        assert service.store(part10(one)).status == 200
    identifier = _export(service, *(one.StudyInstanceUID for one in made))
    assert service.stop() == 0

    service = start(tmp_path / "data", tmp_path / "log")
    state = _ended(service, identifier)
    assert (state["results"]["exported"], state["results"]["skipped"]) == (30, 0)
    listed = service.get(f"{CONTAINER}?restype=container&comp=list").body
    assert listed.count(b".dcm</Name>") == 30
    assert service.stop() == 0


def test_an_export_without_its_container_fails(tmp_path: Path) -> None:
    """A container that was deleted meanwhile is an error, which the runner reports as a failed operation."""
    given = {
        "partition": 1,
        "identifiers": [["1.2.3"]],
        "container": "gone",
        "url": "http://host/account/gone",
    }
    operation = Operation("id", Kind.EXPORT, Status.RUNNING, 0, 0, None, given, None, None)
    store = cast("Store", SimpleNamespace(folder=tmp_path))
    with pytest.raises(FileNotFoundError):
        export(Run(operation, store, threading.Event()))


def test_a_container_is_made_and_deleted_once(service: Service) -> None:
    """Making it again is a conflict, deleting it again finds nothing."""
    path = f"/{ACCOUNT}/twice?restype=container"
    statuses = [
        service.request(method, path).status for method in ("PUT", "PUT", "GET", "DELETE", "DELETE", "GET")
    ]
    assert statuses == [201, 409, 200, 202, 404, 404]


@pytest.mark.parametrize("path", ["..%2f..%2findex.sqlite", "../../index.sqlite", ".hidden", "a//b", ""])
def test_blobs_are_only_those_of_the_container(service: Service, path: str) -> None:
    """No name leads out of the container."""
    service.request("PUT", f"/{ACCOUNT}/outside?restype=container")
    assert service.get(f"/{ACCOUNT}/outside/{path}").status == 404


@pytest.mark.parametrize("name", ["..", "a", "Upper", "a--b", "x" * 64, "-ab", "a.b"])
def test_names_of_containers(tmp_path: Path, name: str) -> None:
    """Names that Azure does not take make no folder."""
    containers = Containers(tmp_path)
    assert not containers.create(name)
    assert not containers.exists(name)
    assert containers.create("good-name-1")
    assert containers.exists("good-name-1")


def test_the_account_is_nobodys_without_a_token(tmp_path: Path) -> None:
    """The storage account holds patients' images: no token, no answer."""
    options = ("--authority", "https://127.0.0.1:9/tenant")
    service = start(tmp_path / "data", tmp_path / "log", *options, auth=True)
    assert service.get(f"{CONTAINER}?restype=container").status == 401
    assert service.get(f"{CONTAINER}/x/errors.log").status == 401
    assert service.stop() == 0


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"blobContainerUri": "https://contoso.blob.core.windows.net/images?sv=1&sig=abc"},
            Destination("contoso", "images", "contoso.blob.core.windows.net", True, False),
        ),
        (
            {
                "BLOBCONTAINERURI": "http://127.0.0.1:10000/devstoreaccount1/images",
                "useManagedIdentity": True,
            },
            Destination("devstoreaccount1", "images", "127.0.0.1:10000", False, True),
        ),
        (
            {
                "connectionString": "BlobEndpoint=https://contoso.blob.core.windows.net;SharedAccessSignature=sig=a",
                "blobContainerName": "images",
            },
            Destination("contoso", "images", "", True, False),
        ),
    ],
)
def test_destinations(settings: dict[str, Any], expected: Destination) -> None:
    """EXP-008 to EXP-010."""
    assert destination(settings) == expected


@pytest.mark.parametrize("uri", ["images", "/images", "ftp://x/y", "http://[::1/x", "https://host:port/x"])
def test_bad_addresses(uri: str) -> None:
    """An address that is no absolute http URI is refused, not an error of the server."""
    with pytest.raises(BadRequest):
        destination({"blobContainerUri": uri})
