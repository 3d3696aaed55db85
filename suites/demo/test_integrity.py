"""Pixels and attributes are identical end to end, on every way (CLAIM-INTEGRITY-*)."""

import pytest

from fixtures.traceability import needs, requirement
from fixtures.world import World
from suites.demo.variety import CODEC_FAMILIES

pytestmark = pytest.mark.demo

WAYS = ("dual delivery", "push", "bridge", "retrieval")


@requirement("CLAIM-INTEGRITY-01")
@pytest.mark.parametrize("way", WAYS)
def test_no_way_changes_a_pixel(world: World, way: str) -> None:
    """For one transfer syntax of each codec family, every frame at the end of the way equals the frame that was sent.

    CLAIM-INTEGRITY-01.
    """
    studies = [
        world.series(instances=2, transfer_syntax=syntax, matrix=64) for syntax in CODEC_FAMILIES.values()
    ]
    side = world.travel(studies, way)
    report = world.expect(side, studies)
    assert report.pixel_digests == world.pixel_digests(studies)
    assert report.frames == world.frames(studies) > 0
    world.evidence.note(
        f"{way}: {report.frames} frames in {len(CODEC_FAMILIES)} codec families, every pixel digest equal."
    )


@requirement("CLAIM-INTEGRITY-01")
@needs("migration", "wipe")
def test_migration_changes_no_pixel(world: World) -> None:
    """The same for migration.

    CLAIM-INTEGRITY-01.
    """
    studies = [
        world.series(instances=2, transfer_syntax=syntax, matrix=64) for syntax in CODEC_FAMILIES.values()
    ]
    world.arrange_all(studies, "pacs")
    migration = world.migrate(select={"oldest": len(studies)}, delete=True)
    assert migration.state == "done", migration.describe()
    assert world.expect("cloud", studies).pixel_digests == world.pixel_digests(studies)


@requirement("CLAIM-INTEGRITY-02")
@pytest.mark.parametrize("way", WAYS)
def test_no_way_changes_an_attribute(world: World, way: str) -> None:
    """Attribute by attribute, private, empty and nested ones and all character sets included, the copies equal the original.

    CLAIM-INTEGRITY-02.
    """
    studies = world.studies("new", patients=(1, 2, 3, 4, 5, 6, 7, 8))
    side = world.travel(studies, way)
    world.expect(side, studies)
    differing = world.attribute_differences(side, studies)
    assert differing == [], f"{len(differing)} attributes differ: {differing[:10]}"


@requirement("CLAIM-INTEGRITY-02")
def test_cloud_metadata_tells_every_attribute(world: World) -> None:
    """WADO metadata carries each attribute that was sent, except binary ones.

    CLAIM-INTEGRITY-02.
    """
    studies = world.studies("new", patients=(4, 5, 6, 7, 8))
    world.store_in_cloud(studies)
    wrong = world.metadata_differences(studies)
    assert wrong == [], f"{len(wrong)} attributes missing or different in the metadata: {wrong[:10]}"
