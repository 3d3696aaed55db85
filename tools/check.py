"""`make test`: everything that must hold before a change is good, one step after the other.

Every step runs even when an earlier one has failed, so that one run tells all there is to mend.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

from tools import engine
from tools.common import CHECKOUT, LOCAL, PARALLEL, VENV_BIN, Stop, main_of, run, say
from tools.dcmtk import ensure_dcmtk
from tools.orthanc import ensure_orthanc
from tools.viewer import ensure_chromium, ensure_viewer

OUT = CHECKOUT / "reports" / "out"
SELECTED = "not benchmark and not controls and not viewer"
"""Measurements are run on purpose only. Sabotaged worlds are a step of their own, on one runner: they test the checks. So are
the checks of the viewer, which take minutes on one runner: a browser that draws in software gets no further beside others.
"""


MOST_UNSTEADY = 25
"""More failures than this are no noise: they are not run again."""


@dataclass
class Counts:
    """What pytest runs came to."""

    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0

    def add(self, other: "Counts") -> None:
        """Add another run's."""
        self.passed += other.passed
        self.failed += other.failed
        self.errors += other.errors
        self.skipped += other.skipped

    def describe(self) -> str:
        """Return the counts as pytest words them."""
        words = [
            (self.failed, "failed"),
            (self.passed, "passed"),
            (self.skipped, "skipped"),
            (self.errors, "errors"),
        ]
        return ", ".join(f"{number} {word}" for number, word in words if number) or "no tests ran"


@dataclass
class Result:
    """How one step ended."""

    name: str
    exit_code: int
    seconds: float
    note: str = ""


@dataclass
class Check:
    """The steps so far."""

    results: list[Result] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    began: float = field(default_factory=time.monotonic)

    def step(self, name: str, command: Sequence[str]) -> None:
        """Run one command and remember how it ended."""
        say(f"\n===== {name} =====")
        began = time.monotonic()
        code = run(command).returncode
        self.results.append(Result(name, code, time.monotonic() - began))

    def pytest(self, name: str, *arguments: str) -> None:
        """Run pytest and add what it counted."""
        junit = LOCAL / "tmp" / f"junit-{len(self.results)}.xml"
        junit.unlink(missing_ok=True)
        cache = ("-o", f"cache_dir={LOCAL / 'tmp' / f'cache-{len(self.results)}'}")
        self.step(name, [_program("pytest"), *arguments, *cache, f"--junitxml={junit}"])
        counts = read_junit(junit)
        self.counts.add(counts)
        result = self.results[-1]
        result.note = counts.describe()
        if result.exit_code in (1, 4) and counts.failed + counts.errors <= MOST_UNSTEADY:
            self._again(result, (*_alone(arguments), *cache), counts)

    def _again(self, result: Result, arguments: Sequence[str], first: Counts) -> None:
        """Run what failed once more, alone: a machine that was too busy is no defect, but it is told."""
        say(f"\n===== once more, alone: what failed in {result.name} =====")
        began = time.monotonic()
        only = ["--last-failed", "--last-failed-no-failures", "none"]
        if "suites" in arguments:
            only.append("--no-report")
        code = run([_program("pytest"), *arguments, *only]).returncode
        result.seconds += time.monotonic() - began
        if code == 0:
            unsteady = first.failed + first.errors
            result.exit_code = 0
            result.note += f"; {unsteady} UNSTEADY: failed beside others, passed alone (see above)"
            self.counts.failed -= first.failed
            self.counts.errors -= first.errors
            self.counts.passed += unsteady

    def unmet(self, name: str, stop: Stop) -> None:
        """Remember a step that could not be run, which counts as failed."""
        say(f"\n===== {name} =====\n{stop}")
        self.results.append(Result(name, stop.exit_code, 0.0, "could not be run"))

    @property
    def failed(self) -> list[Result]:
        """The steps that did not end with 0."""
        return [result for result in self.results if result.exit_code != 0]

    def close(self) -> int:
        """Print one line a step and the closing line; return the exit code."""
        say("\n===== steps =====")
        for result in self.results:
            verdict = "ok    " if result.exit_code == 0 else f"FAILED (exit code {result.exit_code})"
            say(f"{verdict} {result.name} {result.seconds:.1f} s  {result.note}".rstrip())
        seconds = time.monotonic() - self.began
        steps = (
            f"{len(self.failed)} of {len(self.results)} steps failed" if self.failed else "all steps passed"
        )
        counted = f"{self.counts.describe()}, " if any(result.note for result in self.results) else ""
        say(f"===== {counted}{steps} in {seconds:.1f}s =====")
        return 1 if self.failed else 0


def read_junit(path: Path) -> Counts:
    """Read what pytest counted; nothing when it wrote no file."""
    try:
        root = ET.parse(path).getroot()  # noqa: S314 - our own file
    except (OSError, ET.ParseError):
        return Counts()
    total = Counts()
    for suite in root.iter("testsuite"):
        tests, failed, errors, skipped = (
            int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")
        )
        total.add(Counts(max(0, tests - failed - errors - skipped), failed, errors, skipped))
    return total


def _alone(arguments: Sequence[str]) -> list[str]:
    """The arguments without those that spread tests over workers."""
    left = list(arguments)
    for option in ("-n", "--dist"):
        if option in left:
            at = left.index(option)
            del left[at : at + 2]
    return left


def _program(name: str) -> str:
    return str(VENV_BIN / name)


def _static(check: Check) -> None:
    check.step("lint", [_program("ruff"), "check", "."])
    check.step("format", [_program("ruff"), "format", "--check", "."])
    check.step("types", [_program("mypy")])
    check.step("house rules", [_program("lint-imports")])


def _suites(check: Check, runner: str) -> None:
    check.pytest(
        f"suites, {runner} runner",
        "suites",
        *("-m", SELECTED, "--runner", runner, "--report-dir", str(OUT / runner), *PARALLEL),
    )


def _processes(check: Check) -> None:
    """What needs no container engine."""
    check.pytest("tests of the harness and the systems", "tests", "-n", "auto", "--dist", "loadfile", "-q")
    _suites(check, "process")
    # They bring up two stacks at a time by themselves, and bound their waiting tightly: nothing runs beside them.
    check.pytest("sabotaged worlds", "suites/controls", "--runner", "process", "--no-report")


def _had(what: str, *preparations: Callable[[], object]) -> bool:
    """Prepare what some checks need; say what is left out where it cannot be had."""
    try:
        for prepare in preparations:
            prepare()
    except Stop as stop:
        say(f"{what} left out: {stop}")
        return False
    return True


def main() -> int:
    """Run every step; `--lint` only those that run nothing."""
    parser = argparse.ArgumentParser(prog="make test", description=__doc__)
    parser.add_argument("--lint", action="store_true", help="lint, format, types and house rules only")
    arguments = parser.parse_args()
    check = Check()
    if arguments.lint:
        _static(check)
        return check.close()
    docker = _had("The docker runner is", engine.ensure_engine)
    _static(check)
    if docker:
        check.step("images", [_program("python"), "-m", "fixtures.deployment.images"])
    _had("Tests that need dcmtk are", ensure_dcmtk)
    browser = _had("The checks of the viewer are", ensure_viewer, ensure_chromium)
    try:
        ensure_orthanc()
    except Stop as stop:
        check.unmet("tests and suites that need Orthanc as a process", stop)
    else:
        _processes(check)
    if docker:
        _suites(check, "docker")
    if browser:
        runner = "docker" if docker else "process"
        check.pytest(f"viewer, {runner} runner", "suites/viewer", "--runner", runner, "--no-report")
    code = check.close()
    if not docker:
        say("The docker runner was left out: no container engine (see above).")
    return code


if __name__ == "__main__":
    raise SystemExit(main_of(main))
