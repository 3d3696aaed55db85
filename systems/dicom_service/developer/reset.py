"""Empties the store, as if the service had just been installed."""

import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from systems.dicom_service.storage.blobs import Incoming, Location
from systems.dicom_service.storage.writer import Clock
from systems.dicom_service.web.problems import Problem

# In this order: triggers of the first ones tidy up what hangs on them.
_EMPTIED = (
    "instance",
    "series",
    "study",
    "original",
    "change",
    "extended_tag_error",
    "extended_tag_value",
    "extended_tag",
    "operation",
    "workitem_value",
    "workitem",
)
_UNFINISHED = "SELECT COUNT(*) FROM operation WHERE status IN ('notStarted', 'running')"
_FILES = (
    "SELECT object FROM instance WHERE object IS NOT NULL "
    "UNION SELECT object FROM original WHERE object IS NOT NULL"
)


@dataclass(slots=True)
class Empty:
    """Delete everything but the default partition; numbers that were given out are not given out again.

    Raises a 409 while an operation is running, which would go on writing.
    """

    folder: Path
    _files: list[str] = field(default_factory=list)

    def blobs(self, _connection: sqlite3.Connection) -> Sequence[bytes | Incoming]:
        """Deleting writes no blob."""
        return ()

    def apply(self, connection: sqlite3.Connection, _places: Sequence[Location], _clock: Clock) -> None:
        """Delete all rows."""
        if connection.execute(_UNFINISHED).fetchone()[0]:
            raise Problem("An operation is still running; wait until it has ended.", status=409)
        self._files = [name for (name,) in connection.execute(_FILES)]
        for table in _EMPTIED:
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - own names only
        connection.execute("DELETE FROM partition WHERE id != 1")

    def committed(self, _result: None) -> None:
        """Remove the files and what was exported; segments go when the service starts again."""
        for name in self._files:
            (self.folder / "objects" / name).unlink(missing_ok=True)
        shutil.rmtree(self.folder / "containers", ignore_errors=True)

    def failed(self) -> None:
        """Nothing was removed."""
