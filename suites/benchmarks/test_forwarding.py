"""How fast a modality's images are accepted, and reach PACS and cloud: the router beside Orthanc's own forwarding."""

import pytest

from fixtures.reporting.evidence import Evidence
from fixtures.traceability import requirement
from suites.benchmarks.forwarding import (
    Feed,
    Way,
    compare_forwarding,
    orthanc,
    orthanc_by_study,
    router,
    router_at_once,
)
from suites.benchmarks.hosting import Hosting
from suites.benchmarks.judging import conclude
from suites.benchmarks.measuring import Bench
from suites.benchmarks.settings import Settings

QUICK = (Feed("small", 400, 4), Feed("medium", 100, 4))
FULL = (
    *(Feed("small", 800, side) for side in (1, 4)),
    Feed("medium", 200, 4),
    Feed("large", 8, 2),
)
FEEDS = QUICK if Settings.read().quick else FULL


@pytest.fixture(scope="module")
def ways(bench: Bench, host: Hosting) -> tuple[Way, ...]:
    """The ways under measurement, all up."""
    made = [router(host), router_at_once(host)]
    if "orthanc" in bench.settings.targets:
        made += [orthanc_by_study(host), orthanc(host)]
    for way in made:
        bench.results.versions[f"{way.name} (forwarding)"] = way.version
    return tuple(made)


@requirement("ROUTER-030", "ROUTER-188")
@pytest.mark.parametrize("feed", FEEDS, ids=lambda feed: f"{feed.corpus}-{feed.associations}")
def test_forwarding_rates(bench: Bench, ways: tuple[Way, ...], evidence: Evidence, feed: Feed) -> None:
    """Every instance accepted is on both sides afterwards; rates of acceptance and delivery are reported."""
    rounds = bench.settings.rounds_or(2 if bench.settings.quick else 3)
    for cells in compare_forwarding(bench, ways, feed, rounds).values():
        conclude(evidence, cells)
