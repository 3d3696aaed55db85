"""Partitions over restarts, and faults that nobody can cause from outside (PART-006, PART-015, AUTH-025, ERR-009, ERR-018)."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from systems.dicom_service import app
from systems.dicom_service.app import Application
from systems.dicom_service.services.context import Context
from systems.dicom_service.settings import Settings
from systems.dicom_service.storage.store import DataFolder
from systems.dicom_service.web.request import Request
from tests.dicom_service.conftest import Starter, dataset, part10, path_of

ROOT = Path(__file__).parents[2]
JSON = "application/dicom+json"


def _inside(path: str, partition: str) -> str:
    return path.replace("/v2/", f"/v2/partitions/{partition}/")


def test_data_from_before_is_in_the_default_partition(starter: Starter, tmp_path: Path) -> None:
    """PART-006: what was stored without partitions is found under Microsoft.Default, and nowhere else."""
    made = dataset()
    before = starter(tmp_path / "data")
    assert before.store(part10(made)).status == 200
    assert before.stop() == 0

    after = starter(tmp_path / "data", "--partitions")
    path = path_of(made) + "/metadata"
    assert after.get(_inside(path, "Microsoft.Default"), JSON).status == 200
    assert after.get(_inside(path, "other"), JSON).status == 400
    assert after.get(path, JSON).status == 400


def test_partitions_cannot_be_switched_off_again(starter: Starter, tmp_path: Path) -> None:
    """PART-015: with another partition than the default the service refuses to start without the feature."""
    data = tmp_path / "data"
    service = starter(data, "--partitions")
    body = part10(dataset())
    stored = service.request(
        "POST", "/v2/partitions/ward/studies", body, {"Content-Type": "application/dicom"}
    )
    assert stored.status == 200
    assert service.stop() == 0
    command = [sys.executable, "-m", "systems.dicom_service.cli", "serve", "--port", "0", "--no-auth"]
    ended = subprocess.run(
        [*command, "--data", str(data)], capture_output=True, timeout=20, check=False, cwd=ROOT
    )
    assert ended.returncode == 2
    assert b"--partitions" in ended.stderr

    again = starter(data, "--partitions")
    names = [entry["partitionName"] for entry in again.get("/v2/partitions").json()]
    assert names == ["Microsoft.Default", "ward"]


def test_default_partition_alone_needs_no_switch(starter: Starter, tmp_path: Path) -> None:
    """PART-015: a service that holds no other partition starts either way."""
    service = starter(tmp_path / "data", "--partitions")
    assert service.stop() == 0
    assert starter(tmp_path / "data").get("/health/check").status == 200


def test_plain_http_is_not_redirected(starter: Starter) -> None:
    """ERR-018: where only http is bound nothing is redirected."""
    answer = starter(":memory:").get("/v2/changefeed")
    assert answer.status == 200
    assert "location" not in answer.headers


async def _failing(_request: Request, _context: Context) -> Any:
    raise ZeroDivisionError("secret of the inside")


def test_unexpected_error_hides_its_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ERR-009: 500 with a fixed sentence; neither answer nor log quote the error."""
    monkeypatch.setitem(app._SERVICES, "change-feed", _failing)
    folder = DataFolder(str(tmp_path))
    folder.prepare()
    try:
        messages = asyncio.run(_asked(Application(Settings(data=folder.path))))
    finally:
        folder.close()
    start, body = messages
    assert start["status"] == 500
    assert dict(start["headers"])[b"content-type"].startswith(b"text/plain")
    assert b"internal error" in body["body"]
    assert b"secret" not in body["body"]
    assert b"ZeroDivision" not in body["body"]


async def _asked(application: Application) -> list[dict[str, Any]]:
    """Start the application, send it one request and stop it; return its answer."""
    lifespan: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    started = asyncio.Event()

    async def note(message: Any) -> None:
        if message["type"] == "lifespan.startup.complete":
            started.set()

    life = asyncio.create_task(application({"type": "lifespan"}, lifespan.get, note))
    await lifespan.put({"type": "lifespan.startup"})
    await started.wait()
    answers: list[dict[str, Any]] = []

    async def collect(message: Any) -> None:
        answers.append(dict(message))

    async def nothing() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/v2/changefeed",
        "query_string": b"",
        "headers": [],
        "scheme": "http",
    }
    await application(scope, nothing, collect)
    await lifespan.put({"type": "lifespan.shutdown"})
    await life
    return answers
