"""The nightly run: the suites `demo` and `azure` on the reference systems, and `azure` on a hosted DICOM service.

`python3 -m tools.nightly`, or `make nightly`; the same on a laptop and in GitHub's workflow. The hosted service takes part
when the variables of docs/azure.md name one. Each part writes its report to reports/out/nightly/PART, with a line a night in
trend.jsonl (and Allure's history.jsonl) there. The exit code is that of docs/running.md; parts are run to the last, whatever
the first came to.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools import demo
from tools.common import CHECKOUT, PARALLEL, VENV_BIN, Stop, main_of, run, say
from tools.dcmtk import ensure_dcmtk
from tools.nightly_plan import GROUPS, HOSTED, REFERENCE, Plan, plan, worst
from tools.orthanc import ensure_orthanc
from tools.prepare import prepare_allure, prepare_venv

OUT = CHECKOUT / "reports" / "out" / "nightly"
TREND = "trend.jsonl"
WORDS = ("fail", "error", "blocked", "hole", "not-run", "known-deviation", "pass", "not-applicable")
"""Verdicts of conformance.json, worst first."""


@dataclass(frozen=True)
class Result:
    """How one part ended. `totals` counts records by verdict; None where no report came of it."""

    part: str
    exit_code: int
    seconds: float = 0.0
    totals: Mapping[str, int] | None = None
    before: Mapping[str, int] | None = None
    """The totals of the night before."""
    note: str = ""


def command(part: str, runner: str, out: Path, arguments: Sequence[str]) -> list[str]:
    """Return the command that runs a part; `arguments` go to pytest."""
    given = ["--report-dir", str(out / part), *arguments]
    if part == HOSTED:
        return [str(VENV_BIN / "python"), "-m", "tools.azure_hosted", *given]
    suite = [str(VENV_BIN / "pytest"), f"suites/{part}", "-m", part, "--runner", runner]
    return [*suite, *PARALLEL, *given]


def settings(part: str, out: Path) -> dict[str, str]:
    """Return what a part is told by its environment at night: longer mixed runs, and where the other part's verdicts are."""
    if part != "demo":
        return {}
    return {
        "CONFORMANCE_MIXED_STEPS": "100",
        "CONFORMANCE_MIXED_SEEDS": "5",
        "CONFORMANCE_SERVICE_REPORT": str(out / "azure" / "conformance.json"),
    }


def run_part(part: str, runner: str, out: Path, arguments: Sequence[str]) -> Result:
    """Run a part, read what its report says and add a line to its trend."""
    report = out / part / "conformance.json"
    # What an earlier night left must never pass for this night's.
    report.unlink(missing_ok=True)
    say(f"\n===== {part} =====")
    began = time.monotonic()
    code = run(command(part, runner, out, arguments), extra=settings(part, out)).returncode
    seconds = time.monotonic() - began
    document = _read(report)
    totals = document.get("totals") if document else None
    if code == 0 and totals is None:
        return Result(part, 4, seconds, note="it wrote no conformance.json, so nothing shows what passed")
    before = _last_totals(out / part / TREND)
    described = document.get("run", {}) if document else {}
    _add_line(
        out / part / TREND,
        {
            "run": described.get("id"),
            "finished": described.get("finished"),
            "part": part,
            "commit": _commit(),
            "versions": described.get("versions", {}),
            "exit_code": code,
            "seconds": round(seconds, 1),
            "totals": totals,
        },
    )
    return Result(part, code, seconds, totals, before)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def _last_totals(trend: Path) -> Mapping[str, int] | None:
    """Return the totals of the last night that had any; a line that was cut off is passed over."""
    try:
        lines = trend.read_text("utf-8").splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        try:
            totals = json.loads(line)["totals"]
        except (ValueError, KeyError, TypeError):
            continue
        if isinstance(totals, dict):
            return totals
    return None


def _add_line(trend: Path, line: Mapping[str, object]) -> None:
    trend.parent.mkdir(parents=True, exist_ok=True)
    with trend.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _commit() -> str | None:
    done = run(["git", "rev-parse", "HEAD"], quiet=True)
    return done.stdout.strip() if done.returncode == 0 else None


def describe(totals: Mapping[str, int] | None, before: Mapping[str, int] | None) -> str:
    """Write totals as `2 fail (+1), 118 pass`, with what changed since the night before."""
    if totals is None:
        return "no report"
    words = []
    for word in WORDS:
        now, then = totals.get(word, 0), (before or totals).get(word, 0)
        if now or then:
            words.append(f"{now} {word}" + (f" ({now - then:+d})" if now != then else ""))
    return ", ".join(words) or "no records"


def summary(results: Sequence[Result], left_out: Mapping[str, str]) -> str:
    """Return the night as a Markdown table, for GitHub's page of the run."""
    lines = ["| part | result | records (change since the night before) |", "|---|---|---|"]
    for one in results:
        verdict = "passed" if one.exit_code == 0 else f"**exit code {one.exit_code}**"
        said = one.note or describe(one.totals, one.before)
        lines.append(f"| {one.part} | {verdict} | {' '.join(said.split()).replace('|', '/')} |")
    lines += [f"| {part} | left out | {reason} |" for part, reason in left_out.items()]
    return "\n".join(lines) + "\n"


def close(results: Sequence[Result], left_out: Mapping[str, str]) -> int:
    """Print one line a part and return the exit code of the night."""
    say("\n===== nightly run =====")
    for one in results:
        verdict = "ok    " if one.exit_code == 0 else f"FAILED (exit code {one.exit_code})"
        say(f"{verdict} {one.part} {one.seconds:.0f} s  {one.note or describe(one.totals, one.before)}")
    for part, reason in left_out.items():
        say(f"left out {part}: {reason}")
    return worst(one.exit_code for one in results)


def _had(what: str, ensure: Callable[[], object]) -> None:
    """Prepare what some checks need; where it cannot be had, their own verdicts say so."""
    try:
        ensure()
    except Stop as stop:
        say(f"{what}: {stop}")


def prepare_reference(runner: str) -> None:
    """See to it that what the reference systems need is there.

    Raises:
        Stop: when it cannot be had.

    """
    _had("checks with dcmtk do not apply", ensure_dcmtk)
    if runner == "process":
        ensure_orthanc()
        return
    _had("checks with Orthanc as a process do not apply", ensure_orthanc)
    built = run([str(VENV_BIN / "python"), "-m", "fixtures.deployment.images"])
    if built.returncode != 0:
        raise Stop("the container images could not be built (see above)", exit_code=built.returncode)


def night(todo: Plan, runner: str, out: Path, arguments: Sequence[str]) -> list[Result]:
    """Run every part; what one lacks keeps no other from running, an interruption ends the night."""
    results = [Result(part, 2, note=reason) for part, reason in todo.refused.items()]
    parts = list(todo.parts)
    if any(part in REFERENCE for part in parts):
        try:
            prepare_reference(runner)
        except Stop as stop:
            results += [Result(part, stop.exit_code, note=str(stop)) for part in parts if part in REFERENCE]
            parts = [part for part in parts if part not in REFERENCE]
    for part in parts:
        results.append(run_part(part, runner, out, arguments))
        if results[-1].exit_code == 130:
            break
    return results


def main() -> int:
    """Run the night."""
    parser = argparse.ArgumentParser(
        prog="python3 -m tools.nightly",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="What is not an option of its own is given to pytest.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--only", choices=tuple(GROUPS), default="all", help="which parts (default: %(default)s)"
    )
    parser.add_argument("--require-hosted", action="store_true", help="fail when no hosted service is named")
    parser.add_argument(
        "--runner", choices=("docker", "process"), help="default: docker where an engine answers"
    )
    parser.add_argument("--summary", type=Path, metavar="FILE", help="add the results to this Markdown file")
    parser.add_argument("--plan", action="store_true", help="print what would run, and run nothing")
    given, arguments = parser.parse_known_args()
    todo = plan(os.environ, given.only, require_hosted=given.require_hosted)
    runner = given.runner or ("docker" if demo.engine_answers() else "process")
    if given.plan:
        say(f"runs, runner {runner}: {', '.join(todo.parts) or 'nothing'}")
        close([Result(part, 2, note=reason) for part, reason in todo.refused.items()], todo.left_out)
        return 2 if todo.refused else 0
    if todo.parts:
        prepare_venv()
        _had("the Allure pages of the report are left out", prepare_allure)
    results = night(todo, runner, OUT, arguments)
    if given.summary is not None:
        with given.summary.open("a", encoding="utf-8") as file:
            file.write(summary(results, todo.left_out))
    return close(results, todo.left_out)


if __name__ == "__main__":
    raise SystemExit(main_of(main))
