"""What a router may have besides: migration, a watched folder, a reader of the change feed (ROUTER-194 to 196)."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from fixtures.clients.answers import Response, expect
from fixtures.traceability import needs, not_applicable, requirement
from fixtures.waiting import eventually
from fixtures.world import World
from fixtures.world.router_file import require_file, with_keys
from fixtures.world.router_folder import RouterFolder
from suites.router.conftest import VariantWorld
from suites.router.settings import NARROW

pytestmark = pytest.mark.router


@requirement("ROUTER-195")
@needs("migration")
def test_migration_is_planned_then_done(world: World) -> None:
    """A dry run moves nothing; the job copies the oldest first, proves each instance, and deletes only when told to."""
    old, older, young = world.dated_studies(["19010102", "19010101", "20220101"], instances=2)
    world.arrange_all([old, older, young], "pacs")
    select = {"studies": [old.study_instance_uid, older.study_instance_uid]}
    dry = world.finish_migration(world.router.start_migration(select, dry_run=True))
    assert world.cloud_study_uids() == set(), f"ROUTER-195: a dry run copied: {dry.describe()}"
    feed = world.feed_mark()
    done = world.migrate(select=select, delete=False)
    assert done.state not in ("failed", "running"), done.describe()
    world.expect_both([old, older])
    assert world.first_creates_since(feed) == [older.study_instance_uid, old.study_instance_uid], (
        "oldest first"
    )
    rows = [row for row in done.raw["manifest"] if row["study_instance_uid"] in world.uids([old, older])]
    assert len(rows) == 4, "ROUTER-195: a row of the manifest per instance"
    world.migrate(select={"studies": [older.study_instance_uid]}, delete=True)
    eventually(
        lambda: world.held("pacs", [older]) == set(),
        within=10,
        because="the migrated study to leave the PACS",
    )
    world.expect("cloud", [old, older])
    world.expect("pacs", [old, young])


@requirement("ROUTER-194")
@needs("control")
def test_watched_folder(world: World, variant_world: VariantWorld) -> None:
    """A file is taken as if it were sent, delivered byte for byte, and in the archive only once all have confirmed it."""
    require_file(world.deployment)
    usual = {row["name"] for row in world.router.status()["paths"]}
    assert "file-drop" not in usual, "ROUTER-194: the demo's configuration has it switched off"
    with variant_world(NARROW) as watching:
        drop, archive = (RouterFolder(watching.deployment, name) for name in ("drop", "drop-archive"))
        study, feed = watching.series(instances=3), watching.feed_mark()
        watching.register([study])
        files = {f"scan/{number}.dcm": each.part10 for number, each in enumerate(study.instances)}
        watching.router.pause("cloud")
        try:
            drop.put(files)
            watching.expect("pacs", [study])
            assert archive.files().keys().isdisjoint(files), "archived, though the cloud has not confirmed"
            assert drop.files() == files, "gone from the folder, though the cloud has not confirmed"
            watching.kill("router")
            watching.start("router")
        finally:
            watching.router.resume("cloud")
        watching.expect_both([study])
        eventually(
            lambda: files.items() <= archive.files().items(),
            within=watching.bounds.settle,
            because="the confirmed files to be in the archive as they were",
        )
        assert drop.files().keys().isdisjoint(files), "still in the watched folder"
        creates = [entry["sopInstanceUid"] for entry in watching.feed_since(feed)]
        assert sorted(creates) == sorted(watching.sop_uids([study])), "each stored exactly once"


@requirement("ROUTER-194")
@needs("control")
def test_what_is_not_taken_from_the_watched_folder(variant_world: VariantWorld) -> None:
    """What a C-STORE would be refused for, or is no DICOM, is laid aside with its reason; a stopped path takes nothing."""
    with variant_world(NARROW) as watching:
        drop, rejected = (RouterFolder(watching.deployment, name) for name in ("drop", "drop-rejected"))
        study = watching.series(instances=2)
        watching.register([study])
        whole, other = (each.part10 for each in study.instances)
        bad = {"letter.txt": b"Dear radiologist\n" * 100, "cut.dcm": whole[:-1000]}
        before = watching.router.path("file-drop")
        drop.put(bad)
        reasons = {f"{name}.reason.txt" for name in bad}
        eventually(
            lambda: bad.items() <= rejected.files().items() and reasons <= rejected.files().keys(),
            within=watching.bounds.settle,
            because="both files to be laid aside, each with its reason",
        )
        assert all(b"DICOM" in rejected.files()[name] for name in reasons)
        assert drop.files().keys().isdisjoint(bad)
        after = watching.router.path("file-drop")
        assert (after["refused"] - before["refused"], after["received"]) == (len(bad), before["received"])
        watching.router.stop_path("file-drop")
        try:
            drop.put({"later.dcm": other})
            watching.pause(3)
            assert watching.held("cloud", [study]) == set(), "taken by a stopped path"
        finally:
            watching.router.start_path("file-drop")
        watching.expect("cloud", [study], without={study.instances[0].sop_instance_uid})


@requirement("ROUTER-196")
def test_change_feed_tool(world: World) -> None:
    """The change feed is read with offset, limit and metadata, and compared with what the router delivered."""
    feed = _feed_route(world)
    before = sum(1 for _ in _lines(feed("")))
    study, foreign = world.series(instances=2), world.series(instances=1)
    assert world.send([study], "intake").all_success
    world.expect("cloud", [study])
    world.settle_router()
    world.store_in_cloud([foreign])
    mine, theirs = world.sop_uids([study]), world.sop_uids([foreign])
    created = _lines(feed(f"?offset={before}"))
    assert [line["action"].lower() for line in created] == ["create"] * 3
    assert {line["sopInstanceUid"] for line in created} == mine | theirs
    (second,) = _lines(feed(f"?offset={before + 1}&limit=1&metadata=true"))
    assert second["sopInstanceUid"] == created[1]["sopInstanceUid"]
    assert second["metadata"]["0020000D"]["Value"] == [created[1]["studyInstanceUid"]]
    assert "metadata" not in created[1]
    compared = {
        line["sopInstanceUid"]: line["delivery"]
        for line in _lines(feed(f"?offset={before}&reconcile=true"))
        if "delivery" in line
    }
    assert compared == {**dict.fromkeys(mine, "delivered"), **dict.fromkeys(theirs, "unknown")}
    assert world.delete_from_cloud(study.study_instance_uid) == ""
    missing = {line["missing"] for line in _lines(feed("?reconcile=true")) if "missing" in line}
    assert mine <= missing, "ROUTER-196: deliveries that the cloud has no more are not reported"
    assert not missing & theirs


@requirement("ROUTER-196")
@needs("control")
def test_purge_is_off_and_needs_a_confirmation(world: World) -> None:
    """Studies are deleted only where the configuration allows it and the order says so in so many words."""
    require_file(world.deployment)
    _feed_route(world)
    study, other = world.series(instances=1), world.series(instances=1)
    assert world.send([study, other], "intake").all_success
    world.expect("cloud", [study, other])
    world.settle_router()
    order = {"studies": [study.study_instance_uid]}
    confirmed = order | {"confirm": "delete-studies"}
    assert _purge(world, confirmed).status == 400, "ROUTER-196: the purge is on by default"
    with world.router_settings(lambda text: with_keys(text, {"change_feed.allow_purge": "true"})):
        assert _purge(world, order).status == 400, "ROUTER-196: purged without a confirmation"
        assert _purge(world, order | {"confirm": "yes"}).status == 400
        world.expect("cloud", [study, other])
        (outcome,) = _purge(world, confirmed).json()["studies"]
        assert outcome["outcome"] == "deleted", outcome
    assert world.held("cloud", [study]) == set()
    world.expect("cloud", [other])


def _feed_route(world: World) -> Callable[[str], Response]:
    """Asks for the change feed with a query."""
    described = world.router.http.request("GET", "/openapi.json").json()["paths"]
    if "/change-feed" not in described:
        not_applicable(
            "the router offers no reader of the change feed, which ROUTER-196 allows",
            probe="GET /openapi.json has no path /change-feed",
        )
    return lambda query: expect("change feed", world.router.http.request("GET", f"/change-feed{query}"))


def _lines(answer: Response) -> list[dict[str, Any]]:
    return [json.loads(line) for line in answer.body.splitlines()]


def _purge(world: World, order: Mapping[str, object]) -> Response:
    return world.router.http.request(
        "POST",
        "/change-feed/purge",
        headers=[("Content-Type", "application/json")],
        body=json.dumps(order).encode(),
    )
