"""How associations end: stop with grace, silence, what the protocol does not allow."""

import asyncio

import pytest

from systems.router.dimse import command_sets, pdu
from systems.router.dimse.client import Association
from systems.router.dimse.errors import AssociationRefused, NoAnswer
from systems.router.dimse.settings import ProposedContext
from systems.router.dimse.uids import (
    EXPLICIT_VR_LE,
    VERIFICATION,
)
from tests.router_dimse.support import (
    CT,
    Recorder,
    connect,
    ct_image,
    data_set,
    raw_request,
    read_pdu,
    run,
    serving,
    until,
)


def test_stop_refuses_new_associations_and_lets_the_running_operation_finish() -> None:
    raw = data_set(ct_image("1.2.9"))

    async def story() -> None:
        recorder = Recorder()
        recorder.gate = asyncio.Event()
        async with serving(recorder) as server:
            port = server.port
            busy, idle = await connect(server), await connect(server)
            sending = asyncio.ensure_future(busy.c_store(CT, "1.2.9", EXPLICIT_VR_LE, raw))
            await recorder.entered.wait()
            stopping = asyncio.ensure_future(server.stop(20))
            await until(lambda: not idle.alive)
            with pytest.raises(AssociationRefused):
                await Association.connect(
                    "127.0.0.1", port, calling_ae="A", called_ae="ROUTER", contexts=[ProposedContext(CT)]
                )
            recorder.gate.set()
            assert (await sending).is_success
            await stopping
            await server.start("127.0.0.1", port)
            assert (await (await connect(server)).c_echo()).is_success

    run(story())


def test_stop_aborts_what_does_not_finish_within_the_grace() -> None:
    async def story() -> None:
        recorder = Recorder()
        recorder.gate = asyncio.Event()
        async with serving(recorder) as server:
            association = await connect(server)
            raw = data_set(ct_image("1.2.9"))
            sending = asyncio.ensure_future(association.c_store(CT, "1.2.9", EXPLICIT_VR_LE, raw))
            await recorder.entered.wait()
            await server.stop(0.05)
            with pytest.raises(NoAnswer):
                await sending
            assert recorder.stored == {}

    run(story())


def test_silent_connections_are_ended_by_the_timers() -> None:
    async def story() -> None:
        async with serving(Recorder(), association_timeout=0.1, idle_timeout=0.2) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            assert (await reader.read()) == pdu.abort(pdu.BY_SERVICE_USER)
            writer.close()
            association = await connect(server)
            await until(lambda: not association.alive)

    run(story())


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", pdu.UNRECOGNISED_PDU),
        (pdu.framed(2, bytes(80)), pdu.UNEXPECTED_PDU),
        (
            b"".join(map(bytes, pdu.value(99, 1, command_sets.echo_request(1, VERIFICATION), 1000))),
            pdu.INVALID_PARAMETER,
        ),
        (b"".join(map(bytes, pdu.value(1, 0, b"data", 1000))), pdu.UNEXPECTED_PDU),
        (b"".join(map(bytes, pdu.value(1, 1, b"no command set", 1000))), pdu.INVALID_PARAMETER),
    ],
    ids=["http", "unexpected pdu", "unknown context", "data without command", "torn command"],
)
def test_what_the_protocol_does_not_allow_is_aborted_by_the_provider(after: bytes, reason: int) -> None:
    async def story() -> None:
        async with serving(Recorder()) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(raw_request((ProposedContext(VERIFICATION),)))
            assert (await read_pdu(reader))[0] == pdu.ASSOCIATE_AC
            writer.write(after)
            assert await reader.read() == pdu.abort(pdu.BY_SERVICE_PROVIDER, reason)
            writer.close()
            assert (await (await connect(server)).c_echo()).is_success

    run(story())
