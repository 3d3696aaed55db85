"""Priors come by themselves: triggers, acknowledgements and who is meant (ROUTER-135 to 138, 145)."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fixtures.actors.ris import Order, connected
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World
from fixtures.world.orders import (
    alike,
    audited,
    ended,
    fetched_since,
    first_series,
    last_line,
    newest,
    order_for,
    orders_at,
    place,
    priors_of,
    run,
    triggers,
    under,
)
from suites.router.conftest import VariantWorld
from suites.router.prefetching import LIMITED, PREFETCHING

pytestmark = [pytest.mark.router, needs("control")]


@requirement("ROUTER-135", "ROUTER-139")
@pytest.mark.parametrize("kind", ["ORM^O01^ORM_O01", "OMG^O19", "SIU^S12", "ADT^A01", "ADT^A04"])
def test_each_default_message_type_brings_every_study_the_pacs_lacks(
    variant_world: VariantWorld, kind: str
) -> None:
    """Patient ID and name of the order are enough: all cloud studies of the patient that the PACS does not have."""
    with variant_world(PREFETCHING) as world:
        studies = world.studies("prior", [1]) + world.studies("recent", [1])
        world.store_in_cloud([*studies, *world.studies("prior", [2])])
        found = run(world, order_for(studies[0].patient, kind=kind))
        assert (found["state"], found["message_type"]) == ("done", "^".join(kind.split("^")[:2])), found
        world.expect("pacs", studies)
        assert not world.pacs_study_uids() & world.uids(world.studies("prior", [2])), (
            "ROUTER-138: studies of another patient were fetched"
        )


@requirement("ROUTER-135")
def test_message_types_are_a_setting(variant_world: VariantWorld) -> None:
    """A router that is told to take OMI^O23 only takes it, and no longer ORM^O01."""
    with variant_world(LIMITED) as world:
        patient = world.cast.patient(1)
        assert place(world, order_for(patient, kind="ORM^O01")).code == "AR"
        assert place(world, order_for(patient, kind="OMI^O23^OMI_O23")).code == "AA"


@requirement("ROUTER-136")
@pytest.mark.parametrize(
    ("change", "code", "place_named"),
    [
        ({"identifiers": ""}, "AE", "PID^1^3"),
        ({"identifiers": '""'}, "AE", "PID^1^3"),
        ({"identifiers": "^^^HOSP"}, "AE", "PID^1^3"),
        ({"more": "OB!|1\r"}, "AE", "line 3"),
        ({"header": "||||||NO SUCH SET"}, "AE", "MSH^1^18"),
        ({"kind": "ORU^R01"}, "AR", "MSH^1^9"),
        ({"kind": "ADT^A08"}, "AR", "MSH^1^9"),
        ({"version": "1.0"}, "AR", "MSH^1^12"),
        ({"processing_id": "D"}, "AR", "MSH^1^11"),
    ],
)
def test_unusable_orders_are_refused_with_the_place_named(
    variant_world: VariantWorld, change: dict[str, str], code: str, place_named: str
) -> None:
    """AE for content, AR for what is not supported; MSA-2 echoes MSH-10; nothing is triggered."""
    with variant_world(PREFETCHING) as world:
        before = newest(world)
        good = order_for(world.cast.patient(1), control_id="ECHO-ME")
        answer = place(world, order_for(world.cast.patient(1), **{"control_id": "ECHO-ME", **change}))
        assert (answer.code, answer.control_id) == (code, "ECHO-ME"), answer.raw
        assert place_named in answer.error, f"ROUTER-136: the place is not named: {answer.error}"
        assert newest(world) == before, "ROUTER-136: a refused message triggered"
        assert place(world, good).code == "AA", "the same order without the fault is not accepted"


@requirement("ROUTER-136")
def test_acknowledged_order_survives_kill_at_once(variant_world: VariantWorld) -> None:
    """AA comes after the trigger is durable: killed right after it, the router brings the priors when it is back."""
    with variant_world(PREFETCHING) as world:
        studies = world.studies("prior", [3])
        world.store_in_cloud(studies)
        with connected(orders_at(world)) as line:
            answer = line.ask(order_for(studies[0].patient).encode())
            world.kill("router")
        assert b"MSA|AA|" in answer
        world.start("router")
        world.expect("pacs", studies)


@requirement("ROUTER-137", "ROUTER-145")
def test_first_instance_of_a_new_study_triggers_once(variant_world: VariantWorld) -> None:
    """A study that arrives at QIEROUTER brings its patient's priors; its further instances trigger nothing."""
    with variant_world(PREFETCHING) as world:
        priors, new = world.studies("prior", [1]), world.studies("new", [1])
        world.store_in_cloud(priors)
        before = newest(world)
        assert world.send(new, "intake").all_success
        found = ended(world, eventually(lambda: newest(world), within=10, because="a trigger"))
        assert found["source"] == "arrival", found
        world.expect("pacs", priors + new)
        assert [row["source"] for row in triggers(world) if row["id"] > before] == ["arrival"]
        assert world.send(new, "intake").all_success
        world.settle_router()
        assert newest(world) == found["id"], "ROUTER-137: an instance of a known study triggered again"


@requirement("ROUTER-138", "ROUTER-063")
@pytest.mark.parametrize("tail", ["*", "?", "<", '"', "a", " X"])
def test_only_the_exact_patient_id_is_fetched(variant_world: VariantWorld, tail: str) -> None:
    """IDs that are prefixes of each other, differ in case or hold wildcards are different patients; wildcards are literal."""
    with variant_world(PREFETCHING) as world:
        base = world.cast.patient(1)
        wanted = alike(base, f"{base.patient_id}{tail}")
        others = [base, alike(base, f"{base.patient_id}A"), alike(base, f"{base.patient_id}{tail}0")]
        others.append(alike(base, f"0{base.patient_id}"))
        mine = world.series(patient=wanted)
        world.store_in_cloud([mine, *(world.series(patient=other) for other in others)])
        found = run(world, order_for(wanted))
        assert {row["study_instance_uid"] for row in found["studies"]} == {mine.study_instance_uid}
        assert found["instances"] == len(mine.instances)
        world.expect("pacs", [mine])


@requirement("ROUTER-138")
def test_repetition_of_the_configured_authority_is_taken(variant_world: VariantWorld) -> None:
    """Of several PID-3 repetitions the one of the configured authority counts, and without it the first."""
    with variant_world(PREFETCHING) as world:
        one, two = world.studies("prior", [1, 2])
        world.store_in_cloud([one, two])
        ids = one.patient.patient_id, two.patient.patient_id
        found = run(world, order_for(two.patient, identifiers=f"{ids[0]}^^^LAB~{ids[1]}^^^HOSP"))
        assert {row["study_instance_uid"] for row in found["studies"]} == {two.study_instance_uid}
        found = run(world, order_for(one.patient, identifiers=f"{ids[0]}^^^LAB~{ids[1]}^^^CLINIC"))
        assert {row["study_instance_uid"] for row in found["studies"]} == {one.study_instance_uid}


@requirement("ROUTER-138", "ROUTER-159")
def test_name_that_disagrees_is_alarmed(variant_world: VariantWorld) -> None:
    """By default the fetch goes on and an alarm is raised; neither alarm, log nor audit names a patient."""
    with variant_world(PREFETCHING) as world:
        studies = world.studies("prior", [2])
        world.store_in_cloud(studies)
        found = run(world, order_for(studies[0].patient, name="Quite^Different"))
        assert found["state"] == "done"
        world.expect("pacs", studies)
        alarms = " ".join(world.router.status()["alarms"])
        assert "name" in alarms, f"ROUTER-138: no alarm: {alarms}"
        spoken = alarms + world.control.logs("router") + str(world.router.audit()) + str(triggers(world))
        for secret in ("Quite", "Different", studies[0].patient.patient_id):
            assert secret not in spoken, f"ROUTER-159: {secret!r} was written where no patient data belong"


@requirement("ROUTER-138")
def test_strict_mode_stops_where_the_name_disagrees(variant_world: VariantWorld) -> None:
    """Nothing is fetched; with the right name everything is."""
    with variant_world(LIMITED) as world:
        (study,) = priors_of(world, world.cast.patient(2), ["20220101"])
        world.store_in_cloud([study])
        mark = world.link_mark()
        found = run(world, order_for(study.patient, kind="OMI^O23", name="Quite^Different"))
        assert found["state"] == "stopped", found
        assert fetched_since(world, mark) == set()
        assert run(world, order_for(study.patient, kind="OMI^O23"))["state"] == "done"
        world.expect("pacs", [study])


@requirement("ROUTER-138")
def test_study_that_has_another_patient_in_the_pacs_is_reported_and_left(variant_world: VariantWorld) -> None:
    """A Patient ID that was corrected in the PACS is not joined by the cloud's older identity."""
    with variant_world(PREFETCHING) as world:
        (study,) = world.studies("recent", [1])
        here = under(first_series(study), f"{study.patient.patient_id}-NEW")
        world.arrange(here, "pacs")
        world.store_in_cloud([study])
        mark = world.link_mark()
        found = run(world, order_for(study.patient))
        assert [row["outcome"] for row in found["studies"]] == ["other patient"], found
        assert fetched_since(world, mark) == set()


def _new_run(world: World, order: Order) -> dict[str, Any]:
    """What an order starts, or nothing while it is merged with an earlier one."""
    before = newest(world)
    assert place(world, order).code == "AA"
    return ended(world, newest(world)) if newest(world) > before else {}


@requirement("ROUTER-145")
def test_repeated_and_parallel_orders_make_one_run(variant_world: VariantWorld) -> None:
    """Five in a row and ten at once within the window are one run; one after the window moves nothing."""
    with variant_world(PREFETCHING) as world:
        studies = world.studies("prior", [1])
        world.store_in_cloud(studies)
        since, mark = last_line(world), world.link_mark()
        order = order_for(studies[0].patient)
        with ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(lambda _: place(world, order).code, range(10)))
        answers += [place(world, order).code for _ in range(5)]
        assert set(answers) == {"AA"}
        started = audited(world, "prefetch triggered", since)
        assert len(started) == 1, f"ROUTER-145: {len(started)} runs in one window"
        assert len(audited(world, "prefetch merged", since)) == 14
        ended(world, started[0]["trigger"])
        assert fetched_since(world, mark) == world.sop_uids(studies)
        assert len(world.retrievals_since(mark)) == len(world.sop_uids(studies))

        again = eventually(lambda: _new_run(world, order), within=20, because="the window to end", every=0.5)
        assert (again["state"], again["instances"]) == ("done", 0), again
        assert len(world.retrievals_since(mark)) == len(world.sop_uids(studies)), (
            "ROUTER-145: the second run moved data"
        )
