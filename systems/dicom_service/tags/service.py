"""The resource of extended query tags: add, list, read, change and delete (TAG-001 to TAG-070)."""

import json
import sqlite3
from functools import partial
from typing import Any

from systems.dicom_service.operations import records
from systems.dicom_service.operations.records import Kind, new_id
from systems.dicom_service.operations.references import href, reference, require_operations
from systems.dicom_service.security.roles import Action
from systems.dicom_service.services.context import Context
from systems.dicom_service.storage.writer import Transaction
from systems.dicom_service.tags import changes, definitions
from systems.dicom_service.tags.additions import checked, wanted
from systems.dicom_service.tags.changes import OperationRunning
from systems.dicom_service.tags.definitions import ExtendedTag
from systems.dicom_service.tags.paths import parse_path
from systems.dicom_service.web.json_body import read_json, require_json_type
from systems.dicom_service.web.paging import page
from systems.dicom_service.web.problems import BadRequest, NotFound, Problem
from systems.dicom_service.web.replies import Reply, json_reply
from systems.dicom_service.web.request import Request

Json = dict[str, Any]


async def add_tags(request: Request, context: Context) -> Reply:
    """Answer POST /extendedquerytags: what is stored already is indexed in the background."""
    require_json_type(request)
    elements = wanted(await read_json(request))
    require_operations(context.settings)
    request.require(Action.MANAGE_TAGS)
    running = records.pending(context.store.connection, Kind.REINDEX)
    if running is not None:
        raise _running(request, running.id)
    identifier = new_id()
    try:
        await context.store.change(Transaction(partial(changes.add, checked(elements), identifier)))
    except OperationRunning as error:
        raise _running(request, error.identifier) from error
    context.operations.wake(Kind.REINDEX)
    started = reference(request, identifier)
    return json_reply(started, status=202, headers=[("Location", started["href"])])


def _running(request: Request, identifier: str) -> Problem:
    message = (
        f"There is already an active re-index operation with ID '{identifier}'; add tags when it has ended."
    )
    return Problem(message, status=409, headers=[("Location", href(request, identifier))])


async def list_tags(request: Request, context: Context) -> Reply:
    """Answer GET /extendedquerytags."""
    limit, offset = page(request)
    request.require(Action.READ)
    connection = context.store.connection
    tags = definitions.everything(connection, limit, offset)
    return json_reply([_described(tag, request, connection) for tag in tags])


async def tag(request: Request, context: Context) -> Reply:
    """Answer GET /extendedquerytags/{path}."""
    request.require(Action.READ)
    return json_reply(_described(_found(request, context), request, context.store.connection))


async def tag_errors(request: Request, context: Context) -> Reply:
    """Answer GET /extendedquerytags/{path}/errors."""
    limit, offset = page(request)
    request.require(Action.READ)
    found = _found(request, context)
    return json_reply(changes.errors(context.store.connection, found.id, limit, offset))


async def change_tag(request: Request, context: Context) -> Reply:
    """Answer PATCH /extendedquerytags/{path}: the body is checked before the path (TAG-068)."""
    require_json_type(request, text_json=True)
    enabled = _query_status(await read_json(request))
    request.require(Action.MANAGE_TAGS)
    found = _found(request, context)
    if not await context.store.change(Transaction(partial(changes.enable, found.id, enabled))):
        raise _missing(found.path)
    return json_reply(_described(_found(request, context), request, context.store.connection))


async def delete_tag(request: Request, context: Context) -> Reply:
    """Answer DELETE /extendedquerytags/{path}: afterwards nothing of its index is left (TAG-062)."""
    request.require(Action.MANAGE_TAGS)
    found = _found(request, context)
    await context.store.change(Transaction(partial(changes.mark_deleting, found.id)))
    while not await context.store.change(Transaction(partial(changes.delete_some, found.id))):
        pass
    return Reply(204)


def _found(request: Request, context: Context) -> ExtendedTag:
    path = f"{parse_path(request.route.variables['tag']):08X}"
    found = definitions.find(context.store.connection, path)
    if found is None:
        raise _missing(path)
    return found


def _missing(path: str) -> NotFound:
    return NotFound(f"The extended query tag '{path}' cannot be found.")


def _described(found: ExtendedTag, request: Request, connection: sqlite3.Connection) -> Json:
    described: Json = {"path": found.path, "vr": found.vr}
    if found.creator is not None:
        described["privateCreator"] = found.creator
    described |= {"level": found.level.name.lower(), "status": found.status}
    errors = definitions.error_count(connection, found.id)
    if errors:
        url = f"{request.base_url}/extendedquerytags/{found.path}/errors"
        described["errors"] = {"count": errors, "href": url}
    if found.operation is not None and found.status == definitions.ADDING:
        described["operation"] = reference(request, found.operation)
    return described | {"queryStatus": "enabled" if found.enabled else "disabled"}


def _query_status(body: Any) -> bool:
    """Return what the body wants; raises the 400s of TAG-054 to TAG-056."""
    if not isinstance(body, dict):
        raise BadRequest("The field '$' in request body is invalid: an object with queryStatus is expected.")
    key, value, others = "QueryStatus", None, []
    for name, given in body.items():
        if name.lower() == "querystatus":
            key, value = name, given
        else:
            others.append(name)
    if value is None:
        raise BadRequest("The field 'QueryStatus' in request body is invalid: it must be specified.")
    wanted_status = value.lower() if isinstance(value, str) else ""
    if wanted_status not in ("enabled", "disabled"):
        shown = value[:64] if isinstance(value, str) else json.dumps(value)[:64]
        raise BadRequest(
            f"The field '$.{key}' in request body is invalid: Expected value '{shown}' to be one of the following "
            "values: ['Disabled', 'Enabled']"
        )
    if others:
        raise BadRequest(f'The field is not supported: "{others[0][:64]}".')
    return wanted_status == "enabled"
