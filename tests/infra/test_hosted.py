"""The hosted part: sign-in without a secret, and the profile it runs with."""

import json
import os
import ssl
import threading
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs

import pytest
import trustme
from azure.core.exceptions import ClientAuthenticationError

from fixtures.clients.identity import TokenSource
from fixtures.deployment.endpoints import Application, IdentityEndpoint
from fixtures.deployment.external import external_endpoints
from fixtures.traceability import Catalogue, Profile
from tools import azure_hosted
from tools.azure_broker import Grant, Refused, broker
from tools.azure_hosted import PROFILE, SECRETS, Exchange, assertion_from, completed, toml_of
from tools.common import CHECKOUT, Stop
from tools.nightly_plan import GITHUB_TOKEN, GITHUB_URL, Hosted

TENANT = "11111111-aaaa-4bbb-8ccc-000000000001"
OWNER = "11111111-aaaa-4bbb-8ccc-000000000002"
AUDIENCE = "https://dicom.healthcareapis.azure.com"
HOSTED = Hosted("https://ws-imaging.dicom.azurehealthcareapis.com", TENANT, {"owner": OWNER}, by_secret=False)


class Granting:
    """In the place of Microsoft Entra ID."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def __call__(self, client_id: str, scope: str) -> Grant:
        self.asked.append((client_id, scope))
        return Grant(f"token-{len(self.asked)}", int(time.time()) + 3600)


@pytest.fixture
def granting() -> Granting:
    return Granting()


@contextmanager
def tokens(
    folder: Path, exchange: Any, *, client: str = OWNER, wrong_secret: bool = False
) -> Iterator[TokenSource]:
    """The suites' own client of identity providers, at the broker."""
    with broker(folder, TENANT, frozenset({OWNER}), "right", exchange) as url:
        identity = IdentityEndpoint(url, TENANT, folder / "ca.pem", {}, "")
        yield TokenSource(
            identity, Application(client, "wrong" if wrong_secret else "right"), audience=AUDIENCE
        )


def test_suites_sign_in_at_the_broker(tmp_path: Path, granting: Granting) -> None:
    with tokens(tmp_path, granting) as source:
        assert source() == "token-1"
        assert source() == "token-1", "a token is kept while it is good"
        assert source.renew() == "token-2"
    assert granting.asked == [(OWNER, f"{AUDIENCE}/.default")] * 2


@pytest.mark.parametrize("wrong", [{"wrong_secret": True}, {"client": TENANT}])
def test_broker_gives_nothing_to_others(tmp_path: Path, granting: Granting, wrong: dict[str, Any]) -> None:
    with (
        tokens(tmp_path, granting, **wrong) as source,
        pytest.raises(ClientAuthenticationError, match="no such client, or not its secret"),
    ):
        source()
    assert granting.asked == []


def test_refusal_of_the_provider_is_handed_on(tmp_path: Path) -> None:
    def refuse(_client_id: str, _scope: str) -> Grant:
        raise Refused("AADSTS700213: no matching federated identity record")

    with tokens(tmp_path, refuse) as source, pytest.raises(ClientAuthenticationError, match="AADSTS700213"):
        source()


class _Entra(BaseHTTPRequestHandler):
    """Answers as Microsoft Entra ID does to a client assertion (RFC 7523 section 2.2)."""

    forms: ClassVar[list[dict[str, str]]]
    tenant = TENANT

    def do_GET(self) -> None:
        base = f"https://{self.headers['Host']}/{TENANT}"
        found = {
            "issuer": f"{base}/v2.0",
            "authorization_endpoint": f"{base}/a",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
        }
        self._answer(found)

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.forms.append({name: values[0] for name, values in form.items()})
        self._answer({"token_type": "Bearer", "expires_in": 3600, "access_token": "exchanged"})

    def _answer(self, content: Mapping[str, object]) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def entra(tmp_path: Path) -> Iterator[tuple[str, Path, list[dict[str, str]]]]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "entra-ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    forms: list[dict[str, str]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Entra", (_Entra,), {"forms": forms}))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}", tmp_path / "entra-ca.pem", forms
    server.shutdown()
    server.server_close()
    thread.join()


def test_federated_token_is_exchanged_anew_each_time(entra: tuple[str, Path, list[dict[str, str]]]) -> None:
    url, ca_file, forms = entra
    federated = iter(["first", "second"])
    exchange = Exchange(
        TENANT,
        lambda: next(federated),
        authority=url,
        disable_instance_discovery=True,
        connection_verify=str(ca_file),
    )
    for _ in range(2):
        granted = exchange(OWNER, f"{AUDIENCE}/.default")
        assert granted.token == "exchanged"  # noqa: S105
    assert [form["client_assertion"] for form in forms] == ["first", "second"]
    for form in forms:
        assert form["client_id"] == OWNER
        assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        assert "client_secret" not in form


def test_federated_token_that_cannot_be_had_is_a_refusal(
    entra: tuple[str, Path, list[dict[str, str]]],
) -> None:
    url, ca_file, forms = entra

    def none() -> str:
        raise OSError("GitHub gave no token")

    exchange = Exchange(
        TENANT, none, authority=url, disable_instance_discovery=True, connection_verify=str(ca_file)
    )
    with pytest.raises(Refused, match="GitHub gave no token"):
        exchange(OWNER, f"{AUDIENCE}/.default")
    assert forms == []


def test_federated_token_of_a_file_is_read_each_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    fetch = assertion_from({"AZURE_FEDERATED_TOKEN_FILE": str(file)})
    assert fetch() == "first"
    file.write_text("second\n")
    assert fetch() == "second"


def test_github_is_asked_for_a_token_for_entra() -> None:
    asked: list[tuple[str, str | None]] = []

    class GitHub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Authorization"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"count": 1, "value": "the job is who it says"}')

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), GitHub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}/token?api-version=2"
    try:
        assert assertion_from({GITHUB_URL: url, GITHUB_TOKEN: "the job's"})() == "the job is who it says"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert asked == [("/token?api-version=2&audience=api://AzureADTokenExchange", "Bearer the job's")]


def test_no_federated_token_is_said() -> None:
    with pytest.raises(Stop, match="no federated token"):
        assertion_from({GITHUB_URL: "https://token.example"})


def test_profile_of_the_run_is_the_repositorys_with_its_addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ca.pem").touch()
    base = tomllib.loads(PROFILE.read_text("utf-8"))
    file = tmp_path / "azure.toml"
    file.write_text(
        toml_of(completed(base, HOSTED, {"authority": "https://127.0.0.1:1", "ca_file": "ca.pem"}))
    )
    catalogue = Catalogue.load(CHECKOUT / "requirements")
    profile, usual = (Profile.load(path, catalogue=catalogue) for path in (file, PROFILE))
    assert (profile.capabilities, profile.bounds, profile.allow) == (
        usual.capabilities,
        usual.bounds,
        usual.allow,
    )
    assert profile.runner == "external"
    monkeypatch.setenv(SECRETS["owner"], "made for the run")
    found = external_endpoints(profile)
    assert found.cloud is not None
    assert found.identity is not None
    assert (found.cloud.url, found.cloud.version) == (HOSTED.url, "v2")
    assert (found.identity.tenant, found.identity.authority) == (TENANT, "https://127.0.0.1:1")
    assert found.identity.applications == {"owner": Application(OWNER, "made for the run")}


def test_toml_comes_back_as_it_was() -> None:
    text = (
        'name = "a \\"b\\""\ndeviations = [{record = "X-01", since = 2026-01-31}]\n'
        "[bounds]\nsettle = 1.5\n[roles.cloud]\nurl = 'https://a.example'\n[roles.identity.applications]\no = {a = true}\n"
    )
    assert tomllib.loads(toml_of(tomllib.loads(text))) == tomllib.loads(text)


def test_suite_runs_with_a_secret_of_its_own_and_nothing_that_fetches_tokens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: dict[str, Any] = {}

    def run(words: list[str], *, extra: dict[str, str]) -> object:
        profile = Path(words[words.index("--profile") + 1])
        seen.update(extra=extra, document=tomllib.loads(profile.read_text()), folder=profile.parent)
        return type("Done", (), {"returncode": 5})

    monkeypatch.setattr(azure_hosted, "run", run)
    environment = {
        "AZURE_TENANT_ID": TENANT,
        "AZURE_DICOM_URL": HOSTED.url,
        "AZURE_OWNER_CLIENT_ID": OWNER,
        GITHUB_URL: "https://token.example/?v=1",
        GITHUB_TOKEN: "the job's",
    }
    assert azure_hosted.run_suite(environment, []) == 5
    extra = seen["extra"]
    assert (extra[GITHUB_TOKEN], extra[GITHUB_URL]) == ("", "")
    assert len(extra[SECRETS["owner"]]) >= 32
    assert seen["document"]["roles"]["identity"]["authority"].startswith("https://127.0.0.1:")
    assert not seen["folder"].exists(), "nothing outlives the run"
    assert extra[SECRETS["owner"]] not in json.dumps(seen["document"])
    assert SECRETS["owner"] not in os.environ
