"""The synchronous bridge on QIETOAZURE."""

import threading
import time

import pytest

from fixtures.waiting import eventually
from tests.router.conftest import MakeRouter, RouterProcess
from tests.router.fakes import Answer, FakeCloud, make_dataset, part10, send, stow_body, uid_of


def push(router: RouterProcess, *datasets: object, calling: str = "ORTHANC") -> list[int | None]:
    return send(router.bridge, datasets, called="QIETOAZURE", calling=calling)  # type: ignore[arg-type]


def test_success_is_answered_after_the_cloud_confirmed(router: RouterProcess, cloud: FakeCloud) -> None:
    ds = make_dataset()
    assert push(router, ds) == [0]
    assert list(cloud.stored) == [ds.SOPInstanceUID]
    row = router.destination("cloud")
    assert (row["accepted"], row["delivered"]) == (1, 1)
    assert router.path("cloud-bridge")["received"] == 1


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        (204, None, 0xC000),
        (400, None, 0xC000),
        (403, None, 0x0124),
        (503, None, 0xA700),
        (409, 43264, 0xA900),
        (409, 43265, 0xA900),
        (409, 272, 0xA700),
        (409, None, 0xC000),
        (200, None, 0xA700),
    ],
)
def test_failure_is_answered_from_the_table(
    router: RouterProcess, cloud: FakeCloud, status: int, reason: int | None, expected: int
) -> None:
    def answer(parts: list[bytes]) -> Answer:
        return status, {}, stow_body(failed={uid_of(parts[0]): reason}) if reason else b""

    cloud.always = answer
    assert push(router, make_dataset()) == [expected]
    assert router.path("cloud-bridge")["refused"] == 1
    assert router.destination("cloud")["accepted"] == 0


def test_cloud_out_of_reach_is_a700(router: RouterProcess, cloud: FakeCloud) -> None:
    cloud.stop()
    assert push(router, make_dataset()) == [0xA700]
    cloud.start()


def test_duplicate_in_the_cloud_is_compared_and_not_warned(router: RouterProcess, cloud: FakeCloud) -> None:
    same, other = make_dataset(), make_dataset()
    cloud.stored[same.SOPInstanceUID] = part10(same)
    cloud.stored[other.SOPInstanceUID] = part10(
        make_dataset(other.SOPInstanceUID, other.StudyInstanceUID, Rows=8)
    )

    assert push(router, same, other) == [0, 0xA900]


def test_duplicate_known_identical_needs_no_second_upload(router: RouterProcess, cloud: FakeCloud) -> None:
    ds = make_dataset()
    assert push(router, ds, ds) == [0, 0]
    assert len(cloud.posts) == 1
    assert router.destination("cloud")["duplicates"] == 1


def test_late_cloud_is_a700_within_the_bound_and_the_finished_upload_is_recorded(
    make_router: MakeRouter, cloud: FakeCloud
) -> None:
    router = make_router(timers="default_bound_seconds = 0.5\ngrace_seconds = 3")
    go = threading.Event()

    def slow(_: list[bytes]) -> Answer | None:
        go.wait(5)
        return None

    cloud.script = [slow]
    ds = make_dataset()
    threading.Timer(1.2, go.set).start()
    started = time.monotonic()
    assert push(router, ds, calling="SOMEBODY") == [0xA700]
    assert time.monotonic() - started < 2

    eventually(
        lambda: router.destination("cloud")["delivered"] == 1, within=10, because="the late upload's record"
    )
    assert push(router, ds, calling="SOMEBODY") == [0]
    assert len(cloud.posts) == 1


def test_object_delivered_by_the_bridge_still_goes_to_the_pacs_from_the_intake(
    router: RouterProcess, cloud: FakeCloud
) -> None:
    ds = make_dataset()
    assert push(router, ds) == [0]
    assert send(router.intake, [ds]) == [0]
    eventually(lambda: router.destination("ORTHANC")["delivered"] == 1, within=10, because="the PACS copy")
    assert len(cloud.posts) == 1


def test_queued_mode_accepts_durably_while_the_cloud_is_down(
    make_router: MakeRouter, cloud: FakeCloud
) -> None:
    router = make_router(**{"paths_cloud-bridge": 'host = "127.0.0.1"\nport = 0\nmode = "queued"'})
    cloud.stop()
    assert push(router, make_dataset()) == [0]
    assert router.path("cloud-bridge")["mode"] == "queued"
    cloud.start()
    eventually(lambda: cloud.stored, within=10, because="delivery")
