"""The store-and-forward path with real loopback peers."""

import json
import random

import pytest

from fixtures.waiting import eventually
from systems.router.store.audit import broken_link
from tests.router.conftest import MakeRouter, RouterProcess
from tests.router.fakes import (
    FakeCloud,
    FakePacs,
    digest,
    make_dataset,
    part10,
    send,
    stow_body,
    study_of,
    uid_of,
)


def test_object_reaches_both_destinations_byte_for_byte(
    router: RouterProcess, cloud: FakeCloud, pacs: FakePacs
) -> None:
    ds = make_dataset()
    expected = digest(part10(ds))

    assert send(router.intake, [ds]) == [0]

    eventually(lambda: cloud.stored and pacs.stored, within=10, because="both copies")
    assert digest(cloud.stored[ds.SOPInstanceUID]) == expected
    assert pacs.stored[ds.SOPInstanceUID] == part10(ds)[-len(pacs.stored[ds.SOPInstanceUID]) :]
    assert pacs.calling == {"GDCM": 1}
    assert uid_of(cloud.stored[ds.SOPInstanceUID]) == ds.SOPInstanceUID
    assert cloud.stored[ds.SOPInstanceUID][:128] == bytes(128)


def test_counters_add_up_and_the_spool_is_empty_at_the_end(router: RouterProcess, cloud: FakeCloud) -> None:
    assert send(router.intake, [make_dataset() for _ in range(30)]) == [0] * 30

    eventually(
        lambda: all(router.destination(n)["delivered"] == 30 for n in ("ORTHANC", "cloud")),
        within=15,
        because="all delivered",
    )
    assert router.path("modality-intake")["received"] == 30
    assert list((router.data / "spool" / "packs").iterdir()) == []
    assert broken_link(router.data / "audit") is None
    assert len(cloud.effects) == 30


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


@pytest.mark.parametrize("missing", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_data_set_without_its_uids_is_refused(router: RouterProcess, missing: str) -> None:
    ds = make_dataset()
    delattr(ds, missing)

    assert send(router.intake, [ds]) == [0xA900]
    assert router.path("modality-intake")["refused"] == 1
    assert router.destination("cloud")["accepted"] == 0


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


def test_no_patient_data_in_log_status_or_audit(router: RouterProcess, cloud: FakeCloud) -> None:
    cloud.script = [lambda _: (500, {}, b"Do^Not^Log")]
    ds = make_dataset()
    send(router.intake, [ds])
    send(router.intake, [make_dataset(ds.SOPInstanceUID, ds.StudyInstanceUID, Rows=1)])
    eventually(lambda: cloud.stored, within=10, because="delivery")

    texts = [router.log.read_text(), router.ask("GET", "/status").text, router.ask("GET", "/audit").text]
    texts.append(router.ask("GET", f"/instances/{ds.SOPInstanceUID}").text)
    for secret in ("Not^Log", "SECRET-ID", "token-1", "right"):
        assert not any(secret in text for text in texts), secret


def test_full_spool_answers_a700_and_intake_resumes(make_router: MakeRouter) -> None:
    router = make_router(spool="hard_limit_bytes = 4000")
    for name in ("cloud", "ORTHANC"):
        router.ask("POST", f"/queues/{name}/pause")

    assert send(router.intake, [make_dataset() for _ in range(4)])[-1] == 0xA700
    assert router.path("modality-intake")["refused"] >= 1
    for name in ("cloud", "ORTHANC"):
        router.ask("POST", f"/queues/{name}/resume")
    eventually(lambda: send(router.intake, [make_dataset()]) == [0], within=10, because="room", every=0.2)


@pytest.mark.parametrize("pixel_bytes", [2048, 300_000, 9 << 20])
def test_large_objects_stream_through_files_unchanged(
    make_router: MakeRouter, cloud: FakeCloud, pacs: FakePacs, pixel_bytes: int
) -> None:
    router = make_router(spool="memory_object_bytes = 1000")
    ds, other = (make_dataset(PixelData=random.Random(n).randbytes(pixel_bytes)) for n in (1, 2))  # noqa: S311

    assert send(router.intake, [ds]) == [0]
    assert send(router.bridge, [other], called="QIETOAZURE") == [0]

    eventually(lambda: len(cloud.stored) == 2 and pacs.stored, within=20, because="the copies")
    for sent in (ds, other):
        assert digest(cloud.stored[sent.SOPInstanceUID]) == digest(part10(sent))
    assert part10(ds).endswith(pacs.stored[ds.SOPInstanceUID])
    eventually(lambda: router.status()["spool"]["bytes"] == 0, within=5, because="an empty spool")
    assert not list((router.data / "spool").glob("*/*.dcm"))


def test_object_above_the_clouds_limit_goes_to_the_pacs_only(
    make_router: MakeRouter, cloud: FakeCloud, pacs: FakePacs
) -> None:
    table = f'base_url = "{cloud.url}"\nmax_request_bytes = 3000'
    router = make_router(cloud=table)
    small, large = make_dataset(), make_dataset(PixelData=bytes(4000))

    assert send(router.intake, [large, small]) == [0, 0]

    eventually(
        lambda: len(pacs.stored) == 2 and small.SOPInstanceUID in cloud.stored, within=10, because="delivery"
    )
    (letter,) = router.ask("GET", "/dead-letters").json()
    assert (letter["sop_instance_uid"], letter["status"]) == (large.SOPInstanceUID, "too large")
    assert cloud.posts == [[small.SOPInstanceUID]]


def test_rules_choose_destinations_and_what_matches_none_is_held(
    make_router: MakeRouter, cloud: FakeCloud, pacs: FakePacs
) -> None:
    rule = '[[rules]]\nname = "CT only"\nmodalities = ["CT"]\ndestinations = ["cloud"]\n'
    router = make_router(**{"+rules": rule})

    assert send(router.intake, [make_dataset(), make_dataset(Modality="MR")]) == [0, 0]

    eventually(lambda: cloud.stored, within=10, because="the CT")
    status = router.status()
    assert status["held"] == 1
    assert any("no routing rule" in alarm for alarm in status["alarms"])
    assert pacs.stored == {}
