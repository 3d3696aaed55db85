"""POST /studies/$bulkUpdate (UPD-001 to UPD-012)."""

import sqlite3
from functools import partial
from typing import Any

from systems.dicom_service.operations import records
from systems.dicom_service.operations.records import Json, Kind, new_id
from systems.dicom_service.operations.references import reference, require_operations
from systems.dicom_service.security.roles import Action
from systems.dicom_service.services.context import Context
from systems.dicom_service.storage.writer import Clock, Transaction
from systems.dicom_service.tags.changes import OperationRunning
from systems.dicom_service.update.asked import asked
from systems.dicom_service.web.json_body import read_json, require_json_type
from systems.dicom_service.web.problems import Problem
from systems.dicom_service.web.replies import DICOM_JSON, JSON, Reply, json_reply
from systems.dicom_service.web.request import Request


async def bulk_update(request: Request, context: Context) -> Reply:
    """Start an update of whole studies; v1 has none, but reads the body first (UPD-002, VER-013)."""
    require_json_type(request)
    body = await read_json(request)
    require_operations(context.settings)
    if request.version == 1:
        raise Problem(status=404)
    update = asked(body)
    request.require(Action.WRITE)
    if update.refused:
        return _refusal(request, update.refused)
    identifier = new_id()
    given: Json = {
        "partition": request.partition.key,
        "studies": update.studies,
        "changes": {str(tag): values for tag, values in update.changes.items()},
    }
    try:
        await context.store.change(Transaction(partial(_start, identifier, given)))
    except OperationRunning as error:
        raise Problem(
            f"There is already an active update operation with ID '{error.identifier}'; send yours when it has ended.",
            status=409,
        ) from error
    context.operations.wake(Kind.UPDATE)
    return json_reply(reference(request, identifier), status=202)


def _start(identifier: str, given: Json, connection: sqlite3.Connection, clock: Clock) -> None:
    running = records.pending(connection, Kind.UPDATE)
    if running is not None:
        raise OperationRunning(running.id)
    records.insert(connection, identifier, Kind.UPDATE, given, now=clock.now(), percent=0)


def _refusal(request: Request, reasons: list[str]) -> Reply:
    """Return the 400 that names each attribute that cannot be changed so (UPD-010, UPD-011)."""
    items: list[Any] = [{"00000902": {"vr": "LO", "Value": [reason]}} for reason in reasons]
    body = {"00741048": {"vr": "SQ", "Value": items}}
    dicom = "application/dicom+json" in (request.header("accept") or "").lower()
    return json_reply(body, status=400, content_type=DICOM_JSON if dicom else JSON)
