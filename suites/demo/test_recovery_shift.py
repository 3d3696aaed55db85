"""The shift to the cloud is immediate (CLAIM-RECOVERY-03)."""

from collections.abc import Generator
from statistics import median

import pytest

from fixtures.data import Study
from fixtures.deployment.processes import running_since
from fixtures.deployment.system_files import SystemFiles
from fixtures.evidence.ratio import timed
from fixtures.traceability import needs, requirement
from fixtures.world import World
from fixtures.world.timing import Round
from suites.demo.signing_in import ViewerRequests

pytestmark = pytest.mark.demo

RATIO, MORE_SECONDS = 1.5, 2.0
"""The viewer may take this many times as long, or so many seconds more, whichever is larger."""
LOOKS = 4
SERVING = ("cloud", "identity")


@requirement("CLAIM-RECOVERY-03")
@needs("control")
@pytest.mark.lasting(10)
def test_first_picture_after_the_loss_needs_nothing_to_be_done(world: World) -> None:
    """With PACS and router killed list, study and first frame come at the first try, in the time they took before.

    CLAIM-RECOVERY-03: the viewer's requests on connections it had before; the viewer itself in a browser is in suites/viewer.
    """
    study = world.series(instances=3)
    assert world.send([study], "intake").all_success
    world.expect_both([study])
    viewer = ViewerRequests(world.cloud_as(world.tokens("reader")))
    usual = median(timed(lambda: _look(viewer, study)) for _ in range(LOOKS))
    limit = max(RATIO, 1 + MORE_SECONDS / usual)
    before = _state_of_what_serves(world)
    ratio = world.measure(lambda: _rounds(world, viewer, study), limit=limit)
    assert _state_of_what_serves(world) == before, "something was restarted or configured anew"
    world.judge(ratio, "list, open and first frame after the loss over before")
    world.evidence.note(
        f"List, open and first frame took {usual * 1000:.0f} ms before the loss; with PACS and router killed they came at the "
        "first try, on the viewer's own connections, with nothing restarted or configured."
    )


def _rounds(world: World, viewer: ViewerRequests, study: Study) -> Generator[Round, None, None]:
    """Looks before the loss, after it, and after the return; no look is tried twice."""
    while True:
        before = [timed(lambda: _look(viewer, study)) for _ in range(LOOKS)]
        with world.down("pacs", "router"):
            lost = [timed(lambda: _look(viewer, study)) for _ in range(LOOKS)]
            assert world.pacs_is_dead(), "the PACS still answers"
        again = [timed(lambda: _look(viewer, study)) for _ in range(LOOKS)]
        yield from zip(before, lost, again, strict=True)


def _look(viewer: ViewerRequests, study: Study) -> None:
    assert viewer.lists({study.study_instance_uid}), "the study is not in the list"
    viewer.opens([study])


def _state_of_what_serves(world: World) -> dict[str, tuple[str, str]]:
    deployment = world.deployment
    return {
        role: (running_since(deployment, role), SystemFiles(deployment, role).configuration_digest())
        for role in SERVING
    }
