"""The server of the viewer: files, set-up, policy."""

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.clients.answers import Response
from fixtures.clients.http import HttpClient
from fixtures.deployment.ports import free_ports
from fixtures.evidence.exchange import Recorder
from fixtures.waiting import eventually
from systems.viewer.policy import inline_digests
from systems.viewer.settings import Settings, SettingsError, origin

PAGE = "<html><script>one()</script><script defer src='/app.js'></script><script>two()</script></html>"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp_path = tmp_path_factory.mktemp("served")
    folder = tmp_path / "viewer"
    folder.mkdir()
    (folder / "index.html").write_text(PAGE)
    (folder / "app.0123456789abcdef.js").write_text("code")
    (folder / "app.0123456789abcdef.js.gz").write_bytes(gzip.compress(b"code"))
    (tmp_path / "secret.txt").write_text("not yours")
    return folder


def settings(files: Path, **changed: str | bool) -> Settings:
    values: dict[str, str | bool] = {
        "dicomweb": "https://cloud.example:8443/v2/",
        "authority": "https://login.example/tenant/v2.0",
        "client_id": "me",
        "scope": "https://dicom.example/.default",
    }
    return Settings(files=files, **(values | changed))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def client(files: Path) -> Iterator[HttpClient]:
    """A viewer in a process of its own."""
    port = free_ports(1)[0]
    told = settings(files).for_page()
    command = [
        sys.executable,
        "-m",
        "systems.viewer.cli",
        "serve",
        "--port",
        str(port),
        "--files",
        str(files),
    ]
    command += ["--dicomweb", str(told["dicomweb"]), "--authority", str(told["authority"])]
    command += [
        "--client-id",
        "me",
        "--scope",
        str(told["scope"]),
        "--own-sign-out",
        "--log-level",
        "warning",
    ]
    http = HttpClient(f"http://127.0.0.1:{port}", recorder=Recorder())
    with subprocess.Popen(command) as process:
        try:
            eventually(lambda: get(http, "/health").status == 200, within=20, because="the viewer to answer")
            yield http
        finally:
            process.terminate()
    assert process.returncode == 0


def get(client: HttpClient, path: str, encoding: str = "identity") -> Response:
    return client.request("GET", path, headers=[("Accept-Encoding", encoding)])


def test_places_within_the_page_are_the_page_and_missing_files_are_not(client: HttpClient) -> None:
    for path in ("/", "/viewer?StudyInstanceUIDs=1.2", "/callback", "/logout"):
        assert get(client, path).body.decode() == PAGE
    assert get(client, "/nothing.js").status == 404


def test_nothing_outside_the_folder_is_served(client: HttpClient) -> None:
    for path in ("/%2e%2e/secret.txt", "/..%2fsecret.txt", "//etc/passwd"):
        assert "not yours" not in get(client, path).body.decode()
        assert "root:" not in get(client, path).body.decode()


def test_the_page_is_told_its_settings_and_nothing_else(client: HttpClient) -> None:
    script = get(client, "/app-config.js").body.decode()
    told = json.loads(script.partition(" = ")[2].partition(";\n")[0])
    assert told == {
        "name": "Cloud",
        "dicomweb": "https://cloud.example:8443/v2",
        "authority": "https://login.example/tenant/v2.0",
        "clientId": "me",
        "scope": "https://dicom.example/.default",
        "ownSignOut": True,
    }


def test_the_policy_names_the_declared_hosts_only(client: HttpClient) -> None:
    policy = get(client, "/").header("content-security-policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["connect-src"] == "'self' data: blob: https://cloud.example:8443 https://login.example"
    assert "'unsafe-inline'" not in rules["script-src"]
    assert all(f"'sha256-{digest}'" in rules["script-src"] for digest in inline_digests(PAGE))
    assert len(inline_digests(PAGE)) == 2
    assert get(client, "/").header("cross-origin-embedder-policy") == "require-corp"


def test_pages_are_never_kept_and_named_files_for_ever(client: HttpClient) -> None:
    assert get(client, "/").header("cache-control") == "no-store"
    assert get(client, "/signed-out").header("clear-site-data") == '"storage"'
    assert "immutable" in get(client, "/app.0123456789abcdef.js").header("cache-control")


def test_the_worker_is_ours_and_no_script_takes_it_away(client: HttpClient) -> None:
    assert b"no-store" in get(client, "/no-store.js").body
    assert get(client, "/no-store.js").header("content-type").startswith("text/javascript")
    assert get(client, "/init-service-worker.js").body == b""


def test_packed_files_go_to_those_who_take_them(client: HttpClient) -> None:
    packed = get(client, "/app.0123456789abcdef.js", "gzip")
    plain = get(client, "/app.0123456789abcdef.js", "identity")
    assert packed.header("content-encoding") == "gzip"
    assert plain.header("content-encoding") == ""
    assert gzip.decompress(packed.body) == plain.body == b"code"
    assert packed.header("content-type").startswith("text/javascript")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"dicomweb": "cloud"}, "--dicomweb"),
        ({"authority": "login"}, "--authority"),
        ({"client_id": ""}, "--client-id"),
        ({"scope": ""}, "--scope"),
    ],
)
def test_wrong_settings_name_the_option(files: Path, changed: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        settings(files, **changed).check()
    settings(files).check()
    settings(files, authority="", client_id="", scope="").check()


def test_a_folder_without_a_page_is_no_viewer(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"tools\.viewer"):
        settings(tmp_path).check()


def test_a_password_in_a_url_is_not_part_of_its_origin() -> None:
    assert origin("https://me:secret@cloud.example:1/v2", "--dicomweb") == "https://cloud.example:1"
