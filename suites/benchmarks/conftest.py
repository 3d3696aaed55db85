"""One set of results for the session, written when it ends; systems by module."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from fixtures.load.naming import new_run
from fixtures.measurement.results import Results, write
from fixtures.reporting.run import RunRecord
from suites.benchmarks.hosting import Hosting, hosting
from suites.benchmarks.measuring import Bench
from suites.benchmarks.settings import Settings
from suites.benchmarks.targets import Archive, start_of

RESULTS = "benchmark.json"
_RUNS = Path(".local/runs")
_HOSTINGS = count(1)
Hosts = Callable[[], Hosting]


@pytest.fixture(scope="session")
def bench(run_record: RunRecord) -> Iterator[Bench]:
    """Settings, results and names of this run."""
    settings = Settings.read()
    made = Bench(
        settings, Results.begin(quick=settings.quick, slowdown_percent=settings.slowdown_percent), new_run()
    )
    yield made
    made.results.versions.setdefault("run", run_record.run_id)
    write(made.results, settings.folder / RESULTS)


@pytest.fixture(scope="module")
def host(bench: Bench, run_record: RunRecord) -> Iterator[Hosting]:
    """Where this module's systems run; they end and their data goes with it, results so far are written."""
    with hosting(_RUNS / f"{run_record.run_id}-bench{next(_HOSTINGS)}") as made:
        yield made
    write(bench.results, bench.settings.folder / RESULTS)


@pytest.fixture(scope="module")
def archives(bench: Bench, host: Hosting) -> tuple[Archive, ...]:
    """The origin servers under measurement, all up, empty at first."""
    made = tuple(start_of(word)(host) for word in bench.settings.targets)
    for one in made:
        bench.results.versions[one.name] = one.version
    return made
