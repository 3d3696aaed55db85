"""Who gets in: titles, limits, presentation contexts, extended negotiation."""

import asyncio
from typing import Any, cast

import pytest
from pydicom import Dataset

from systems.router.dimse import associate
from systems.router.dimse.errors import AssociationRejected
from systems.router.dimse.settings import AcceptedContext, ProposedContext
from systems.router.dimse.uids import (
    EXPLICIT_VR_LE,
    IMPLICIT_VR_LE,
    MODALITY_WORKLIST_FIND,
    PATIENT_ROOT_FIND,
    STUDY_ROOT_FIND,
    STUDY_ROOT_MOVE,
)
from tests.router_dimse.support import CT, MR, Recorder, connect, raw_request, read_pdu, run, serving, until


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
            writer.write(raw_request(proposed))
            body = (await read_pdu(reader))[1]
            writer.close()
            return association.accepted, [context.result for context in associate.decode(body).contexts]

    accepted, results = run(story())
    assert results == [0, 0, 4, 3, 4, 0, 3]
    assert [(context.context_id, context.transfer_syntax) for context in accepted] == [
        (1, "1.2.840.10008.1.2.4.90"),
        (3, IMPLICIT_VR_LE),
        (11, EXPLICIT_VR_LE),
    ]


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
