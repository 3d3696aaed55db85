"""The listener: what is answered, what is left when a peer goes away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, cast

import pytest
from pydicom import Dataset

from systems.router.dimse import command as commands
from systems.router.dimse import command_sets, pdu
from systems.router.dimse.errors import NoAnswer
from systems.router.dimse.service import FindRequest, FindResponse, StoreRequest
from systems.router.dimse.settings import ProposedContext
from systems.router.dimse.status import OK, Status
from systems.router.dimse.uids import (
    EXPLICIT_VR_LE,
    STUDY_ROOT_FIND,
    VERIFICATION,
)
from tests.router_dimse.support import (
    CT,
    MR,
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


def test_an_object_is_handed_on_byte_for_byte() -> None:
    raw = data_set(ct_image("1.2.9", pixels=700_000))

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(raw), 99_999):
            yield raw[start : start + 99_999]

    async def story() -> Recorder:
        recorder = Recorder()
        async with serving(recorder) as server:
            association = await connect(server)
            assert (await association.c_store(CT, "1.2.9", EXPLICIT_VR_LE, raw)).is_success
            status = await association.c_store(
                CT, "1.2.10", EXPLICIT_VR_LE, chunks(), move_originator=("WORKSTATION", 7)
            )
            assert status.is_success
            await association.release()
        return recorder

    recorder = run(story())
    assert recorder.stored == {"1.2.9": raw, "1.2.10": raw}
    first, second = recorder.requests
    assert (first.sop_class_uid, first.transfer_syntax_uid, first.peer.calling_ae) == (
        CT,
        EXPLICIT_VR_LE,
        "TESTER",
    )
    assert (first.move_originator_ae, first.move_originator_message_id) == ("", None)
    assert (second.move_originator_ae, second.move_originator_message_id) == ("WORKSTATION", 7)


class Failing(Recorder):
    """Raises where a handler might, and answers without reading."""

    async def store(self, request: StoreRequest) -> Status:
        if request.sop_instance_uid == "1.2.1":
            message = "Made^Up must not be logged"
            raise RuntimeError(message)
        return Status(0xA700, "x" * 100)

    async def find(self, request: FindRequest) -> AsyncIterator[FindResponse]:
        self.queries.append(request)
        yield FindResponse(Status(0xFF00), Dataset())
        if len(self.queries) == 1:
            message = "Made^Up must not be logged"
            raise RuntimeError(message)


def test_a_failing_handler_still_gives_exactly_one_final_response(caplog: pytest.LogCaptureFixture) -> None:
    raw = data_set(ct_image(pixels=300_000))

    async def story() -> None:
        async with serving(Failing()) as server:
            contexts = ProposedContext(CT), ProposedContext(STUDY_ROOT_FIND), ProposedContext(VERIFICATION)
            association = await connect(server, *contexts)
            assert (await association.c_store(CT, "1.2.1", EXPLICIT_VR_LE, raw)).code == 0xC000
            refused = await association.c_store(CT, "1.2.2", EXPLICIT_VR_LE, raw)
            assert (refused.code, refused.comment) == (0xA700, "x" * 64)
            for _ in ("raises", "ends without a final status"):
                found = [status.code async for status, _ in association.c_find(STUDY_ROOT_FIND, Dataset())]
                assert found == [0xFF00, 0xC001]
            assert (await association.c_echo()).is_success

    run(story())
    assert "RuntimeError" in caplog.text
    assert "Made^Up" not in caplog.text


def test_a_peer_that_leaves_in_mid_object_leaves_nothing_behind() -> None:
    raw = data_set(ct_image("1.2.9", pixels=3_000_000))

    class LeavingError(Exception):
        pass

    async def half() -> AsyncIterator[bytes]:
        yield raw[: len(raw) // 2]
        yield raw[len(raw) // 2 : -2]
        raise LeavingError

    async def story() -> Recorder:
        recorder = Recorder()
        async with serving(recorder) as server:
            association = await connect(server)
            with pytest.raises(LeavingError):
                await association.c_store(CT, "1.2.9", EXPLICIT_VR_LE, half())
            assert not association.alive
            await until(lambda: not server.associations)
        return recorder

    recorder = run(story())
    assert (recorder.aborted, recorder.stored) == (["1.2.9"], {})


def test_cancel_reaches_a_running_query() -> None:
    async def story() -> None:
        recorder = Recorder(matches=1_000_000)
        async with serving(recorder) as server:
            association = await connect(
                server, ProposedContext(STUDY_ROOT_FIND), ProposedContext(VERIFICATION)
            )
            keys = Dataset()
            keys.QueryRetrieveLevel = "STUDY"
            async with aclosing(cast("Any", association.c_find(STUDY_ROOT_FIND, keys))) as responses:
                async for status, _ in responses:
                    assert status.is_pending
                    break
            assert recorder.queries[0].cancelled.is_set()
            assert not recorder.queries[0].requester_gone
            assert (await association.c_echo()).is_success

    run(story())


def test_a_lost_requester_is_told_to_the_handler() -> None:
    async def story() -> None:
        recorder = Recorder(matches=1_000_000)
        async with serving(recorder) as server:
            association = await connect(server, ProposedContext(STUDY_ROOT_FIND))
            with pytest.raises(NoAnswer):  # noqa: PT012 - the abort is what makes the iteration fail
                async for _ in association.c_find(STUDY_ROOT_FIND, Dataset()):
                    association.abort()
            await until(lambda: not server.associations)
            assert recorder.queries[0].requester_gone

    run(story())


def test_a_command_that_does_not_fit_its_context_is_answered_not_carried_out() -> None:
    raw = data_set(ct_image("1.2.9"))

    async def story() -> None:
        recorder = Recorder(OK)
        async with serving(recorder) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(raw_request((ProposedContext(VERIFICATION), ProposedContext(MR))))
            await read_pdu(reader)
            expected = {1: 0x0211, 3: 0x0122}
            for context, code in expected.items():
                command = command_sets.store_request(5, CT, "1.2.9")
                writer.writelines(pdu.value(context, 1, command, 10_000) + pdu.value(context, 0, raw, 10_000))
                body = (await read_pdu(reader))[1]
                status = commands.decode(body[6:]).status
                assert status is not None
                assert status.code == code
            writer.close()
        assert recorder.requests == []

    run(story())
