"""Loading the configuration anew, and reconciling what was delivered (ROUTER-008, 197, 199)."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from fixtures.traceability import needs, requirement
from fixtures.world import World
from fixtures.world.reconciling import reconciled
from fixtures.world.router_file import edited, with_keys
from suites.router.clients import witness

pytestmark = pytest.mark.router


def _load(world: World, *, dry_run: bool = False) -> Any:
    query = "?dry_run=true" if dry_run else ""
    return world.router.http.request("POST", f"/config/load{query}")


def _with(**keys: str) -> Callable[[str], str]:
    return lambda text: with_keys(text, {name.replace("__", "."): value for name, value in keys.items()})


@requirement("ROUTER-008", "ROUTER-199", "ROUTER-003")
@needs("control")
def test_changed_file_is_in_force_without_a_restart(world: World) -> None:
    """An allow-list that is loaded is enforced at once, named in the answer, and gone when the old file is loaded again."""
    name, shown = "paths.modality-intake.allowed_calling_aes", world.router.config()
    started = world.router.status()["started"]
    try:
        with edited(world.deployment, lambda text: with_keys(text, {name: '["GDCM"]'})):
            dry = _load(world, dry_run=True)
            assert dry.status == 200, dry.describe()
            assert name in json.dumps(dry.json()["applied"]), f"ROUTER-008: {dry.json()}"
            assert world.modality("STRANGER").echo(world.intake).succeeded, "a dry run changed something"
            loaded = _load(world)
            assert loaded.status == 200, loaded.describe()
            assert loaded.json()["applied"] == [name], f"ROUTER-008: {loaded.json()}"
            assert world.modality("STRANGER").echo(world.intake).association == "rejected"
            assert witness(world, "dcmtk").echo(world.intake).succeeded, "the listed AE title"
    finally:
        assert _load(world).status == 200
    assert world.modality("STRANGER").echo(world.intake).succeeded
    assert world.router.config() == shown, "ROUTER-008: the old file brings the old configuration back"
    assert world.router.status()["started"] == started, "ROUTER-008: it was restarted"


@requirement("ROUTER-008", "ROUTER-199")
@needs("control")
@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_with(spool__hard_limit_percent="1000"), "hard_limit_percent"),
        (_with(spool__no_such_key="1"), "no_such_key"),
        (
            lambda text: text.replace('destinations = ["ORTHANC", "cloud"]', 'destinations = ["NOWHERE"]'),
            "destinations",
        ),
        (lambda text: text + "\n[[[", "TOML"),
    ],
    ids=["value", "unknown key", "reference", "syntax"],
)
def test_invalid_file_leaves_the_running_configuration(
    world: World, change: Callable[[str], str], named: str
) -> None:
    """A file with a fault is refused as a whole with the key named, and the router works on as before."""
    shown = world.router.config()
    with edited(world.deployment, change):
        answer = _load(world)
        assert answer.status == 400, f"ROUTER-008: an invalid file was answered {answer.describe()}"
        assert named in answer.body.decode(), (
            f"ROUTER-008: the faulty key {named!r} is not named: {answer.body!r}"
        )
        assert world.router.config() == shown, "ROUTER-008: loading is atomic"
        study = world.series(instances=1)
        assert world.send([study], "intake").all_success
        world.expect_both([study])
    assert _load(world).status == 200


@requirement("ROUTER-197")
@needs("wipe")
def test_reconciliation_names_what_is_missing_and_repairs_when_told(world: World) -> None:
    """Equal sides agree; a study that vanished from the cloud is listed instance by instance; repair brings it back."""
    kept, lost = world.sized_studies(count=2, instances=3)
    assert world.send([kept, lost], "intake").all_success
    world.expect_both([kept, lost])
    world.router.drained(within=world.bounds.settle)
    found = reconciled(world, [kept, lost])
    assert found.report["agrees"] is True, f"ROUTER-197: {found.report}"
    assert not found.findings

    assert world.cloud.delete(lost.study_instance_uid).status == 204
    found = reconciled(world, [kept, lost])
    assert found.report["agrees"] is False, "ROUTER-197: a study is gone and all agrees"
    named = {(f["sop_instance_uid"], f["destination"], f["kind"]) for f in found.findings}
    assert named == {(uid, "cloud", "missing") for uid in world.sop_uids([lost])}, f"ROUTER-197: {named}"
    assert world.held("cloud", [lost]) == set(), "ROUTER-197: it changes nothing unless told to"

    reconciled(world, [kept, lost], repair=True)
    world.expect_both([kept, lost])


@requirement("ROUTER-197")
def test_reconciliation_finds_what_the_router_never_delivered(world: World) -> None:
    """An instance of a delivered study that reached a side by another way is extra there."""
    study = world.series(instances=3)
    assert world.send([world.part_of(study, 2)], "intake").all_success
    world.expect_both([world.part_of(study, 2)])
    world.router.drained(within=world.bounds.settle)
    world.store_in_cloud([replace(study, make=lambda: study.instances[2:])])
    findings = reconciled(world, [study]).findings
    named = {(f["sop_instance_uid"], f["destination"], f["kind"]) for f in findings}
    assert named == {(study.instances[2].sop_instance_uid, "cloud", "extra")}, f"ROUTER-197: {named}"


@requirement("ROUTER-197", "ROUTER-142")
@needs("link")
def test_side_that_cannot_be_asked_is_not_compared(world: World) -> None:
    """With the cloud cut off its instances are neither missing nor agreed upon."""
    study = world.series(instances=2)
    assert world.send([study], "intake").all_success
    world.expect_both([study])
    world.router.drained(within=world.bounds.settle)
    with world.cut("refuse"):
        found = reconciled(world, [study])
    assert found.report["agrees"] is not True, "ROUTER-197: agreed with a cloud that did not answer"
    assert not [f for f in found.findings if f["kind"] == "missing"], (
        f"ROUTER-197: no answer is not missing: {found.findings}"
    )
