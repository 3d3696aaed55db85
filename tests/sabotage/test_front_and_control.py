"""Fronts before HTTP services, and controls that lie."""

import json
from collections.abc import Callable, Collection, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from fixtures.clients.answers import NoAnswer, Response
from fixtures.clients.http import HttpClient
from fixtures.deployment.spec import SystemSpec
from fixtures.evidence.exchange import Recorder
from fixtures.sabotage.control import AlsoDoes, ForgetsOnRestart, KeepsFiles, KillsNothing
from fixtures.sabotage.front import Asked, Forward, HttpFront


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        seen = {
            "method": self.command,
            "path": self.path,
            "by": self.headers.get("X-By"),
            "body": body.decode(),
        }
        text = json.dumps(seen).encode()
        self.send_response(418 if self.path == "/teapot" else 200)
        self.send_header("X-Real", "yes")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = answer  # noqa: N815 - the library's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's signature
        pass


@pytest.fixture
def service() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def honest(asked: Asked, forward: Forward) -> Response:
    return forward(asked)


def client(url: str) -> HttpClient:
    return HttpClient(url, recorder=Recorder(), headers=[("X-By", "me")], timeout=5)


def test_honest_front_changes_nothing(service: str) -> None:
    with HttpFront(service, honest) as front:
        http = client(front.url)
        answer = http.request("POST", "/a?b=c%20d", body=b"hello")
        assert answer.json() == {"method": "POST", "path": "/a?b=c%20d", "by": "me", "body": "hello"}
        assert answer.header("X-Real") == "yes"
        assert http.request("GET", "/teapot").status == 418
        assert http.request("POST", "/chunks", body=iter([b"in ", b"pieces"])).json()["body"] == "in pieces"


def test_front_changes_request_and_answer(service: str) -> None:
    def behave(asked: Asked, forward: Forward) -> Response:
        if asked.path == "/own":
            return Response(204, (), b"")
        return forward(asked.with_header("x-by", "somebody else").with_body(b"other"))

    with HttpFront(service, behave) as front:
        http = client(front.url)
        assert http.request("GET", "/own").status == 204
        seen = http.request("POST", "/x", body=b"hello").json()
        assert (seen["by"], seen["body"]) == ("somebody else", "other")


def test_service_that_is_gone_gives_no_answer() -> None:
    with HttpFront("http://127.0.0.1:9", honest) as front, pytest.raises(NoAnswer):
        client(front.url).request("GET", "/")


class Systems:
    """A control that remembers what it was asked."""

    def __init__(self) -> None:
        self.up = {"pacs", "router"}
        self.asked: list[str] = []
        self.size = 100

    def stop(self, role: str) -> None:
        self.kill(role)

    def kill(self, role: str) -> None:
        self.asked.append(f"kill {role}")
        self.up.discard(role)

    def start(self, role: str, *, wipe: bool = False) -> None:
        self.asked.append(f"start {role}{' wiped' if wipe else ''}")
        self.up.add(role)

    def change(self, role: str, change: Callable[[SystemSpec], SystemSpec]) -> SystemSpec:
        raise NotImplementedError

    def running(self, role: str) -> bool:
        return role in self.up

    def destroy(self, roles: Collection[str]) -> None:
        self.asked += [f"destroy {role}" for role in roles]

    def logs(self, role: str) -> str:
        return f"log of {role}"

    def build(self, role: str) -> str:
        return f"build of {role}"

    def data_size(self, role: str) -> int:  # noqa: ARG002 - as the protocol has it
        return self.size


def test_kill_that_does_not_kill() -> None:
    real = Systems()
    control = KillsNothing(real, ("pacs",))
    control.kill("pacs")
    assert not control.running("pacs")
    assert real.running("pacs")
    control.start("pacs")
    assert control.running("pacs")
    control.kill("router")
    assert real.asked == ["start pacs", "kill router"]


def test_queue_in_memory_is_gone_after_a_restart_of_that_role_only() -> None:
    real = Systems()
    control = ForgetsOnRestart(real, "router")
    control.start("router")
    for role in ("router", "pacs"):
        control.kill(role)
        control.start(role)
    assert real.asked == ["start router", "kill router", "start router wiped", "kill pacs", "start pacs"]


def test_files_stay() -> None:
    real = Systems()
    control = KeepsFiles(real, "pacs")
    assert control.data_size("pacs") == 100
    real.size = 10
    assert control.data_size("pacs") == 100
    assert control.data_size("router") == 10
    assert control.logs("pacs") == "log of pacs"


def test_what_goes_along_is_done_before_a_kill_and_after_a_start() -> None:
    real = Systems()
    control = AlsoDoes(
        real,
        on_kill=lambda role: real.asked.append(f"before kill of {role}"),
        on_start=lambda role: real.asked.append(f"after start of {role}"),
        on_destroy=lambda roles: real.asked.append(f"after destruction of {sorted(roles)}"),
    )
    control.kill("router")
    control.start("router")
    control.destroy(["pacs"])
    assert real.asked == [
        "before kill of router",
        "kill router",
        "start router",
        "after start of router",
        "destroy pacs",
        "after destruction of ['pacs']",
    ]
