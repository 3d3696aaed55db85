import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import requests

from fixtures.waiting import eventually
from tests.router.fakes import FakeCloud, FakePacs
from tests.router.orthanc import Orthanc

ADMIN_TOKEN = "admin-token"  # noqa: S105 - of a test
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def cloud() -> Iterator[FakeCloud]:
    fake = FakeCloud()
    yield fake
    fake.stop()


@pytest.fixture
def pacs() -> Iterator[FakePacs]:
    fake = FakePacs()
    yield fake
    fake.stop()


def config_text(folder: Path, cloud_url: str, pacs_port: int, **extra: str | None) -> str:
    """A configuration for loopback; `extra` replaces, adds or (None) drops tables by name, dots as underscores."""
    tables: dict[str, str | None] = {
        "router": f'data = "{folder / "data"}"',
        "admin": 'host = "127.0.0.1"\nport = 0\ntoken_env = "TEST_ADMIN_TOKEN"',
        "cloud": f'base_url = "{cloud_url}"\nversion = "v2"\nconnect_seconds = 2\nread_idle_seconds = 5',
        "cloud_credential": f'form = "v2"\ntoken_url = "{cloud_url}/token"\nclient_id = "me"\nsecret_file = "secret"',
        "paths_cloud-bridge": 'host = "127.0.0.1"\nport = 0',
        "paths_modality-intake": 'host = "127.0.0.1"\nport = 0',
        "backoff": "first_seconds = 0.1\nceiling_seconds = 0.5",
        "timers": "grace_seconds = 3\ncommunication_seconds = 5",
    }
    tables.update(extra)
    named = {name: body for name, body in tables.items() if body is not None}
    text = "".join(f"[{name.replace('_', '.')}]\n{body}\n" for name, body in named.items() if name[0] != "+")
    text += f'[[peers]]\nae_title = "ORTHANC"\nhost = "127.0.0.1"\nport = {pacs_port}\nrelational_queries = true\n'
    text += '[[destinations]]\nname = "ORTHANC"\nkind = "dimse"\n'
    text += '[[destinations]]\nname = "cloud"\nkind = "dicomweb"\n'
    return text + "".join(body for name, body in named.items() if name[0] == "+")


class RouterProcess:
    """The shipped router as a process of its own."""

    def __init__(self, folder: Path, text: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.config = folder / "router.toml"
        self.config.write_text(text)
        (folder / "secret").write_text("right\n")
        self.process: subprocess.Popen[bytes] | None = None
        self.ports: dict[str, int] = {}
        self.log = folder / "router.log"

    def start(self) -> "RouterProcess":
        ports = self.data / "ports.json"
        ports.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "systems.router.cli", "serve", "--config", str(self.config)],
                stderr=log,
                cwd=REPOSITORY,
                env={**os.environ, "TEST_ADMIN_TOKEN": ADMIN_TOKEN},
            )
        eventually(self._is_up, within=15, because=f"the router to start; log: {self.log}", every=0.02)
        self.ports = orjson.loads(ports.read_bytes())
        return self

    def _is_up(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            pytest.fail(f"the router ended with {self.process.returncode}: {self.log.read_text()[-2000:]}")
        return (self.data / "ports.json").exists()

    @property
    def intake(self) -> int:
        return self.ports["modality-intake"]

    @property
    def bridge(self) -> int:
        return self.ports["cloud-bridge"]

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def ask(self, method: str, path: str, body: Any = None, *, token: str = ADMIN_TOKEN) -> requests.Response:
        return requests.request(
            method,
            f"http://127.0.0.1:{self.ports['admin']}{path}",
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            timeout=20,
        )

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.ask("GET", "/status").json()
        for row in answer["destinations"]:
            parts = ("delivered", "waiting", "in_progress", "dead_lettered", "duplicates")
            assert row["accepted"] == sum(row[part] for part in parts), row
        return answer

    def destination(self, name: str) -> dict[str, Any]:
        row: dict[str, Any] = next(row for row in self.status()["destinations"] if row["name"] == name)
        return row

    def path(self, name: str) -> dict[str, Any]:
        row: dict[str, Any] = next(row for row in self.status()["paths"] if row["name"] == name)
        return row


MakeRouter = Callable[..., RouterProcess]


@pytest.fixture
def make_router(tmp_path: Path, cloud: FakeCloud, pacs: FakePacs) -> Iterator[MakeRouter]:
    made: list[RouterProcess] = []

    def make(
        *, cloud_url: str | None = None, pacs_port: int | None = None, **extra: str | None
    ) -> RouterProcess:
        folder = tmp_path / f"router-{len(made)}"
        folder.mkdir()
        router = RouterProcess(
            folder, config_text(folder, cloud_url or cloud.url, pacs_port or pacs.port, **extra)
        )
        made.append(router)
        return router.start()

    yield make
    for router in made:
        if router.process is not None and router.process.poll() is None:
            router.process.kill()
            router.process.wait()


@pytest.fixture
def router(make_router: MakeRouter) -> RouterProcess:
    return make_router()


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    (tmp_path / "orthanc").mkdir()
    server = Orthanc(tmp_path / "orthanc")
    yield server
    server.process.kill()
    server.process.wait()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[str]:
    """The reference DICOM service as the cloud; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "systems.dicom_service.cli",
        "serve",
        "--port",
        str(port),
        "--data",
        str(tmp_path / "cloud"),
        "--no-auth",
    ]
    process = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.DEVNULL, env=os.environ)
    url = f"http://127.0.0.1:{port}"
    eventually(
        lambda: requests.get(f"{url}/health/check", timeout=5).ok,
        within=20,
        because="the DICOM service to start",
    )
    yield url
    process.terminate()
    process.wait(20)
