"""What the harness itself costs: comparing fingerprints, making load, starting the systems."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.data import Run
from fixtures.data.series import make_series
from fixtures.deployment.deploy import deploy
from fixtures.evidence.fingerprint import fingerprint, same
from fixtures.load.corpus import pattern
from fixtures.load.drive import Repeated, drive
from fixtures.load.naming import Stream
from fixtures.measurement.cpu import Meter, Tree
from fixtures.measurement.samples import Cell, Sample, interleaved, sample_of
from fixtures.measurement.statistics import interval, power_slope
from fixtures.reporting.evidence import Evidence
from fixtures.reporting.run import RunRecord
from fixtures.traceability import Profile, requirement
from suites.benchmarks.judging import conclude
from suites.benchmarks.library import library_sample
from suites.benchmarks.measuring import Bench, Load, stow_sample
from suites.benchmarks.settings import Settings
from suites.benchmarks.targets import Archive

QUICK = Settings.read().quick
REMEMBERED = 20_000
"""Fingerprints that the harness keeps at most."""
SLOPE_LIMIT = 0.15
"""Memory that grows by less than this power of the number of instances does not grow with it (100 times: twice)."""


@requirement("CLAIM-INTEGRITY-01")
@pytest.mark.parametrize("corpus", ["small", "medium"])
def test_fingerprint_comparison_rate(bench: Bench, evidence: Evidence, corpus: str) -> None:
    """Two copies of an instance are found the same; how many pairs a second is reported."""
    stream, one = Stream(bench.run, 900_000), pattern(corpus)
    numbers = iter(range(10**9))

    def once() -> str:
        file = one.part10(stream.names(next(numbers)))
        return "" if same(fingerprint(file), fingerprint(file)) else "two copies of one file differ"

    cell = bench.results.cell("fingerprints compared", {"instances": corpus}, "harness", "requests/s")
    for _ in range(bench.settings.rounds):
        cell.samples.append(_sampled([Repeated(once, lambda: None)], bench.settings.seconds))
    conclude(evidence, [cell])


def _sampled(senders: list[Repeated], seconds: float) -> Sample:
    with Meter(()) as meter:
        driven = drive(senders, seconds=seconds, most=10**6)
    return sample_of(driven, meter.cores(driven.cpu_seconds), per="requests")


@requirement("CLAIM-PUSH-07")
def test_load_generator_is_five_times_cheaper_than_dicomweb_client(
    bench: Bench, archives: tuple[Archive, ...], evidence: Evidence
) -> None:
    """The same instances to the same server: what one costs the lean client, and what it costs dicomweb-client."""
    archive = archives[0]
    cells: dict[str, Cell] = {}
    kinds: dict[str, Callable[[], Sample]] = {
        "load generator": lambda: stow_sample(bench, archive, Load("small", "multipart", 10, 1))[0],
        "dicomweb-client": lambda: library_sample(bench, archive, batch=10),
    }
    for name in kinds:
        cells[name] = bench.results.cell(
            "client cost", {"instances": "small", "per request": 10}, name, "instances/s"
        )
    for name in interleaved(list(kinds), bench.settings.rounds):
        cells[name].samples.append(kinds[name]())
    conclude(evidence, list(cells.values()))
    costs = [cells[name].median_of("client us") or 0.0 for name in kinds]
    evidence.figure(
        "dicomweb-client : load generator, CPU an instance", round(costs[1] / costs[0], 1), "times"
    )
    bench.results.notes.append(
        f"CPU an instance: load generator {costs[0]:.0f} us, dicomweb-client {costs[1]:.0f} us: {costs[1] / costs[0]:.1f} times"
    )
    assert costs[1] >= 5 * costs[0], f"the load generator is only {costs[1] / costs[0]:.1f} times cheaper"


@requirement("CLAIM-PUSH-07")
def test_memory_of_the_harness_is_flat(bench: Bench, evidence: Evidence) -> None:
    """Making and fingerprinting ten and a hundred times the instances takes the same memory.

    The harness remembers its latest fingerprints, up to a bound; that memory is filled before anything is measured.
    """
    own = Tree(os.getpid())
    _fingerprinted(REMEMBERED, number=1)
    sizes, seen = (20, 200, 2_000), []
    for place, size in enumerate(sizes, start=2):
        _fingerprinted(size, number=place)
        seen.append(own.memory())
    slope = power_slope(sizes, seen)
    told = (
        f"harness: bytes of its own by instances {dict(zip(sizes, seen, strict=True))}, exponent {slope:+.3f}"
    )
    evidence.figure("growth exponent of the harness's memory", round(slope, 3), "")
    bench.results.notes.append(told)
    assert slope < SLOPE_LIMIT, told


def _fingerprinted(count: int, *, number: int) -> None:
    for instance in make_series(Run("benchmark"), 1, count, number=number, rows=16, columns=16).stream():
        fingerprint(instance.part10)


@requirement("CLAIM-PROVISION-10")
def test_start_up(
    bench: Bench, profile: Profile, run_record: RunRecord, evidence: Evidence, runner: str
) -> None:
    """How long until every system of the reference deployment answers, and until all is gone, is reported."""
    cell = bench.results.cell("deployments started", {"runner": runner}, "harness", "per s")
    with deploy(profile, runner, Path(".local/runs") / f"{run_record.run_id}-start"):
        pass  # images are built and programs are read from the disk once, before anything counts
    for number in range(2 if QUICK else 3):
        folder = Path(".local/runs") / f"{run_record.run_id}-start{number}"
        with Meter(()) as meter:
            began = time.perf_counter()
            with deploy(profile, runner, folder):
                up = time.perf_counter() - began
            down = time.perf_counter() - began - up
        cell.samples.append(
            Sample(1 / up, up, 1, 0, meter.cores(), p50=up, figures={"up s": up, "down s": down})
        )
    evidence.figure("start-up", round(interval([one.seconds for one in cell.samples]).median, 2), "s")
    conclude(evidence, [cell])
