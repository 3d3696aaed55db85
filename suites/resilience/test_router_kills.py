"""The router is killed in the middle of everything, again and again (ROUTER-046, 100, 104, 174)."""

import os
import time

import pytest

from fixtures.traceability import needs, requirement
from fixtures.world import World
from suites.resilience.traffic import Traffic

pytestmark = pytest.mark.resilience

ROUNDS = "CONFORMANCE_KILL_ROUNDS"
_FEW = 5
_LEAST, _MOST = 0.05, 1.2
"""Seconds of traffic before a kill."""


@requirement("ROUTER-174", "ROUTER-046", "ROUTER-100", "ROUTER-104")
@needs("control")
@pytest.mark.timeout(7200)
def test_nothing_acknowledged_is_lost_or_doubled_by_kills(world: World) -> None:
    """SIGKILL at random instants of mixed traffic: no acknowledged instance is lost, none has a second effect, none is half there.

    CONFORMANCE_KILL_ROUNDS says how often, 5 by default; each round's instants follow from its number.
    """
    rounds = int(os.environ.get(ROUNDS, str(_FEW)))
    down: list[float] = []
    traffic = Traffic(world, seed=rounds)
    traffic.prepare()
    for _ in range(rounds):
        with traffic.running():
            traffic.wait(_LEAST, _MOST)
            world.kill("router")
            began = time.monotonic()
            world.start("router")
            down.append(time.monotonic() - began)
            traffic.wait(_LEAST, _MOST)
        traffic.look()
    traffic.send_the_rest()
    world.router.drained(within=world.bounds.settle)
    traffic.expect_everything_once()
    assert traffic.done["intake acknowledged"] >= rounds, f"hardly any traffic: {dict(traffic.done)}"
    assert traffic.done["bridge acknowledged"] > 0, dict(traffic.done)
    assert traffic.done["storescu acknowledged"] > 0, dict(traffic.done)
    world.evidence.figure("kills of the router", rounds)
    world.evidence.figure("instances sent", len(world.sop_uids(traffic.studies)))
    world.evidence.figure("longest start after a kill", round(max(down), 2), "s")
    world.evidence.note(
        f"{rounds} kills under traffic ({dict(traffic.done)}): nothing acknowledged was lost, nothing created twice."
    )
