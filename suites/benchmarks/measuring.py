"""Taking samples: one function a kind of load, all alike - drive, meter, read back, record."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from fixtures.load.corpus import patterns
from fixtures.load.dimse import StoreSender
from fixtures.load.drive import Acknowledged, drive, read_back
from fixtures.load.naming import Stream
from fixtures.load.stow import StowSender
from fixtures.measurement.cpu import Meter
from fixtures.measurement.results import Results
from fixtures.measurement.samples import Cell, Sample, interleaved, sample_of
from suites.benchmarks.settings import Settings
from suites.benchmarks.targets import Archive


@dataclass
class Bench:
    """A run: what it is asked for, what it found, and its names."""

    settings: Settings
    results: Results
    run: int
    _streams: "count[int]" = field(default_factory=lambda: count(1))

    def stream(self) -> Stream:
        """Names that nothing else of this run has."""
        return Stream(self.run, self.next_stream())

    def next_stream(self) -> int:
        """The number of a stream of its own."""
        return next(self._streams)


@dataclass(frozen=True)
class Load:
    """What is stored: corpus (a size or `mix`), form, instances a request, requests side by side."""

    corpus: str
    form: str
    batch: int
    concurrency: int

    @property
    def parameters(self) -> dict[str, str | int]:
        """As a cell's."""
        return {
            "instances": self.corpus,
            "form": self.form,
            "per request": self.batch,
            "concurrency": self.concurrency,
        }


def stow_sample(bench: Bench, archive: Archive, load: Load) -> tuple[Sample, Acknowledged]:
    """Store for the settings' time, then read every acknowledged instance back."""
    corpus = patterns(load.corpus)
    senders = [
        StowSender(archive.web, corpus, bench.stream(), batch=load.batch, form=load.form)
        for _ in range(load.concurrency)
    ]
    # A request has at least this many bytes, so the sum stays below what a sample may store.
    most = max(load.concurrency, int(bench.settings.sample_bytes / senders[0].bytes_per_request))
    try:
        with Meter(archive.trees) as meter:
            driven = drive(senders, seconds=bench.settings.seconds, most=most)
    finally:
        for sender in senders:
            sender.close()
    void = read_back(archive.web, driven.acknowledged) if driven.acknowledged else ""
    sample = sample_of(driven, meter.cores(driven.cpu_seconds), void=void)
    return with_client_cost(sample, driven.cpu_seconds), driven.acknowledged


def store_sample(bench: Bench, archive: Archive, corpus: str, concurrency: int) -> Sample:
    """The same by C-STORE."""
    if archive.dicom is None:
        raise ValueError(f"{archive.name} has no DIMSE port")
    kinds = patterns(corpus)
    senders = [StoreSender(archive.dicom, kinds, bench.stream()) for _ in range(concurrency)]
    mean = sum(one.size for one in kinds) / len(kinds)
    most = max(concurrency, int(bench.settings.sample_bytes / mean))
    try:
        with Meter(archive.trees) as meter:
            driven = drive(senders, seconds=bench.settings.seconds, most=most)
    finally:
        for sender in senders:
            sender.close()
    void = read_back(archive.web, driven.acknowledged) if driven.acknowledged else ""
    return with_client_cost(sample_of(driven, meter.cores(driven.cpu_seconds), void=void), driven.cpu_seconds)


def with_client_cost(sample: Sample, cpu_seconds: float) -> Sample:
    """Add what an instance cost the client, in microseconds of CPU."""
    cost = cpu_seconds / sample.count * 1e6 if sample.count else 0.0
    return replace(sample, figures={**sample.figures, "client us": cost})


def compare_stow(bench: Bench, archives: Sequence[Archive], load: Load) -> list[Cell]:
    """One cell on every target: a round to warm up, then rounds in turn."""
    for archive in archives:
        stow_sample(bench, archive, load)
    cells = {
        archive.name: bench.results.cell("STOW", load.parameters, archive.name, "instances/s")
        for archive in archives
    }
    for archive in interleaved(archives, bench.settings.rounds):
        sample, _ = stow_sample(bench, archive, load)
        cells[archive.name].samples.append(sample)
    return list(cells.values())
