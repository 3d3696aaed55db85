"""A small server in the place of a reference system: it counts its own starts in its data folder."""

from dataclasses import dataclass, field, replace

from fixtures.deployment import probes
from fixtures.deployment.deployment import Overrides
from fixtures.deployment.spec import SystemSpec

SERVER = """
import http.server, pathlib, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
host, port, data = sys.argv[1:4]
starts = pathlib.Path(data) / "starts"
starts.open("a").write("x")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = str(len(starts.read_text())).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
print("stand-in listens", flush=True)
http.server.ThreadingHTTPServer((host, int(port)), Handler).serve_forever()
"""


@dataclass(frozen=True)
class Profile:
    """As little of a profile as deployment needs."""

    name: str = "stand-ins"
    roles: dict[str, dict[str, object]] = field(default_factory=dict)
    systems: dict[str, str] = field(default_factory=dict)


def cloud_stand_in(spec: SystemSpec) -> SystemSpec:
    """Turn the description of the cloud into one of the stand-in."""
    option = dict(zip(spec.command[2::2], spec.command[3::2], strict=False))
    command = ("python3", "-c", SERVER, option["--host"], option["--port"], option["--data"])
    return replace(spec, command=command, files={}, ready=lambda _: None, ready_within=15.0)


def only_cloud(change: SystemSpec | None = None) -> Overrides:
    """Leave out every role but the cloud, which becomes a stand-in."""
    others: Overrides = {role: lambda _: None for role in ("pacs", "router", "link", "identity")}
    return {**others, "cloud": (lambda _: change) if change else cloud_stand_in}


def starts(url: str) -> int:
    """Ask the stand-in how often it was started on its present data."""
    return int(probes.call("GET", url.replace("https://", "http://") + "/").require(200).body)
