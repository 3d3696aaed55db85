"""pynetdicom on the other side of every service, and peers that misbehave."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID
from pynetdicom import AE, StoragePresentationContexts, evt
from pynetdicom.presentation import QueryRetrievePresentationContexts

from systems.router.dimse import associate, command_sets, pdu
from systems.router.dimse import command as commands
from systems.router.dimse.associate import AssociateItems, ContextItem
from systems.router.dimse.client import Association
from systems.router.dimse.errors import (
    AssociationAborted,
    AssociationRefused,
    AssociationRejected,
    AssociationTimedOut,
    NoAnswer,
)
from systems.router.dimse.pool import AssociationPool, Destination
from systems.router.dimse.settings import ClientTimeouts, ProposedContext
from systems.router.dimse.status import Status
from systems.router.dimse.uids import EXPLICIT_VR_LE, STUDY_ROOT_FIND, STUDY_ROOT_MOVE, VERIFICATION
from tests.router_dimse.support import CT, MR, QUICK, Recorder, connect, ct_image, data_set, run, serving


@contextmanager
def scp(handlers: list[tuple[Any, ...]], **settings: Any) -> Iterator[int]:
    entity = AE("PEER")
    for name, value in settings.items():
        setattr(entity, name, value)
    entity.supported_contexts = [*StoragePresentationContexts[:100], *QueryRetrievePresentationContexts]
    entity.add_supported_context(VERIFICATION)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()


async def to(port: int, *contexts: ProposedContext, **more: Any) -> Association:
    return await Association.connect(
        "127.0.0.1",
        port,
        **{"calling_ae": "US", "called_ae": "PEER", "contexts": contexts, "timeouts": QUICK, **more},
    )


def test_store_find_and_move_to_a_pynetdicom_peer() -> None:
    received: list[tuple[str, str, int]] = []

    def on_store(event: Any) -> int:
        request = event.request
        received.append(
            (
                event.dataset.SOPInstanceUID,
                request.MoveOriginatorApplicationEntityTitle,
                request.MoveOriginatorMessageID,
            )
        )
        return 0xB007

    def on_find(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        for number in range(3):
            match = Dataset()
            match.PatientID = event.identifier.PatientID + str(number)
            yield 0xFF00, match
        yield 0xA700, None

    async def story(port: int) -> None:
        association = await to(
            port,
            ProposedContext(CT, (EXPLICIT_VR_LE,)),
            ProposedContext(STUDY_ROOT_FIND),
            ProposedContext(STUDY_ROOT_MOVE),
        )
        raw = data_set(ct_image("1.2.9", pixels=102_400))
        status = await association.c_store(
            CT, "1.2.9", EXPLICIT_VR_LE, raw, move_originator=("WORKSTATION", 5)
        )
        assert status.is_warning
        keys = Dataset()
        keys.PatientID = "P"
        found = [(s.code, m and m.PatientID) async for s, m in association.c_find(STUDY_ROOT_FIND, keys)]
        assert found == [(0xFF00, "P0"), (0xFF00, "P1"), (0xFF00, "P2"), (0xA700, None)]
        moved = [r.status.code async for r in association.c_move(STUDY_ROOT_MOVE, keys, "NOWHERE")]
        assert moved == [0xA801]
        await association.release()

    def on_move(_: Any) -> Iterator[tuple[None, None]]:
        yield None, None

    with scp([(evt.EVT_C_STORE, on_store), (evt.EVT_C_FIND, on_find), (evt.EVT_C_MOVE, on_move)]) as port:
        run(story(port))
    assert received == [("1.2.9", "WORKSTATION", 5)]


def test_pynetdicom_scu_is_served() -> None:
    image = ct_image("1.2.9")
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = UID(EXPLICIT_VR_LE)

    def scu(port: int) -> tuple[int, int, list[int]]:
        entity = AE("SCU")
        entity.add_requested_context(CT, [EXPLICIT_VR_LE])
        entity.add_requested_context(STUDY_ROOT_FIND)
        entity.add_requested_context(VERIFICATION)
        association = entity.associate("127.0.0.1", port, ae_title="ROUTER")
        keys = Dataset()
        keys.QueryRetrieveLevel = "STUDY"
        found = [status.Status for status, _ in association.send_c_find(keys, STUDY_ROOT_FIND)]
        outcome = association.send_c_echo().Status, association.send_c_store(image).Status, found
        association.release()
        return outcome

    async def story() -> Recorder:
        recorder = Recorder()
        async with serving(recorder) as server:
            outcome = await asyncio.to_thread(scu, server.port)
            assert outcome == (0, 0, [0xFF00, 0xFF00, 0xFF00, 0])
        return recorder

    assert run(story()).stored["1.2.9"] == data_set(image)


def test_rejections_are_told_with_result_source_and_reason() -> None:
    with (
        scp([], require_called_aet=True) as port,
        pytest.raises(AssociationRejected, match="called AE title") as seen,
    ):
        run(to(port, ProposedContext(VERIFICATION), called_ae="WRONG"))
    assert (seen.value.result, seen.value.source, seen.value.reason) == (1, 1, 7)


def test_nobody_there_is_refused() -> None:
    with pytest.raises(AssociationRefused, match=r"PEER at 127\.0\.0\.1:1:"):
        run(to(1, ProposedContext(VERIFICATION)))


Answer = Callable[[asyncio.StreamWriter], None]
NO_STATUS = command_sets.response(
    commands.decode(command_sets.store_request(1, CT, "1.2.9")), Status(0)
).replace(b"\0\0\0\x09\2\0\0\0\0\0", b"")


async def scripted(answer: Answer | None) -> asyncio.Server:
    """A peer that accepts every context, reads one object and then does as told; None never answers at all."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        header = await reader.readexactly(6)
        body = await reader.readexactly(int.from_bytes(header[2:], "big"))
        if answer is not None:
            request = associate.decode(body)
            contexts = [ContextItem(c.context_id, "", c.transfer_syntaxes[:1]) for c in request.contexts]
            accept = AssociateItems(request.called_ae, request.calling_ae, contexts, max_pdu=16384)
            writer.write(pdu.framed(pdu.ASSOCIATE_AC, associate.encode(accept, accept=True)))
            header = await reader.readexactly(6)
            answer(writer)
        await reader.read(1 << 20)
        while await reader.read(1 << 20):
            pass
        writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0)


@pytest.mark.parametrize(
    "answer",
    [
        lambda writer: writer.write(pdu.abort(pdu.BY_SERVICE_PROVIDER)),
        lambda writer: writer.transport.abort(),
        lambda writer: writer.writelines(pdu.value(1, 1, NO_STATUS, 1000)),
        lambda writer: writer.write(b"nonsense"),
        lambda _: None,
    ],
    ids=["abort", "reset", "no status", "nonsense", "silence"],
)
def test_a_store_without_a_usable_response_is_no_answer(answer: Answer) -> None:
    async def story() -> None:
        server = await scripted(answer)
        timeouts = ClientTimeouts(connect=2, association=2, dimse=0.3)
        association = await to(server.sockets[0].getsockname()[1], ProposedContext(CT), timeouts=timeouts)
        with pytest.raises(NoAnswer):
            await association.c_store(CT, "1.2.9", EXPLICIT_VR_LE, data_set(ct_image("1.2.9")))
        assert not association.alive
        server.close()

    run(story())


def test_a_peer_that_never_answers_the_association_times_out() -> None:
    async def story() -> None:
        server = await scripted(None)
        timeouts = ClientTimeouts(connect=2, association=0.2, dimse=1)
        with pytest.raises(AssociationTimedOut):
            await to(server.sockets[0].getsockname()[1], ProposedContext(CT), timeouts=timeouts)
        server.close()

    run(story())


def test_a_peer_that_hangs_up_on_the_association_request_is_an_abort() -> None:
    async def story() -> None:
        async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        with pytest.raises(AssociationAborted):
            await to(server.sockets[0].getsockname()[1], ProposedContext(CT))
        server.close()

    run(story())


def test_the_pool_reuses_renegotiates_and_replaces() -> None:
    raw = data_set(ct_image("1.2.9"))

    async def story() -> list[int]:
        recorder = Recorder()
        async with serving(recorder) as server:
            pool = AssociationPool()
            destination = Destination("ROUTER", "127.0.0.1", server.port, "US", QUICK)
            ct, mr = ProposedContext(CT, (EXPLICIT_VR_LE,)), ProposedContext(MR, (EXPLICIT_VR_LE,))
            for contexts, sop_class in (([ct], CT), ([ct], CT), ([mr], MR), ([ct, mr], CT)):
                async with pool.association(destination, contexts) as association:
                    assert (await association.c_store(sop_class, "1.2.9", EXPLICIT_VR_LE, raw)).is_success
            with pytest.raises(LookupError):
                async with pool.association(destination, [ct]):
                    raise LookupError
            async with pool.association(destination, [ct]) as association:
                await association.c_store(CT, "1.2.9", EXPLICIT_VR_LE, raw)
            await server.stop(0)
            await server.start("127.0.0.1", destination.port)
            async with pool.association(destination, [ct]) as association:
                await association.c_store(CT, "1.2.9", EXPLICIT_VR_LE, raw)
            await pool.close()
        return [request.peer.association_id for request in recorder.requests]

    ids = run(story())
    assert ids[0] == ids[1]
    assert ids[1] != ids[2] == ids[3]
    assert len({ids[3], ids[4], ids[5]}) == 3


def test_waiting_callers_take_turns_on_one_association() -> None:
    async def story() -> Recorder:
        recorder = Recorder()
        async with serving(recorder) as server:
            association = await connect(server)
            work = (
                association.c_store(CT, f"1.2.{n}", EXPLICIT_VR_LE, data_set(ct_image(f"1.2.{n}")))
                for n in range(20)
            )
            assert all(status.is_success for status in await asyncio.gather(*work))
        return recorder

    assert len(run(story()).stored) == 20
