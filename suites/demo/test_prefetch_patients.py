"""The prefetch takes nobody for somebody else (CLAIM-PREFETCH-04)."""

import pytest

from fixtures.data import Patient, Study
from fixtures.traceability import needs, requirement
from fixtures.world import World
from fixtures.world.orders import alike, fetched_since, newest, order_for, place, run
from fixtures.world.router_file import with_keys

pytestmark = [pytest.mark.demo, needs("prefetch", "router-admin", "http-interposer")]

_TAILS = ("", "0", "*", "?", '"', "<", " X", "%")
"""Ends of look-alike Patient IDs: each is a prefix of another, two are wildcards. Spaces around an ID mean nothing (PS3.5 6.2)."""


def _small(world: World, patient: Patient, **values: str) -> Study:
    study = world.series(instances=1, matrix=16, patient=patient)
    return world.with_attributes(study, **values) if values else study


@requirement("CLAIM-PREFETCH-04")
@pytest.mark.lasting(5)
def test_only_the_exact_patient_is_fetched(world: World) -> None:
    """Ten patients of one name, with IDs that are prefixes, other case, leading zeros or wildcards: each gets only his own.

    CLAIM-PREFETCH-04: a wildcard character in an ID is that character.
    """
    base = world.cast.patient(1)
    ids = [f"{base.patient_id}{tail}" for tail in _TAILS] + [base.patient_id.lower(), f"0{base.patient_id}"]
    studies = [_small(world, alike(base, patient_id)) for patient_id in ids]
    world.store_in_cloud(studies)
    here: list[Study] = []
    for study in studies:
        mark = world.link_mark()
        found = run(world, order_for(study.patient))
        here.append(study)
        named = {row["study_instance_uid"] for row in found["studies"]}
        assert named == {study.study_instance_uid}, (
            f"CLAIM-PREFETCH-04: the order for {study.patient.patient_id!r} meant {len(named)} studies: {found}"
        )
        assert fetched_since(world, mark) == study.sop_instance_uids, f"for {study.patient.patient_id!r}"
        assert world.pacs_study_uids() == world.uids(here), f"for {study.patient.patient_id!r}"
    world.expect("pacs", studies)
    world.evidence.note(
        f"{len(ids)} look-alike patients of one name were ordered; each brought only his own study."
    )


@requirement("CLAIM-PREFETCH-04")
@needs("control")
def test_issuer_and_repetition_are_heeded(world: World) -> None:
    """The same ID of two issuers is two patients; of several IDs in an order the one of the hospital's authority counts.

    CLAIM-PREFETCH-04: the first repetition may be another authority's.
    """
    one, two = world.cast.patient(1), world.cast.patient(2)
    ours = _small(world, one, IssuerOfPatientID="HOSP")
    theirs = _small(world, one, IssuerOfPatientID="LAB")
    other = _small(world, two, IssuerOfPatientID="HOSP")
    world.store_in_cloud([ours, theirs, other])
    keys = {"prefetch.assigning_authority": '"HOSP"'}
    with world.router_settings(lambda text: with_keys(text, keys)):
        run(world, order_for(one, identifiers=f"{two.patient_id}^^^LAB~{one.patient_id}^^^HOSP"))
        assert world.pacs_study_uids() == world.uids([ours]), (
            "CLAIM-PREFETCH-04: another authority's repetition or studies"
        )
        run(world, order_for(two, identifiers=f"{one.patient_id}^^^CLINIC~{two.patient_id}^^^HOSP"))
        assert world.pacs_study_uids() == world.uids([ours, other])
    run(world, order_for(one, identifiers=f"{one.patient_id}^^^LAB"))
    world.expect("pacs", [ours, other, theirs])


@requirement("CLAIM-PREFETCH-04")
def test_order_that_names_nobody_is_refused(world: World) -> None:
    """Without an ID an order is answered AE with the place named, an unsupported message AR; neither fetches anything.

    CLAIM-PREFETCH-04: an empty ID matches nobody. The same order with an ID brings the study.
    """
    study = _small(world, world.cast.patient(1))
    world.store_in_cloud([study])
    before, mark = newest(world), world.link_mark()
    for change, code, where in (
        ({"identifiers": ""}, "AE", "PID^1^3"),
        ({"identifiers": '""'}, "AE", "PID^1^3"),
        ({"identifiers": "^^^HOSP"}, "AE", "PID^1^3"),
        ({"kind": "ORU^R01"}, "AR", "MSH^1^9"),
    ):
        answer = place(world, order_for(study.patient, **change))
        assert (answer.code, where in answer.error) == (code, True), (
            f"CLAIM-PREFETCH-04 {change}: {answer.raw!r}"
        )
    assert newest(world) == before, "CLAIM-PREFETCH-04: a refused order has started something"
    assert fetched_since(world, mark) == set()
    run(world, order_for(study.patient))
    world.expect("pacs", [study])


@requirement("CLAIM-PREFETCH-04")
@pytest.mark.parametrize(
    ("number", "character_set", "encoding"),
    [(5, "8859/1", "latin-1"), (6, "UNICODE UTF-8", "utf-8"), (4, "UNICODE UTF-8", "utf-8")],
    ids=["Latin-1", "UTF-8", "Japanese"],
)
def test_name_in_another_character_set_is_the_same_name(
    world: World, number: int, character_set: str, encoding: str
) -> None:
    """A name in the character set of MSH-18 agrees with that of the cloud's studies: no alarm, and they come.

    CLAIM-PREFETCH-04.
    """
    study = _small(world, world.cast.patient(number))
    world.store_in_cloud([study])
    order = order_for(study.patient, header=f"||||||{character_set}", character_set=encoding)
    found = run(world, order)
    assert (found["state"], found["note"]) == ("done", ""), f"CLAIM-PREFETCH-04: {found}"
    world.expect("pacs", [study])


@requirement("CLAIM-PREFETCH-04")
@needs("control")
def test_name_that_disagrees_raises_an_alarm_or_stops(world: World) -> None:
    """A wrong name beside the right ID is an alarm; in strict mode nothing is fetched until the name is right.

    CLAIM-PREFETCH-04.
    """
    strict, lenient = (_small(world, world.cast.patient(number)) for number in (2, 3))
    world.store_in_cloud([strict, lenient])
    mark = world.link_mark()
    with world.router_settings(lambda text: with_keys(text, {"prefetch.strict_name": "true"})):
        stopped = run(world, order_for(strict.patient, name="Quite^Different"))
        assert stopped["state"] == "stopped", f"CLAIM-PREFETCH-04: {stopped}"
        assert fetched_since(world, mark) == set(), "CLAIM-PREFETCH-04: fetched in spite of strict mode"
        assert run(world, order_for(strict.patient))["state"] == "done"
    found = run(world, order_for(lenient.patient, name="Quite^Different"))
    assert found["state"] == "done", found
    assert "name" in found["note"], (
        f"CLAIM-PREFETCH-04: the trigger does not say that the names differ: {found}"
    )
    alarms = world.router.status()["alarms"]
    assert any("name" in alarm for alarm in alarms), f"CLAIM-PREFETCH-04: no alarm: {alarms}"
    world.expect("pacs", [strict, lenient])
