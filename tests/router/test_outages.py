"""Destinations that are away or put objects off: the others go on, and backlogs drain in order."""

import json

from fixtures.waiting import eventually
from tests.router.conftest import MakeRouter, RouterProcess
from tests.router.fakes import (
    FakeCloud,
    FakePacs,
    make_dataset,
    send,
    study_of,
    uid_of,
)


def test_outage_of_the_cloud_does_not_delay_the_pacs_and_drains_by_itself(
    make_router: MakeRouter, cloud: FakeCloud, pacs: FakePacs
) -> None:
    router = make_router()
    cloud.stop()
    datasets = [make_dataset() for _ in range(10)]

    assert send(router.intake, datasets) == [0] * 10
    eventually(lambda: len(pacs.stored) == 10, within=10, because="the PACS copies")
    eventually(
        lambda: router.destination("cloud")["state"] in ("backing off", "probing"),
        within=10,
        because="back-off",
    )
    cloud.start()

    eventually(lambda: len(cloud.stored) == 10, within=10, because="the backlog to drain")
    assert set(cloud.effects.values()) == {1}
    lines = [json.loads(line) for line in router.ask("GET", "/audit").text.splitlines()]
    assert "destination recovered" in {line["event"] for line in lines}


def test_outage_of_the_pacs_does_not_delay_the_cloud(
    router: RouterProcess, cloud: FakeCloud, pacs: FakePacs
) -> None:
    pacs.stop()
    assert send(router.intake, [make_dataset() for _ in range(5)]) == [0] * 5
    eventually(lambda: len(cloud.stored) == 5, within=10, because="the cloud copies")
    pacs.start()
    eventually(lambda: len(pacs.stored) == 5, within=15, because="the PACS to catch up")


def test_object_put_off_again_and_again_is_never_given_up_and_holds_up_nobody(
    router: RouterProcess, cloud: FakeCloud
) -> None:
    study = make_dataset()
    put_off = make_dataset(study=study.StudyInstanceUID)
    cloud.always = lambda parts: (503, {}, b"") if put_off.SOPInstanceUID in map(uid_of, parts) else None

    others = [make_dataset(study=study.StudyInstanceUID) for _ in range(6)]
    assert send(router.intake, [study, put_off, *others]) == [0] * 8
    eventually(lambda: len(cloud.stored) == 7, within=15, because="the others to be delivered")

    def tries() -> int:
        assert send(router.intake, [make_dataset()]) == [0]
        return sum(post == [put_off.SOPInstanceUID] for post in cloud.posts)

    eventually(lambda: tries() >= 8, within=20, because="more tries than failures are borne", every=0.2)
    row = router.destination("cloud")
    assert (row["state"], row["dead_lettered"]) == ("running", 0)

    cloud.always = None
    eventually(lambda: put_off.SOPInstanceUID in cloud.stored, within=5, because="its turn")
    assert set(cloud.effects.values()) == {1}


def test_cloud_that_puts_off_one_and_all_is_left_alone_until_a_probe_gets_through(
    make_router: MakeRouter, cloud: FakeCloud
) -> None:
    router = make_router(backoff="first_seconds = 0.3\nceiling_seconds = 0.5")
    cloud.always = lambda _: (503, {}, b"")
    datasets = [make_dataset() for _ in range(30)]
    assert send(router.intake, datasets) == [0] * 30
    eventually(
        lambda: router.destination("cloud")["state"] in ("backing off", "probing"),
        within=10,
        because="back-off",
    )
    assert len(cloud.posts) < 15

    cloud.always = None
    eventually(lambda: len(cloud.stored) == 30, within=10, because="all to flow on")
    assert router.destination("cloud")["dead_lettered"] == 0


def test_backlog_of_an_outage_is_delivered_in_order_of_arrival(
    make_router: MakeRouter, cloud: FakeCloud
) -> None:
    router = make_router()
    cloud.stop()
    first = [make_dataset() for _ in range(24)]
    datasets = [each for ds in first for each in (ds, make_dataset(study=ds.StudyInstanceUID))]
    assert send(router.intake, datasets) == [0] * 48
    eventually(lambda: router.destination("cloud")["last_error"], within=10, because="the outage")
    cloud.start()

    eventually(lambda: len(cloud.stored) == 48, within=15, because="the backlog to drain")
    arrived = [ds.StudyInstanceUID for ds in first]
    delivered = list(dict.fromkeys(study_of(content) for content in cloud.stored.values()))
    assert max(abs(delivered.index(uid) - place) for place, uid in enumerate(arrived)) <= 4
