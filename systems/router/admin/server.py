"""Serves the admin routes in the router's own loop."""

import asyncio
import contextlib
import hmac
import re
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute

from systems.router.admin.answers import Json, Route, problem
from systems.router.admin.change_feed import ChangeFeedRoutes
from systems.router.admin.prefetch import PrefetchRoutes
from systems.router.admin.routes import Routes
from systems.router.errors import ResourceError

if TYPE_CHECKING:
    from systems.router.runtime import Router


class AdminServer:
    """The HTTP listener; its port is known before it serves."""

    def __init__(self, router: "Router", token: str) -> None:
        self._token = token
        routes = [
            *Routes(router).table(),
            *PrefetchRoutes(router.prefetch).table(),
            *ChangeFeedRoutes(router).table(),
        ]
        description = openapi(routes, router.version)

        async def describe(_: Request) -> Response:
            return Json(description)

        routes.append(Route("GET", "/openapi.json", "This description", describe, anonymous=True))
        app = Starlette(routes=[self._guarded(route) for route in routes])
        self._socket = _listen(router.config.admin.host, router.config.admin.port)
        settings = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", http="httptools", ws="none"
        )
        self._server = _Server(settings)
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port listened on."""
        return int(self._socket.getsockname()[1])

    def use_token(self, token: str) -> None:
        """Ask for this token from now on."""
        self._token = token

    def start(self) -> None:
        """Serve from now on."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))

    async def stop(self) -> None:
        """Finish running requests and close."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        self._socket.close()

    def _guarded(self, route: Route) -> StarletteRoute:
        async def endpoint(request: Request) -> Response:
            if not route.anonymous and not self._is_authorised(request):
                response = problem(401, "send the header Authorization: Bearer with the admin token")
                response.headers["WWW-Authenticate"] = "Bearer"
                return response
            return await route.endpoint(request)

        return StarletteRoute(route.path, endpoint, methods=[route.method])

    def _is_authorised(self, request: Request) -> bool:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(
            token.strip().encode(), self._token.encode()
        )


class _Server(uvicorn.Server):
    """Leaves signals to the router, which stops its intake first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing."""
        yield


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), reuse_port=False)
    except OSError as error:
        raise ResourceError(
            f"admin: cannot listen on {host}:{port}: {error.strerror or error}; free the port or configure another one"
        ) from error


def openapi(routes: list[Route], version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 description of `routes`."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        names = re.findall(r"{(\w+)}", route.path)
        operation: dict[str, Any] = {
            "summary": route.summary,
            "parameters": [
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
            ],
            "responses": {"default": {"description": "JSON, or an object with `error`"}},
        }
        if route.anonymous:
            operation["security"] = []
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "DICOM router administration", "version": version},
        "security": [{"bearer": []}],
        "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
        "paths": paths,
    }
