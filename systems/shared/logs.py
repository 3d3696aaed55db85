"""Logs as JSON lines on standard error, one object a line."""

import json
import logging
import sys
import warnings
from datetime import UTC, datetime
from typing import Any

LEVELS = ("debug", "info", "warning", "error")

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


_QUIET = ("pydicom", "pynetdicom", "pylibjpeg", "openjpeg", "PIL")


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
    # A filter, not a level: these libraries set their own levels when they are imported.
    handler.addFilter(lambda record: record.name.partition(".")[0] not in _QUIET)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for module in _QUIET:
        warnings.filterwarnings("ignore", module=module)


def origin(error: BaseException) -> str:
    """Return kind and place of an error without its text, which may quote a value of a data set."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = (
        f" in {trace.tb_frame.f_globals.get('__name__', '?')} line {trace.tb_lineno}"
        if trace is not None
        else ""
    )
    return f"{type(error).__name__}{place}"
