"""The listener: who gets in, what is answered, what is left when a peer goes away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, cast

import pytest
from pydicom import Dataset

from systems.router.dimse import associate, pdu
from systems.router.dimse import command as commands
from systems.router.dimse.associate import AssociateItems, ContextItem
from systems.router.dimse.client import Association
from systems.router.dimse.errors import AssociationRefused, AssociationRejected, NoAnswer
from systems.router.dimse.service import FindRequest, FindResponse, StoreRequest
from systems.router.dimse.settings import AcceptedContext, ProposedContext
from systems.router.dimse.status import OK, Status
from systems.router.dimse.uids import (
    EXPLICIT_VR_LE,
    IMPLICIT_VR_LE,
    MODALITY_WORKLIST_FIND,
    PATIENT_ROOT_FIND,
    STUDY_ROOT_FIND,
    STUDY_ROOT_MOVE,
    VERIFICATION,
)
from tests.router_dimse.support import CT, MR, Recorder, connect, ct_image, data_set, run, serving, until


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"ae_title": "OTHER"}, (1, 1, 7)),
        ({"allowed_calling_aes": frozenset({"GDCM"})}, (1, 1, 3)),
    ],
)
def test_wrong_titles_are_rejected(settings: dict[str, Any], expected: tuple[int, int, int]) -> None:
    async def story() -> None:
        async with serving(Recorder(), **settings) as server:
            with pytest.raises(AssociationRejected) as rejected:
                await connect(server)
            assert (rejected.value.result, rejected.value.source, rejected.value.reason) == expected

    run(story())


def test_allowed_and_unchecked_titles_are_accepted() -> None:
    async def story() -> None:
        relaxed = {
            "ae_title": "OTHER",
            "check_called_ae": False,
            "allowed_calling_aes": frozenset({"TESTER"}),
        }
        async with serving(Recorder(), **relaxed) as server:
            association = await connect(server)
            assert (await association.c_echo()).is_success
            await association.release()

    run(story())


def test_association_above_the_limit_is_rejected_for_now_until_one_ends() -> None:
    async def story() -> None:
        async with serving(Recorder(), max_associations=1) as server:
            first = await connect(server)
            with pytest.raises(AssociationRejected) as rejected:
                await connect(server)
            assert (rejected.value.result, rejected.value.source, rejected.value.reason) == (2, 3, 2)
            await first.release()
            await until(lambda: not server.associations)
            assert (await (await connect(server)).c_echo()).is_success

    run(story())


def test_contexts_are_answered_one_by_one() -> None:
    proposed = (
        ProposedContext(CT, ("1.2.840.10008.1.2.4.90", EXPLICIT_VR_LE)),
        ProposedContext(CT, ("1.2.3.4.5", IMPLICIT_VR_LE)),
        ProposedContext(MR, ("1.2.3.4.5",)),
        ProposedContext("1.2.3.4.6"),
        ProposedContext(STUDY_ROOT_FIND, ("1.2.840.10008.1.2.4.90",)),
        ProposedContext(PATIENT_ROOT_FIND),
        ProposedContext(MODALITY_WORKLIST_FIND),
    )

    async def story() -> tuple[tuple[AcceptedContext, ...], list[int]]:
        async with serving(
            Recorder(), query_classes=frozenset({STUDY_ROOT_FIND, PATIENT_ROOT_FIND})
        ) as server:
            association = await connect(server, *proposed)
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(_request(proposed))
            body = (await _read_pdu(reader))[1]
            writer.close()
            return association.accepted, [context.result for context in associate.decode(body).contexts]

    accepted, results = run(story())
    assert results == [0, 0, 4, 3, 4, 0, 3]
    assert [(context.context_id, context.transfer_syntax) for context in accepted] == [
        (1, "1.2.840.10008.1.2.4.90"),
        (3, IMPLICIT_VR_LE),
        (11, EXPLICIT_VR_LE),
    ]


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


def test_extended_negotiation_and_move_responses_are_relayed() -> None:
    async def story() -> None:
        recorder = Recorder()
        async with serving(recorder) as server:
            contexts = ProposedContext(STUDY_ROOT_FIND), ProposedContext(STUDY_ROOT_MOVE)
            association = await connect(server, *contexts, relational=[STUDY_ROOT_FIND])
            assert len([1 async for _ in association.c_find(STUDY_ROOT_FIND, Dataset())]) == 4
            moved = [response async for response in association.c_move(STUDY_ROOT_MOVE, Dataset(), "ORTHANC")]
        find, move = recorder.queries
        assert (find.relational, move.relational, cast("Any", move).destination) == (True, False, "ORTHANC")
        assert [response.status.code for response in moved] == [0xFF00, 0xB000]
        pending, final = moved
        assert pending.counters is not None
        assert final.counters is not None
        assert (pending.counters.remaining, final.counters.failed, final.failed_uids) == (2, 1, ("1.2.9",))

    run(story())


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


async def _read_pdu(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    header = await reader.readexactly(6)
    return header[0], await reader.readexactly(int.from_bytes(header[2:], "big"))


def _request(contexts: tuple[ProposedContext, ...]) -> bytes:
    items = [ContextItem(2 * n + 1, c.abstract_syntax, c.transfer_syntaxes) for n, c in enumerate(contexts)]
    return pdu.framed(1, associate.encode(AssociateItems("ROUTER", "RAW", items), accept=False))


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", pdu.UNRECOGNISED_PDU),
        (pdu.framed(2, bytes(80)), pdu.UNEXPECTED_PDU),
        (
            b"".join(map(bytes, pdu.value(99, 1, commands.echo_request(1, VERIFICATION), 1000))),
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
            writer.write(_request((ProposedContext(VERIFICATION),)))
            assert (await _read_pdu(reader))[0] == pdu.ASSOCIATE_AC
            writer.write(after)
            assert await reader.read() == pdu.abort(pdu.BY_SERVICE_PROVIDER, reason)
            writer.close()
            assert (await (await connect(server)).c_echo()).is_success

    run(story())


def test_a_command_that_does_not_fit_its_context_is_answered_not_carried_out() -> None:
    raw = data_set(ct_image("1.2.9"))

    async def story() -> None:
        recorder = Recorder(OK)
        async with serving(recorder) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(_request((ProposedContext(VERIFICATION), ProposedContext(MR))))
            await _read_pdu(reader)
            expected = {1: 0x0211, 3: 0x0122}
            for context, code in expected.items():
                command = commands.store_request(5, CT, "1.2.9")
                writer.writelines(pdu.value(context, 1, command, 10_000) + pdu.value(context, 0, raw, 10_000))
                body = (await _read_pdu(reader))[1]
                status = commands.decode(body[6:]).status
                assert status is not None
                assert status.code == code
            writer.close()
        assert recorder.requests == []

    run(story())
