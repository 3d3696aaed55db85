"""Known UIDs: the same content is acknowledged once more, other content is kept apart (ROUTER-104, ROUTER-105)."""

from fixtures.waiting import eventually
from tests.router.conftest import RouterProcess
from tests.router.fakes import (
    FakeCloud,
    FakePacs,
    make_dataset,
    send,
)


def test_duplicate_is_acknowledged_without_a_second_delivery(
    router: RouterProcess, cloud: FakeCloud, pacs: FakePacs
) -> None:
    ds = make_dataset()
    assert send(router.intake, [ds]) == [0]
    eventually(
        lambda: router.destination("cloud")["delivered"] and router.destination("ORTHANC")["delivered"],
        within=10,
        because="delivery",
    )

    assert send(router.intake, [ds, ds]) == [0, 0]

    row = router.destination("cloud")
    assert (row["delivered"], row["duplicates"], row["accepted"]) == (1, 2, 3)
    assert len(cloud.posts) == 1
    assert len(pacs.order) == 1


def test_same_uid_with_other_content_is_refused_kept_apart_and_alarmed(
    router: RouterProcess, cloud: FakeCloud
) -> None:
    ds = make_dataset()
    assert send(router.intake, [ds]) == [0]
    eventually(lambda: cloud.stored, within=10, because="delivery")

    assert send(router.intake, [make_dataset(ds.SOPInstanceUID, ds.StudyInstanceUID, Rows=16)]) == [0xA900]

    status = router.status()
    assert status["conflicts"] == 1
    assert any("other content" in alarm for alarm in status["alarms"])
    assert [
        item["kind"] for item in router.ask("GET", f"/instances/{ds.SOPInstanceUID}").json()["objects"]
    ] == ["routed", "conflict"]
    assert len(cloud.posts) == 1


def test_same_content_written_differently_is_a_duplicate(router: RouterProcess) -> None:
    ds = make_dataset()
    assert send(router.intake, [ds]) == [0]
    eventually(lambda: router.destination("cloud")["delivered"], within=10, because="delivery")
    ds.add_new(0x00080000, "UL", 4)

    assert send(router.intake, [ds]) == [0]
    assert router.status()["conflicts"] == 0
