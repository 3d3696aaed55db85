"""Tokens, roles and challenges (AUTH-001 to AUTH-031) against a small OpenID Connect authority over TLS."""

import json
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm

from tests.dicom_service.conftest import Answer, Service, dataset, free_port, part10, path_of, start

AUDIENCE = "https://dicom.healthcareapis.azure.com"
ORIGINAL = "application/dicom; transfer-syntax=*"


@dataclass
class Tenant:
    """A tenant that can be down, rotate its keys and mint any token."""

    port: int
    folder: Path
    keys: dict[str, RSAPrivateKey] = field(default_factory=dict)
    server: ThreadingHTTPServer | None = None

    @property
    def authority(self) -> str:
        return f"https://localhost:{self.port}/tenant"

    def rotate(self) -> str:
        name = f"key{len(self.keys)}"
        self.keys[name] = generate_private_key(65537, 2048)
        return name

    def documents(self) -> dict[str, Any]:
        keys = [
            {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": name, "use": "sig"}
            for name, key in self.keys.items()
        ]
        jwks = f"{self.authority}/keys"
        return {
            "/tenant/.well-known/openid-configuration": {"issuer": f"{self.authority}/", "jwks_uri": jwks},
            "/tenant/v2.0/.well-known/openid-configuration": {
                "issuer": f"{self.authority}/v2.0",
                "jwks_uri": jwks,
            },
            "/tenant/keys": {"keys": keys},
        }

    def up(self, certificates: trustme.CA) -> None:
        tenant = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                document = json.dumps(tenant.documents()[self.path]).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(document)))
                self.end_headers()
                self.wfile.write(document)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificates.issue_cert("localhost").configure_cert(context)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def token(self, *, roles: Any = ("globalAdmin",), kid: str | None = None, **claims: Any) -> str:
        kid = kid or list(self.keys)[-1]
        now = int(time.time())
        payload = {
            "iss": f"{self.authority}/",
            "aud": AUDIENCE,
            "nbf": now,
            "exp": now + 3600,
            "roles": roles,
            **claims,
        }
        payload = {name: value for name, value in payload.items() if value is not None}
        return jwt.encode(payload, self.keys[kid], algorithm="RS256", headers={"kid": kid})


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Tenant]]:
    """A service whose authority was down when it started."""
    folder = tmp_path_factory.mktemp("guarded")
    certificates = trustme.CA()
    certificates.cert_pem.write_to_path(str(folder / "ca.pem"))
    tenant = Tenant(free_port(), folder)
    tenant.rotate()
    arguments = ("--authority", tenant.authority, "--authority-ca", str(folder / "ca.pem"))
    service = start(":memory:", folder / "log", *arguments, auth=True)
    assert _with(service, tenant.token()).status == 503
    tenant.up(certificates)
    yield service, tenant
    assert service.stop() == 0
    assert tenant.server is not None
    tenant.server.shutdown()
    tenant.server.server_close()


def _with(
    service: Service, token: str, method: str = "GET", path: str = "/v2/studies", body: bytes | None = None
) -> Answer:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/dicom", "Accept": "*/*"}
    if method == "GET" and "/instances/" in path:
        headers["Accept"] = ORIGINAL
    return service.request(method, path, body, headers)


def test_no_token_is_challenged(guarded: tuple[Service, Tenant]) -> None:
    """AUTH-002, AUTH-003, AUTH-010, AUTH-024, AUTH-028."""
    service, tenant = guarded
    for path in ("/v2/studies", "/v2/studies/abc", "/v1/studies/1.2/metadata"):
        for headers in ({}, {"Authorization": "Basic dTpw"}):
            answer = service.request("GET", path, headers={**headers, "Accept": "bad"})
            assert (answer.status, answer.body) == (401, b"")
            assert answer.headers["www-authenticate"] == (
                f'Bearer authorization_uri="{tenant.authority}", resource_id="{AUDIENCE}", realm="{AUDIENCE}"'
            )
    assert service.get("/health/check").status == 200
    assert service.get("/v2/api.json").status == 200
    assert service.get("/v3/studies").status == 400
    assert service.request("PUT", "/v2/studies").status == 405


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://other"},
        {"iss": "https://localhost/other/"},
        {"exp": 1_600_000_000},
        {"exp": None},
        {"nbf": 4_000_000_000},
    ],
)
def test_wrong_claims_are_refused(guarded: tuple[Service, Tenant], claims: dict[str, Any]) -> None:
    """AUTH-004, AUTH-005, AUTH-007, AUTH-008."""
    service, tenant = guarded
    answer = _with(service, tenant.token(**claims))
    assert (answer.status, answer.body) == (401, b"")
    assert 'error="invalid_token", error_description="' in answer.headers["www-authenticate"]


def test_wrong_signatures_are_refused(guarded: tuple[Service, Tenant]) -> None:
    """AUTH-007, AUTH-009."""
    service, tenant = guarded
    good = tenant.token()
    header, _, signature = good.split(".")
    claims = jwt.decode(good, options={"verify_signature": False})
    unsigned = jwt.encode(claims, "", algorithm="none")
    foreign = jwt.encode(
        claims, generate_private_key(65537, 2048), algorithm="RS256", headers={"kid": "key0"}
    )
    tampered = f"{header}.{jwt.encode({**claims, 'roles': ['x']}, 'k' * 32, algorithm='HS256').split('.')[1]}.{signature}"
    for token in (unsigned, foreign, tampered, "rubbish", "a.b.c", ""):
        assert _with(service, token).status == 401
    assert _with(service, good).status == 204


def test_clock_tolerance_is_five_minutes(guarded: tuple[Service, Tenant]) -> None:
    """AUTH-008."""
    service, tenant = guarded
    now = int(time.time())
    assert _with(service, tenant.token(exp=now - 200, nbf=now - 900)).status == 204
    assert _with(service, tenant.token(exp=now - 400, nbf=now - 900)).status == 401
    assert _with(service, tenant.token(nbf=now + 200)).status == 204
    assert _with(service, tenant.token(nbf=now + 400)).status == 401


def test_both_issuers_of_the_tenant_are_taken(guarded: tuple[Service, Tenant]) -> None:
    """AUTH-007, AUTH-029: tokens of the v1 and of the v2 form."""
    service, tenant = guarded
    assert _with(service, tenant.token(iss=f"{tenant.authority}/v2.0")).status == 204
    assert _with(service, tenant.token(aud=f"{AUDIENCE}/")).status == 204


def test_roles_decide_what_is_permitted(guarded: tuple[Service, Tenant]) -> None:
    """AUTH-013 to AUTH-023, AUTH-025, AUTH-026."""
    service, tenant = guarded
    made = dataset()
    body = part10(made)
    instance = path_of(made)
    reader, writer = tenant.token(roles="DICOM Data Reader"), tenant.token(roles=["dicom data WRITER", "x"])
    nobody = tenant.token(roles=["unknown"])

    refused = _with(service, reader, "POST", "/v2/studies", body)
    assert (refused.status, refused.body) == (403, b"Authorization failed.")
    assert "www-authenticate" not in refused.headers
    assert _with(service, writer, "POST", "/v2/studies", body).status == 200
    assert [_with(service, token, "GET", instance).status for token in (reader, writer, nobody)] == [
        200,
        200,
        403,
    ]
    assert [_with(service, token, "DELETE", instance).status for token in (reader, writer, nobody)] == [
        403
    ] * 3
    assert _with(service, nobody, "GET", "/v2/studies/abc").status == 403
    assert _with(service, nobody, "GET", "/v2/changefeed").status == 403
    assert _with(service, reader, "GET", "/v2/changefeed").status == 200
    assert (
        _with(service, tenant.token(roles=["globalReader", "GLOBALADMIN"]), "DELETE", instance).status == 204
    )


def test_keys_are_read_again_for_an_unknown_key(guarded: tuple[Service, Tenant]) -> None:
    """AUTH-007: a rotated key is found without a restart."""
    service, tenant = guarded
    new = tenant.rotate()
    token = tenant.token(kid=new)
    deadline = time.monotonic() + 15
    status = _with(service, token).status
    while status == 401 and time.monotonic() < deadline:
        status = _with(service, token).status
    assert status == 204
    assert _with(service, tenant.token(kid="key0")).status == 204


def test_tokens_stay_out_of_the_log(guarded: tuple[Service, Tenant]) -> None:
    """AUTH-031."""
    service, tenant = guarded
    token = tenant.token(aud="https://other")
    _with(service, token)
    assert token.rsplit(".", 1)[1] not in service.log.read_text()


def test_tls(tmp_path: Path) -> None:
    """The service serves TLS with the certificate it is given."""
    certificates = trustme.CA()
    leaf = certificates.issue_cert("127.0.0.1", "localhost")
    leaf.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    for part in leaf.cert_chain_pems:
        part.write_to_path(str(tmp_path / "cert.pem"), append=True)
    context = ssl.create_default_context(cadata=certificates.cert_pem.bytes().decode())
    arguments = ("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))
    service = start(":memory:", tmp_path / "log", *arguments)
    try:
        assert _status_over_tls(service.port, context) == 200
    finally:
        assert service.stop() == 0


def _status_over_tls(port: int, context: ssl.SSLContext) -> int:
    import http.client

    from fixtures.waiting import eventually

    def ask() -> int:
        connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=5)
        connection.request("GET", "/health/check")
        status = connection.getresponse().status
        connection.close()
        return status

    return eventually(ask, within=10, because="the service should answer over TLS")
