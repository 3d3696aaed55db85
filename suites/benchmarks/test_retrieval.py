"""Search and retrieval while the store grows from a thousand to a hundred thousand instances."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from fixtures.load.corpus import pattern
from fixtures.load.drive import drive
from fixtures.load.naming import Names, Stream
from fixtures.load.stow import StowSender
from fixtures.measurement.samples import Cell, interleaved
from fixtures.reporting.evidence import Evidence
from fixtures.traceability import requirement
from suites.benchmarks.asking import QUESTIONS, Question, Store, ask, ask_for_study
from suites.benchmarks.judging import conclude
from suites.benchmarks.measuring import Bench
from suites.benchmarks.settings import Settings
from suites.benchmarks.targets import Archive

SIZES = (1_000, 4_000) if Settings.read().quick else (1_000, 10_000, 100_000)
SIDES = {1_000: (1, 4)}
"""Requests side by side by size, 1 where nothing is said: with more, time goes to the slower target without telling more."""
ROUNDS = 2 if Settings.read().quick else 3
WHOLE_STUDIES = (("medium", 50), ("large", 4))
STUDIES_A_ROUND = {"medium": 1, "large": 2}
LEAST_RATE = 5.0
"""A target with fewer answers a second is not asked this question in a larger store: it would take minutes."""


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
    with ThreadPoolExecutor(len(stores)) as pool:  # nothing is measured meanwhile
        wrong = list(pool.map(lambda store: store.grow(bench, size), stores))
    for store, why in zip(stores, wrong, strict=True):
        assert not why, f"{store.archive.name} could not be filled: {why}"
        for tree in store.archive.trees:
            told = f"{store.archive.name}: {tree.memory()} bytes of its own with {store.stored} instances"
            bench.results.notes.append(told)
            evidence.note(told)
    for question in QUESTIONS:
        for side in SIDES.get(size, (1,)):
            conclude(evidence, _asked(bench, stores, question, side, size))


def _asked(bench: Bench, stores: tuple[Store, ...], question: Question, side: int, size: int) -> list[Cell]:
    """A question to every store: a round to warm up, then rounds in turn."""
    asked = [store for store in stores if question.name not in store.too_slow]
    for store in asked:
        ask(bench, store, question, side)
    parameters: dict[str, str | int] = {"stored": size, "concurrency": side}
    cells = {
        store.archive.name: bench.results.cell(question.name, parameters, store.archive.name, "requests/s")
        for store in asked
    }
    for store in interleaved(asked, ROUNDS):
        cells[store.archive.name].samples.append(ask(bench, store, question, side))
    for store in asked:
        rate = cells[store.archive.name].rate().median
        if rate < LEAST_RATE:
            store.too_slow.add(question.name)
            told = f"{store.archive.name}: {question.name} is not asked at more than {size} instances: {rate:.1f} a second"
            bench.results.notes.append(told)
    return list(cells.values())


@requirement("CLAIM-PUSH-07")
@pytest.mark.parametrize(("corpus", "per_study"), WHOLE_STUDIES)
def test_retrieval_of_studies_with_large_instances(
    bench: Bench, archives: tuple[Archive, ...], evidence: Evidence, corpus: str, per_study: int
) -> None:
    """Whole studies of slices, and of large images, come in one answer each; the rates are reported."""
    operation = f"WADO study of {per_study} {corpus} instances"
    cells = {
        one.name: bench.results.cell(operation, {"concurrency": 1}, one.name, "requests/s")
        for one in archives
    }
    studies = {one.name: _stored(bench, one, corpus, per_study) for one in archives}
    for archive in archives:
        ask_for_study(archive, corpus, studies[archive.name], per_study)
    for archive in interleaved(archives, ROUNDS):
        cells[archive.name].samples.append(ask_for_study(archive, corpus, studies[archive.name], per_study))
    conclude(evidence, list(cells.values()))


def _stored(bench: Bench, archive: Archive, corpus: str, per_study: int) -> list[Names]:
    """Store the studies of a round; the last instance of each."""
    number = bench.next_stream()
    sender = StowSender(archive.web, [pattern(corpus)], Stream(bench.run, number, per_study), batch=2)
    studies = STUDIES_A_ROUND[corpus]
    driven = drive([sender], seconds=60, most=studies * per_study // 2)
    sender.close()
    assert not driven.problems, driven.problems
    named = Stream(bench.run, number, per_study)
    return [named.names(study * per_study + per_study - 1) for study in range(studies)]
