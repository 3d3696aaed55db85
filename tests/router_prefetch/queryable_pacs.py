"""A PACS that answers C-FIND of every level from what it was sent, and fails as it is told."""

import threading
from collections.abc import Iterator
from typing import Any

from pydicom.dataset import Dataset

from tests.router.fakes import FakePacs

_KEYS = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}


class QueryablePacs(FakePacs):
    """`find_status` ends every query at once, `aborts` the association too; `hold` keeps every C-STORE waiting until it is set."""

    def __init__(self) -> None:
        self.held: dict[str, Dataset] = {}
        self.find_status: int | None = None
        self.aborts = False
        self.queries: list[str] = []
        self.hold = threading.Event()
        self.hold.set()
        self.arrived = threading.Event()
        super().__init__()

    def _store(self, event: Any) -> int:
        self.arrived.set()
        self.hold.wait(20)
        status = super()._store(event)
        if status == 0:
            self.held[str(event.request.AffectedSOPInstanceUID)] = event.dataset
        return status

    def _find(self, event: Any) -> Iterator[Any]:
        asked = event.identifier
        level = asked.QueryRetrieveLevel
        self.queries.append(level)
        if self.aborts:
            event.assoc.abort()
            return
        if self.find_status is not None:
            yield self.find_status, None
            return
        unique, seen = _KEYS[level], set()
        for ds in list(self.held.values()):
            wanted = [key for key in _KEYS.values() if asked.get(key)]
            uid = str(ds.get(unique))
            if uid in seen or any(str(ds.get(key)) != str(asked.get(key)) for key in wanted):
                continue
            seen.add(uid)
            match = Dataset()
            match.QueryRetrieveLevel = level
            for key in (*_KEYS.values(), "PatientID"):
                if key in asked:
                    setattr(match, key, ds.get(key))
            yield 0xFF00, match
