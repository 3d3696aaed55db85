"""What the bootstrap scripts share. Standard library only: they run before anything is installed."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

CHECKOUT = Path(__file__).resolve().parents[1]
LOCAL = CHECKOUT / ".local"
VENV = LOCAL / "venv"
VENV_BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PARALLEL = ("-n", "4", "--dist", "worksteal")
"""How suites run by default: much of their time is waiting, so two stacks more than a small machine has cores."""

_POLICY = Path("/usr/sbin/policy-rc.d")
_POLICY_TEXT = (
    "#!/bin/sh\n# Made by imaging-cloud-conformance: packages may not start daemons now.\nexit 101\n"
)


class Stop(Exception):  # noqa: N818 - not an error of the program: the machine lacks something
    """Nothing more can be done here; the message tells a person why and what to do."""

    def __init__(self, message: str, exit_code: int = 3) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Terminated(KeyboardInterrupt):
    """SIGTERM came: as Ctrl-C, but to this program alone."""


def say(line: str) -> None:
    """Tell a person what is being done, at once."""
    print(line, flush=True)


def environment() -> dict[str, str]:
    """Return the environment for everything that is run: caches and temporary files stay in the checkout."""
    temporary = LOCAL / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    own = {
        "PIP_CACHE_DIR": str(LOCAL / "cache" / "pip"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "npm_config_cache": str(LOCAL / "cache" / "npm"),
        "npm_config_update_notifier": "false",
        "TMPDIR": str(temporary),
        # The venv's programs first, as if it were activated: among them a Node, where the system has none.
        "PATH": os.pathsep.join([str(VENV_BIN), os.environ.get("PATH", os.defpath)]),
    }
    # Every worker and every system that is started would compile all modules again, which takes longer than many checks.
    outer = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**outer, **own}


def run(
    command: Sequence[str],
    *,
    quiet: bool = False,
    cwd: Path = CHECKOUT,
    extra: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command without input; with `quiet` its output is kept in the result instead of shown.

    Raises:
        KeyboardInterrupt: after Ctrl-C or SIGTERM, when the command has ended by itself: it takes its systems down first.

    """
    pipe = subprocess.PIPE if quiet else None
    with subprocess.Popen(
        list(command),
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        cwd=cwd,
        env={**environment(), **(extra or {})},
    ) as process:
        try:
            out, err = process.communicate()
        except KeyboardInterrupt as interrupted:
            # A terminal's Ctrl-C reaches the command as well; a signal to this program alone does not.
            if isinstance(interrupted, Terminated):
                process.send_signal(signal.SIGINT)
            _wait_for_its_end(process)
            raise
    return subprocess.CompletedProcess(list(command), process.returncode, out, err)


_PATIENCE_SECONDS = 90


def _wait_for_its_end(process: subprocess.Popen[str]) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.wait(timeout=_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
    finally:
        signal.signal(signal.SIGINT, before)


def must(command: Sequence[str], remedy: str) -> None:
    """Run a command quietly.

    Raises:
        Stop: when it fails, with the end of what it said.

    """
    done = run(command, quiet=True)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-1200:]
        raise Stop(f"`{' '.join(command)}` failed:\n{said}\n  What to do: {remedy}")


def is_root_on_debian() -> bool:
    """Tell whether packages can be installed here without asking anybody."""
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None


def install_packages(*names: str, reason: str) -> None:
    """Install Debian packages as root, without letting any of them start a daemon.

    Raises:
        Stop: when this is not root on Debian or Ubuntu, with the command to type; or when apt-get fails.

    """
    command = f"apt-get install {' '.join(names)}"
    if not is_root_on_debian():
        raise Stop(f"{reason}\n  What to do: sudo {command}   (Debian, Ubuntu)")
    say(f"{reason}: installing {', '.join(names)} with apt-get")
    quietly = {"DEBIAN_FRONTEND": "noninteractive"}
    with _no_daemons():
        run(["apt-get", "update"], quiet=True, extra=quietly)
        done = run(["apt-get", "install", "-y", "--no-install-recommends", *names], quiet=True, extra=quietly)
    if done.returncode != 0:
        raise Stop(
            f"`{command}` failed:\n{done.stderr.strip()[-1200:]}\n  What to do: run it by hand and look"
        )


@contextmanager
def _no_daemons() -> Iterator[None]:
    """Forbid package scripts to start services (invoke-rc.d asks policy-rc.d), unless a policy is there already."""
    ours = not _POLICY.exists()
    if ours:
        _POLICY.write_text(_POLICY_TEXT, encoding="ascii")
        _POLICY.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            _POLICY.unlink(missing_ok=True)


def _terminated(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise Terminated


def main_of(action: Callable[[], int]) -> int:
    """Run a script's action; a `Stop` is one clear message and its exit code.

    Ended by Ctrl-C or SIGTERM it returns 130, after what an interrupted run has left up was taken down.
    """
    signal.signal(signal.SIGTERM, _terminated)
    try:
        return action()
    except Stop as stop:
        print(stop, file=sys.stderr, flush=True)
        return stop.exit_code
    except KeyboardInterrupt:
        if VENV_BIN.exists():
            run([str(VENV_BIN / "python"), "-m", "fixtures.deployment.sweeper", "--ended"])
        return 130
