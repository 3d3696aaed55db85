"""What was acknowledged is on the disk, whatever its size (CLAIM-DUAL-12, CLAIM-DUAL-15)."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from fixtures.data import Study
from fixtures.deployment.processes import peak_memory, process_id
from fixtures.deployment.spec import PORTS
from fixtures.deployment.tracing import NotTraceable, traced
from fixtures.evidence.durability import what_was_missing
from fixtures.traceability import needs, not_applicable, requirement
from fixtures.waiting import eventually
from fixtures.world import World, rules
from fixtures.world.router_file import with_keys

pytestmark = pytest.mark.demo

MEGABYTES = "CONFORMANCE_LARGE_MEGABYTES"
"""The size of the large objects; 72 by default, 500 is the size of the claim."""
MIB = 1024**2
SMALL_MEGABYTES = 5
MORE_MEMORY = 64 * MIB
_FRAME = 512 * 512 * 3


@requirement("CLAIM-DUAL-12", "ROUTER-046")
@needs("control", "link")
def test_acknowledged_objects_are_on_the_disk_before_the_answer(world: World, tmp_path: Path) -> None:
    """Object, folder entry and task are synced before each 0000 leaves; killed at the last one, nothing is lost.

    CLAIM-DUAL-12, by a trace of the router's system calls: small objects, and one that gets a file of its own.
    """
    small, large = world.series(instances=6, matrix=16), world.series(instances=1, matrix=1024)
    instances = [*small.instances, *large.instances]
    try:
        with (
            world.cut("refuse"),
            traced(process_id(world.deployment, "router"), tmp_path) as calls_of,
        ):
            sent = world.send([small, large], "intake")
            world.kill("router")
    except (NotTraceable, LookupError) as cannot:
        not_applicable("what the router syncs can only be seen in a trace", probe=f"strace: {cannot}")
    assert sent.all_success, sent.describe()
    calls = calls_of()
    router = world.deployment.router
    # In its container a router listens on ports of its own; one with a single port has the bridge's.
    inside = PORTS["router"]["bridge" if router.intake.port == router.bridge.port else "intake"]
    port = inside if world.deployment.runner == "docker" else router.intake.port
    missing = {
        instance.description: found
        for instance in instances
        if (found := what_was_missing(calls, instance.sop_instance_uid, port=port))
    }
    assert not missing, f"answered 0000 before it was on the disk: {missing}"

    world.start("router")
    world.expect_both([small, large])
    world.expect_created_once([small, large])
    syncs = sum(call.syncs for call in calls)
    world.evidence.note(
        f"{len(instances)} objects: before each 0000 the file, its folder entry and the index were synced ({syncs} syncs seen); "
        "killed at the last answer, the router delivered all of them."
    )


@requirement("CLAIM-DUAL-15")
@needs("control", "migration", "wipe")
@pytest.mark.lasting(20)
def test_large_objects_pass_every_way_in_bounded_memory(world: World) -> None:
    """Dual delivery of two at once, push, C-MOVE and migration of a large object take no more memory than of a small one.

    CLAIM-DUAL-15: peak memory of router and service at most 64 MB above that for 5 MB. The size of the large ones is that of
    CONFORMANCE_LARGE_MEGABYTES; by default it is just large enough to exceed the bound when it is held in memory.
    """
    megabytes = int(os.environ.get(MEGABYTES, "72"))
    small = [_object_of(world, SMALL_MEGABYTES) for _ in range(3)]
    large = [_object_of(world, size) for size in (megabytes, megabytes // 3, megabytes)]
    _ = [study.instances for study in [*small, *large]]
    with peak_memory(world.deployment, "router", "cloud") as peaks:
        _go_every_way(world, small)
        usual = peaks()
    with peak_memory(world.deployment, "router", "cloud") as peaks:
        _go_every_way(world, large)
        most = peaks()

    more = {role: most[role] - usual[role] for role in usual}
    for role, taken in more.items():
        world.evidence.figure(f"{role}: memory for {megabytes} MB above that for 5 MB", taken // MIB, "MiB")
    too_much = {role: f"{taken // MIB} MiB" for role, taken in more.items() if taken > MORE_MEMORY}
    assert not too_much, f"more memory for objects of {megabytes} MB than for such of 5 MB: {too_much}"
    world.evidence.note(
        f"Objects of {megabytes} MB went every way unchanged: delivered to both places two at once, pushed, moved and migrated. "
        f"The claim's full size is checked with {MEGABYTES}=500."
    )


@requirement("CLAIM-DUAL-15", "ROUTER-127")
@needs("control", "http-interposer")
def test_object_beyond_the_limit_is_dead_lettered_with_its_size(world: World) -> None:
    """Beyond what the cloud takes the cloud's task ends as a dead letter that names the size; the PACS has the object.

    CLAIM-DUAL-15: once the service refuses it (413, answered by the link as a service with a lower limit does), once the
    router knows the limit itself.
    """
    refused, known, fits = (world.series(instances=1, matrix=size) for size in (512, 512, 32))
    with world.cloud_answers(rules.store_answered(413, refused.instances[0].fingerprint)):
        assert world.send([refused], "intake").all_success
        assert "413" in _reason(world, refused)
    with world.router_settings(lambda text: with_keys(text, {"cloud.max_request_bytes": "300000"})):
        assert world.send([known, fits], "intake").all_success
        reason = _reason(world, known)
        world.expect("cloud", [fits])
    assert str(len(known.instances[0].part10) // 1000) in reason.replace(",", ""), reason
    world.expect("pacs", [refused, known, fits])
    assert not world.held("cloud", [refused, known])
    world.evidence.note(
        f"Beyond the limit the PACS has the object and the cloud's dead letter says: {reason}."
    )


def _object_of(world: World, megabytes: int) -> Study:
    """One multi-frame object of about so many megabytes."""
    return world.series(instances=1, modality="US", matrix=512, frames=megabytes * 10**6 // _FRAME)


def _go_every_way(world: World, studies: Sequence[Study]) -> None:
    first, second, pushed = studies
    other = world.series(instances=3, matrix=16)
    statuses = world.send_one_by_one([first, second, other], "intake")
    assert set(statuses.values()) == {0x0000}, statuses
    world.expect_both([first, second, other], within=120)

    world.arrange(pushed, "pacs")
    # On a busy machine the PACS's timer of 10 s may end the first attempt; the upload goes on, and a repeat is answered from it.
    eventually(
        lambda: world.push_from_pacs(pushed).succeeded, within=90, because="the PACS's push to end in success"
    )
    world.expect("cloud", [pushed], second_look=False)

    assert not world.delete_from_cloud(pushed.study_instance_uid)
    migration = world.migrate(select={"studies": [pushed.study_instance_uid]}, delete=True)
    assert migration.state == "done", migration.describe()
    world.expect("cloud", [pushed], second_look=False)
    assert not world.held("pacs", [pushed])

    retrieval = world.retrieve_to_pacs(pushed)
    assert retrieval.succeeded, retrieval.error
    world.expect("pacs", [pushed], second_look=False)


def _reason(world: World, study: Study) -> str:
    """Why the router gave up the study's only object for the cloud."""
    (uid,) = world.sop_uids([study])
    (letter,) = eventually(
        lambda: [d for d in world.dead_letters() if d.sop_instance_uid == uid],
        within=world.bounds.settle,
        because="the object that is too large to be dead-lettered",
    )
    return letter.reason
