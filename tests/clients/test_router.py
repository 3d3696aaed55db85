import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fixtures.clients.http import HttpClient, UnexpectedStatus
from fixtures.clients.router import RouterAdmin
from fixtures.evidence.exchange import Recorder
from fixtures.waiting import NotYet
from tests.clients.scripted_server import Script, answer, scripted


def row(name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "waiting": 0, "in_progress": 0, "last_error": None, **changes}


@contextmanager
def router(*answers: Any, status: str = "200 OK") -> Iterator[tuple[RouterAdmin, Script]]:
    """Answers the requests in turn; the last answer stays."""

    def play(connection: socket.socket, number: int) -> bool:
        document = answers[min(number, len(answers)) - 1]
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        connection.sendall(answer(body, status))
        return True

    with scripted(play) as server:
        yield RouterAdmin(HttpClient(server.url, recorder=Recorder(), token=lambda: "admin")), server


def test_status_is_read_by_name() -> None:
    status = {
        "paths": [{"name": "cloud-bridge", "state": "started"}],
        "destinations": [row("cloud", waiting=2)],
    }
    with router(status) as (admin, server):
        assert admin.destination("cloud")["waiting"] == 2
        assert admin.path("cloud-bridge")["state"] == "started"
        with pytest.raises(LookupError, match=r"no destination 'tape', only \['cloud'\]"):
            admin.destination("tape")

    assert b"Authorization: Bearer admin" in server.heads[0]


def test_drained_waits_for_every_queue() -> None:
    busy = {"paths": [], "destinations": [row("cloud", waiting=1), row("pacs")]}
    working = {"paths": [], "destinations": [row("cloud", in_progress=1), row("pacs")]}
    empty = {"paths": [], "destinations": [row("cloud"), row("pacs")]}
    with router(busy, working, empty) as (admin, server):
        assert admin.drained(within=5) == empty

    assert len(server.heads) == 3


def test_queue_that_never_drains_is_named() -> None:
    stuck = {"paths": [], "destinations": [row("cloud", waiting=3, last_error="503")]}
    with router(stuck) as (admin, _), pytest.raises(NotYet, match=r"'cloud': \(3, 0, '503'\)"):
        admin.drained(within=0.2)


def test_commands_go_to_their_addresses() -> None:
    with router({"id": "7"}) as (admin, server):
        admin.stop_path("cloud-bridge")
        admin.start_path("cloud-bridge")
        admin.pause("cloud")
        admin.resume("cloud")
        admin.wake("cloud")
        admin.retry(12)
        assert admin.start_migration({"oldest": 5}, delete=True) == "7"

    asked = [b" ".join(head.split(b" ")[:2]).decode() for head in server.heads]
    assert asked == [
        "POST /paths/cloud-bridge/stop",
        "POST /paths/cloud-bridge/start",
        "POST /queues/cloud/pause",
        "POST /queues/cloud/resume",
        "POST /queues/cloud/wake",
        "POST /dead-letters/12/retry",
        "POST /migrations",
    ]
    assert json.loads(server.bodies[-1]) == {"select": {"oldest": 5}, "delete": True, "dry_run": False}


def test_audit_is_read_line_by_line() -> None:
    with router(b'{"a": 1}\n{"a": 2}\n') as (admin, _):
        assert admin.audit(since=3) == [{"a": 1}, {"a": 2}]


def test_refusal_is_raised_with_the_answer() -> None:
    with (
        router({"error": "no"}, status="401 Unauthorized") as (admin, _),
        pytest.raises(UnexpectedStatus) as caught,
    ):
        admin.status()

    assert caught.value.response.status == 401
    assert "router GET /status" in str(caught.value)
