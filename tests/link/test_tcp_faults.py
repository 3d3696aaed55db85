"""Each fault of the TCP layer bites, on open and on new connections, and heals."""

import asyncio
import select
import socket
import time

import pytest

from fixtures.waiting import eventually
from systems.link.config import Address, RouteConfig
from systems.link.route import Route
from tests.link.conftest import Running, free_port
from tests.link.wire import receive_all, receive_exactly


def pair(link: Running) -> tuple[socket.socket, socket.socket]:
    """Return both ends of a new connection through the route, after one byte each way."""
    client = link.connect("raw")
    far = link.tcp.accept()
    exchange(client, far)
    return client, far


def exchange(client: socket.socket, far: socket.socket) -> None:
    client.sendall(b"u")
    assert far.recv(1) == b"u"
    far.sendall(b"d")
    assert client.recv(1) == b"d"


def assert_silent(sock: socket.socket) -> None:
    sock.settimeout(0.3)
    with pytest.raises(TimeoutError):
        sock.recv(1)
    sock.settimeout(10)


def test_passes_both_ways_and_counts_every_byte(link: Running) -> None:
    before = link.route("raw")
    client, far = pair(link)
    client.sendall(b"x" * 300_000)
    receive_exactly(far, 300_000)
    far.sendall(b"y" * 200_000)
    receive_exactly(client, 200_000)
    after = link.route("raw")

    assert after["bytes_up"] - before["bytes_up"] == 300_001
    assert after["bytes_down"] - before["bytes_down"] == 200_001
    assert after["connections"] - before["connections"] == 1
    assert after["open"] == before["open"] + 1
    client.close()
    far.close()
    eventually(lambda: link.route("raw")["open"] == before["open"], within=5, because="the connection to end")


def test_half_close_is_passed_on(link: Running) -> None:
    client, far = pair(link)
    client.sendall(b"question")
    client.shutdown(socket.SHUT_WR)
    assert receive_all(far) == b"question"
    far.sendall(b"answer")
    far.close()
    assert receive_all(client) == b"answer"


def test_reset_is_passed_on(link: Running) -> None:
    client, far = pair(link)
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    far.close()
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_slow_reader_stops_the_sender(link: Running) -> None:
    client, far = pair(link)
    client.setblocking(False)
    sent = 0

    while select.select([], [client], [], 0.3)[1]:
        sent += client.send(b"x" * 1_000_000)
        # What the kernels of four sockets hold, and one chunk.
        assert sent < 60_000_000
    far.close()


def test_refuse(link: Running) -> None:
    client, _ = pair(link)
    link.fault("raw", "refuse")
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with pytest.raises(ConnectionRefusedError):
        link.connect("raw")
    link.heal("raw")
    pair(link)


def test_refused_port_is_kept_from_others(link: Running) -> None:
    link.fault("raw", "refuse")
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", link.ports["raw"]))


def test_reset_fault(link: Running) -> None:
    client, _ = pair(link)
    before = link.route("raw")["refused"]
    link.fault("raw", "reset")
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with pytest.raises(ConnectionResetError), link.connect("raw") as newcomer:
        newcomer.recv(1)
    assert link.route("raw")["refused"] == before + 1
    link.heal("raw")
    pair(link)


def test_blackhole_holds_everything_and_loses_nothing(link: Running) -> None:
    client, far = pair(link)
    link.fault("raw", "blackhole")
    before = link.route("raw")
    client.sendall(b"late")
    assert_silent(far)
    newcomer = link.connect("raw")
    newcomer.sendall(b"new")
    with pytest.raises(TimeoutError):
        link.tcp.accept(0.3)
    assert link.route("raw")["bytes_up"] == before["bytes_up"]

    link.heal("raw")
    assert receive_exactly(far, 4) == b"late"
    assert receive_exactly(link.tcp.accept(), 3) == b"new"


def test_what_was_sent_into_a_blackhole_by_a_client_that_left_never_arrives(link: Running) -> None:
    client, far = pair(link)
    link.fault("raw", "blackhole")
    client.sendall(b"gave up")
    client.close()
    newcomer = link.connect("raw")
    newcomer.sendall(b"gave up too")
    newcomer.close()
    link.heal("raw")

    with pytest.raises(ConnectionResetError):
        far.recv(1)
    with pytest.raises(TimeoutError):
        link.tcp.accept(0.3)


def test_unanswered(link: Running) -> None:
    client, far = pair(link)
    link.fault("raw", "unanswered")
    for _ in range(2):
        with pytest.raises(TimeoutError):
            link.connect("raw", within=0.5)
    client.sendall(b"held")
    assert_silent(far)

    link.heal("raw")
    assert receive_exactly(far, 4) == b"held"
    pair(link)


def test_unanswered_then_refused(link: Running) -> None:
    link.fault("raw", "unanswered")
    link.fault("raw", "refuse")
    with pytest.raises(ConnectionRefusedError):
        link.connect("raw")


def test_connection_attempt_during_unanswered_is_served_after_healing(link: Running) -> None:
    link.fault("raw", "unanswered")
    waiting = socket.socket()
    waiting.setblocking(False)
    assert waiting.connect_ex(("127.0.0.1", link.ports["raw"])) != 0
    link.heal("raw")
    waiting.settimeout(10)
    # The kernel repeats the attempt by itself after a second.
    far = link.tcp.accept(5)
    far.sendall(b"d")
    assert waiting.recv(1) == b"d"


@pytest.mark.parametrize(("direction", "least"), [("up", 0.2), ("down", 0.2), ("both", 0.4)])
def test_delay_by_direction(link: Running, direction: str, least: float) -> None:
    client, far = pair(link)
    link.fault("raw", "delay", seconds=0.2, direction=direction)
    began = time.monotonic()
    exchange(client, far)
    # Event loops keep time in whole milliseconds.
    assert time.monotonic() - began >= least - 0.01
    link.heal("raw")
    exchange(client, far)


def test_healing_ends_a_delay_at_once(link: Running) -> None:
    client, far = pair(link)
    link.fault("raw", "delay", seconds=3600)
    client.sendall(b"u")
    assert_silent(far)
    link.heal("raw")
    assert far.recv(1) == b"u"


def test_bandwidth_is_shared_by_all_connections(link: Running) -> None:
    first, first_far = pair(link)
    second, second_far = pair(link)
    link.fault("raw", "bandwidth", bytes_per_second=100_000)
    began = time.monotonic()
    first.sendall(b"x" * 25_000)
    second.sendall(b"x" * 25_000)
    receive_exactly(first_far, 25_000)
    receive_exactly(second_far, 25_000)
    took = time.monotonic() - began

    # 50 kB at 100 kB/s; the last slice counts when it leaves.
    assert 0.4 < took < 2.5


def test_cut_after_bytes_of_one_direction(link: Running) -> None:
    client, far = pair(link)
    link.fault("raw", "cut-after", bytes=100_000, direction="up")
    before = link.route("raw")
    far.sendall(b"y" * 150_000)
    receive_exactly(client, 150_000)
    client.sendall(b"x" * 99_999)
    receive_exactly(far, 99_999)
    client.sendall(b"xyz")
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert link.route("raw")["bytes_up"] - before["bytes_up"] == 100_000

    newcomer = link.connect("raw")
    newcomer_far = link.tcp.accept()
    newcomer.sendall(b"x" * 100_001)
    with pytest.raises(ConnectionResetError):
        newcomer.recv(1)
    newcomer_far.close()
    link.heal("raw")
    pair(link)


def test_unreachable_target_resets_and_counts() -> None:
    async def attempt() -> int:
        route = Route(RouteConfig("x", Address("127.0.0.1", 0), Address("127.0.0.1", free_port()), None))
        await route.open()
        try:
            reader, _ = await asyncio.open_connection("127.0.0.1", route.port)
            with pytest.raises(ConnectionResetError):
                await reader.read(1)
            return route.counters.refused
        finally:
            await route.close()

    assert asyncio.run(attempt()) == 1
