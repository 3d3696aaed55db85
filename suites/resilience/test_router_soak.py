"""Mixed traffic with faults for a while: counters balance, memory and file descriptors stay flat (ROUTER-155, 188)."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import cycle

import pytest

from fixtures.clients import link
from fixtures.clients.link import Match, Rule
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World
from suites.resilience.traffic import Traffic
from suites.resilience.usage import Usage, growth, router_usage

pytestmark = pytest.mark.resilience

SECONDS = "CONFORMANCE_SOAK_SECONDS"
_SHORT = 20.0
GIB = 1024**3
_MEMORY_SLACK = 48 * 1024**2
"""Bytes by which the median of the last third may exceed that of the first: caches fill, and the allocator keeps pages."""
_IDLE_FILES = 12
"""File descriptors that an idle router may have more after the soak than before: pooled connections."""


def _every(nth: int, name: str, action: link.Action) -> Rule:
    return Rule(name, action, Match(method="POST", every=nth))


@contextmanager
def _paused(world: World, destination: str) -> Iterator[None]:
    world.router.pause(destination)
    try:
        yield
    finally:
        world.router.resume(destination)


Fault = Callable[[World], AbstractContextManager[object]]
FAULTS: tuple[Fault, ...] = (
    lambda world: world.cut("refuse"),
    lambda world: world.cloud_answers(_every(3, "some 503", link.respond(503, "busy"))),
    lambda world: world.cut("reset"),
    lambda world: world.cloud_answers(_every(4, "answers lost", link.reset("after"))),
    lambda world: _paused(world, "ORTHANC"),
    lambda world: world.cloud_answers(_every(2, "slow", link.delay(0.4))),
)


@requirement("ROUTER-155", "ROUTER-188", "ROUTER-177", "ROUTER-104")
@needs("control", "http-interposer")
@pytest.mark.timeout(7200)
def test_soak_with_faults(world: World) -> None:
    """Under traffic with one fault after another every snapshot balances, all arrives once, and the router does not grow.

    CONFORMANCE_SOAK_SECONDS says how long, 20 by default; 600 is a soak on purpose.
    """
    lasting = float(os.environ.get(SECONDS, str(_SHORT)))
    traffic = Traffic(world, seed=int(lasting))
    traffic.prepare()
    with traffic.running():  # everything is loaded before the first figure is taken
        traffic.wait(2.0, 2.0)
    world.router.drained(within=world.bounds.settle)
    idle, seen = router_usage(world.deployment), list[Usage]()
    unbalanced: list[str] = []
    ending = time.monotonic() + lasting
    faults = cycle(FAULTS)
    with traffic.running():
        while time.monotonic() < ending:
            with next(faults)(world):
                _watch(world, 1.0, seen, unbalanced)
            _watch(world, 1.0, seen, unbalanced)
    assert not unbalanced, f"ROUTER-155: counters do not balance: {unbalanced[:3]}"
    world.router.drained(within=world.bounds.settle * 2)
    traffic.look()
    traffic.send_the_rest()
    world.router.drained(within=world.bounds.settle * 2)
    traffic.expect_everything_once()
    _judge(world, idle, seen)
    world.evidence.figure("soak", round(lasting), "s")
    world.evidence.note(
        f"{lasting:g} s of traffic with faults: {dict(traffic.done)}; every snapshot balanced."
    )


def _watch(world: World, seconds: float, seen: list[Usage], unbalanced: list[str]) -> None:
    """Take snapshots of counters and usage for so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        unbalanced += _unbalanced(world)
        seen.append(router_usage(world.deployment))
        world.pause(0.2)


def _unbalanced(world: World) -> list[str]:
    parts = ("delivered", "waiting", "in_progress", "dead_lettered", "duplicates")
    rows = world.router.status()["destinations"]
    return [str(row) for row in rows if row["accepted"] != sum(row[part] for part in parts)]


def _judge(world: World, idle: Usage, seen: list[Usage]) -> None:
    memory = [usage.resident_bytes for usage in seen]
    assert max(memory) < GIB, f"ROUTER-188: {max(memory) / 1024**2:.0f} MiB resident, 1 GiB is promised"
    grown = growth(memory)
    assert grown < _MEMORY_SLACK, f"memory grew by {grown / 1024**2:.0f} MiB over the soak"
    most = idle.open_files + _IDLE_FILES
    eventually(
        lambda: router_usage(world.deployment).open_files <= most,
        within=20,
        because=f"the file descriptors to come back to the {idle.open_files} of an idle router",
    )
    final = router_usage(world.deployment)
    world.evidence.figure("resident memory, highest", round(max(memory) / 1024**2), "MiB")
    world.evidence.figure("resident memory, growth", round(grown / 1024**2, 1), "MiB")
    world.evidence.figure("file descriptors, idle before and after", f"{idle.open_files}, {final.open_files}")
