"""Logs as JSON lines on standard error, one object a line."""

import json
import logging
import sys
import warnings
from datetime import UTC, datetime
from typing import Any

LEVELS = ("debug", "info", "warning", "error")

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object; `extra` fields become members."""

    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for `record`."""
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "program": self._program,
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry.update({name: value for name, value in vars(record).items() if name not in _STANDARD})
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str, ensure_ascii=False)


def configure(program: str, level: str) -> None:
    """Send all logs of `program` from `level` (one of LEVELS) on to standard error.

    DICOM libraries quote element values in their warnings, so those are silenced: patient data never reaches a log.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(program))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("pydicom", "pynetdicom", "pylibjpeg"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    for module in ("pydicom", "pynetdicom", "pylibjpeg", "openjpeg", "PIL"):
        warnings.filterwarnings("ignore", module=module)
