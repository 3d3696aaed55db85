"""Without the PACS the cloud works on, and a new PACS can be filled from it (CLAIM-RECOVERY-*)."""

import pytest

from fixtures.traceability import needs, requirement
from fixtures.world import World

pytestmark = pytest.mark.demo


@requirement("CLAIM-RECOVERY-01")
@needs("control")
def test_cloud_serves_every_study_with_the_pacs_down(world: World) -> None:
    """After the PACS was killed, and proven dead, each study in the cloud can be listed and opened, frame by frame.

    CLAIM-RECOVERY-01.
    """
    studies = world.studies("new", patients=(4, 5, 6, 7, 8))
    assert world.send(studies, "intake").all_success
    world.expect_both(studies)
    with world.down("pacs"):
        assert world.pacs_is_dead(), "the PACS still answers"
        assert world.viewer_list() == world.cloud_study_uids() == world.uids(studies)
        frames = world.view_all_frames(studies)
        world.show_from_cloud(studies[0])
    world.expect("pacs", studies)
    world.evidence.note(
        f"With the PACS dead {len(studies)} studies were listed and {frames} frames read from the cloud, pixel for pixel as sent."
    )


@requirement("CLAIM-RECOVERY-02")
@needs("control", "wipe")
@pytest.mark.lasting(8)
def test_cloud_copy_is_complete_after_the_loss_of_everything_on_prem(world: World) -> None:
    """PACS and router destroyed with their disks: a fresh client finds in the cloud all that was delivered, unchanged.

    CLAIM-RECOVERY-02.
    """
    studies = [*world.studies("new", patients=(4, 5, 6)), world.cast.study(1, "prior")]
    assert world.send(studies[:3], "intake").all_success
    assert world.send(studies[3:], "bridge").all_success
    world.expect("cloud", studies)

    world.destroy("pacs", "router")

    assert world.pacs_is_dead()
    fresh = world.fresh_cloud_reader()
    assert fresh.study_uids() & world.made == world.uids(studies)
    world.expect("cloud", studies)
    assert world.view_all_frames(studies) > 0
    world.evidence.note(
        "With PACS, router and their disks destroyed the cloud holds every delivered study, read with an identity of its own."
    )


@requirement("CLAIM-RECOVERY-06")
@needs("control", "wipe")
@pytest.mark.lasting(12)
def test_new_pacs_is_filled_from_the_cloud(world: World) -> None:
    """An empty PACS gets its studies back through the router; interrupted it resumes, and a second run moves nothing.

    CLAIM-RECOVERY-06.
    """
    studies = [*world.studies("new", patients=(4, 5, 6)), world.series(instances=60)]
    assert world.send(studies, "intake").all_success
    world.expect_both(studies)
    feed = world.feed_mark()

    world.destroy("pacs")
    world.start("pacs", wipe=True)
    assert world.pacs_study_uids() == set(), "the new PACS is not empty"

    world.restore_interrupted(studies)
    moved = world.restore()
    assert moved > 0, "the interruption came too late to leave anything"
    world.expect("pacs", studies)
    assert world.restore() == 0, "a second run moved studies that were there"
    assert world.feed_since(feed) == [], "restored objects were uploaded again"
    world.evidence.note(
        f"{len(studies)} studies returned to an empty PACS through the router, equal to the originals; a second run moved none."
    )
