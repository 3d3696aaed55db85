"""A running fault-link on loopback."""
# ruff: noqa: S310 - the address is the test's own

import json
import os
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from fixtures.waiting import eventually
from tests.link.targets import PATIENCE, HttpTarget, TcpTarget
from tests.link.wire import receive_all

KEY = "the key of the link"


@dataclass
class Running:
    """The running link."""

    process: subprocess.Popen[bytes]
    control: str
    ports: dict[str, int]
    tcp: TcpTarget
    http: HttpTarget
    plain: HttpTarget
    ca: Path
    log: Path

    def request(self, method: str, path: str, document: object = None, key: str = KEY) -> tuple[int, Any]:
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(self.control + path, body, {"X-Control-Key": key}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=PATIENCE) as response:
                text = response.read()
                return response.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def fault(self, route: str, kind: str, **parameters: object) -> None:
        status, answer = self.request("PUT", f"/routes/{route}/fault", {"kind": kind, **parameters})
        assert status == 200, answer

    def heal(self, route: str) -> None:
        assert self.request("DELETE", f"/routes/{route}/fault")[0] == 200

    def rules(self, *rules: dict[str, Any], route: str = "web") -> None:
        status, answer = self.request("PUT", f"/routes/{route}/rules", list(rules))
        assert status == 200, answer

    def route(self, name: str) -> dict[str, Any]:
        row: dict[str, Any] = self.request("GET", f"/routes/{name}")[1]
        return row

    def exchanges(self, route: str = "web", since: int = 0) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.request("GET", f"/routes/{route}/exchanges?since={since}")[1]
        return rows

    def connect(self, route: str, within: float = PATIENCE) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.ports[route]), timeout=within)

    def tls(self, route: str = "web") -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.ca))
        return context.wrap_socket(
            self.connect(route), server_hostname="127.0.0.1", suppress_ragged_eofs=False
        )

    def exchange(self, request: bytes, route: str = "web") -> bytes:
        """Send one request with `Connection: close` in it and return all that comes back."""
        with self.tls(route) if route != "plain" else self.connect(route) as sock:
            sock.sendall(request)
            return receive_all(sock)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def write_config(folder: Path, control: int, ports: dict[str, int], targets: dict[str, int]) -> None:
    tls = 'tls_cert = "leaf.pem"\ntls_key = "leaf.key"\n'
    extra = {
        "raw": 'mode = "tcp"\n',
        "web": f'mode = "http"\n{tls}target_ca = "ca.pem"\n',
        "plain": 'mode = "http"\ntarget_tls = false\n',
        "stranger": f'mode = "http"\n{tls}target_ca = "other.pem"\n',
    }
    text = f'control = "127.0.0.1:{control}"\ncontrol_key_env = "LINK_KEY"\n'
    for name, lines in extra.items():
        text += f'\n[[routes]]\nname = "{name}"\nlisten = "127.0.0.1:{ports[name]}"\n'
        text += f'target = "127.0.0.1:{targets[name]}"\n{lines}'
    (folder / "link.toml").write_text(text)


def server_tls(folder: Path) -> ssl.SSLContext:
    ca = trustme.CA()
    leaf = ca.issue_cert("127.0.0.1", "localhost")
    (folder / "ca.pem").write_bytes(ca.cert_pem.bytes())
    (folder / "other.pem").write_bytes(trustme.CA().cert_pem.bytes())
    (folder / "leaf.pem").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    (folder / "leaf.key").write_bytes(leaf.private_key_pem.bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    return context


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("link")
    tcp, http, plain = TcpTarget(), HttpTarget(server_tls(folder)), HttpTarget(None)
    ports = {name: free_port() for name in ("raw", "web", "plain", "stranger")}
    targets = {"raw": tcp.port, "web": http.port, "plain": plain.port, "stranger": http.port}
    control = free_port()
    write_config(folder, control, ports, targets)
    command = [sys.executable, "-m", "systems.link.cli", "serve", "--config", str(folder / "link.toml")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log, env=os.environ | {"LINK_KEY": KEY})
    link = Running(
        process, f"http://127.0.0.1:{control}", ports, tcp, http, plain, folder / "ca.pem", folder / "log"
    )
    eventually(
        lambda: link.request("GET", "/health")[0] == 200,
        within=10,
        because="fault-link to answer",
        every=0.02,
    )
    yield link
    process.terminate()
    assert process.wait(10) == 0
    for target in (tcp, http, plain):
        target.close()


@pytest.fixture
def link(running: Running) -> Iterator[Running]:
    yield running
    for name in running.ports:
        running.heal(name)
    running.rules()
    running.http.reset()
    running.plain.reset()
    running.request("DELETE", "/routes/web/exchanges")
