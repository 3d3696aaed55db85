"""The health report (HLTH-001 to HLTH-006)."""

import os
import sqlite3
import time
from collections.abc import Callable

from systems.dicom_service.services.context import Context
from systems.dicom_service.web.replies import Reply, json_reply

_CACHED_SECONDS = 2.0
_LEAST_FREE = 64 << 20


class Health:
    """Checks the index and the blob store; the report is kept for a moment so that probes cost nothing."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._report: Reply | None = None
        self._made_at = 0.0

    def report(self) -> Reply:
        """Return the current report."""
        if self._report is None or time.monotonic() - self._made_at > _CACHED_SECONDS:
            self._made_at = time.monotonic()
            self._report = self._make()
        return self._report

    def _make(self) -> Reply:
        checks: dict[str, Callable[[], str | None]] = {
            "DcmHealthCheck": self._blobs,
            "MetadataHealthCheck": self._blobs,
            "WorkitemHealthCheck": self._blobs,
            "IndexHealthCheck": self._index,
        }
        details = [
            {"name": name, "status": "Unhealthy" if problem else "Healthy", "description": problem}
            for name, problem in ((name, check()) for name, check in checks.items())
        ]
        healthy = all(detail["status"] == "Healthy" for detail in details)
        body = {"overallStatus": "Healthy" if healthy else "Unhealthy", "details": details}
        return json_reply(body, status=200 if healthy else 503)

    def _blobs(self) -> str | None:
        folder = self._context.store.objects
        try:
            usage = os.statvfs(folder)
        except OSError as error:
            return f"The data folder cannot be read: {error.strerror}."
        if not os.access(folder, os.W_OK):
            return "The data folder cannot be written."
        return "The data folder is full." if usage.f_bavail * usage.f_frsize < _LEAST_FREE else None

    def _index(self) -> str | None:
        try:
            self._context.store.connection.execute("SELECT 1 FROM study LIMIT 1").fetchone()
        except sqlite3.Error as error:
            return f"The index cannot be read: {type(error).__name__}."
        return None
