"""A live listener fed with damaged streams: it never hangs, never dies, and ends each such association."""

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from systems.router.dimse import associate, command_sets, pdu
from systems.router.dimse import command as commands
from systems.router.dimse.associate import AssociateItems, ContextItem
from systems.router.dimse.uids import EXPLICIT_VR_LE, STUDY_ROOT_FIND, VERIFICATION
from tests.router_dimse.support import CT, Recorder, connect, run, serving, until

CONTEXTS = [
    ContextItem(1, VERIFICATION, (EXPLICIT_VR_LE,)),
    ContextItem(3, CT, (EXPLICIT_VR_LE,)),
    ContextItem(5, STUDY_ROOT_FIND, (EXPLICIT_VR_LE,)),
]
OPENING = pdu.framed(1, associate.encode(AssociateItems("ROUTER", "FUZZ", CONTEXTS), accept=False))


def message(context: int, command: bytes, data: bytes | None) -> bytes:
    parts = pdu.value(context, pdu.COMMAND, command, 64)
    parts += pdu.value(context, 0, data, 64) if data is not None else []
    return b"".join(map(bytes, parts))


GOOD = (
    OPENING
    + message(1, command_sets.echo_request(1, VERIFICATION), None)
    + message(3, command_sets.store_request(2, CT, "1.2.3"), b"\x08\0\x18\0UI\6\x001.2.3\0" * 20)
    + message(
        5, command_sets.query_request(commands.C_FIND_RQ, 3, STUDY_ROOT_FIND), b"\x08\0\x52\0CS\6\0STUDY "
    )
)


def _damaged(changes: list[tuple[int, int]]) -> bytes:
    stream = bytearray(GOOD)
    for position, value in changes:
        stream[position] = value
    return bytes(stream)


damage = st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4)
streams = st.one_of(
    st.binary(max_size=300),
    st.binary(max_size=300).map(lambda tail: OPENING + tail),
    damage.map(_damaged),
    st.integers(0, len(GOOD)).map(lambda end: GOOD[:end]),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(streams, min_size=8, max_size=8))
def test_damaged_streams_end_and_the_listener_lives_on(batch: list[bytes]) -> None:
    async def one(port: int, stream: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(stream)
        writer.write_eof()
        try:
            await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def story() -> None:
        async with serving(Recorder(), association_timeout=2, idle_timeout=2) as server:
            async with asyncio.timeout(10):
                await asyncio.gather(*(one(server.port, stream) for stream in batch))
            await until(lambda: not server.associations)
            association = await connect(server)
            assert (await association.c_echo()).is_success
            await association.release()

    run(story())
