"""GET /operations/{id}: where an operation stands (OPS-001 to OPS-022)."""

import re
from datetime import UTC, datetime
from typing import Any

from systems.dicom_service.operations import records
from systems.dicom_service.operations.records import Kind, Operation, Status
from systems.dicom_service.operations.references import href
from systems.dicom_service.security.roles import Action
from systems.dicom_service.services.context import Context
from systems.dicom_service.web.problems import Problem
from systems.dicom_service.web.replies import Reply, json_reply
from systems.dicom_service.web.request import Request

_GUID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_TICKS = 10_000_000


async def operation(request: Request, context: Context) -> Reply:
    """Answer GET /operations/{id}: 202 while it runs, 200 however it ended."""
    request.require(Action.READ)
    text = request.route.variables["operation"]
    found = None
    if _GUID.fullmatch(text):
        found = records.find(context.store.connection, text.replace("-", "").lower())
    if found is None:
        raise Problem(status=404)
    state = _state(request, found)
    if found.kind is Kind.REINDEX:
        state["resources"] = _resources(request, context, found)
    if found.results is not None:
        state["results"] = found.results
    if found.pending:
        return json_reply(state, status=202, headers=[("Location", href(request, found.id))])
    return json_reply(state)


def _state(request: Request, found: Operation) -> dict[str, Any]:
    status = found.status.value
    if found.status is Status.SUCCEEDED and request.version == 1:
        status = "completed"
    state: dict[str, Any] = {
        "operationId": found.id,
        "type": found.kind.value,
        "createdTime": _printed(found.created),
        "lastUpdatedTime": _printed(found.updated),
        "status": status,
    }
    if found.percent is not None:
        state["percentComplete"] = found.percent
    return state


def _resources(request: Request, context: Context, found: Operation) -> list[str]:
    """Return the URLs of those tags of a reindex that still exist (TAG-037)."""
    tags = found.input["tags"]
    marks = ", ".join("?" * len(tags))
    rows = context.store.connection.execute(
        f"SELECT path FROM extended_tag WHERE id IN ({marks}) ORDER BY id",  # noqa: S608 - bound
        tags,
    )
    return [f"{request.base_url}/extendedquerytags/{row[0]}" for row in rows]


def _printed(ticks: int) -> str:
    seconds, fraction = divmod(ticks, _TICKS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:07d}Z"
