"""The admin interface: what a tenant's administrator does by hand, and faults for negative tests.

Every request needs the header `X-Admin-Key`. Without a configured key the interface is closed.
"""

import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from systems.identity import tokens
from systems.identity.config import Application, ConfigError, lifetime
from systems.identity.endpoints import Handler
from systems.identity.keys import KeyFileError
from systems.identity.tenant import Tenant

_LARGEST_OFFSET = 10 * 365 * 86_400


class AdminError(Exception):
    """A refused admin request: HTTP status and a sentence saying what to do."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Admin:
    """Handlers of the admin interface."""

    def __init__(self, tenant: Tenant, key: str) -> None:
        self._tenant = tenant
        self._key = key

    def routes(self) -> list[Route]:
        """Return the routes below `/admin`."""
        table: list[tuple[str, str, Handler]] = [
            ("GET", "/applications", self._applications),
            ("PUT", "/applications/{client_id}", self._change_application),
            ("PUT", "/users/{name}", self._change_user),
            ("PUT", "/clock", self._clock),
            ("PUT", "/token-lifetime", self._lifetime),
            ("POST", "/keys/rotate", self._rotate),
            ("POST", "/tokens", self._mint),
            ("GET", "/requests", self._requests),
        ]
        return [Route(path, self._guarded(handler), methods=[method]) for method, path, handler in table]

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            given = request.headers.get("x-admin-key", "")
            if not self._key:
                return _problem(403, "The admin interface is closed: set admin_key_env or admin_key_file.")
            if not hmac.compare_digest(self._key.encode(), given.encode()):
                return _problem(401, "The header X-Admin-Key is missing or wrong.")
            try:
                return await handler(request)
            except AdminError as error:
                return _problem(error.status, str(error))

        return guarded

    async def _applications(self, _: Request) -> Response:
        return JSONResponse([_shown(application) for application in self._tenant.applications.values()])

    async def _change_application(self, request: Request) -> Response:
        client_id = request.path_params["client_id"]
        changes = await _members(request, {"roles": _roles, "enabled": _flag, "secret": _text})
        new = client_id not in self._tenant.applications
        if new and "secret" not in changes:
            raise AdminError(404, f"There is no application {client_id}: give a secret to register it.")
        application = self._tenant.change_application(client_id, changes)
        return JSONResponse(_shown(application), 201 if new else 200)

    async def _change_user(self, request: Request) -> Response:
        name = request.path_params["name"]
        user = self._tenant.change_user(name, await _members(request, {"roles": _roles}))
        if user is None:
            raise AdminError(404, f"There is no user {name}.")
        return JSONResponse({"name": user.name, "object_id": user.object_id, "roles": list(user.roles)})

    async def _clock(self, request: Request) -> Response:
        given = await _members(request, {"offset": _offset}, required=True)
        self._tenant.clock_offset = given["offset"]
        return JSONResponse({"offset": self._tenant.clock_offset})

    async def _lifetime(self, request: Request) -> Response:
        given = await _members(request, {"seconds": _lifetime}, required=True)
        self._tenant.token_lifetime = given["seconds"]
        return JSONResponse({"seconds": self._tenant.token_lifetime})

    async def _rotate(self, request: Request) -> Response:
        given = await _members(request, {"keep_old": _flag})
        try:
            self._tenant.keys.rotate(keep_old=given.get("keep_old", False))
        except KeyFileError as error:
            raise AdminError(500, str(error)) from error
        return JSONResponse({"kid": self._tenant.keys.current.kid})

    async def _mint(self, request: Request) -> Response:
        known = {
            "claims": _object,
            "header": _object,
            "sign_with": _text,
            "client_id": _text,
            "version": _version,
        }
        given = await _members(request, known)
        claims = self._base_claims(given.get("client_id", ""), given.get("version", "2.0"))
        claims |= given.get("claims", {})
        claims = {name: value for name, value in claims.items() if value is not None}
        header = given.get("header", {})
        return JSONResponse(
            {"access_token": self._signed(claims, header, given.get("sign_with", "current"))}, 201
        )

    def _base_claims(self, client_id: str, version: str) -> dict[str, Any]:
        applications = self._tenant.applications
        client_id = client_id or next(iter(applications), "")
        application = applications.get(client_id) or Application(client_id=client_id, object_id=client_id)
        return tokens.application_claims(self._tenant, application, self._tenant.audiences[0], version)

    def _signed(self, claims: dict[str, Any], header: dict[str, Any], sign_with: str) -> str:
        try:
            match sign_with:
                case "current":
                    return self._tenant.keys.current.sign(claims, header)
                case "foreign":
                    # The foreign key goes by the current key's name: only a checked signature finds it out.
                    return self._tenant.keys.foreign.sign(
                        claims, {"kid": self._tenant.keys.current.kid} | header
                    )
                case "none":
                    return tokens.unsigned(claims, header)
        except (TypeError, ValueError) as error:
            raise AdminError(400, f"These claims cannot be signed: {error}") from error
        raise AdminError(400, "sign_with must be current, foreign or none.")

    async def _requests(self, request: Request) -> Response:
        try:
            since = int(request.query_params.get("since", "0"))
        except ValueError as error:
            raise AdminError(400, "since must be a sequence number.") from error
        return JSONResponse([asdict(seen) for seen in self._tenant.requests if seen.sequence > since])


def _problem(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status)


def _shown(application: Application) -> dict[str, Any]:
    return {
        "client_id": application.client_id,
        "object_id": application.object_id,
        "roles": list(application.roles),
        "enabled": application.enabled,
        "public": not application.secret,
    }


async def _members(
    request: Request, known: Mapping[str, Callable[[Any], Any]], *, required: bool = False
) -> dict[str, Any]:
    """Return the checked members of a JSON object body; an empty body is an empty object."""
    body = await request.body()
    try:
        document = json.loads(body) if body else {}
    except ValueError as error:
        raise AdminError(400, "The body is not JSON.") from error
    if not isinstance(document, dict):
        raise AdminError(400, "The body must be a JSON object.")
    if unknown := sorted(document.keys() - known.keys()):
        raise AdminError(400, f"Unknown member {', '.join(unknown)}: known are {', '.join(known)}.")
    if required and (missing := sorted(known.keys() - document.keys())):
        raise AdminError(400, f"The member {', '.join(missing)} is missing.")
    try:
        return {name: known[name](value) for name, value in document.items()}
    except (TypeError, ValueError) as error:
        raise AdminError(400, f"{error}") from error


def _roles(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise TypeError("roles must be a list of texts.")
    return tuple(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("enabled and keep_old must be true or false.")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("secret, client_id and sign_with must be texts that are not empty.")
    return value


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("claims and header must be JSON objects.")
    return value


def _version(value: Any) -> str:
    if value not in {"1.0", "2.0"}:
        raise ValueError('version must be "1.0" or "2.0".')
    return str(value)


def _offset(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST_OFFSET:
        raise TypeError("offset must be a number of seconds.")
    return float(value)


def _lifetime(value: Any) -> int:
    try:
        return lifetime(value)
    except ConfigError as error:
        raise ValueError("seconds must be a whole number from 1 to 864000.") from error
