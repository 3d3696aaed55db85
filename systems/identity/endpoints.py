"""The token endpoints, the device endpoint and the discovery documents of the tenant."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from systems.identity import errors, grants
from systems.identity.errors import EntraError
from systems.identity.forms import basic_credentials, read_form
from systems.identity.sessions import DEVICE_SECONDS, Sessions
from systems.identity.tenant import Tenant

# RFC 6749 section 5.1: tokens must not be kept by caches.
_NOT_KEPT = {"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"}
_DEVICE_POLL_SECONDS = 1

_log = logging.getLogger(__name__)

Handler = Callable[[Request], Awaitable[Response]]


class TokenEndpoints:
    """Handlers for `/oauth2/token`, `/oauth2/v2.0/token` and `/oauth2/v2.0/devicecode`."""

    def __init__(self, tenant: Tenant, sessions: Sessions) -> None:
        self._tenant = tenant
        self._sessions = sessions

    async def token_v1(self, request: Request) -> Response:
        """Answer the v1 endpoint: client credentials only."""
        return await self._answer(request, "v1", self._grant_v1)

    async def token_v2(self, request: Request) -> Response:
        """Answer the v2 endpoint."""
        return await self._answer(request, "v2", self._grant_v2)

    async def device(self, request: Request) -> Response:
        """Register a device that will poll for its user (RFC 8628 section 3.1)."""
        return await self._answer(request, "device", lambda fields: self._new_device(request, fields))

    def _grant_v1(self, fields: grants.Fields) -> grants.Answer:
        if _grant_type(fields) != "client_credentials":
            raise errors.unsupported_grant()
        return grants.client_credentials_v1(self._tenant, fields)

    def _grant_v2(self, fields: grants.Fields) -> grants.Answer:
        match _grant_type(fields):
            case "client_credentials":
                return grants.client_credentials_v2(self._tenant, fields)
            case "authorization_code":
                return grants.authorization_code(self._tenant, self._sessions, fields)
            case "refresh_token":
                return grants.refresh_token(self._tenant, self._sessions, fields)
            case grants.DEVICE_GRANT:
                return grants.device_code(self._tenant, self._sessions, fields)
            case _:
                raise errors.unsupported_grant()

    def _new_device(self, request: Request, fields: grants.Fields) -> grants.Answer:
        application = self._tenant.application(fields.get("client_id", ""))
        scope = fields.get("scope", "")
        grants.resource_scopes(self._tenant, scope)
        device = self._sessions.new_device(application.client_id, scope)
        page = f"{base_url(request)}/{self._tenant.tenant_id}/oauth2/deviceauth"
        return {
            "device_code": device.device_code,
            "user_code": device.user_code,
            "verification_uri": page,
            "expires_in": DEVICE_SECONDS,
            "interval": _DEVICE_POLL_SECONDS,
            "message": f"To sign in, open {page} and enter the code {device.user_code}.",
        }

    async def _answer(
        self, request: Request, form: str, grant: Callable[[grants.Fields], grants.Answer]
    ) -> Response:
        fields: dict[str, str] = {}
        try:
            fields = await read_form(request)
            fields = basic_credentials(request) | fields
            answer = grant(fields)
        except EntraError as refusal:
            self._tenant.saw(form, fields, refusal.status, refusal.number)
            _log.info("token refused", extra={"form": form, "error": refusal.error, "number": refusal.number})
            return JSONResponse(refusal.document(self._tenant.now()), refusal.status, headers=_NOT_KEPT)
        self._tenant.saw(form, fields, 200, None)
        return JSONResponse(answer, headers=_NOT_KEPT)


class Discovery:
    """Handlers for the OpenID Connect discovery documents and the key set."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    async def v1(self, request: Request) -> Response:
        """Answer the v1 discovery document."""
        return JSONResponse(self._document(request, "1.0", "oauth2", "discovery/keys"))

    async def v2(self, request: Request) -> Response:
        """Answer the v2 discovery document."""
        return JSONResponse(self._document(request, "2.0", "oauth2/v2.0", "discovery/v2.0/keys"))

    async def keys(self, request: Request) -> Response:
        """Answer the key set (RFC 7517 section 5)."""
        issuer = self._tenant.issuer("2.0" if "/v2.0/" in request.url.path else "1.0")
        keys = [key.jwk(issuer) for key in self._tenant.keys.published]
        # A service that sees an unknown key must be able to fetch the set anew and find the new key.
        return JSONResponse({"keys": keys}, headers={"Cache-Control": "no-cache"})

    def _document(self, request: Request, version: str, oauth: str, keys: str) -> dict[str, Any]:
        """Return the metadata (OpenID Connect Discovery 1.0 section 3).

        Endpoints carry the host the caller used, so that they work through a proxy; the issuer never varies.
        """
        base = f"{base_url(request)}/{self._tenant.tenant_id}"
        document: dict[str, Any] = {
            "issuer": self._tenant.issuer(version),
            "token_endpoint": f"{base}/{oauth}/token",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "jwks_uri": f"{base}/{keys}",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic", "none"],
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "fragment"],
            "code_challenge_methods_supported": ["S256"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "claims_supported": [
                "aud",
                "iss",
                "iat",
                "nbf",
                "exp",
                "oid",
                "sub",
                "tid",
                "ver",
                "roles",
                "scp",
            ],
        }
        if version == "2.0":
            document["grant_types_supported"] += ["authorization_code", "refresh_token", grants.DEVICE_GRANT]
        return document


def base_url(request: Request) -> str:
    """Return scheme and host as the caller used them."""
    return f"{request.url.scheme}://{request.url.netloc}"


def in_tenant(tenant: Tenant, handler: Handler) -> Handler:
    """Return `handler` for requests that name the tenant served; others get Entra's error."""

    async def checked(request: Request) -> Response:
        if request.path_params["tenant"].lower() != tenant.tenant_id.lower():
            refusal = errors.unknown_tenant()
            return JSONResponse(refusal.document(tenant.now()), refusal.status)
        return await handler(request)

    return checked


def _grant_type(fields: grants.Fields) -> str:
    value = fields.get("grant_type", "")
    if not value:
        raise errors.missing_parameter("grant_type")
    return value
