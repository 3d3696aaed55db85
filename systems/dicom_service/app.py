"""The ASGI application: what comes before and after every service."""

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from systems.dicom_service.developer.switches import Switches
from systems.dicom_service.export import blobs
from systems.dicom_service.export.service import export
from systems.dicom_service.imaging import late
from systems.dicom_service.operations.runner import Runner
from systems.dicom_service.operations.service import operation
from systems.dicom_service.operations.work import WORK
from systems.dicom_service.security.guard import make_guard
from systems.dicom_service.services.context import Context
from systems.dicom_service.services.deletes import delete
from systems.dicom_service.services.descriptions import Descriptions
from systems.dicom_service.services.feed import change_feed, change_feed_latest
from systems.dicom_service.services.frames import frames
from systems.dicom_service.services.health import Health
from systems.dicom_service.services.metadata import metadata
from systems.dicom_service.services.partitions import enter, list_partitions
from systems.dicom_service.services.qido import search
from systems.dicom_service.services.rendered import rendered
from systems.dicom_service.services.retrieve import retrieve
from systems.dicom_service.services.stow import store
from systems.dicom_service.settings import Settings
from systems.dicom_service.storage.store import Store
from systems.dicom_service.tags import service as tags
from systems.dicom_service.tags.definitions import Tags
from systems.dicom_service.update.service import bulk_update
from systems.dicom_service.web.openapi import document_for
from systems.dicom_service.web.problems import BadRequest, ClientGone, Problem
from systems.dicom_service.web.replies import JSON, TEXT, Answer, Reply, Send, json_reply, send_answer
from systems.dicom_service.web.request import Message, Receive, Request
from systems.dicom_service.web.routing import SUPPORTED_VERSIONS, Refused, route
from systems.dicom_service.workitems import service as workitems
from systems.shared import logs

_log = logging.getLogger(__name__)
Service = Callable[[Request, Context], Awaitable[Answer]]

_SERVICES: dict[str, Service] = {
    "store": store,
    "retrieve": retrieve,
    "metadata": metadata,
    "frames": frames,
    "rendered": rendered,
    "delete": delete,
    "search-studies": search,
    "search-series": search,
    "search-instances": search,
    "change-feed": change_feed,
    "change-feed-latest": change_feed_latest,
    "list-partitions": list_partitions,
    "operation": operation,
    "bulk-update": bulk_update,
    "export": export,
    blobs.ACTION: blobs.storage_account,
    "add-tags": tags.add_tags,
    "list-tags": tags.list_tags,
    "tag": tags.tag,
    "change-tag": tags.change_tag,
    "delete-tag": tags.delete_tag,
    "tag-errors": tags.tag_errors,
    "workitem-create": workitems.create,
    "workitem-search": workitems.search_workitems,
    "workitem-retrieve": workitems.retrieve,
    "workitem-update": workitems.update,
    "workitem-change-state": workitems.change_state,
    "workitem-cancel": workitems.cancel,
}
_SECURITY_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "SAMEORIGIN"),
    ("Content-Security-Policy", "frame-src 'self';"),
)
_VERSIONS = ("api-supported-versions", ", ".join(SUPPORTED_VERSIONS))
_AUDIT_PREFIX = b"x-ms-azuredicom-audit-"
_MOST_AUDIT_HEADERS = 10
_LONGEST_AUDIT_HEADER = 2048
_IMAGES_AT_A_TIME = 2


class Application:
    """One worker: its store opens at start-up and closes when the last request is done."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._switches = Switches(settings.data, settings.admin_key) if settings.admin_key else None
        self._guard = make_guard(settings, self._switches.now if self._switches else time.time)
        self._context: Context | None = None
        self._health: Health | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        data = Store(self._settings.data)
        self._context = Context(
            self._settings,
            data,
            Descriptions(data),
            asyncio.Semaphore(_IMAGES_AT_A_TIME),
            Runner(data, WORK),
            Tags(),
        )
        self._health = Health(self._context)
        self._context.operations.start()
        data.compactor.start()
        await send({"type": "lifespan.startup.complete"})
        # A daemon: an end right after the start does not wait for imports.
        threading.Thread(target=late.load, name="warm-up", daemon=True).start()
        await receive()
        await asyncio.to_thread(self._context.operations.close)
        data.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Message, receive: Receive, send: Send) -> None:
        extra = [*_SECURITY_HEADERS, *_cors(scope, self._settings)]
        request: Request | None = None
        try:
            answer = await self._switched(scope, receive) or self._before_routing(scope)
            if answer is None:
                request = await self._route(scope, receive)
                extra.append(_VERSIONS)
                answer = await _perform(request, self._context)
        except Problem as problem:
            answer = _problem_reply(problem)
        except ClientGone:
            # ERR-010: nobody reads the answer; it only has to be one.
            answer = Reply(400)
        except Exception as error:  # noqa: BLE001 - the last resort of ERR-009
            # The client learns nothing, the log where it happened; an error's text may quote a data set.
            _log.error(
                "a request failed unexpectedly: %s", logs.origin(error), extra={"method": scope["method"]}
            )
            answer = _problem_reply(
                Problem("The server encountered an internal error. Please retry the request.")
            )
        await send_answer(answer, request, send, extra)

    async def _switched(self, scope: Message, receive: Receive) -> Answer | None:
        if self._switches is None or self._context is None:
            return None
        return await self._switches.answer(scope, receive, self._context.store)

    def _before_routing(self, scope: Message) -> Answer | None:
        query = scope["query_string"]
        if b"<" in query or b"%3c" in query.lower():
            raise BadRequest("The query string contains invalid characters.")
        if scope["path"].lower() == "/health/check" and self._health is not None:
            return self._health.report()
        if (
            scope["method"] == "OPTIONS"
            and _header(scope, b"origin")
            and _header(scope, b"access-control-request-method")
        ):
            return Reply(204)
        document = document_for(scope["path"]) if scope["method"] == "GET" else None
        return json_reply(document) if document is not None else None

    async def _route(self, scope: Message, receive: Receive) -> Request:
        content_types = [
            value.decode("latin-1") for name, value in scope["headers"] if name == b"content-type"
        ]
        found = blobs.route(scope["method"], scope["path"]) or route(
            scope["method"], scope["path"], content_types
        )
        if isinstance(found, Refused):
            raise _refusal(found, scope)
        authorization = _header(scope, b"authorization")
        actions = await self._guard.actions(authorization.decode("latin-1") if authorization else None)
        _check_audit_headers(scope)
        return Request(scope, receive, found, actions)


async def _perform(request: Request, context: Context | None) -> Answer:
    if context is None:
        raise Problem("The service is starting.", status=503)
    try:
        await enter(request, context)
        return await _SERVICES[request.route.action](request, context)
    except (sqlite3.Error, OSError) as error:
        _log.error("the data store failed: %s", logs.origin(error))
        raise Problem("The data store cannot be read.", status=503) from error


def _problem_reply(problem: Problem) -> Reply:
    if isinstance(problem, _JsonProblem):
        return Reply(problem.status, problem.message.encode(), JSON, problem.headers)
    return Reply(problem.status, problem.message.encode(), TEXT if problem.message else "", problem.headers)


class _JsonProblem(Problem):
    """The one error with a JSON body: an unserved version (VER-005)."""


def _refusal(refused: Refused, scope: Message) -> Problem:
    if refused.status == 400:
        host = (_header(scope, b"host") or b"localhost").decode("latin-1")
        url = f"{scope['scheme']}://{host}{scope['path']}"
        message = f"The HTTP resource that matches the request URI '{url}' does not support the API version '{refused.version}'."
        body = orjson.dumps({"error": {"code": "UnsupportedApiVersion", "message": message}}).decode()
        return _JsonProblem(body, status=400, headers=[_VERSIONS])
    headers = [("Allow", ", ".join(refused.allow))] if refused.allow else []
    return Problem(status=refused.status, headers=headers)


def _header(scope: Message, name: bytes) -> bytes | None:
    return next((value for key, value in scope["headers"] if key == name), None)


def _check_audit_headers(scope: Message) -> None:
    audit: list[Any] = [value for name, value in scope["headers"] if name.startswith(_AUDIT_PREFIX)]
    if len(audit) > _MOST_AUDIT_HEADERS:
        raise BadRequest(f"A request takes at most {_MOST_AUDIT_HEADERS} custom audit headers.")
    if any(len(value) > _LONGEST_AUDIT_HEADER for value in audit):
        raise BadRequest(f"A custom audit header takes at most {_LONGEST_AUDIT_HEADER} characters.")


def _cors(scope: Message, settings: Settings) -> list[tuple[str, str]]:
    origin = _header(scope, b"origin")
    return settings.cors.answer_headers(
        scope["method"],
        origin.decode("latin-1") if origin is not None else None,
        asks=_header(scope, b"access-control-request-method") is not None,
    )
