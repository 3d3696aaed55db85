"""`make demo`: brings the reference systems up, plays the demo's claims against them, writes the report.

What follows is given to pytest: `make demo ARGS="--dataset DIR --runner process"`.
"""

import os
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from tools.common import CHECKOUT, PARALLEL, VENV_BIN, Stop, main_of, run, say
from tools.engine import answers
from tools.orthanc import ensure_orthanc
from tools.viewer import ensure_chromium, ensure_viewer

ALONE = frozenset({"--keep", "--pdb"})
"""What does not go with several stacks at once: one to play with, one to look into. Nor do somebody's own systems."""
PROFILES = CHECKOUT / "profiles"


def chosen_runner(arguments: Sequence[str]) -> str | None:
    """Return the runner that the arguments name (`--runner X` or `--runner=X`), or None."""
    return _value_of("--runner", arguments)


def _value_of(option: str, arguments: Sequence[str]) -> str | None:
    for number, word in enumerate(arguments):
        if word == option and number + 1 < len(arguments):
            return arguments[number + 1]
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return None


def is_external(arguments: Sequence[str]) -> bool:
    """Tell whether the arguments name a profile of systems that run already, of which there is one of each."""
    name = _value_of("--profile", arguments)
    if name is None:
        return False
    path = Path(name) if name.endswith(".toml") or os.sep in name else PROFILES / f"{name}.toml"
    try:
        profile = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return True  # pytest says what is wrong with it
    runner = profile.get("runner")
    return isinstance(runner, dict) and runner.get("default") == "external"


def engine_answers() -> bool:
    """Tell whether an engine answers that this user may use."""
    try:
        return answers()
    except PermissionError:
        return False


def _viewer_too() -> None:
    """Prepare viewer and browser; where they cannot be had the demo goes on, and their claims are shown as blocked."""
    try:
        ensure_viewer()
        ensure_chromium()
    except Stop as stop:
        say(f"the claims of the viewer will be shown as blocked: {stop}")


def main() -> int:
    """Run the demo; the exit code is pytest's (docs/running.md)."""
    arguments = sys.argv[1:]
    runner, external = chosen_runner(arguments), is_external(arguments)
    if runner is None and not external:
        runner = "docker" if engine_answers() else "process"
        say(
            f"runner: {runner}"
            + ("" if runner == "docker" else " (no container engine answers; `make engine` starts one)")
        )
        arguments = ["--runner", runner, *arguments]
    if not external:
        _viewer_too()
    if runner == "docker":
        built = run([str(VENV_BIN / "python"), "-m", "fixtures.deployment.images"])
        if built.returncode != 0:
            return built.returncode
    if runner == "process":
        ensure_orthanc()
    parallel = (
        ()
        if external or any(word.partition("=")[0] in ALONE or word.startswith("-n") for word in arguments)
        else PARALLEL
    )
    return run([str(VENV_BIN / "pytest"), "suites/demo", "-m", "demo", *parallel, *arguments]).returncode


if __name__ == "__main__":
    raise SystemExit(main_of(main))
