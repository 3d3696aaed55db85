"""The ASGI application of entra-id."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from systems.identity.admin import Admin
from systems.identity.endpoints import Discovery, TokenEndpoints, in_tenant
from systems.identity.sessions import Sessions
from systems.identity.sign_in import SignIn
from systems.identity.tenant import Tenant


def create_app(tenant: Tenant, admin_key: str) -> Starlette:
    """Return the application that serves `tenant`; an empty `admin_key` closes the admin interface."""
    sessions = Sessions()
    tokens, discovery, sign_in = TokenEndpoints(tenant, sessions), Discovery(tenant), SignIn(tenant, sessions)
    table = [
        ("GET", "/v2.0/.well-known/openid-configuration", discovery.v2),
        ("GET", "/.well-known/openid-configuration", discovery.v1),
        ("GET", "/discovery/v2.0/keys", discovery.keys),
        ("GET", "/discovery/keys", discovery.keys),
        ("POST", "/oauth2/token", tokens.token_v1),
        ("POST", "/oauth2/v2.0/token", tokens.token_v2),
        ("POST", "/oauth2/v2.0/devicecode", tokens.device),
        ("GET", "/oauth2/v2.0/authorize", sign_in.show),
        ("POST", "/oauth2/v2.0/authorize", sign_in.take),
        ("GET", "/oauth2/deviceauth", sign_in.show_device),
        ("POST", "/oauth2/deviceauth", sign_in.take_device),
    ]
    public = [Route(path, in_tenant(tenant, handler), methods=[method]) for method, path, handler in table]
    # A viewer in a browser redeems its codes from its own origin; no cookie is involved, so any origin may.
    open_to_browsers = Middleware(
        CORSMiddleware, allow_origins=["*"], allow_methods=["GET", "POST"], allow_headers=["*"]
    )
    return Starlette(
        routes=[
            Route("/health", _health, methods=["GET"]),
            Mount("/admin", routes=Admin(tenant, admin_key).routes()),
            Mount("/{tenant}", routes=public, middleware=[open_to_browsers]),
        ]
    )


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})
