"""Signing people in: the authorisation endpoint with PKCE (RFC 6749 section 4.1, RFC 7636) and the device page."""

from collections.abc import Mapping
from html import escape
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from systems.identity import errors, grants
from systems.identity.config import Application
from systems.identity.errors import EntraError
from systems.identity.forms import once, read_form
from systems.identity.sessions import Session, Sessions
from systems.identity.tenant import Tenant

_CARRIED = (
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<style>body{{font:16px system-ui;max-width:22rem;margin:4rem auto;padding:0 1rem}}
label,input,button{{display:block;width:100%;box-sizing:border-box;font:inherit}}
input,button{{margin:.25rem 0 1rem;padding:.5rem}}.error{{color:#a00}}</style></head>
<body><h1>{title}</h1>{content}</body></html>
"""


class SignIn:
    """Handlers for `/oauth2/v2.0/authorize` and `/oauth2/deviceauth`, GET shows a form and POST takes it."""

    def __init__(self, tenant: Tenant, sessions: Sessions) -> None:
        self._tenant = tenant
        self._sessions = sessions

    async def show(self, request: Request) -> Response:
        """Show the sign-in form for a checked request, or an error page that leads nowhere."""
        try:
            fields = once(request.scope["query_string"])
            application = self._application(fields)
        except EntraError as refusal:
            return _error_page(refusal)
        try:
            self._check(fields)
        except EntraError as refusal:
            return _back(fields, {"error": refusal.error, "error_description": refusal.sentence})
        return _sign_in_page(application, fields)

    async def take(self, request: Request) -> Response:
        """Check the password and send the browser back with a code."""
        try:
            fields = await read_form(request)
            application = self._application(fields)
            self._check(fields)
        except EntraError as refusal:
            return _error_page(refusal)
        user = self._tenant.sign_in(fields.get("username", ""), fields.get("password", ""))
        if user is None:
            return _sign_in_page(application, fields, failed=True)
        session = Session(
            client_id=application.client_id,
            user_name=user.name,
            scope=fields["scope"],
            nonce=fields.get("nonce", ""),
            redirect_uri=fields["redirect_uri"],
            code_challenge=fields["code_challenge"],
        )
        return _back(fields, {"code": self._sessions.new_code(session)})

    async def show_device(self, request: Request) -> Response:
        """Show the form for a device's user code."""
        return _device_page(request.query_params.get("user_code", ""))

    async def take_device(self, request: Request) -> Response:
        """Check code and password and let the device go on."""
        try:
            fields = await read_form(request)
        except EntraError as refusal:
            return _error_page(refusal)
        device = self._sessions.device_of_user(fields.get("user_code", ""))
        user = self._tenant.sign_in(fields.get("username", ""), fields.get("password", ""))
        if device is None or user is None:
            return _device_page(fields.get("user_code", ""), failed=True)
        device.session = Session(client_id=device.client_id, user_name=user.name, scope=device.scope)
        return _page("Signed in", "<p>You can go back to your device.</p>")

    def _application(self, fields: Mapping[str, str]) -> Application:
        application = self._tenant.application(fields.get("client_id", ""))
        if fields.get("redirect_uri", "") not in application.redirect_uris:
            raise errors.bad_redirect()
        return application

    def _check(self, fields: Mapping[str, str]) -> None:
        if fields.get("response_type") != "code":
            raise EntraError(400, "unsupported_response_type", 700054, "Only response_type=code is offered.")
        if fields.get("response_mode", "query") not in {"query", "fragment"}:
            raise errors.malformed("response_mode must be query or fragment")
        if fields.get("code_challenge_method") != "S256" or not fields.get("code_challenge"):
            raise errors.malformed("it needs code_challenge with code_challenge_method=S256 (PKCE)")
        grants.resource_scopes(self._tenant, fields.get("scope", ""))


def _back(fields: Mapping[str, str], answer: dict[str, str]) -> Response:
    uri = fields["redirect_uri"]
    parameters = urlencode(answer | ({"state": fields["state"]} if "state" in fields else {}))
    separator = "&" if "?" in uri else "?"
    mark = "#" if fields.get("response_mode") == "fragment" else separator
    return RedirectResponse(f"{uri}{mark}{parameters}", 302, headers=_HEADERS)


def _sign_in_page(application: Application, fields: Mapping[str, str], *, failed: bool = False) -> Response:
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{escape(fields[name])}">'
        for name in _CARRIED
        if name in fields
    )
    content = f"<p>for application {escape(application.client_id)}</p>" + _form(hidden, fields, failed=failed)
    return _page("Sign in", content, 401 if failed else 200)


def _device_page(user_code: str, *, failed: bool = False) -> Response:
    code = (
        '<label for="user_code">Code shown on the device</label>'
        f'<input id="user_code" name="user_code" value="{escape(user_code)}" autocomplete="off" required>'
    )
    return _page("Sign in on another device", _form(code, {}, failed=failed), 401 if failed else 200)


def _form(before: str, fields: Mapping[str, str], *, failed: bool) -> str:
    error = '<p class="error" role="alert">This did not match: check what you typed.</p>' if failed else ""
    name = escape(fields.get("username", fields.get("login_hint", "")))
    return (
        f'{error}<form method="post">{before}'
        f'<label for="username">User name</label><input id="username" name="username" value="{name}" '
        'autocomplete="username" required>'
        '<label for="password">Password</label><input id="password" name="password" type="password" '
        'autocomplete="current-password" required><button type="submit">Sign in</button></form>'
    )


def _error_page(refusal: EntraError) -> Response:
    content = f'<p class="error">AADSTS{refusal.number}: {escape(refusal.sentence)}</p>'
    return _page("This sign-in cannot go on", content, refusal.status)


def _page(title: str, content: str, status: int = 200) -> Response:
    return HTMLResponse(_PAGE.format(title=title, content=content), status, headers=_HEADERS)
