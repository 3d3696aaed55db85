"""What arrives is kept, delivered and accounted for: byte for byte, large objects, rules, limits, no patient data."""

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


@pytest.mark.parametrize("missing", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_data_set_without_its_uids_is_refused(router: RouterProcess, missing: str) -> None:
    ds = make_dataset()
    delattr(ds, missing)

    assert send(router.intake, [ds]) == [0xA900]
    assert router.path("modality-intake")["refused"] == 1
    assert router.destination("cloud")["accepted"] == 0


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
