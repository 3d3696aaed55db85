"""POST /export (EXP-001 to EXP-012, EXP-018 to EXP-021)."""

import sqlite3
from functools import partial

from systems.dicom_service.export.asked import Destination, destination, given, identifiers
from systems.dicom_service.export.containers import ACCOUNT, Containers
from systems.dicom_service.operations import records
from systems.dicom_service.operations.records import Json, Kind, new_id
from systems.dicom_service.operations.references import reference
from systems.dicom_service.security.roles import Action
from systems.dicom_service.services.context import Context
from systems.dicom_service.settings import Settings
from systems.dicom_service.storage.writer import Clock, Transaction
from systems.dicom_service.web.json_body import read_json, require_json_type
from systems.dicom_service.web.problems import BadRequest, Problem
from systems.dicom_service.web.replies import Reply, json_reply
from systems.dicom_service.web.request import Request


async def export(request: Request, context: Context) -> Reply:
    """Start an export; the prerelease version has none (EXP-003)."""
    if "-" in request.route.version_segment:
        raise Problem(status=404)
    require_json_type(request)
    asked = given(await read_json(request))
    if not context.settings.export:
        raise Problem(status=404)
    request.require(Action.EXPORT)
    wanted = identifiers(asked.values)
    target = destination(asked.settings)
    _check(target, request, context.settings)
    identifier = new_id()
    started: Json = {
        "partition": request.partition.key,
        "identifiers": wanted,
        "container": target.container,
        "url": f"{request.scheme}://{request.host}/{ACCOUNT}/{target.container}",
    }
    await context.store.change(Transaction(partial(_start, identifier, started)))
    context.operations.wake(Kind.EXPORT)
    named = reference(request, identifier)
    return json_reply(named, status=202, headers=[("Location", named["href"])])


def _start(identifier: str, started: Json, connection: sqlite3.Connection, clock: Clock) -> None:
    records.insert(connection, identifier, Kind.EXPORT, started, now=clock.now(), percent=None)


def _check(target: Destination, request: Request, settings: Settings) -> None:
    """Raise the 400s of EXP-011, EXP-012 and EXP-019: only the account that is built in can be reached from here."""
    if target.sas and not settings.export_sas:
        raise BadRequest(
            "The destination of the export is invalid: shared access signatures are not allowed."
        )
    if target.sas and not settings.secret_store:
        raise BadRequest(
            "The destination of the export is invalid: no secret store is configured for its secret."
        )
    if target.public and not settings.export_public:
        raise BadRequest("The destination of the export is invalid: public containers are not allowed.")
    here = target.account == ACCOUNT and target.host in ("", request.host.lower())
    if not here or not Containers(settings.data).exists(target.container):
        raise BadRequest(
            f"The blob container '{target.container}' of the storage account '{target.account}' cannot be found or "
            "reached: make it, and check the address."
        )
