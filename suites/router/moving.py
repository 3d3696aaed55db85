"""What the tests of C-MOVE have in common."""

from fixtures.actors.results import MoveResult
from fixtures.data import Study
from fixtures.world import World
from suites.router.clients import study_keys

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"


def counted(result: MoveResult) -> tuple[int | None, ...]:
    """Completed, failed and warning sub-operations."""
    return result.completed, result.failed, result.warning


def moved(world: World, study: Study, **more: str) -> MoveResult:
    """C-MOVE of a study, or of a part of it, to the workstation, which is listening already."""
    level = "IMAGE" if "SOPInstanceUID" in more else "SERIES" if "SeriesInstanceUID" in more else "STUDY"
    return world.workstation.move(
        world.bridge, level, study_keys(study, **more), world.deployment.workstation.ae_title
    )
