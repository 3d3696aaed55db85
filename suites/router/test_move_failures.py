"""C-MOVE when the cloud or the destination fails: what is counted, and what is listed (ROUTER-082, 084, 086, 087)."""

import pytest

from fixtures.clients import link
from fixtures.traceability import needs, requirement
from fixtures.world import World, rules
from suites.router.clients import study_keys, witness
from suites.router.moving import counted, moved

pytestmark = pytest.mark.router


@requirement("ROUTER-084")
@needs("http-interposer")
@pytest.mark.parametrize(("code", "status"), [(503, 0xA701), (424, 0xA701), (401, 0x0124), (403, 0x0124)])
def test_cloud_that_cannot_list_the_instances(world: World, code: int, status: int) -> None:
    """A list that is not complete is A701, a refused authorisation 0124; afterwards the move succeeds."""
    study = world.series(instances=1)
    world.store_in_cloud([study])
    with world.workstation.receiving(world.deployment.workstation_bind):
        with world.cloud_answers(
            rules.reads(str(code), link.respond(code, ""), "/(studies|series|instances)")
        ):
            result = witness(world, "dcmtk").move(
                world.bridge, "STUDY", study_keys(study), world.deployment.workstation.ae_title
            )
        assert result.status == status, f"ROUTER-084, HTTP {code}: {result.describe()}"
        assert moved(world, study).status == 0x0000


RETRIEVALS = {
    "404": link.respond(404, ""),
    "no DICOM": link.replace_body("this is no Part 10 file"),
    "cut in the middle": link.truncate_body(700),
    "reset": link.reset("before"),
}


@requirement("ROUTER-082", "ROUTER-084", "ROUTER-086")
@needs("http-interposer")
@pytest.mark.parametrize("fault", RETRIEVALS)
def test_bad_instance_fails_alone_and_is_listed(world: World, fault: str) -> None:
    """One retrieval that is refused, garbled or cut fails that instance; the others arrive, and it is listed."""
    study = world.series(instances=4)
    world.store_in_cloud([study])
    bad = study.instances[1].fingerprint
    with world.workstation.receiving(world.deployment.workstation_bind) as shelf:
        with world.cloud_answers(rules.reads_of(fault, RETRIEVALS[fault], bad)):
            result = moved(world, study)
        arrived = {r.sop_instance_uid for r in shelf.requests}
        assert result.status == 0xB000, f"ROUTER-084 (some failed): {result.describe()}"
        assert counted(result) == (3, 1, 0), f"ROUTER-086: {result.describe()}"
        assert result.failed_uids == (bad.sop_instance_uid,), f"ROUTER-084: listed {result.failed_uids}"
        assert arrived == world.sop_uids([study]) - {bad.sop_instance_uid}, "ROUTER-082"
        assert moved(world, study).status == 0x0000, "the positive twin"


@requirement("ROUTER-082")
@needs("http-interposer")
def test_wrong_instance_is_not_sent_on(world: World) -> None:
    """A retrieval that brings another instance than was asked for is a failed sub-operation, and nothing is sent."""
    study = world.series(instances=1)
    other = world.series(instances=1)
    world.store_in_cloud([study])
    own, another = study.instances[0].fingerprint, other.instances[0]
    # As text: the rule's body goes through JSON; UIDs of a small file of our own are ASCII, so are its other values.
    body = another.part10.decode("latin-1")
    with world.workstation.receiving(world.deployment.workstation_bind) as shelf:
        with world.cloud_answers(rules.reads_of("another", link.replace_body(body), own)):
            result = moved(world, study)
        assert result.status == 0xA702, f"ROUTER-084 (all failed): {result.describe()}"
        assert shelf.requests == [], "ROUTER-082: sent on what was not asked for"


@requirement("ROUTER-087")
@pytest.mark.parametrize(
    ("answer", "counts", "final"),
    [
        (0xB000, (2, 0, 1), 0xB000),
        (0xB007, (2, 0, 1), 0xB000),
        (0xC123, (2, 1, 0), 0xB000),
        (0xA900, (2, 1, 0), 0xB000),
    ],
    ids=["B000", "B007", "C123", "A900"],
)
def test_answers_of_the_destination_are_counted(
    world: World, answer: int, counts: tuple[int, int, int], final: int
) -> None:
    """A warning counts as Warning and the object is kept; a failure counts as Failed and is listed."""
    study = world.series(instances=3)
    world.store_in_cloud([study])
    special = study.instances[0].sop_instance_uid
    bind = world.deployment.workstation_bind
    with world.workstation.receiving(bind, statuses={special: answer}):
        result = moved(world, study)
    assert (result.status, counted(result)) == (final, counts), (
        f"ROUTER-087: {answer:04X}: {result.describe()}"
    )
    assert result.failed_uids == ((special,) if counts[1] else ()), result.failed_uids


@requirement("ROUTER-087")
def test_out_of_resources_is_tried_again(world: World) -> None:
    """A destination that answers A700 once and then 0000 has got the instance: Completed."""
    study = world.series(instances=2)
    world.store_in_cloud([study])
    special, asked = study.instances[0].sop_instance_uid, []

    def answer(uid: str) -> int:
        asked.append(uid)
        return 0xA700 if uid == special and asked.count(uid) == 1 else 0x0000

    with world.workstation.receiving(world.deployment.workstation_bind, statuses=answer):
        result = moved(world, study)
    assert (result.status, counted(result)) == (0x0000, (2, 0, 0)), f"ROUTER-087: {result.describe()}"
    assert asked.count(special) == 2
