"""Memory of the systems while ten and a hundred times the instances pass through them."""

import pytest

from fixtures.load.corpus import pattern
from fixtures.load.drive import drive
from fixtures.load.stow import StowSender
from fixtures.measurement.statistics import power_slope
from fixtures.reporting.evidence import Evidence
from fixtures.traceability import requirement
from suites.benchmarks.forwarding import Feed, forward_samples, router
from suites.benchmarks.hosting import Hosting
from suites.benchmarks.measuring import Bench
from suites.benchmarks.settings import Settings
from suites.benchmarks.targets import emulator

STEPS = {"emulator": (1_000, 10_000), "router": (100, 1_000, 10_000)}
QUICK_STEPS = {"emulator": (1_000, 6_000), "router": (100, 2_000)}
"""Instances by step. The emulator's caches fill up to their bounds first; test_retrieval goes on to 100 000."""
SLOPE_LIMIT = 0.15
"""Below this power of the number of instances memory does not grow with it (100 times the instances: twice)."""


@requirement("ROUTER-188")
@pytest.mark.parametrize("system", ["emulator", "router"])
def test_memory_is_flat(bench: Bench, host: Hosting, evidence: Evidence, system: str) -> None:
    """A hundred times the instances leave the system's own memory where it was; the slope a instance is reported."""
    passed = _through_emulator(bench, host) if system == "emulator" else _through_router(bench, host)
    counts, seen = zip(*passed, strict=True)
    slope = power_slope(counts, seen)
    each = (seen[-1] - seen[0]) / (counts[-1] - counts[0])
    told = f"{system}: bytes of its own by instances {dict(passed)}, {each:.0f} bytes an instance, exponent {slope:+.3f}"
    bench.results.notes.append(told)
    evidence.note(told)
    assert slope < SLOPE_LIMIT, told


def _steps(system: str) -> tuple[int, ...]:
    return (QUICK_STEPS if Settings.read().quick else STEPS)[system]


def _through_emulator(bench: Bench, host: Hosting) -> list[tuple[int, int]]:
    archive = emulator(host)
    seen, total = [], 0
    for step in _steps("emulator"):
        senders = [StowSender(archive.web, [pattern("small")], bench.stream(), batch=10) for _ in range(4)]
        driven = drive(senders, seconds=120, most=(step - total) // 10)
        for sender in senders:
            sender.close()
        assert not driven.problems, driven.problems
        total += len(driven.acknowledged)
        seen.append((total, archive.trees[0].memory()))
    return seen


def _through_router(bench: Bench, host: Hosting) -> list[tuple[int, int]]:
    way = router(host)
    seen, total = [], 0
    for step in _steps("router"):
        accepted, delivered = forward_samples(bench, way, Feed("small", step - total, 4))
        assert not delivered.void, delivered.void
        total += accepted.count
        seen.append((total, way.tree.memory()))
    return seen
