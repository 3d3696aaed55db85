"""Sees to it that a container engine answers (`make engine`), and ends only the one it started (`make engine-stop`).

There is never a second engine: one that answers is used, and one that is just starting is waited for.
"""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from fixtures.deployment.owner import ProcessIdentity, alive, identify
from tools.common import LOCAL, Stop, environment, install_packages, is_root_on_debian, main_of, say

FOLDER = LOCAL / "engine"
DEFAULT_SOCKET = "/var/run/docker.sock"
ENGINE_PID_FILES = (Path("/var/run/docker.pid"),)
WAIT_SECONDS = 60.0
STOP_SECONDS = 30.0
_LOG_TAIL = 30


@dataclass(frozen=True)
class Engine:
    """Where our own engine is written down, and where its pid file may lie."""

    folder: Path = FOLDER
    pid_files: tuple[Path, ...] = ENGINE_PID_FILES
    wait_seconds: float = WAIT_SECONDS

    @property
    def record(self) -> Path:
        """The process that we have started."""
        return self.folder / "engine.json"

    @property
    def log(self) -> Path:
        """What it has said."""
        return self.folder / "engine.log"


def answers(address: str | None = None) -> bool:
    """Tell whether an engine answers at DOCKER_HOST, or at the default socket.

    Raises:
        PermissionError: when its socket refuses this user.

    """
    host = address or os.environ.get("DOCKER_HOST") or f"unix://{DEFAULT_SOCKET}"
    parts = urlsplit(host)
    if parts.scheme not in {"unix", "tcp", "http"}:
        return _answers_by_command()
    connection = _connection(parts.scheme, parts.path, parts.hostname or "", parts.port or 2375)
    try:
        connection.request("GET", "/_ping")
        return connection.getresponse().status == 200
    except PermissionError:
        raise
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=5)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(5)
        self.sock.connect(self._path)


def _connection(scheme: str, path: str, host: str, port: int) -> http.client.HTTPConnection:
    return _UnixConnection(path) if scheme == "unix" else http.client.HTTPConnection(host, port, timeout=5)


def _answers_by_command() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    asked = subprocess.run(
        [docker, "info"], capture_output=True, check=False, stdin=subprocess.DEVNULL, timeout=30
    )
    return asked.returncode == 0


def ensure_engine(engine: Engine | None = None) -> bool:
    """Make sure that an engine answers; return whether it was started by this call.

    Raises:
        Stop: when none answers and none can be started here.

    """
    engine = engine or Engine()
    if _answers_or_stop():
        return False
    running = _running_engine(engine)
    if running is not None:
        say(f"an engine is starting (process {running}): waiting for it")
        _wait(engine, running)
        return False
    if os.environ.get("DOCKER_HOST"):
        raise Stop(
            f"no engine answers at DOCKER_HOST={os.environ['DOCKER_HOST']}; start it, or unset DOCKER_HOST"
        )
    if shutil.which("dockerd") is None:
        install_packages("docker.io", reason="no container engine answers")
        if _answers_or_stop():
            return False
    if not is_root_on_debian():
        raise Stop(
            "no container engine answers, and only root can start one.\n"
            "  What to do: sudo systemctl start docker, or use --runner process"
        )
    _start(engine)
    return True


def _answers_or_stop() -> bool:
    try:
        return answers()
    except PermissionError as error:
        user = os.environ.get("USER", "$USER")
        raise Stop(
            "a container engine is there, but its socket refuses this user.\n"
            f"  What to do: sudo usermod -aG docker {user}, log in again; or use --runner process"
        ) from error


def _running_engine(engine: Engine) -> int | None:
    """Return an engine's process that lives though it does not answer; remove pid files of dead ones."""
    for file in engine.pid_files:
        try:
            pid = int(file.read_text(encoding="ascii").strip() or "0")
        except (OSError, ValueError):
            continue
        if identify(pid) is not None and _command(pid) == "dockerd":
            return pid
        # After a crash the number may belong to another process by now, and dockerd would refuse to start.
        say(f"removing {file}: its engine is gone")
        file.unlink(missing_ok=True)
    return None


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _start(engine: Engine) -> None:
    engine.folder.mkdir(parents=True, exist_ok=True)
    say(
        f"starting a container engine (log: {engine.log.relative_to(LOCAL.parent) if engine.log.is_relative_to(LOCAL.parent) else engine.log})"
    )
    with engine.log.open("wb") as log:
        process = subprocess.Popen(
            ["dockerd"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**environment(), "TMPDIR": "/tmp"},  # noqa: S108 - the engine's own, it outlives this checkout
        )
    started = identify(process.pid)
    if started is not None:
        record = {"pid": started.pid, "started": started.started}
        engine.record.write_text(json.dumps(record), encoding="ascii")
    try:
        _wait(engine, process.pid)
    except Stop:
        engine.record.unlink(missing_ok=True)
        if process.poll() is None:
            process.terminate()
        raise
    say("the container engine answers; end it with: make engine-stop")


def _wait(engine: Engine, pid: int) -> None:
    deadline = time.monotonic() + engine.wait_seconds
    while time.monotonic() < deadline:
        if _answers_or_stop():
            return
        if identify(pid) is None:
            break
        time.sleep(0.2)
    tail = "\n".join(_read(engine.log).splitlines()[-_LOG_TAIL:])
    raise Stop(
        f"the container engine did not answer within {engine.wait_seconds:g} s. The end of its log:\n{tail}\n"
        "  What to do: see the log; containers within containers need a privileged outer one; or use --runner process"
    )


def stop_engine(engine: Engine | None = None) -> str:
    """End the engine that `ensure_engine` started, by its recorded process; say what was done."""
    engine = engine or Engine()
    try:
        record = json.loads(engine.record.read_text(encoding="ascii"))
        process = ProcessIdentity(int(record["pid"]), str(record["started"]))
    except (OSError, ValueError, KeyError):
        return "no engine was started from here"
    if not alive(process):
        engine.record.unlink(missing_ok=True)
        return "the engine that was started from here has ended already"
    os.kill(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while alive(process):
        if time.monotonic() > deadline:
            raise Stop(f"the engine (process {process.pid}) does not end; see {engine.log}")
        time.sleep(0.1)
    engine.record.unlink(missing_ok=True)
    return "the engine is stopped"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def main() -> int:
    """`start` (default) or `stop`."""
    if sys.argv[1:] == ["stop"]:
        say(stop_engine())
    elif sys.argv[1:] in ([], ["start"]):
        if not ensure_engine():
            say("a container engine answers")
    else:
        raise Stop("usage: python3 -m tools.engine [start|stop]", exit_code=2)
    return 0


if __name__ == "__main__":
    raise SystemExit(main_of(main))
