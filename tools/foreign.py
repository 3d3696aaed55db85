"""Runs the suite `azure` against a server that is not ours, to see what the checks are worth.

`python -m tools.foreign always-200 [--body empty|list|object] [-- PYTEST ARGUMENTS]`: a server that answers 200 to
everything. A check that passes there shows nothing about the service. `python -m tools.foreign orthanc-dicomweb`:
Orthanc's own DICOMweb plugin at `/v2/`. Tokens come from the reference identity provider, which neither server asks
for. Findings: `docs/dicom-service-witnesses.md`.
"""

import argparse
import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from fixtures.deployment.deploy import deploy
from fixtures.deployment.endpoints import IdentityEndpoint
from fixtures.deployment.ports import free_ports
from fixtures.deployment.spec import SystemSpec
from fixtures.traceability import Catalogue, Profile
from suites.azure.witness.orthanc import running_orthanc
from tools.common import CHECKOUT, LOCAL, VENV_BIN, main_of, run, say

BODIES = {"empty": b"", "list": b"[]", "object": b"{}", "stored": b""}
"""What every 200 carries; `stored` agrees to each store with the right answer, so that checks get past their beginning."""
REPORTS = CHECKOUT / "reports" / "out"
ORTHANC_ROOT = "/v2/"
_UIDS = re.compile(rb"\x08\x00\x18\x00UI..([0-9.]+)", re.DOTALL)
_MOST_READ = 64 << 20
"""Bytes of a body that are looked at."""
_MOST_AWAITED = 1 << 30
"""Bytes: a longer body is announced to be refused, and never sent."""


class AlwaysOk(BaseHTTPRequestHandler):
    """Answers 200 to every request, whatever it asks."""

    protocol_version = "HTTP/1.1"
    kind = "empty"

    def __getattr__(self, name: str) -> Callable[[], None]:
        # The standard library looks for do_GET and its like: every method has the same answer, also invented ones.
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        sent = self._read_body()
        body = BODIES[self.kind]
        if self.kind == "stored" and self.command == "POST" and "/studies" in self.path:
            body = self._store_answer(sent)
        self.send_response(200)
        self.send_header("Content-Type", "application/dicom+json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _store_answer(self, sent: bytes) -> bytes:
        """Say that every instance was stored."""
        items = [
            {
                "00081150": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]},
                "00081155": {"vr": "UI", "Value": [uid.decode()]},
                "00081190": {
                    "vr": "UR",
                    "Value": [f"http://{self.headers['Host']}{self.path}/{uid.decode()}"],
                },
            }
            for uid in _UIDS.findall(sent)
        ]
        return json.dumps({"00081199": {"vr": "SQ", "Value": items}}).encode()

    def _read_body(self) -> bytes:
        kept = bytearray()
        for piece in self._pieces():
            if len(kept) < _MOST_READ:
                kept += piece
        return bytes(kept)

    def _pieces(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
                yield self.rfile.read(size + 2)[:-2]
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length") or 0)
        if left > _MOST_AWAITED:
            self.close_connection = True
            return
        while left > 0 and (piece := self.rfile.read(min(left, 1 << 20))):
            left -= len(piece)
            yield piece

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        """Say nothing: the suite records what was exchanged."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: some checks break their connections on purpose."""


@contextmanager
def always_200(kind: str) -> Iterator[str]:
    """The server that agrees to everything, on a free port; yields its URL."""
    handler = type("Handler", (AlwaysOk,), {"kind": kind})
    server = _Server(("127.0.0.1", free_ports(1)[0]), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def identity_alone(folder: Path) -> Iterator[IdentityEndpoint]:
    """The reference identity provider without anything else of the reference deployment."""

    def absent(_: SystemSpec) -> None:
        return None

    profile = Profile.load("reference", catalogue=Catalogue.load(CHECKOUT / "requirements"))
    others = dict.fromkeys(("pacs", "router", "link", "cloud"), absent)
    with deploy(profile, "process", folder, overrides=others) as deployment:
        yield deployment.identity


def completed(name: str, url: str, identity: IdentityEndpoint, folder: Path) -> tuple[Path, dict[str, str]]:
    """Write the profile of this run: that of the repository with the addresses; and return the secrets it names."""
    secrets = {"FOREIGN_ADMIN_KEY": identity.admin_key}
    lines = [
        (CHECKOUT / "profiles" / f"{name}.toml").read_text("utf-8"),
        f'[roles.cloud]\nurl = "{url}"\nversion = "v2"\naudience = "https://dicom.healthcareapis.azure.com"',
        f'[roles.identity]\nauthority = "{identity.authority}"\ntenant = "{identity.tenant}"',
        f'ca_file = "{identity.ca_file}"\nadmin_key_env = "FOREIGN_ADMIN_KEY"',
        "[roles.identity.applications]",
    ]
    for role, application in identity.applications.items():
        variable = f"FOREIGN_{role.upper()}_SECRET"
        secrets[variable] = application.secret
        lines.append(f'{role} = {{ client_id = "{application.client_id}", secret_env = "{variable}" }}')
    path = folder / f"{name}.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path, secrets


def _arguments(given: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Our own arguments, and those of pytest, which stand after `--`."""
    at = given.index("--") if "--" in given else len(given)
    parser = argparse.ArgumentParser(
        prog="python -m tools.foreign",
        description=__doc__,
        usage="%(prog)s [-h] SERVER [--body BODY] [-- PYTEST ...]",
    )
    parser.add_argument("server", choices=("always-200", "orthanc-dicomweb"))
    parser.add_argument("--body", choices=BODIES, default="empty", help="what every 200 carries")
    return parser.parse_args(given[:at]), list(given[at + 1 :])


def main() -> int:
    """Bring both up, run the suite, take both down; the exit code is pytest's."""
    arguments, given = _arguments(sys.argv[1:])
    folder = LOCAL / "runs" / f"foreign-{arguments.server}-{os.getpid()}"
    with ExitStack() as up:
        identity = up.enter_context(identity_alone(folder))
        server: AbstractContextManager[str] = (
            running_orthanc(folder / "orthanc", root=ORTHANC_ROOT)
            if arguments.server == "orthanc-dicomweb"
            else always_200(arguments.body)
        )
        path, secrets = completed(arguments.server, up.enter_context(server), identity, folder)
        report = REPORTS / arguments.server
        say(f"suite azure against {arguments.server}; report: {report.relative_to(CHECKOUT)}")
        selected = [word for word in given if word.startswith("suites/")] or ["suites/azure"]
        others = [word for word in given if word not in selected]
        command = [str(VENV_BIN / "pytest"), *selected, "-m", "azure", "--profile", str(path)]
        return run([*command, "--report-dir", str(report), *others], extra=secrets).returncode


if __name__ == "__main__":
    raise SystemExit(main_of(main))
