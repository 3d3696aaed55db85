"""The control interface of the link; every request but `GET /health` needs the header `X-Control-Key`."""

import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route as Path

from systems.link.faults import PASS, FaultError, parse_fault
from systems.link.front import HttpFront
from systems.link.route import Route
from systems.link.rules import RuleError
from systems.link.sockets import StallError

Handler = Callable[[Request], Awaitable[Response]]


class ControlError(Exception):
    """A refused control request: HTTP status and a sentence saying what to do."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Link:
    """All routes of the link, and the proxies of those in HTTP mode."""

    def __init__(self, routes: Mapping[str, Route], fronts: Mapping[str, HttpFront]) -> None:
        self.routes = routes
        self.fronts = fronts

    async def open(self) -> None:
        """Let all routes accept."""
        for route in self.routes.values():
            await route.open()

    async def close(self) -> None:
        """Close all routes."""
        for route in self.routes.values():
            await route.close()


class Control:
    """Handlers of the control interface."""

    def __init__(self, link: Link, key: str) -> None:
        self._link = link
        self._key = key

    def application(self) -> Starlette:
        """Return the ASGI application; the routes are open while it runs."""

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            await self._link.open()
            try:
                yield
            finally:
                await self._link.close()

        table: list[tuple[str, str, Handler]] = [
            ("GET", "/routes", self._routes),
            ("GET", "/routes/{name}", self._route),
            ("PUT", "/routes/{name}/fault", self._set_fault),
            ("DELETE", "/routes/{name}/fault", self._heal),
            ("GET", "/routes/{name}/rules", self._rules),
            ("PUT", "/routes/{name}/rules", self._set_rules),
            ("DELETE", "/routes/{name}/rules", self._drop_rules),
            ("GET", "/routes/{name}/exchanges", self._exchanges),
            ("DELETE", "/routes/{name}/exchanges", self._forget),
        ]
        paths = [Path(path, self._guarded(handler), methods=[method]) for method, path, handler in table]
        return Starlette(routes=[Path("/health", _health, methods=["GET"]), *paths], lifespan=lifespan)

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            given = request.headers.get("x-control-key", "")
            if not hmac.compare_digest(self._key.encode(), given.encode()):
                return _problem(401, "The header X-Control-Key is missing or wrong.")
            try:
                return await handler(request)
            except ControlError as error:
                return _problem(error.status, str(error))
            except (FaultError, RuleError) as error:
                return _problem(400, str(error))

        return guarded

    async def _routes(self, _: Request) -> Response:
        return JSONResponse([route.document() for route in self._link.routes.values()])

    async def _route(self, request: Request) -> Response:
        return JSONResponse(self._named(request).document())

    async def _set_fault(self, request: Request) -> Response:
        route, fault = self._named(request), parse_fault(await _json(request))
        try:
            await route.set_fault(fault)
        except StallError as error:
            raise ControlError(501, f"unanswered is not possible here: {error}.") from error
        return JSONResponse(route.document())

    async def _heal(self, request: Request) -> Response:
        route = self._named(request)
        await route.set_fault(PASS)
        return JSONResponse(route.document())

    async def _rules(self, request: Request) -> Response:
        return JSONResponse([rule.document() for rule in self._front(request).rules.rules])

    async def _set_rules(self, request: Request) -> Response:
        self._front(request).rules.replace(await _json(request))
        return await self._rules(request)

    async def _drop_rules(self, request: Request) -> Response:
        self._front(request).rules.replace([])
        return Response(status_code=204)

    async def _exchanges(self, request: Request) -> Response:
        since = request.query_params.get("since", "0")
        if not since.isdecimal():
            raise ControlError(400, "since must be a sequence number.")
        return JSONResponse(self._front(request).journal.since(int(since)))

    async def _forget(self, request: Request) -> Response:
        self._front(request).journal.clear()
        return Response(status_code=204)

    def _named(self, request: Request) -> Route:
        name = request.path_params["name"]
        route = self._link.routes.get(name)
        if route is None:
            raise ControlError(404, f"There is no route {name}; there are {', '.join(self._link.routes)}.")
        return route

    def _front(self, request: Request) -> HttpFront:
        route = self._named(request)
        front = self._link.fronts.get(route.config.name)
        if front is None:
            raise ControlError(
                409, f"Route {route.config.name} is in TCP mode: rules and exchanges need HTTP mode."
            )
        return front


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _json(request: Request) -> object:
    try:
        document: object = json.loads(await request.body())
    except ValueError as error:
        raise ControlError(400, "The body is not JSON.") from error
    return document


def _problem(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status)
