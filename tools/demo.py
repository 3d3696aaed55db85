"""`make demo`: brings the reference systems up, plays the demo's claims against them, writes the report.

What follows is given to pytest: `make demo ARGS="--dataset DIR --runner process"`.
"""

import sys
from collections.abc import Sequence

from tools.common import PARALLEL, VENV_BIN, main_of, run, say
from tools.engine import answers
from tools.orthanc import ensure_orthanc

ALONE = frozenset({"--keep", "--pdb", "--profile"})
"""What does not go with several stacks at once: one to play with, one to look into, somebody's own systems."""


def chosen_runner(arguments: Sequence[str]) -> str | None:
    """Return the runner that the arguments name (`--runner X` or `--runner=X`), or None."""
    for number, word in enumerate(arguments):
        if word == "--runner" and number + 1 < len(arguments):
            return arguments[number + 1]
        if word.startswith("--runner="):
            return word.partition("=")[2]
    return None


def chosen_profile(arguments: Sequence[str]) -> bool:
    """Tell whether the arguments name a profile, which then knows its own runner."""
    return any(word == "--profile" or word.startswith("--profile=") for word in arguments)


def engine_answers() -> bool:
    """Tell whether an engine answers that this user may use."""
    try:
        return answers()
    except PermissionError:
        return False


def main() -> int:
    """Run the demo; the exit code is pytest's (docs/running.md)."""
    arguments = sys.argv[1:]
    runner = chosen_runner(arguments)
    if runner is None and not chosen_profile(arguments):
        runner = "docker" if engine_answers() else "process"
        say(
            f"runner: {runner}"
            + ("" if runner == "docker" else " (no container engine answers; `make engine` starts one)")
        )
        arguments = ["--runner", runner, *arguments]
    if runner == "docker":
        built = run([str(VENV_BIN / "python"), "-m", "fixtures.deployment.images"])
        if built.returncode != 0:
            return built.returncode
    if runner == "process":
        ensure_orthanc()
    parallel = (
        ()
        if any(word.partition("=")[0] in ALONE or word.startswith("-n") for word in arguments)
        else PARALLEL
    )
    return run([str(VENV_BIN / "pytest"), "suites/demo", "-m", "demo", *parallel, *arguments]).returncode


if __name__ == "__main__":
    raise SystemExit(main_of(main))
