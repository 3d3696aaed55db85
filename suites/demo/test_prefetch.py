"""Priors come by themselves when an order arrives, completely and once (CLAIM-PREFETCH-01, 02, 03, 08)."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from fixtures.data import Study
from fixtures.traceability import needs, requirement
from fixtures.world import World
from fixtures.world.orders import (
    alike,
    audited,
    ended,
    fetched_since,
    first_series,
    last_line,
    newest,
    only,
    order_for,
    order_spelt_otherwise,
    place,
    priors_of,
    run,
    triggers,
)
from fixtures.world.router_file import with_keys

pytestmark = [pytest.mark.demo, needs("prefetch", "router-admin", "http-interposer")]

_QUERIES_BYTES = 30_000
"""More than the prefetch's questions to the PACS take, less than any image of the cast."""
_WINDOW_SECONDS = 0.5


def _bytes_of(study: Study, sop_instance_uids: set[str]) -> int:
    return sum(len(i.part10) for i in study.instances if i.sop_instance_uid in sop_instance_uids)


@requirement("CLAIM-PREFETCH-01")
def test_order_brings_every_prior_that_the_pacs_lacks(world: World) -> None:
    """An order message with ID and name is enough: the PACS gets exactly the studies of the patient that it lacks.

    CLAIM-PREFETCH-01. Somebody of the same name with another ID is another patient, and nobody has done anything.
    """
    patient = world.cast.patient(1)
    priors = [world.cast.study(1, "prior"), *priors_of(world, patient, ["20050101", "20150101"])]
    (here,) = priors_of(world, patient, ["20110602"])
    (namesake,) = priors_of(world, alike(patient, f"{patient.patient_id}0"), ["20100101"])
    world.arrange(here, "pacs")
    world.store_in_cloud([*priors, here, namesake])
    since, before = last_line(world), world.pacs_study_uids()

    found = run(world, order_for(patient))

    assert found["state"] == "done", found
    world.expect("pacs", [*priors, here])
    assert world.pacs_study_uids() - before == world.uids(priors), "CLAIM-PREFETCH-01: not cloud minus PACS"
    acted = [line["event"] for line in world.router.audit(since) if line["event"].startswith("operator")]
    assert acted == [], f"CLAIM-PREFETCH-01: somebody helped: {acted}"
    count = sum(len(study.instances) for study in priors)
    world.evidence.note(
        f"An order was acknowledged, and {len(priors)} priors with {count} images were in the PACS without anybody's doing."
    )


@requirement("CLAIM-PREFETCH-02")
@pytest.mark.parametrize("part", ["series", "instances"])
def test_what_a_known_study_lacks_is_completed(world: World, part: str) -> None:
    """Of a study that the PACS has in part, the order brings the missing series, or images, and only these.

    CLAIM-PREFETCH-02. What goes to the PACS is counted at the link, too.
    """
    study = world.cast.study(1, "recent")
    few = sorted(first_series(study).sop_instance_uids)[:2]
    here = (
        first_series(study) if part == "series" else only(study, lambda one: one.sop_instance_uid not in few)
    )
    lacking = set(study.sop_instance_uids - here.sop_instance_uids)
    world.arrange(here, "pacs")
    world.store_in_cloud([study])
    mark, sent = world.link_mark(), world.link_bytes("pacs", "up")

    found = run(world, order_for(study.patient))

    sent = world.link_bytes("pacs", "up") - sent
    assert [row["outcome"] for row in found["studies"]] == ["completed"], found
    world.expect("pacs", [study])
    assert fetched_since(world, mark) == lacking, "CLAIM-PREFETCH-02: fetched from the cloud"
    allowed = _bytes_of(study, lacking) + _QUERIES_BYTES
    assert sent <= allowed < _bytes_of(study, set(study.sop_instance_uids)), (
        f"CLAIM-PREFETCH-02: {sent} bytes went to the PACS, at most {allowed} are missing"
    )
    world.evidence.note(
        f"Of a study with {len(study.instances)} images the {len(lacking)} missing ones ({part}) were fetched alone."
    )


@requirement("CLAIM-PREFETCH-03")
def test_repeated_and_parallel_orders_move_nothing(world: World) -> None:
    """Ten orders at once are one run; five more, one under another spelling and one for a stranger move nothing.

    CLAIM-PREFETCH-03.
    """
    study = world.cast.study(1, "prior")
    world.store_in_cloud([study])
    order, since, mark = order_for(study.patient), last_line(world), world.link_mark()
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: place(world, order).code, range(10)))
    assert set(answers) == {"AA"}, answers
    started = audited(world, "prefetch triggered", since)
    assert len(started) == 1, f"CLAIM-PREFETCH-03: {len(started)} runs for ten orders at once"
    ended(world, started[0]["trigger"])
    world.expect("pacs", [study])
    first = [exchange.path for exchange in world.retrievals_since(mark)]
    assert len(first) == len(study.instances), f"CLAIM-PREFETCH-03: {len(first)} retrievals"

    mark, sent = world.link_mark(), world.link_bytes("pacs", "up")
    assert {place(world, order).code for _ in range(5)} == {"AA"}
    assert len(audited(world, "prefetch triggered", since)) == 1, (
        "CLAIM-PREFETCH-03: a second run in one window"
    )
    assert len(audited(world, "prefetch merged", since)) == 14
    again = run(world, order_spelt_otherwise(study.patient))
    stranger = run(world, order_for(alike(study.patient, f"{study.patient.patient_id}-absent")))
    for found in (again, stranger):
        assert (found["state"], found["instances"]) == ("done", 0), found
    assert [row["outcome"] for row in again["studies"]] == ["present"]
    assert stranger["studies"] == []
    assert world.retrievals_since(mark) == [], "CLAIM-PREFETCH-03: data were fetched again"
    sent = world.link_bytes("pacs", "up") - sent
    assert sent < _QUERIES_BYTES, f"CLAIM-PREFETCH-03: {sent} bytes went to the PACS again"
    world.evidence.note(
        f"Fifteen orders, ten of them at once, made one run and {len(first)} transfers; seven later ones moved nothing."
    )


@requirement("CLAIM-PREFETCH-08")
@needs("control", "change-feed")
@pytest.mark.lasting(6)
def test_prefetch_and_routing_do_not_loop(world: World) -> None:
    """With arrivals as triggers, too, what the prefetch brings is not uploaded again and starts nothing, for three windows.

    CLAIM-PREFETCH-08. Also not when the PACS forwards to the router what it was given.
    """
    patient = world.cast.patient(1)
    priors = priors_of(world, patient, ["20050101", "20150101"])
    (new,) = priors_of(world, patient, ["20221122"])
    world.store_in_cloud(priors)
    start = newest(world)
    keys = {"prefetch.on_arrival": "true", "prefetch.window_seconds": f"{_WINDOW_SECONDS}"}
    with world.router_settings(lambda text: with_keys(text, keys)):
        assert world.send([new], "intake").all_success
        world.expect_both([new])
        arrived = [row for row in triggers(world) if row["id"] > start]
        assert [row["source"] for row in arrived] == ["arrival"], f"CLAIM-PREFETCH-08: {arrived}"
        ended(world, arrived[0]["id"])
        run(world, order_spelt_otherwise(patient))
        world.expect("pacs", [new, *priors])
        feed, mark, last = world.feed_mark(), world.link_mark(), newest(world)

        back = world.send(priors, "intake", ae="ORTHANC")

        assert back.all_success, back.describe()
        sent = world.link_bytes("pacs", "up")
        world.pause(3 * _WINDOW_SECONDS)
        world.settle_router()
        assert newest(world) == last, "CLAIM-PREFETCH-08: what the prefetch brought has triggered a prefetch"
        assert world.uploaded_uids(mark) == set(), "CLAIM-PREFETCH-08: it was uploaded to the cloud again"
        assert world.feed_since(feed) == [], "CLAIM-PREFETCH-08: the cloud's change feed grew"
        assert world.link_bytes("pacs", "up") == sent, "CLAIM-PREFETCH-08: the PACS was sent it again"
    world.expect("cloud", [new, *priors])
    world.evidence.note(
        "A new study and an order brought two priors; for three windows nothing was uploaded, fetched or triggered again."
    )
