"""Nothing is lost, doubled or invented over a long mixed run (CLAIM-INTEGRITY-03)."""

import os
from collections import Counter
from collections.abc import Sequence

import pytest

from fixtures.traceability import needs, requirement
from fixtures.world import World
from suites.demo.mixed import plan, play, shrunk
from suites.demo.mixed_model import Step

pytestmark = pytest.mark.demo

STEPS, SEEDS = "CONFORMANCE_MIXED_STEPS", "CONFORMANCE_MIXED_SEEDS"
_SHRINK_SECONDS = 60.0


@requirement("CLAIM-INTEGRITY-03")
@needs("change-feed", "pacs-rest", "router-admin")
@pytest.mark.lasting(15)
@pytest.mark.parametrize("seed", range(1, int(os.environ.get(SEEDS, "2")) + 1))
def test_a_long_mixed_run_loses_doubles_and_invents_nothing(world: World, seed: int) -> None:
    """After a random sequence of the demo's actions and faults PACS, cloud and change feed are as the model says.

    CLAIM-INTEGRITY-03. CONFORMANCE_MIXED_STEPS (30) and CONFORMANCE_MIXED_SEEDS (2) say how long and how many. A sequence
    that fails is made shorter as long as it fails, and shown with its seed.
    """
    sequence = plan(seed, int(os.environ.get(STEPS, "30")), world.profile.capabilities)
    try:
        model = play(world, sequence)
    except AssertionError as failure:
        short = shrunk(sequence, lambda steps: _fails(world, steps), _SHRINK_SECONDS)
        steps = " -> ".join(map(str, short))
        message = (
            f"seed {seed}, {len(sequence)} steps: {failure}\nfails also with {len(short)} steps: {steps}"
        )
        raise AssertionError(message) from failure
    done = Counter(step.action for step in sequence)
    world.evidence.note(
        f"Seed {seed}: {len(sequence)} actions and faults ({', '.join(f'{n} x {name}' for name, n in done.most_common())}) "
        f"on {len(model.known)} studies; PACS ({len(model.in_pacs())}), cloud ({len(model.in_cloud())}) and change feed "
        "are exactly as they have to be."
    )


def _fails(world: World, steps: Sequence[Step]) -> bool:
    world.mend()
    try:
        play(world, steps)
    except AssertionError:
        return True
    return False
