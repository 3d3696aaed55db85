"""C-MOVE and C-GET: what arrives at the destination, what the requester is told, how cancels and time limits end."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from systems.router.bridge.retrieve import RetrieveSettings
from systems.router.bridge.retrieved import InstanceReference, fetch
from systems.router.bridge.transfer import TransferLimits
from systems.router.dimse.service import (
    MoveRequest,
    RetrieveResponse,
    StoreRequest,
    SubOperations,
)
from systems.router.dimse.status import Status
from systems.router.dimse.uids import PATIENT_ROOT_MOVE, STUDY_ROOT_MOVE
from tests.router_bridge.moving import QUICKLY, cloud_of, move, move_request, moved, outcome
from tests.router_dimse.support import (
    Recorder,
    data_set,
    run,
    serving,
)


def test_a_study_arrives_unchanged_on_one_association_with_its_originator() -> None:
    cloud, recorder = cloud_of(20), Recorder()

    responses = move(cloud, recorder)

    assert outcome(responses) == (0, SubOperations(0, 20, 0, 0))
    assert recorder.stored == {image.SOPInstanceUID: data_set(image) for image in cloud.instances}
    assert {request.peer.association_id for request in recorder.requests} == {1}
    first = recorder.requests[0]
    assert (first.peer.calling_ae, first.move_originator_ae, first.move_originator_message_id) == (
        "QIETOAZURE",
        "ORTHANC",
        77,
    )


@pytest.mark.parametrize(
    ("level", "root", "keys", "expected"),
    [
        ("PATIENT", PATIENT_ROOT_MOVE, {"PatientID": "P1"}, 5),
        ("PATIENT", PATIENT_ROOT_MOVE, {"PatientID": "p1"}, 0),
        ("STUDY", STUDY_ROOT_MOVE, {"StudyInstanceUID": ["1.2.3", "1.2.4"]}, 5),
        ("SERIES", STUDY_ROOT_MOVE, {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": ["1.2.3.4", "1.2.9"]}, 5),
        ("IMAGE", STUDY_ROOT_MOVE, {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.4",
                                    "SOPInstanceUID": ["1.2.3.1", "1.2.3.4"]}, 2),
        ("IMAGE", STUDY_ROOT_MOVE, {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.4",
                                    "SOPInstanceUID": [f"1.2.3.{n}" for n in range(2, 40)]}, 4),
        ("STUDY", STUDY_ROOT_MOVE, {"StudyInstanceUID": "1.2.77"}, 0),
    ],
)  # fmt: skip
def test_levels_and_lists_select_the_instances(
    level: str, root: str, keys: dict[str, Any], expected: int
) -> None:
    recorder = Recorder()

    responses = move(cloud_of(5), recorder, move_request(level, root, **keys))

    assert outcome(responses) == (0, SubOperations(0, expected, 0, 0))
    assert len(recorder.stored) == expected


@pytest.mark.parametrize(
    ("level", "keys"),
    [
        ("STUDY", {"PatientID": "P1"}),
        ("SERIES", {"SeriesInstanceUID": "1.2.3.4"}),
        ("IMAGE", {"StudyInstanceUID": "1.2.3", "SOPInstanceUID": "1.2.3.1"}),
        ("PATIENT", {"PatientID": "P1"}),
    ],
)
def test_incomplete_identifiers_get_a900(level: str, keys: dict[str, Any]) -> None:
    assert outcome(move(cloud_of(1), Recorder(), move_request(level, **keys)))[0] == 0xA900


def test_an_unknown_destination_gets_a801_before_anything_is_retrieved() -> None:
    asked = move_request()
    asked.destination = "NOWHERE"
    cloud = cloud_of(2)

    assert outcome(move(cloud, Recorder(), asked))[0] == 0xA801
    assert (cloud.searches, cloud.retrieved) == ([], [])


def test_instances_are_sent_in_order_when_one_at_a_time() -> None:
    cloud, recorder = cloud_of(12), Recorder()
    cloud.instances.reverse()

    move(cloud, recorder, settings=RetrieveSettings(transfer=TransferLimits(width=1)))

    assert list(recorder.stored) == [f"1.2.3.{n}" for n in range(1, 13)]


def test_the_first_instance_is_sent_before_the_last_is_fetched() -> None:
    cloud = cloud_of(12)
    seen: list[int] = []

    class Watching(Recorder):
        async def store(self, request: StoreRequest) -> Status:
            seen.append(len(cloud.retrieved))
            return await super().store(request)

    move(cloud, Watching())

    assert seen[0] < 12


def test_pending_responses_balance_and_come_by_number_and_by_time() -> None:
    by_number = move(cloud_of(40), Recorder(), settings=RetrieveSettings(report_every=10))
    assert len(by_number) >= 3

    cloud, release = cloud_of(4), 3

    def during(*_: object) -> None:
        nonlocal release
        release -= 1
        if not release and cloud.gate is not None:
            cloud.gate.set()

    async def story() -> list[RetrieveResponse]:
        cloud.gate = asyncio.Event()
        async with serving(Recorder()) as server:
            return await moved(cloud, server.port, settings=RetrieveSettings(interval=0.02), during=during)

    by_time = run(story())
    assert len(by_time) >= 4
    for response in by_number + by_time:
        if (c := response.counters) is not None:
            assert c.remaining + c.completed + c.failed + c.warning in {4, 40}


def test_cancel_stops_new_sub_operations_and_tells_the_truth() -> None:
    cloud, recorder = cloud_of(60), Recorder()

    def during(asked: MoveRequest, _: RetrieveResponse) -> None:
        asked.cancelled.set()

    code, counters = outcome(
        move(cloud, recorder, settings=RetrieveSettings(report_every=5, transfer=QUICKLY), during=during)
    )

    assert code == 0xFE00
    assert counters is not None
    assert counters.completed == len(recorder.stored)
    assert (counters.remaining, counters.failed) == (60 - counters.completed, 0)
    assert counters.remaining > 0


def test_the_time_limit_ends_the_move() -> None:
    async def story() -> list[RetrieveResponse]:
        cloud = cloud_of(4)
        cloud.gate = asyncio.Event()
        async with serving(Recorder()) as server:
            return await moved(cloud, server.port, settings=RetrieveSettings(time_limit=0.1))

    assert outcome(run(story())) == (0xC002, SubOperations(0, 0, 4, 0))


def test_large_instances_pass_through_a_temporary_file() -> None:
    cloud, recorder = cloud_of(1, pixels=20 << 20), Recorder()

    assert outcome(move(cloud, recorder))[0] == 0
    assert recorder.stored["1.2.3.1"] == data_set(cloud.instances[0])


def test_what_was_sent_of_a_large_instance_takes_no_memory_any_more() -> None:
    """CLAIM-DUAL-15: the kernel counts what is mapped of the temporary file as the router's."""

    async def story() -> int:
        image = (cloud := cloud_of(1, pixels=40 << 20)).instances[0]
        uids = (image.StudyInstanceUID, image.SeriesInstanceUID, image.SOPInstanceUID)
        data = (await fetch(cloud, InstanceReference(*uids))).data
        assert not isinstance(data, memoryview)
        before = most = _mapped_file_bytes()
        held = memoryview(b"")
        async for piece in data:
            bytes(held)  # as a sender does, which reads a piece when it has the next
            held = piece
            most = max(most, _mapped_file_bytes())
        return most - before

    assert run(story()) < 8 << 20


def _mapped_file_bytes() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssFile:")) * 1024
