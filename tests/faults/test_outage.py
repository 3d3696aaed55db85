import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fixtures.clients.http import HttpClient
from fixtures.clients.link import LinkControl
from fixtures.deployment.ports import free_ports
from fixtures.evidence.exchange import Recorder
from fixtures.faults.outage import (
    FaultDidNotBite,
    FaultWindow,
    connection_fails,
    http_fails,
    http_works,
    outage,
)
from fixtures.waiting import NotYet
from tests.clients.scripted_server import answer, scripted


class RecordingLink(LinkControl):
    """Keeps what would be sent to the link."""

    def __init__(self) -> None:
        super().__init__(HttpClient("http://127.0.0.1:1", recorder=Recorder()))
        self.faults: dict[str, tuple[str, dict[str, object]]] = {}
        self.history: list[str] = []

    def set_fault(self, route: str, kind: str, **parameters: object) -> None:
        self.faults[route] = (kind, parameters)
        self.history.append(f"{kind} {route}")

    def heal(self, route: str) -> None:
        self.faults.pop(route, None)
        self.history.append(f"heal {route}")


@pytest.fixture
def link() -> RecordingLink:
    return RecordingLink()


def test_outage_is_proved_healed_and_recorded(link: RecordingLink) -> None:
    windows: list[FaultWindow] = []
    with outage(
        link,
        ["cloud", "identity"],
        "delay",
        probe=lambda: "GET / timed out" if link.faults else None,
        healed=lambda: not link.faults,
        windows=windows,
        seconds=2,
    ) as proof:
        assert proof == "GET / timed out"
        assert link.faults["identity"] == ("delay", {"seconds": 2})

    assert link.history == ["delay cloud", "delay identity", "heal cloud", "heal identity"]
    (window,) = windows
    assert window.name == "delay on cloud, identity"
    assert window.proof == "GET / timed out"
    assert window.covers((window.started + window.ended) / 2)
    assert not window.covers(window.ended + 1)


def test_fault_that_nobody_feels_is_an_error_and_is_healed(link: RecordingLink) -> None:
    with (
        pytest.raises(FaultDidNotBite, match="refuse on cloud"),
        outage(link, ["cloud"], "refuse", probe=lambda: None, healed=lambda: True, windows=[], within=0.2),
    ):
        pytest.fail("the block must not run")

    assert link.history[-1] == "heal cloud"


def test_failure_of_the_block_is_the_one_that_is_seen(link: RecordingLink) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        outage(link, ["cloud"], "refuse", probe=lambda: "x", healed=lambda: False, windows=[], within=0.2),
    ):
        raise ZeroDivisionError

    assert link.history[-1] == "heal cloud"


def test_end_that_is_never_felt_is_an_error(link: RecordingLink) -> None:
    with (
        pytest.raises(NotYet, match="end of refuse on cloud"),
        outage(link, ["cloud"], "refuse", probe=lambda: "x", healed=lambda: False, windows=[], within=0.2),
    ):
        pass


@contextmanager
def closing_server() -> Iterator[str]:
    def busy(connection: socket.socket, _number: int) -> bool:
        connection.sendall(answer(b"", "503 Busy"))
        return True

    with scripted(busy) as server:
        yield server.url


def test_probes_tell_silence_from_an_answer_of_any_status() -> None:
    nobody = free_ports(1)[0]
    dead = HttpClient(f"http://127.0.0.1:{nobody}", recorder=Recorder())
    with closing_server() as url:
        alive = HttpClient(url, recorder=Recorder())
        port = int(url.rpartition(":")[2])
        assert http_fails(alive)() is None
        assert http_works(alive)()
        assert connection_fails("127.0.0.1", port)() is None

    assert "connecting" in (http_fails(dead)() or "")
    assert "refused" in (connection_fails("127.0.0.1", nobody)() or "").lower()
