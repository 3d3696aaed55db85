"""Logs are JSON lines, and what libraries say about values stays out."""

import json
import subprocess
import sys

_PROGRAM = """
import logging, warnings
from systems.shared import logs
logs.configure("demo", "info")
import pydicom.config
logging.getLogger("pydicom").error("Secret^Name")
logging.getLogger("pydicom.pixels").critical("Secret^Name")
logging.getLogger("own").debug("hidden")
try:
    int("Secret^Name")
except ValueError as error:
    logging.getLogger("own").warning("failed: %s", logs.origin(error), extra={"count": 2})
"""


def test_lines_are_json_and_hold_no_values() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=30, check=True
    )
    (line,) = ended.stderr.splitlines()
    entry = json.loads(line)
    assert entry["program"] == "demo"
    assert entry["level"] == "warning"
    assert entry["count"] == 2
    assert entry["message"] == "failed: ValueError in __main__ line 10"
