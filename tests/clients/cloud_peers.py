"""The reference cloud as processes: identity provider, DICOM service, and the link before it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trustme

from fixtures.clients.dicomweb import DicomWeb
from fixtures.clients.http import HttpClient
from fixtures.clients.identity import IdentityAdmin, TokenSource
from fixtures.clients.link import LinkControl
from fixtures.deployment.endpoints import Application, IdentityEndpoint
from fixtures.deployment.ports import free_ports
from fixtures.evidence.exchange import Recorder
from fixtures.waiting import eventually

TENANT = "6b1f2a52-0d7c-4f0e-9a54-1d2f6c1d9f11"
AUDIENCE = "https://dicom.healthcareapis.azure.com"
ADMIN_KEY, CONTROL_KEY = "key-of-the-admin", "key-of-the-link"
OWNER = Application("11111111-0000-4000-8000-000000000001", "secret-of-the-owner")
NOROLE = Application("11111111-0000-4000-8000-000000000002", "secret-of-norole")
# A bundle of the environment replaces all other trust in many clients; here it must change nothing.
_ENVIRONMENT = {
    "ADMIN_KEY": ADMIN_KEY,
    "CONTROL_KEY": CONTROL_KEY,
    "OWNER": OWNER.secret,
    "NOROLE": NOROLE.secret,
}


@dataclass(frozen=True)
class CloudPeers:
    folder: Path
    identity: IdentityEndpoint
    cloud_url: str
    linked_url: str
    control_url: str
    clients: list[HttpClient] = field(default_factory=list)

    @property
    def ca_file(self) -> Path:
        return self.folder / "ca.pem"

    def token(self, application: Application = OWNER) -> TokenSource:
        return TokenSource(self.identity, application, audience=AUDIENCE)

    def http(
        self, recorder: Recorder, *, linked: bool = False, application: Application = OWNER
    ) -> HttpClient:
        url = self.linked_url if linked else self.cloud_url
        return HttpClient(
            url, recorder=recorder, ca_file=self.ca_file, token=self.token(application), timeout=5
        )

    def dicomweb(self, recorder: Recorder, *, linked: bool = False) -> DicomWeb:
        return DicomWeb(self.http(recorder, linked=linked), version="v2")

    def identity_http(self, recorder: Recorder, *, admin: bool = False) -> HttpClient:
        headers = [("X-Admin-Key", ADMIN_KEY)] if admin else []
        client = HttpClient(self.identity.authority, recorder=recorder, ca_file=self.ca_file, headers=headers)
        self.clients.append(client)
        return client

    def admin(self, recorder: Recorder) -> IdentityAdmin:
        return IdentityAdmin(self.identity_http(recorder, admin=True))

    def link(self, recorder: Recorder) -> LinkControl:
        return LinkControl(
            HttpClient(self.control_url, recorder=recorder, headers=[("X-Control-Key", CONTROL_KEY)])
        )


@contextmanager
def running_cloud(folder: Path) -> Iterator[CloudPeers]:
    identity_port, cloud_port, linked_port, control_port = free_ports(4)
    ca = trustme.CA()
    leaf = ca.issue_cert("127.0.0.1", "localhost")
    ca.cert_pem.write_to_path(folder / "ca.pem")
    leaf.private_key_and_cert_chain_pem.write_to_path(folder / "leaf.pem")
    authority = f"https://127.0.0.1:{identity_port}"
    applications = {"owner": OWNER, "norole": NOROLE}
    identity = IdentityEndpoint(authority, TENANT, folder / "ca.pem", applications, ADMIN_KEY)
    peers = CloudPeers(
        folder,
        identity,
        f"https://127.0.0.1:{cloud_port}",
        f"https://127.0.0.1:{linked_port}",
        f"http://127.0.0.1:{control_port}",
    )
    (folder / "identity.toml").write_text(_identity_config())
    (folder / "link.toml").write_text(_link_config(folder, control_port, linked_port, cloud_port))
    tls = ["--tls-cert", str(folder / "leaf.pem"), "--tls-key", str(folder / "leaf.pem")]
    with ExitStack() as stack:
        stack.enter_context(
            _program("identity", folder, "--config", "identity.toml", "--port", str(identity_port), *tls)
        )
        arguments = ["--port", str(cloud_port), "--data", ":memory:", "--audience", AUDIENCE, *tls]
        arguments += ["--authority", f"{authority}/{TENANT}", "--authority-ca", str(folder / "ca.pem")]
        stack.enter_context(_program("dicom_service", folder, *arguments))
        stack.enter_context(_program("link", folder, "--config", "link.toml"))
        http = HttpClient(peers.linked_url, recorder=Recorder(), ca_file=peers.ca_file)
        eventually(
            lambda: http.request("GET", "/health/check").status == 200,
            within=30,
            because=f"the cloud to answer through the link (logs in {folder})",
        )
        yield peers
        # A TLS server that stops waits for the goodbye of every idle client.
        for client in [http, *peers.clients]:
            client.close()


@contextmanager
def _program(system: str, folder: Path, *arguments: str) -> Iterator[None]:
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, **_ENVIRONMENT, "PYTHONPATH": root}
    with (folder / f"{system}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", f"systems.{system}.cli", "serve", *arguments],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=20)


def _identity_config() -> str:
    lines = [f'tenant = "{TENANT}"', f'audience = "{AUDIENCE}"', 'admin_key_env = "ADMIN_KEY"']
    for name, application, roles in (("OWNER", OWNER, '["DICOM Data Owner"]'), ("NOROLE", NOROLE, "[]")):
        lines += [
            "[[applications]]",
            f'client_id = "{application.client_id}"',
            f'object_id = "{name}-object"',
        ]
        lines += [f'secret_env = "{name}"', f"roles = {roles}"]
    return "\n".join(lines)


def _link_config(folder: Path, control: int, listen: int, target: int) -> str:
    return "\n".join(
        [
            f'control = "127.0.0.1:{control}"',
            'control_key_env = "CONTROL_KEY"',
            "[[routes]]",
            'name = "cloud"',
            'mode = "http"',
            f'listen = "127.0.0.1:{listen}"',
            f'target = "127.0.0.1:{target}"',
            f'tls_cert = "{folder / "leaf.pem"}"',
            f'tls_key = "{folder / "leaf.pem"}"',
            f'target_ca = "{folder / "ca.pem"}"',
        ]
    )
