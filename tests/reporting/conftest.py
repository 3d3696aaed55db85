"""A small checkout of its own, with fake suites, on which pytest is run as a user would."""

import json
import os
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
MARKS = ("demo", "azure", "dicomweb", "router", "resilience", "security", "controls", "benchmark")
HEAD = """
import os, time, pytest
from fixtures.traceability import requirement, needs, blocked, not_applicable, HarnessError
"""


@dataclass
class Ran:
    """A finished run of pytest."""

    code: int
    out: str
    root: Path

    @property
    def conformance(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.root / "reports/out/conformance.json").read_text())
        return document

    def record(self, record_id: str) -> dict[str, Any]:
        record: dict[str, Any] = next(r for r in self.conformance["records"] if r["id"] == record_id)
        return record

    @property
    def story(self) -> str:
        return (self.root / "reports/out/story.html").read_text()

    @property
    def last_line(self) -> str:
        return self.out.strip().splitlines()[-1]


@dataclass
class Checkout:
    """A folder with suites, in which pytest runs with the plugin."""

    root: Path

    def suite(self, path: str, body: str) -> None:
        file = self.root / "suites" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(HEAD + textwrap.dedent(body))

    def profile(self, name: str, text: str) -> None:
        folder = self.root / "profiles"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.toml").write_text(
            f'name = "{name}"\ndescription = "A test profile"\n' + textwrap.dedent(text)
        )

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]

    @property
    def environment(self) -> dict[str, str]:
        # Without the other plugins installed here pytest starts in half the time.
        return {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "PY_COLORS": "0",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }

    def run(self, *arguments: str, allure: bool = False) -> Ran:
        environment = self.environment
        if not allure:
            # Without Node on the path no Allure page is made, which keeps these runs short.
            environment["PATH"] = str(Path(sys.executable).parent)
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Ran(done.returncode, re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr), self.root)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    marks = "".join(f'    "{mark}: a suite",\n' for mark in MARKS)
    (tmp_path / "pyproject.toml").write_text(
        f"[tool.pytest.ini_options]\naddopts = ['-ra', '--strict-markers', '--import-mode=importlib']\n"
        f"testpaths = ['suites']\nmarkers = [\n{marks}]\n"
    )
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["fixtures.reporting.plugin"]\n')
    (tmp_path / "suites").mkdir()
    return Checkout(tmp_path)
