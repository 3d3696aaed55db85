"""The versions first stored (UPD-019, UPD-020, WADO-040 to WADO-043, META-027)."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from systems.dicom_service.storage.blobs import Location
from systems.dicom_service.storage.catalog import Stored
from systems.dicom_service.web.request import Request

_AT_ONCE = 500
_COLUMNS = (
    """watermark, version, transfer_syntax, segment, object, offset, size, head_stop, tail_start, dropped"""
)


def wanted_version(
    request: Request, connection: sqlite3.Connection, instances: Sequence[Stored]
) -> list[Stored]:
    """Return the instances as the request wants them: as first stored with `msdicom-request-original: true`."""
    if (request.header("msdicom-request-original") or "").strip().lower() != "true":
        return list(instances)
    found: dict[int, Stored] = {}
    for start in range(0, len(instances), _AT_ONCE):
        part = {instance.watermark: instance for instance in instances[start : start + _AT_ONCE]}
        marks = ", ".join("?" * len(part))
        rows = connection.execute(
            f"SELECT {_COLUMNS} FROM original WHERE watermark IN ({marks})",  # noqa: S608 - bound
            list(part),
        )
        found |= {row[0]: _original(part[row[0]], row) for row in rows}
    return [found.get(instance.watermark, instance) for instance in instances]


def _original(latest: Stored, row: tuple[Any, ...]) -> Stored:
    # Its number when it was stored: no other version has it, so descriptions of both are told apart.
    return replace(
        latest,
        watermark=row[1],
        transfer_syntax_uid=row[2],
        place=Location(row[3], row[4], row[5], row[6]),
        head_stop=row[7],
        tail_start=row[8],
        dropped=frozenset(json.loads(row[9])) if row[9] else frozenset(),
    )
