"""Search and retrieval while the store grows from a thousand to a hundred thousand instances."""

import pytest

from fixtures.measurement.samples import interleaved
from fixtures.reporting.evidence import Evidence
from fixtures.traceability import requirement
from suites.benchmarks.asking import QUESTIONS, Store, ask
from suites.benchmarks.judging import conclude
from suites.benchmarks.measuring import Bench
from suites.benchmarks.settings import Settings
from suites.benchmarks.targets import Archive

SIZES = (1_000, 4_000) if Settings.read().quick else (1_000, 10_000, 100_000)
SIDES = (1,) if Settings.read().quick else (1, 4)
ROUNDS = 2 if Settings.read().quick else 3


@pytest.fixture(scope="module")
def stores(archives: tuple[Archive, ...]) -> tuple[Store, ...]:
    """The same archives through all sizes."""
    return tuple(Store(archive) for archive in archives)


@requirement("CLAIM-PUSH-07")
@pytest.mark.parametrize("size", SIZES)
def test_search_and_retrieval_as_the_store_grows(
    bench: Bench, stores: tuple[Store, ...], evidence: Evidence, size: int
) -> None:
    """Every answer is right at every size; latencies and rates are reported."""
    for store in stores:
        wrong = store.grow(bench, size)
        assert not wrong, f"{store.archive.name} could not be filled: {wrong}"
        for tree in store.archive.trees:
            told = f"{store.archive.name}: {tree.memory()} bytes of its own with {store.stored} instances"
            bench.results.notes.append(told)
            evidence.note(told)
    for question in QUESTIONS:
        for side in SIDES:
            for store in stores:
                ask(bench, store, question, side)
            cells = {
                store.archive.name: bench.results.cell(
                    question.name, {"stored": size, "concurrency": side}, store.archive.name, "requests/s"
                )
                for store in stores
            }
            for store in interleaved(stores, ROUNDS):
                cells[store.archive.name].samples.append(ask(bench, store, question, side))
            conclude(evidence, list(cells.values()))
