"""Clouds and peers that answer wrongly, half or never (ROUTER-042, 043, 108, 122, 176): waiting, never lost, never doubled."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from pydicom.uid import ExplicitVRLittleEndian

from fixtures.waiting import eventually
from systems.router.dimse.client import Association
from systems.router.dimse.settings import ProposedContext
from systems.shared.header_scan import read_file_meta
from tests.router.conftest import MakeRouter, RouterProcess
from tests.router.fakes import CT, FakeCloud, FakePacs, digest, make_dataset, part10, send

HTML = b"<!doctype html><title>Bad gateway</title>"
_OUTAGE = {"backoff": "first_seconds = 0.1\nceiling_seconds = 0.3"}


class Silent:
    """Takes connections and says nothing, or what `says` makes of a request's first bytes."""

    def __init__(self, says: Callable[[bytes], bytes] | None = None) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._says = says
        self.connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def _take(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections.append(connection)
            if self._says is not None:
                connection.sendall(self._says(connection.recv(65536)))

    def stop(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in self.connections:
            connection.close()


@pytest.fixture
def silent() -> Iterator[Silent]:
    server = Silent()
    yield server
    server.stop()


@pytest.mark.parametrize(
    "answer",
    [
        (200, HTML),
        (200, b""),
        (200, b'{"00081199": {"vr": "SQ", "Value": [{"00081155": 5}]}}'),
        (200, b"[]"),
        (202, b'{"00081199": {"vr": "SQ", "Value": [{}]}}'),
        (503, HTML),
        (502, HTML),
        (409, HTML),
        (500, b""),
    ],
    ids=str,
)
def test_answer_that_says_nothing_of_the_object_is_no_success(
    router: RouterProcess, cloud: FakeCloud, answer: tuple[int, bytes]
) -> None:
    """The cloud stores nothing and answers so twice: the object arrives in the end, once."""
    reply = (answer[0], {"Content-Type": "text/html"}, answer[1])
    cloud.script = [lambda _: reply, lambda _: reply]
    ds = make_dataset()
    assert send(router.intake, [ds]) == [0]
    eventually(lambda: ds.SOPInstanceUID in cloud.stored, within=15, because="the object in the cloud")
    eventually(lambda: router.destination("cloud")["delivered"] == 1, within=10, because="its record")
    assert digest(cloud.stored[ds.SOPInstanceUID]) == digest(part10(ds))
    assert set(cloud.effects.values()) == {1}


def test_garbage_about_an_object_that_was_stored_leads_to_no_second_effect(
    router: RouterProcess, cloud: FakeCloud
) -> None:
    def store_and_babble(parts: list[bytes]) -> tuple[int, dict[str, str], bytes]:
        cloud.accept(parts)
        return 200, {"Content-Type": "text/html"}, HTML

    cloud.script = [store_and_babble]
    assert send(router.intake, [make_dataset()]) == [0]
    eventually(lambda: router.destination("cloud")["delivered"] == 1, within=15, because="the delivery")
    assert set(cloud.effects.values()) == {1}
    assert router.destination("cloud")["dead_lettered"] == 0


def test_token_that_is_refused_mid_way_holds_the_queue_and_fails_nothing(
    make_router: MakeRouter, cloud: FakeCloud
) -> None:
    router = make_router(**_OUTAGE)
    assert send(router.intake, [make_dataset()]) == [0]
    eventually(lambda: len(cloud.stored) == 1, within=10, because="the first object")
    cloud.always = lambda _: (401, {"WWW-Authenticate": "Bearer"}, b"")
    assert send(router.intake, [make_dataset() for _ in range(4)]) == [0] * 4
    eventually(lambda: router.destination("cloud")["down_since"], within=10, because="the queue on hold")
    assert send(router.bridge, [make_dataset()], called="QIETOAZURE") == [0x0124]
    assert router.destination("cloud")["dead_lettered"] == 0
    cloud.always = None
    eventually(lambda: len(cloud.stored) == 5, within=15, because="the held objects")


def test_cloud_that_takes_connections_and_never_answers_delays_nobody_else(
    make_router: MakeRouter, silent: Silent, pacs: FakePacs
) -> None:
    router = make_router(
        cloud_url=f"http://127.0.0.1:{silent.port}",
        cloud=f'base_url = "http://127.0.0.1:{silent.port}"\nread_idle_seconds = 0.5',
        cloud_credential=None,
        **_OUTAGE,
    )
    assert send(router.intake, [make_dataset() for _ in range(3)]) == [0, 0, 0]
    eventually(lambda: len(pacs.stored) == 3, within=15, because="the copies in the PACS")
    eventually(lambda: len(silent.connections) >= 2, within=15, because="another attempt")
    row = router.destination("cloud")
    assert (row["delivered"], row["dead_lettered"]) == (0, 0)
    assert row["waiting"] + row["in_progress"] == 3
    assert send(router.bridge, [make_dataset()], called="QIETOAZURE") == [0xA700]


def test_cloud_that_cuts_its_answers_is_asked_before_anything_is_sent_again(
    make_router: MakeRouter, pacs: FakePacs
) -> None:
    def half(_: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{"

    server = Silent(half)
    try:
        router = make_router(
            cloud=f'base_url = "http://127.0.0.1:{server.port}"\nread_idle_seconds = 0.5',
            cloud_credential=None,
            **_OUTAGE,
        )
        assert send(router.intake, [make_dataset()]) == [0]
        eventually(lambda: len(pacs.stored) == 1, within=10, because="the copy in the PACS")
        eventually(lambda: len(server.connections) >= 2, within=15, because="the question")
        assert router.destination("cloud")["delivered"] == 0
    finally:
        server.stop()


def test_pacs_that_takes_connections_and_never_answers_delays_nobody_else(
    make_router: MakeRouter, silent: Silent, cloud: FakeCloud
) -> None:
    timers = "association_request_seconds = 0.5\ncommunication_seconds = 0.5\ngrace_seconds = 3"
    router = make_router(pacs_port=silent.port, timers=timers, **_OUTAGE)
    assert send(router.intake, [make_dataset() for _ in range(3)]) == [0, 0, 0]
    eventually(lambda: len(cloud.stored) == 3, within=15, because="the copies in the cloud")
    eventually(lambda: len(silent.connections) >= 2, within=15, because="another attempt")
    row = router.destination("ORTHANC")
    assert (row["delivered"], row["dead_lettered"]) == (0, 0)
    assert row["waiting"] + row["in_progress"] == 3


def test_callers_that_say_nothing_or_half_a_thing_hold_up_nobody(make_router: MakeRouter) -> None:
    timers = "association_request_seconds = 0.5\nidle_seconds = 1\ngrace_seconds = 3"
    router = make_router(timers=timers)
    callers = [socket.create_connection(("127.0.0.1", router.intake)) for _ in range(20)]
    for caller in callers[::2]:
        caller.sendall(b"\x01\x00\x00\x00\x00\xff" + bytes(20))
    assert send(router.intake, [make_dataset()]) == [0]
    for caller in callers:
        caller.settimeout(10)
        while caller.recv(4096):
            pass
        caller.close()


@pytest.mark.parametrize("keep", [60, 20], ids=["in a UID", "in the first element"])
def test_data_set_cut_before_its_uids_is_refused_and_leaves_nothing(router: RouterProcess, keep: int) -> None:
    ds = make_dataset()
    content = part10(ds)
    data = content[read_file_meta(content).data_set_offset :][:keep]
    assert asyncio.run(_store(router.intake, str(ds.SOPInstanceUID), data)) & 0xF000 in (0xC000, 0xA000)
    assert router.path("modality-intake")["refused"] == 1
    assert not list((router.data / "spool").glob("*/*"))
    assert send(router.intake, [make_dataset()]) == [0]


async def _store(port: int, uid: str, data: bytes) -> int:
    association = await Association.connect(
        "127.0.0.1",
        port,
        calling_ae="GDCM",
        called_ae="QIEROUTER",
        contexts=[ProposedContext(CT, (ExplicitVRLittleEndian,))],
    )
    status = await association.c_store(CT, uid, ExplicitVRLittleEndian, data)
    await association.release()
    return status.code
