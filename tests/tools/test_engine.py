"""`make engine` with stand-ins in the place of the engine: none of these tests touches a real one."""

import http.server
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.deployment.owner import identify
from tools import engine
from tools.common import Stop


@pytest.fixture
def answering() -> Iterator[str]:
    class Ping(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/_ping" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            del format, args

    server = http.server.HTTPServer(("127.0.0.1", 0), Ping)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"tcp://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def ours(tmp_path: Path) -> engine.Engine:
    (tmp_path / "engine").mkdir()
    return engine.Engine(tmp_path / "engine", (tmp_path / "docker.pid",), wait_seconds=0.6)


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test here may meet, install or start a real engine."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(engine, "DEFAULT_SOCKET", str(tmp_path / "no.sock"))
    monkeypatch.setattr(engine, "is_root_on_debian", lambda: False)
    monkeypatch.setattr("shutil.which", lambda _: "/usr/sbin/dockerd")


def test_engine_that_answers_is_used(
    answering: str, ours: engine.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", answering)
    assert engine.ensure_engine(ours) is False
    assert not ours.record.exists()


def test_without_an_engine_and_without_root_the_remedy_is_named(ours: engine.Engine) -> None:
    with pytest.raises(Stop, match=r"sudo systemctl start docker.*--runner process"):
        engine.ensure_engine(ours)


def test_engine_named_by_the_environment_is_never_replaced(
    ours: engine.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    with pytest.raises(Stop, match=r"DOCKER_HOST=tcp://127\.0\.0\.1:9"):
        engine.ensure_engine(ours)


def test_socket_that_refuses_this_user_is_one_clear_message(
    ours: engine.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: socket.socket, address: object) -> None:
        raise PermissionError(13, "Permission denied", str(address))

    monkeypatch.setattr(engine, "DEFAULT_SOCKET", "/somewhere.sock")
    monkeypatch.setattr("socket.socket", type("Refusing", (socket.socket,), {"connect": refused}))
    with pytest.raises(Stop, match="usermod -aG docker"):
        engine.ensure_engine(ours)


def test_stale_pid_file_is_removed_and_a_bystander_with_its_number_is_not_waited_for(
    ours: engine.Engine,
) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        ours.pid_files[0].write_text(str(bystander.pid))
        with pytest.raises(Stop, match="only root can start one"):
            engine.ensure_engine(ours)
        assert not ours.pid_files[0].exists()
        assert bystander.poll() is None
    finally:
        bystander.communicate(b"\n")


def test_engine_that_is_starting_is_waited_for_and_no_second_one_is_started(
    ours: engine.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    starting = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    monkeypatch.setattr(engine, "_command", lambda _: "dockerd")
    monkeypatch.setattr(engine, "is_root_on_debian", lambda: True)
    monkeypatch.setattr(engine, "_start", lambda _: pytest.fail("a second engine was started"))
    try:
        ours.pid_files[0].write_text(str(starting.pid))
        ours.log.write_text("level=error msg=no space\n")
        with pytest.raises(Stop, match=r"(?s)within 0\.6 s.*no space"):
            engine.ensure_engine(ours)
        assert ours.pid_files[0].exists()
    finally:
        starting.communicate(b"\n")


def test_only_the_recorded_engine_is_stopped(ours: engine.Engine) -> None:
    assert "no engine was started" in engine.stop_engine(ours)
    started = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = identify(started.pid)
    assert process is not None
    ours.record.write_text(json.dumps({"pid": process.pid, "started": "1"}))
    assert "has ended already" in engine.stop_engine(ours)
    assert started.poll() is None, "a process that only has the recorded number must not be ended"
    ours.record.write_text(json.dumps({"pid": process.pid, "started": process.started}))
    reaper = threading.Thread(target=started.wait)
    reaper.start()
    assert engine.stop_engine(ours) == "the engine is stopped"
    reaper.join()
    assert started.returncode == -15
    if started.stdin is not None:
        started.stdin.close()
