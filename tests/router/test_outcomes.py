"""Answers that are no success, and none at all: what is asked, repeated, isolated or given up."""

import pytest

from fixtures.waiting import eventually
from tests.router.conftest import RouterProcess
from tests.router.fakes import (
    FakeCloud,
    FakePacs,
    digest,
    make_dataset,
    part10,
    send,
    stow_body,
    uid_of,
)


@pytest.mark.parametrize("answer", ["unreadable", "cut"])
def test_poison_object_is_given_up_slowly_and_does_not_stop_the_queue(
    router: RouterProcess, cloud: FakeCloud, answer: str
) -> None:
    poison = make_dataset()

    def fall_over(parts: list[bytes]) -> tuple[int, dict[str, str], bytes] | None:
        if poison.SOPInstanceUID not in map(uid_of, parts):
            return None
        # Announced longer than it is, the answer is cut when the server closes the connection.
        return 200, {"Content-Length": "1000"} if answer == "cut" else {}, b"<html>"

    cloud.always = fall_over
    others = [make_dataset() for _ in range(6)]
    assert send(router.intake, [others[0], poison, *others[1:]]) == [0] * 7
    eventually(lambda: len(cloud.stored) == 6, within=15, because="the others to be delivered")

    def keep_sending() -> bool:
        send(router.intake, [make_dataset()])
        return bool(router.destination("cloud")["dead_lettered"])

    eventually(keep_sending, within=30, because="the poison to be given up", every=0.1)
    (letter,) = router.ask("GET", "/dead-letters").json()
    assert letter["sop_instance_uid"] == poison.SOPInstanceUID
    assert letter["last_attempt"] - letter["first_attempt"] > 0.5

    cloud.always = None
    assert router.ask("POST", f"/dead-letters/{letter['id']}/retry").status_code == 200
    eventually(lambda: poison.SOPInstanceUID in cloud.stored, within=10, because="the retried letter")


def test_unusable_batch_answer_is_settled_object_by_object(router: RouterProcess, cloud: FakeCloud) -> None:
    bad = make_dataset()
    cloud.always = lambda parts: (400, {}, b"") if bad.SOPInstanceUID in map(uid_of, parts) else None
    router.ask("POST", "/queues/cloud/pause")
    study = bad.StudyInstanceUID
    send(router.intake, [make_dataset(study=study), bad, make_dataset(study=study)])
    router.ask("POST", "/queues/cloud/resume")

    eventually(
        lambda: len(cloud.stored) == 2 and router.destination("cloud")["dead_lettered"] == 1,
        within=15,
        because="isolation",
    )
    assert len(cloud.posts[0]) == 3


def test_uncertain_outcome_is_asked_before_sending_again(router: RouterProcess, cloud: FakeCloud) -> None:
    def store_then_fail(parts: list[bytes]) -> tuple[int, dict[str, str], bytes]:
        cloud.accept(parts)
        return 504, {}, b""

    cloud.script = [store_then_fail]
    ds = make_dataset()
    send(router.intake, [ds])

    eventually(
        lambda: router.destination("cloud")["delivered"] == 1,
        within=10,
        because="the instance to be found there",
    )
    assert cloud.posts == [[ds.SOPInstanceUID]]
    assert cloud.reads == [ds.SOPInstanceUID]


def test_a_400_without_reason_of_the_pacs_is_bounded(router: RouterProcess, pacs: FakePacs) -> None:
    pacs.always = 0xC123
    send(router.intake, [make_dataset()])
    eventually(lambda: router.destination("ORTHANC")["dead_lettered"] == 1, within=20, because="the bound")
    assert len(pacs.order) == 5


def test_association_lost_in_mid_object_leads_to_a_question_and_a_delivery(
    router: RouterProcess, pacs: FakePacs
) -> None:
    ds = make_dataset()
    pacs.abort_on = ds.SOPInstanceUID
    send(router.intake, [ds])
    eventually(lambda: pacs.order, within=10, because="the first attempt")
    pacs.abort_on = None
    eventually(lambda: ds.SOPInstanceUID in pacs.stored, within=10, because="the second attempt")
    assert pacs.effects[ds.SOPInstanceUID] == 1


def test_damaged_spool_file_is_dead_lettered_and_healed_by_a_new_arrival(
    router: RouterProcess, cloud: FakeCloud
) -> None:
    for name in ("cloud", "ORTHANC"):
        router.ask("POST", f"/queues/{name}/pause")
    ds = make_dataset()
    send(router.intake, [ds])
    (pack,) = (router.data / "spool" / "packs").iterdir()
    content = bytearray(pack.read_bytes())
    content[-5] ^= 1
    pack.write_bytes(content)
    for name in ("cloud", "ORTHANC"):
        router.ask("POST", f"/queues/{name}/resume")

    eventually(
        lambda: router.destination("cloud")["dead_lettered"] == 1, within=10, because="the damage to be found"
    )
    assert cloud.stored == {}
    assert send(router.intake, [ds]) == [0]
    eventually(lambda: cloud.stored, within=10, because="the healed object")
    assert digest(cloud.stored[ds.SOPInstanceUID]) == digest(part10(ds))


def test_refused_by_validation_is_dead_lettered_at_once(router: RouterProcess, cloud: FakeCloud) -> None:
    cloud.always = lambda parts: (409, {}, stow_body(failed={uid_of(part): 43264 for part in parts}))
    send(router.intake, [make_dataset()])
    eventually(
        lambda: router.destination("cloud")["dead_lettered"] == 1, within=10, because="the dead letter"
    )
    assert len(cloud.posts) == 1
