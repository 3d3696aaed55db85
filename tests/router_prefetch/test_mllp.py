"""Frames on the wire (ROUTER-002): 0B, a message, 1C 0D."""

import asyncio
import socket
from collections.abc import Callable
from typing import TypeVar

import pytest

from fixtures.actors.ris import END, START, connected
from fixtures.deployment.spec import Address
from systems.router.errors import ResourceError
from systems.router.prefetch.mllp import MllpPath
from tests.router_prefetch.test_orders import hl7

T = TypeVar("T")


async def _echo(payload: bytes) -> bytes:
    return b"seen:" + payload


def _too_long(head: bytes, limit: int) -> bytes:
    return b"too long %d:" % limit + head[:3]


def serve(work: Callable[[int], T], **values: object) -> T:
    """Run `work` in a thread against a listener."""

    async def served() -> T:
        path = MllpPath(hl7(host="127.0.0.1", port=0, **values), _echo, _too_long)
        await path.start()
        try:
            return await asyncio.to_thread(work, path.port)
        finally:
            await path.stop(2)

    return asyncio.run(served())


def test_messages_of_one_connection_are_answered_in_order() -> None:
    """ROUTER-002: several in one packet, one in several packets, and noise between them."""

    def work(port: int) -> list[bytes]:
        with connected(Address("127.0.0.1", port)) as sender:
            sender.write(START + b"one" + END + b"\r\n" + START + b"tw")
            seen = [sender.read()]
            sender.write(b"o" + END)
            return [*seen, sender.read()]

    assert serve(work) == [b"seen:one", b"seen:two"]


def test_message_that_is_too_long_is_answered_and_the_connection_closed() -> None:
    """ROUTER-136: memory is bounded."""

    def work(port: int) -> tuple[bytes, bytes]:
        with connected(Address("127.0.0.1", port)) as sender:
            sender.write(START + b"MSH" + b"x" * 5000)
            return sender.read(), sender.read()

    assert serve(work, max_message_bytes=1024) == (b"too long 1024:MSH", b"")


@pytest.mark.parametrize(
    ("sent", "values"),
    [
        (b"", {"idle_seconds": 0.1}),
        (START + b"half", {"message_seconds": 0.1}),
        (b"", {"allowed_networks": ["10.0.0.0/8"]}),
    ],
)
def test_silent_slow_and_foreign_senders_are_cut_off(sent: bytes, values: dict[str, object]) -> None:
    """ROUTER-002: nobody holds a connection for nothing."""

    def work(port: int) -> bytes:
        with connected(Address("127.0.0.1", port)) as sender:
            sender.write(sent)
            return sender.read()

    assert serve(work, **values) == b""


def test_number_of_connections_is_bounded() -> None:
    """ROUTER-002: the one too many is closed, the others are served."""

    def work(port: int) -> list[bytes]:
        with connected(Address("127.0.0.1", port)) as first:
            seen = [first.ask(b"a")]
            with connected(Address("127.0.0.1", port)) as second:
                seen.append(second.read())
            return [*seen, first.ask(b"b")]

    assert serve(work, max_connections=1) == [b"seen:a", b"", b"seen:b"]


def test_taken_port_is_named_and_the_port_stays_over_stop_and_start() -> None:
    """ROUTER-007: a path like the others."""

    async def work() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(ResourceError, match=r"prefetch.hl7: cannot listen on 127.0.0.1"):
                await MllpPath(hl7(host="127.0.0.1", port=port), _echo, _too_long).start()
        path = MllpPath(hl7(host="127.0.0.1", port=0), _echo, _too_long)
        await path.start()
        first = path.port
        await path.stop(1)
        assert not path.running
        await path.start()
        assert path.port == first
        await path.stop(1)

    asyncio.run(work())
