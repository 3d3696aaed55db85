"""What a router may have besides: migration, a watched folder, a reader of the change feed (ROUTER-194 to 196)."""

import json
import re

import pytest

from fixtures.traceability import needs, not_applicable, requirement
from fixtures.waiting import eventually
from fixtures.world import World

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
def test_watched_folder(world: World) -> None:
    """Optional: a watched folder feeds the cloud path."""
    settings = json.dumps(world.router.config())
    if not re.search(r"folder|watch|drop", settings):
        not_applicable(
            "the router has no file drop intake, which ROUTER-194 allows", probe="GET /config names no folder"
        )
    raise AssertionError("the router has a file drop intake, and this suite does not check it yet")


@requirement("ROUTER-196")
def test_change_feed_tool(world: World) -> None:
    """Optional: a reader of the change feed, whose purge needs a confirmation."""
    described = json.dumps(world.router.http.request("GET", "/openapi.json").json()["paths"])
    if "feed" not in described:
        not_applicable(
            "the router offers no reader of the change feed, which ROUTER-196 allows",
            probe="GET /openapi.json has no path with 'feed'",
        )
    raise AssertionError("the router reads the change feed, and this suite does not check it yet")
