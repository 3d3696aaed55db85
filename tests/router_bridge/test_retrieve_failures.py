"""C-MOVE when something is missing, damaged, busy or lost: each sub-operation is counted and the rest is listed."""

from collections.abc import Callable
from typing import Any

import pytest

from systems.router.bridge.cloud import CloudError, CloudRefused, CloudUnauthorised, CloudUnreachable
from systems.router.bridge.query import QueryBridge, QuerySettings
from systems.router.dimse.service import (
    RetrieveResponse,
    StoreRequest,
    SubOperations,
)
from systems.router.dimse.status import Status
from tests.router_bridge.moving import cloud_of, move, moved, outcome
from tests.router_dimse.support import (
    Recorder,
    run,
)

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
