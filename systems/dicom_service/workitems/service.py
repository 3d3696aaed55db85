"""The work item resources: create, retrieve, update, change state, cancel request and search (UPS-001 to UPS-077)."""

import orjson

from systems.dicom_service.dicom.uids import is_uid, path_uid
from systems.dicom_service.search.parameters import filters, paging
from systems.dicom_service.security.roles import Action
from systems.dicom_service.services.context import Context
from systems.dicom_service.web.accept import entries, require_json
from systems.dicom_service.web.problems import BadRequest
from systems.dicom_service.web.replies import DICOM_JSON, JSON, TEXT, Headers, Reply, json_reply
from systems.dicom_service.web.request import Request
from systems.dicom_service.workitems import index, jobs, search, states, tags
from systems.dicom_service.workitems.items import element, read_item, text
from systems.dicom_service.workitems.jobs import Cancel, ChangeState, Create, Refused, Update
from systems.dicom_service.workitems.rule_tables import CREATE
from systems.dicom_service.workitems.rules import Broken, check, rules

_STATE_CHANGE = rules("1 TransactionUID ProcedureStepState")
_LONGEST_UID = 64


async def create(request: Request, context: Context) -> Reply:
    """Answer POST /workitems."""
    item = await read_item(request)
    require_json(request)
    request.require(Action.WRITE)
    named = _first_parameter(request)
    uid = path_uid(named, "SOPInstanceUID") if named else text(item, tags.SOP_INSTANCE_UID)
    if named and text(item, tags.SOP_INSTANCE_UID) not in ("", uid):
        raise BadRequest("The UID of the query differs from the SOPInstanceUID of the payload.")
    if uid:
        item[tags.SOP_INSTANCE_UID] = element("UI", uid)
    item |= {
        tags.SOP_CLASS_UID: element("UI", tags.UPS_PUSH),
        tags.WORKLIST_LABEL: element("LO", "worklist"),
        tags.STATE: element("CS", states.SCHEDULED),
        tags.MODIFIED: element("DT", jobs.now()),
    }
    try:
        check(item, CREATE)
    except Broken as broken:
        return _quoted(400, str(broken))
    too_long = tags.SOP_INSTANCE_UID if len(uid) > _LONGEST_UID else index.too_long(item)
    if too_long is not None:
        return _quoted(400, f"The value of {too_long} is too long.")
    del item[tags.TRANSACTION_UID]
    try:
        await context.store.change(Create(request.partition.key, uid, dict(sorted(item.items()))))
    except Refused as refused:
        return _quoted(refused.status, refused.message)
    url = f"{request.base_url}/workitems/{uid}"
    return Reply(201, headers=[("Location", url), ("Content-Location", url)])


async def retrieve(request: Request, context: Context) -> Reply:
    """Answer GET /workitems/{uid}."""
    require_json(request)
    request.require(Action.READ)
    found = jobs.find(context.store.connection, request.partition.key, _uid(request))
    if found is None:
        return _quoted(404, jobs.NOT_FOUND)
    return json_reply(found.item, content_type=DICOM_JSON)


async def update(request: Request, context: Context) -> Reply:
    """Answer POST /workitems/{uid}."""
    item = await read_item(request)
    request.require(Action.WRITE)
    uid, transaction_uid = _uid(request), _first_parameter(request)
    if transaction_uid and not is_uid(transaction_uid):
        raise BadRequest("The transaction UID of the query is not a UID.")
    try:
        await context.store.change(Update(request.partition.key, uid, transaction_uid, item))
    except Refused as refused:
        return _warned(request, refused.status, refused.message)
    return Reply(200, headers=[("Content-Location", f"{request.base_url}/workitems/{uid}")])


async def change_state(request: Request, context: Context) -> Reply:
    """Answer PUT /workitems/{uid}/state."""
    item = await read_item(request)
    request.require(Action.WRITE)
    uid = _uid(request)
    transaction_uid, target = text(item, tags.TRANSACTION_UID), text(item, tags.STATE)
    try:
        check(item, _STATE_CHANGE)
    except Broken as broken:
        return _warned(request, 400, str(broken))
    if target not in states.TARGETS:
        legal = ", ".join(sorted(states.TARGETS))
        return _warned(request, 400, f"The state of a workitem can be changed to {legal} only.")
    try:
        warning = await context.store.change(ChangeState(request.partition.key, uid, transaction_uid, target))
    except Refused as refused:
        return _warned(request, refused.status, refused.message)
    return _warned(request, 200, warning) if warning else Reply(200)


async def cancel(request: Request, context: Context) -> Reply:
    """Answer POST /workitems/{uid}/cancelrequest."""
    item = await read_item(request)
    request.require(Action.WRITE)
    uid = _uid(request)
    try:
        await context.store.change(Cancel(request.partition.key, uid, item))
    except Refused as refused:
        warning = [_warning(request, refused.message)] if refused.status == 409 else []
        return _quoted(refused.status, refused.message, warning)
    return _quoted(202, "The workitem has been cancelled.")


async def search_workitems(request: Request, context: Context) -> Reply:
    """Answer GET /workitems."""
    control = paging(request)
    require_json(request)
    wanted = filters(request)
    request.require(Action.READ)
    query = search.query(request, control, wanted)
    found = await context.store.read(lambda connection: search.run(connection, query))
    return json_reply(found, content_type=DICOM_JSON) if found else Reply(204)


def _uid(request: Request) -> str:
    return path_uid(request.route.variables["workitem"], "SOPInstanceUID")


def _first_parameter(request: Request) -> str:
    """Return the name of the first query parameter: where UPS-RS puts a bare UID."""
    return next((name.strip() for name, _ in request.query()), "")


def _quoted(status: int, message: str, headers: Headers = ()) -> Reply:
    """Return an outcome as a JSON string, which is how this API answers most of them (UPS-004)."""
    return Reply(status, orjson.dumps(message), DICOM_JSON, headers)


def _warned(request: Request, status: int, message: str) -> Reply:
    """Return an outcome of update and state change: its form follows Accept, its text is a warning too (UPS-033)."""
    warning = [_warning(request, message)]
    for entry in sorted(entries(request), key=lambda entry: -entry.quality):
        if entry.media_type in ("*/*", "text/*", "text/plain"):
            break
        if entry.media_type == "application/dicom+json":
            return _quoted(status, message, warning)
        if entry.media_type == "application/json":
            return Reply(status, orjson.dumps(message), JSON, warning)
    return Reply(status, message.encode(), TEXT, warning)


def _warning(request: Request, message: str) -> tuple[str, str]:
    host = request.host.rsplit(":", 1)[0]
    return "Warning", f'299 {host}: "{message}"'
