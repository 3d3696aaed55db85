"""Runs of the demo's tests in worlds of their own, two at a time, and what they came to."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fixtures.deployment.orthanc import find_program

ROOT = Path(__file__).parents[2]
PROFILE = "suites/controls/short.toml"
LONGEST = 600
"""Seconds; a run takes some ten, so this only ends what would never end."""
TOGETHER = 2


@dataclass(frozen=True)
class Ran:
    """A run that has ended."""

    output: str
    document: Mapping[str, Any]
    results: Path

    @property
    def sabotage(self) -> str | None:
        """The sabotage that the report states."""
        stated = self.document["run"].get("sabotage")
        return None if stated is None else str(stated["name"])

    @property
    def verdicts(self) -> dict[str, str]:
        """The verdict of each test that ran."""
        return {
            test["nodeid"].removeprefix("suites/demo/"): test["verdict"]
            for record in self.document["records"]
            for test in record["tests"]
        }

    def reason(self, claim: str) -> str:
        """What the report says of a claim that does not hold."""
        return next(str(r["reason"]) for r in self.document["records"] if r["id"] == claim)

    def commands(self, test: str) -> list[str]:
        """The command lines (curl, dcmtk) that the report attaches to a test for repeating what was seen."""
        attached = [
            attachment["source"]
            for result in (json.loads(p.read_text("utf-8")) for p in self.results.glob("*-result.json"))
            if result.get("fullName") == f"suites/demo/{test}"
            for attachment in result.get("attachments", ())
            if attachment["name"] == "how to repeat it"
        ]
        lines = [
            line for source in attached for line in (self.results / source).read_text("utf-8").splitlines()
        ]
        return [line for line in lines if re.match(r"(curl|storescu|findscu|movescu|echoscu) ", line)]


class Runs:
    """Starts runs in the order in which they are announced and hands them out when they have ended."""

    def __init__(self, folder: Path, runner: str) -> None:
        self._folder = folder
        self._runner = runner
        self._pool = ThreadPoolExecutor(TOGETHER)
        self._runs: dict[str, Future[Ran]] = {}

    def announce(self, name: str, tests: Iterable[str], sabotage: str | None = None) -> None:
        """Run these tests of the demo, in a sabotaged world or in the real one."""
        self._runs[name] = self._pool.submit(self._run, name, tuple(dict.fromkeys(tests)), sabotage)

    def result(self, name: str) -> Ran:
        """The run of that name, when it has ended."""
        return self._runs[name].result()

    def close(self) -> None:
        """Begin no further run, and wait for those under way."""
        self._pool.shutdown(cancel_futures=True)

    def _run(self, name: str, tests: tuple[str, ...], sabotage: str | None) -> Ran:
        report = self._folder / name
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
        command += ["--runner", self._runner, "--profile", PROFILE, "--report-dir", str(report)]
        command += ["--sabotage", sabotage] if sabotage else []
        done = subprocess.run(
            [*command, *(f"suites/demo/{test}" for test in tests)],
            cwd=ROOT,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )
        output = done.stdout + done.stderr
        written = report / "conformance.json"
        assert written.is_file(), (
            f"the run {name!r} ended with {done.returncode} and no report:\n{output[-4000:]}"
        )
        return Ran(output, json.loads(written.read_text("utf-8")), report / "allure-results")


def _environment() -> dict[str, str]:
    # Without Node on the path no page for people is made of these runs, which nobody would read.
    orthanc = find_program()
    others = [folder for folder in os.get_exec_path() if not (Path(folder) / "node").exists()]
    folders = [str(Path(sys.executable).parent), *([str(orthanc.parent)] if orthanc else []), *others]
    left_out = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return {**left_out, "PATH": os.pathsep.join(folders), "PY_COLORS": "0"}
