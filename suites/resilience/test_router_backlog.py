"""A long queue in the router does not slow down whoever sends to it (CLAIM-DUAL-10)."""

import pytest

from fixtures.evidence.ratio import timed
from fixtures.traceability import needs, requirement
from fixtures.world import World

pytestmark = pytest.mark.resilience

INSTANCES = 5000


@requirement("CLAIM-DUAL-10", "ROUTER-101")
@needs("control", "router-admin")
@pytest.mark.timeout(600)
def test_sending_beside_five_thousand_waiting_instances(world: World) -> None:
    """With 5000 instances in every queue a study of 20 is acknowledged as fast as with none (ratio rule, limit 1.5)."""

    def sending() -> float:
        study = world.series(instances=20, matrix=32)
        _ = study.instances  # made before the clock runs
        return timed(lambda: _acknowledged(world.send([study], "intake").statuses))

    ratio = world.ratio_with_backlog(sending, instances=INSTANCES)
    world.judge(ratio, f"sending with a backlog of {INSTANCES} over sending with none")


def _acknowledged(statuses: list[int | None]) -> None:
    assert set(statuses) == {0x0000}
