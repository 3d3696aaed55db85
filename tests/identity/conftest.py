"""A running entra-id on loopback, in a process of its own, over TLS."""
# ruff: noqa: S105, S310 - test secrets and a test address

import json
import os
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

import jwt
import pytest
import trustme

from fixtures.waiting import eventually

TENANT = "6b1f2a52-0d7c-4f0e-9a54-1d2f6c1d9f11"
AUDIENCE = "https://dicom.healthcareapis.azure.com"
ADMIN_KEY = "the key of the administrator"
OWNER, NOROLE, VIEWER = "owner-client", "norole-client", "viewer-client"
SECRET = "s3cret~of.the_owner"
PASSWORD = "correct horse"
REDIRECT = "https://viewer.test/back"

CONFIG = f"""
tenant = "{TENANT}"
audience = "{AUDIENCE}"
token_lifetime = 1200
admin_key_env = "ADMIN_KEY"
state_file = "keys.json"

[[applications]]
client_id = "{OWNER}"
object_id = "owner-object"
secret_env = "OWNER_SECRET"
roles = ["DICOM Data Owner"]

[[applications]]
client_id = "{NOROLE}"
object_id = "norole-object"
secret_file = "norole.secret"

[[applications]]
client_id = "{VIEWER}"
object_id = "viewer-object"
public = true
redirect_uris = ["{REDIRECT}"]

[[users]]
name = "reader@hospital.test"
object_id = "reader-object"
display_name = "Rea Der"
roles = ["DICOM Data Reader"]
password_env = "READER_PASSWORD"
"""
ENVIRONMENT = {"ADMIN_KEY": ADMIN_KEY, "OWNER_SECRET": SECRET, "READER_PASSWORD": PASSWORD}


@dataclass
class Answer:
    status: int
    headers: "Message[str, str]"
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


@dataclass
class Provider:
    """The running program and a way to speak to it."""

    process: subprocess.Popen[bytes]
    base: str
    ca: Path
    folder: Path

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        context = ssl.create_default_context(cafile=str(self.ca))
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context), _NoRedirects
        )
        request = urllib.request.Request(self.base + path, body, dict(headers or {}), method=method)
        try:
            with opener.open(request, timeout=10) as response:
                return Answer(response.status, response.headers, response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read())

    def form(self, path: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Answer:
        body = urllib.parse.urlencode(fields).encode()
        content = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.request("POST", f"/{TENANT}{path}", body, content | dict(headers or {}))

    def token(self, **changes: str) -> Answer:
        fields = {
            "grant_type": "client_credentials",
            "client_id": OWNER,
            "client_secret": SECRET,
            "scope": f"{AUDIENCE}/.default",
        }
        return self.form("/oauth2/v2.0/token", {k: v for k, v in (fields | changes).items() if v})

    def admin(self, method: str, path: str, document: object = None, key: str = ADMIN_KEY) -> Answer:
        body = None if document is None else json.dumps(document).encode()
        return self.request(method, f"/admin{path}", body, {"X-Admin-Key": key})

    def validated(self, token: str, version: str = "v2.0", **options: Any) -> dict[str, Any]:
        """Return the claims, checked as a resource server does: discovery, key by kid, signature, aud, iss, times."""
        prefix = f"/{TENANT}/v2.0" if version == "v2.0" else f"/{TENANT}"
        document = self.request("GET", f"{prefix}/.well-known/openid-configuration").json
        keys = self.request("GET", document["jwks_uri"].removeprefix(self.base)).json
        kid = jwt.get_unverified_header(token)["kid"]
        key = jwt.PyJWKSet.from_dict(keys)[kid]
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms=["RS256"], audience=AUDIENCE, issuer=document["issuer"], **options
        )
        return claims


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(folder: Path, port: int) -> Provider:
    command = [
        sys.executable,
        "-m",
        "systems.identity.cli",
        "serve",
        "--config",
        str(folder / "identity.toml"),
    ]
    command += [
        "--port",
        str(port),
        "--tls-cert",
        str(folder / "leaf.pem"),
        "--tls-key",
        str(folder / "leaf.key"),
    ]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, stderr=log, env=os.environ | ENVIRONMENT)
    provider = Provider(process, f"https://127.0.0.1:{port}", folder / "ca.pem", folder)
    eventually(
        lambda: provider.request("GET", "/health").status == 200,
        within=10,
        because="entra-id to answer",
        every=0.02,
    )
    return provider


def stop(provider: Provider) -> int:
    provider.process.terminate()
    return provider.process.wait(10)


def write_files(folder: Path) -> None:
    ca = trustme.CA()
    leaf = ca.issue_cert("127.0.0.1", "localhost")
    (folder / "ca.pem").write_bytes(ca.cert_pem.bytes())
    (folder / "leaf.pem").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    (folder / "leaf.key").write_bytes(leaf.private_key_pem.bytes())
    (folder / "identity.toml").write_text(CONFIG)
    (folder / "norole.secret").write_text("another secret\n")


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    folder = tmp_path_factory.mktemp("identity")
    write_files(folder)
    provider = start(folder, free_port())
    yield provider
    assert stop(provider) == 0


@pytest.fixture
def provider(running: Provider) -> Iterator[Provider]:
    yield running
    running.admin("PUT", "/clock", {"offset": 0})
    running.admin("PUT", "/token-lifetime", {"seconds": 1200})
    running.admin(
        "PUT", f"/applications/{OWNER}", {"enabled": True, "secret": SECRET, "roles": ["DICOM Data Owner"]}
    )
    running.admin("PUT", "/users/reader@hospital.test", {"roles": ["DICOM Data Reader"]})
