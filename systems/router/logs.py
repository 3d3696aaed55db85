"""Logs as JSON lines on stderr, without patient data (ROUTER-159)."""

import logging
import sys
import traceback
import warnings
from datetime import UTC, datetime

import orjson

from systems.router.errors import RouterError

# These speak of values of data sets, which may be a patient's.
_TALKATIVE = ("pydicom", "pynetdicom", "py.warnings", "aiohttp.access", "uvicorn.access")


class JsonLines(logging.Formatter):
    """One JSON object a line. Of an exception only its kind and place appear: its text may quote a data set."""

    def format(self, record: logging.LogRecord) -> str:
        """Render `record`."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            line["exception"] = str(error) if isinstance(error, RouterError) else type(error).__name__
            frames = traceback.extract_tb(record.exc_info[2])
            line["trace"] = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames]
        return orjson.dumps(line).decode()


def configure(level: str) -> None:
    """Send everything at `level` and above to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore")
