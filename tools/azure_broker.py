"""A token endpoint on 127.0.0.1 that speaks as Microsoft Entra ID does to a client with a secret.

It knows one tenant, a few client ids and one secret made for the run; the tokens it hands out are fetched by `Exchange`.
"""

import json
import secrets
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs

import trustme

_MOST = 64 << 10
"""Bytes of a form that are read."""


@dataclass(frozen=True)
class Grant:
    """An access token and when it ends, in seconds since 1970."""

    token: str = field(repr=False)
    expires_on: int


class Refused(Exception):  # noqa: N818 - the provider's answer
    """There is no token; the message says why."""


Exchanging = Callable[[str, str], Grant]
"""Gets a token for a client id and a scope. Raises `Refused`."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    authority: ClassVar[str]
    tenant: ClassVar[str]
    clients: ClassVar[frozenset[str]]
    secret: ClassVar[str]
    exchange: ClassVar[Exchanging]

    def do_GET(self) -> None:
        """OpenID Connect discovery, which azure-identity reads first."""
        if self.path != f"/{self.tenant}/v2.0/.well-known/openid-configuration":
            self._answer(404, {"error": "not_found"})
            return
        base = f"{self.authority}/{self.tenant}"
        self._answer(
            200,
            {
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "response_types_supported": ["code"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
            },
        )

    def do_POST(self) -> None:
        """Client credentials with a secret (RFC 6749 section 4.4)."""
        length = int(self.headers.get("Content-Length") or 0)
        if self.path != f"/{self.tenant}/oauth2/v2.0/token" or length > _MOST:
            self.close_connection = True
            self._answer(404, {"error": "not_found"})
            return
        form = {name: values[0] for name, values in parse_qs(self.rfile.read(length).decode()).items()}
        if form.get("grant_type") != "client_credentials" or not form.get("scope"):
            self._answer(
                400, {"error": "invalid_request", "error_description": "client_credentials and a scope"}
            )
            return
        client_id = form.get("client_id", "")
        known = secrets.compare_digest(form.get("client_secret", "").encode(), self.secret.encode())
        if client_id not in self.clients or not known:
            self._answer(
                401, {"error": "invalid_client", "error_description": "no such client, or not its secret"}
            )
            return
        try:
            grant = type(self).exchange(client_id, form["scope"])
        except Refused as refusal:
            self._answer(401, {"error": "invalid_client", "error_description": str(refusal)})
            return
        left = max(0, grant.expires_on - int(time.time()))
        self._answer(200, {"token_type": "Bearer", "expires_in": left, "access_token": grant.token})

    def _answer(self, status: int, content: dict[str, object]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        """Say nothing: the suite tells what it was refused."""


@contextmanager
def broker(
    folder: Path, tenant: str, clients: frozenset[str], secret: str, exchange: Exchanging
) -> Iterator[str]:
    """Serve tokens for the length of the block; yields the authority and puts its `ca.pem` into the folder."""
    authority = trustme.CA(organization_name="imaging-cloud-conformance, one run")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    settings = {"tenant": tenant, "clients": clients, "secret": secret, "exchange": staticmethod(exchange)}
    handler = type("Handler", (_Handler,), settings)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    # The handshake is left to the thread of the connection: a client that says nothing holds up nobody else.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    handler.authority = f"https://127.0.0.1:{server.server_address[1]}"  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
