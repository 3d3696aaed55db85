"""C-MOVE and C-GET: what arrives at the destination, what the requester is told, how failures and cancels end."""

import asyncio
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from systems.router.bridge.cloud import CloudError, CloudRefused, CloudUnauthorised, CloudUnreachable
from systems.router.bridge.query import QueryBridge, QuerySettings
from systems.router.bridge.retrieve import RetrieveBridge, RetrieveSettings
from systems.router.bridge.search import SearchLimits
from systems.router.bridge.transfer import TransferLimits
from systems.router.dimse.pool import AssociationPool, Destination
from systems.router.dimse.service import (
    BaseHandler,
    MoveRequest,
    Peer,
    RetrieveResponse,
    StoreRequest,
    SubOperations,
)
from systems.router.dimse.settings import ProposedContext
from systems.router.dimse.status import Status
from systems.router.dimse.uids import PATIENT_ROOT_MOVE, STUDY_ROOT_MOVE
from tests.router_bridge.fake_cloud import FakeCloud
from tests.router_dimse.support import (
    CT,
    QUICK,
    Recorder,
    connect,
    ct_image,
    data_set,
    part10,
    run,
    serving,
    tool,
)

QUICKLY = TransferLimits(first_delay=0.01)
SETTINGS = RetrieveSettings(search=SearchLimits(answer=1, attempts=2), transfer=QUICKLY)


def cloud_of(count: int, *, study: str = "1.2.3", **more: Any) -> FakeCloud:
    images = [ct_image(f"1.2.3.{n}", study=study, **more) for n in range(1, count + 1)]
    for number, image in enumerate(images, 1):
        image.InstanceNumber = number
    return FakeCloud(*images, files={image.SOPInstanceUID: part10(image) for image in images})


def move_request(level: str = "STUDY", root: str = STUDY_ROOT_MOVE, **keys: Any) -> MoveRequest:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    for keyword, value in (keys or {"StudyInstanceUID": "1.2.3"}).items():
        setattr(identifier, keyword, value)
    peer = Peer(1, "ORTHANC", "QIETOAZURE", "127.0.0.1", 1)
    return MoveRequest(peer, 77, root, identifier, destination="ROUTER")


async def moved(
    cloud: FakeCloud,
    port: int,
    asked: MoveRequest | None = None,
    *,
    settings: RetrieveSettings = SETTINGS,
    during: Callable[[MoveRequest, RetrieveResponse], None] | None = None,
) -> list[RetrieveResponse]:
    destination = Destination("ROUTER", "127.0.0.1", port, "QIETOAZURE", QUICK)
    pool = AssociationPool()
    bridge = RetrieveBridge(cloud, pool, {"ROUTER": destination}.get, settings)
    asked = asked or move_request()
    responses = []
    async for response in bridge.move(asked):
        responses.append(response)
        if during is not None:
            during(asked, response)
    await pool.close()
    assert all(r.status.is_pending for r in responses[:-1])
    assert not responses[-1].status.is_pending
    return responses


def outcome(responses: list[RetrieveResponse]) -> tuple[int, SubOperations | None]:
    return responses[-1].status.code, responses[-1].counters


def move(
    cloud: FakeCloud, recorder: Recorder, asked: MoveRequest | None = None, **more: Any
) -> list[RetrieveResponse]:
    async def story() -> list[RetrieveResponse]:
        async with serving(recorder) as server:
            return await moved(cloud, server.port, asked, **more)

    return run(story())


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


BAD: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda raw: raw[:-100],
    "other instance": lambda raw: raw.replace(b"1.2.3.2", b"1.2.3.9"),
    "other study": lambda raw: raw.replace(b"\x20\0\x0d\0UI\6\x001.2.3\0", b"\x20\0\x0d\0UI\6\x001.2.4\0"),
    "not dicom": lambda _: b"<html>Sorry</html>" * 20,
    "empty": lambda _: b"",
}


@pytest.mark.parametrize("damage", BAD.values(), ids=BAD.keys())
def test_a_file_that_is_not_what_was_asked_for_is_a_failed_sub_operation(
    damage: Callable[[bytes], bytes],
) -> None:
    cloud, recorder = cloud_of(3), Recorder()
    cloud.files["1.2.3.2"] = damage(cloud.files["1.2.3.2"])

    responses = move(cloud, recorder)

    assert outcome(responses) == (0xB000, SubOperations(0, 2, 1, 0))
    assert responses[-1].failed_uids == ("1.2.3.2",)
    assert sorted(recorder.stored) == ["1.2.3.1", "1.2.3.3"]


def test_one_missing_instance_is_listed_and_the_others_arrive() -> None:
    cloud, recorder = cloud_of(6), Recorder()
    del cloud.files["1.2.3.4"]

    responses = move(cloud, recorder)

    assert outcome(responses) == (0xB000, SubOperations(0, 5, 1, 0))
    assert responses[-1].failed_uids == ("1.2.3.4",)


@pytest.mark.parametrize(
    ("status", "code", "counters"),
    [
        (0xB000, 0xB000, SubOperations(0, 0, 0, 3)),
        (0xB007, 0xB000, SubOperations(0, 0, 0, 3)),
        (0xA900, 0xA702, SubOperations(0, 0, 3, 0)),
        (0xC000, 0xA702, SubOperations(0, 0, 3, 0)),
        (0x0111, 0xA702, SubOperations(0, 0, 3, 0)),
    ],
)
def test_the_destinations_verdict_is_counted(status: int, code: int, counters: SubOperations) -> None:
    assert outcome(move(cloud_of(3), Recorder(Status(status)))) == (code, counters)


def test_a_duplicate_answer_counts_when_the_destination_holds_the_instance() -> None:
    class Holding(Recorder):
        """Says 0111 to everything and finds what the cloud holds."""

        async def find(self, request: Any) -> Any:
            bridge = QueryBridge(cloud_of(3), QuerySettings("ROUTER"))
            async for response in bridge.find(request):
                yield response

    assert outcome(move(cloud_of(3), Holding(Status(0x0111)))) == (0, SubOperations(0, 3, 0, 0))


def test_busy_destinations_are_asked_again() -> None:
    class Busy(Recorder):
        async def store(self, request: StoreRequest) -> Status:
            await super().store(request)
            return Status(0xA700 if len(self.requests) == 1 else 0)

    assert outcome(move(cloud_of(2), Busy())) == (0, SubOperations(0, 2, 0, 0))


def test_a_destination_that_is_not_there_fails_everything_with_a702() -> None:
    async def story() -> list[RetrieveResponse]:
        return await moved(cloud_of(30), 1)

    responses = run(story())
    assert outcome(responses) == (0xA702, SubOperations(0, 0, 30, 0))
    assert len(responses[-1].failed_uids) == 30


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CloudUnreachable("x"), 0xC101),
        (CloudUnauthorised("x"), 0x0124),
        (CloudRefused(503), 0xA701),
        (CloudRefused(404), 0xA701),
    ],
)
def test_a_list_that_cannot_be_had_fails_the_move(error: CloudError, code: int) -> None:
    cloud = cloud_of(2)
    cloud.failure = lambda _: error

    assert outcome(move(cloud, Recorder())) == (code, SubOperations())


@pytest.mark.parametrize(
    ("error", "code"),
    [(CloudUnreachable("gone"), 0xA702), (CloudUnauthorised("x"), 0x0124), (CloudRefused(503), 0xA702)],
)
def test_a_cloud_lost_in_between_ends_the_move_and_lists_the_rest(error: CloudError, code: int) -> None:
    cloud = cloud_of(40)
    cloud.retrieve_failure = lambda _: error

    responses = move(cloud, Recorder())

    assert outcome(responses) == (code, SubOperations(0, 0, 40, 0))
    assert set(responses[-1].failed_uids) == {f"1.2.3.{n}" for n in range(1, 41)}
    assert len(set(cloud.retrieved)) < 40


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


class Bridge(BaseHandler):
    """The bridge as a listener has it."""

    def __init__(self, cloud: FakeCloud, destination: Destination | None = None) -> None:
        bridge = RetrieveBridge(
            cloud, AssociationPool(), lambda ae: destination if ae == "STORESCP" else None
        )
        self.find = QueryBridge(cloud, QuerySettings("ROUTER")).find  # type: ignore[method-assign]
        self.move = bridge.move  # type: ignore[method-assign]
        self.get = bridge.get  # type: ignore[method-assign]


needs_dcmtk = pytest.mark.skipif(shutil.which("movescu") is None, reason="dcmtk is not installed")


@needs_dcmtk
def test_movescu_moves_a_study_to_storescp(tmp_path: Path) -> None:
    async def story() -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        process = await asyncio.create_subprocess_exec("storescp", "-od", str(tmp_path), str(port))
        try:
            handler = Bridge(cloud_of(30), Destination("STORESCP", "127.0.0.1", port, "ROUTER", QUICK))
            async with serving(handler) as server:
                options = ("-v", "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.3")
                address = ("-aec", "ROUTER", "-aem", "STORESCP", "127.0.0.1", str(server.port))
                code, output = await tool("movescu", *options, *address)
                assert code == 0, output
        finally:
            process.terminate()
            await process.wait()

    run(story())
    assert len({dcmread(file).SOPInstanceUID for file in tmp_path.iterdir()}) == 30


@needs_dcmtk
def test_getscu_and_findscu_see_the_cloud(tmp_path: Path) -> None:
    async def story() -> str:
        async with serving(Bridge(cloud_of(30))) as server:
            address = ("-aec", "ROUTER", "127.0.0.1", str(server.port))
            level = ("-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.3")
            code, output = await tool("getscu", *level, "-od", tmp_path, *address)
            assert code == 0, output
            return (await tool("findscu", *level, "-k", "PatientName=MADE", *address))[1]

    assert "Made^Up" in run(story())
    assert len(list(tmp_path.iterdir())) == 30


def test_find_over_the_wire_keeps_umlauts() -> None:
    image = ct_image(generate_uid())
    image.SpecificCharacterSet, image.PatientName = "ISO_IR 192", "Müller^Jürgen"

    async def story() -> list[str]:
        async with serving(Bridge(FakeCloud(image))) as server:
            root = "1.2.840.10008.5.1.4.1.2.2.1"
            association = await connect(server, ProposedContext(root), ProposedContext(CT))
            keys = Dataset()
            keys.SpecificCharacterSet, keys.QueryRetrieveLevel, keys.PatientName = (
                "ISO_IR 100",
                "STUDY",
                "MÜL*",
            )
            return [
                str(match.PatientName)
                async for _, match in association.c_find(root, keys)
                if match is not None
            ]

    assert run(story()) == ["Müller^Jürgen"]
