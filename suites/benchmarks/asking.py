"""Searching and retrieving as a store grows: filled step by step, the same questions at every size."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import quote

from fixtures.load.corpus import pattern
from fixtures.load.dimse import StoreSender
from fixtures.load.drive import Repeated, Sender, drive, read_back
from fixtures.load.naming import PER_STUDY, Names, Stream
from fixtures.load.stow import INSTANCE_TYPE, Reader, StowSender, only_part
from fixtures.load.wire import Answer
from fixtures.measurement.cpu import Meter
from fixtures.measurement.samples import Sample, sample_of
from suites.benchmarks.measuring import Bench
from suites.benchmarks.targets import Archive

JSON = "application/dicom+json"
_READ_BACK_EVERY = 50
_MOST_READ_BACK = 200
_BATCH = 50
_SIDES = 5


@dataclass
class Store:
    """One archive with what the benchmark has put into it, all of it small instances."""

    archive: Archive
    streams: list[tuple[Stream, int]] = field(default_factory=list)
    stored: int = 0
    too_slow: set[str] = field(default_factory=set)

    def grow(self, bench: Bench, size: int) -> str:
        """Store until there are `size` instances; say what is wrong, empty when all was acknowledged and is there."""
        wanted = size - self.stored
        if wanted <= 0:
            return ""
        streams = [bench.stream() for _ in range(_SIDES)]
        senders, batch = self._senders(streams)
        requests = max(1, wanted // _SIDES // batch)
        driven = drive(senders, seconds=600, most=_SIDES * requests)
        for sender in senders:
            sender.close()
        self.stored += len(driven.acknowledged)
        self.streams += [(one, requests * batch) for one in streams]
        if driven.problems:
            return driven.problems[0]
        step = max(_READ_BACK_EVERY, len(driven.acknowledged) // _MOST_READ_BACK)
        return read_back(self.archive.web, driven.acknowledged[::step])

    def _senders(self, streams: Sequence[Stream]) -> tuple[Sequence[Sender], int]:
        """A sender a stream, and how many instances it sends at once: the way that fills this archive soonest."""
        to = self.archive.dicom
        if to is not None:
            return [StoreSender(to, [pattern("small")], one) for one in streams], 1
        web = self.archive.web
        return [StowSender(web, [pattern("small")], one, batch=_BATCH) for one in streams], _BATCH

    def name(self, number: int) -> Names:
        """Some instance that is there; neighbours in number lie far apart in the store."""
        stream, size = self.streams[number % len(self.streams)]
        return stream.names(number * 7919 % size)


Check = Callable[[Answer, Names], str]


@dataclass(frozen=True)
class Question:
    """A request about an instance that is there, and what its answer must hold."""

    name: str
    path: Callable[[Names], str]
    accept: str
    check: Check


def _study(names: Names) -> str:
    return f"/studies/{names.study.decode()}"


def _has(answer: Answer, names: Names) -> str:
    return (
        ""
        if answer.status == 200 and names.study in answer.body
        else f"status {answer.status}, not what was asked for"
    )


def _has_all(answer: Answer, names: Names) -> str:
    found = len(json.loads(answer.body)) if answer.status == 200 and answer.body else 0
    return (
        ""
        if found == PER_STUDY and names.instance in answer.body
        else f"status {answer.status}, {found} instances"
    )


def _is_instance(answer: Answer, names: Names) -> str:
    if answer.status != 200:
        return f"status {answer.status}"
    same = pattern("small").is_dataset_of(names, only_part(answer.body))
    return "" if same else "not the instance that was stored"


def _is_study(answer: Answer, names: Names) -> str:
    whole = answer.status == 200 and len(answer.body) >= PER_STUDY * len(pattern("small").pixels)
    return (
        "" if whole and names.instance in answer.body else f"status {answer.status}, {len(answer.body)} bytes"
    )


QUESTIONS: Sequence[Question] = (
    Question("QIDO study by UID", lambda one: f"/studies?StudyInstanceUID={one.study.decode()}", JSON, _has),
    Question("QIDO studies by PatientID", lambda one: f"/studies?PatientID={quote(one.patient)}", JSON, _has),
    Question(
        "QIDO studies by range of StudyDate",
        lambda one: f"/studies?StudyDate={one.date.decode()}-{one.date.decode()}",
        JSON,
        _has,
    ),
    Question(
        f"QIDO {PER_STUDY} instances of a study",
        lambda one: f"{_study(one)}/instances?limit={PER_STUDY}",
        JSON,
        _has_all,
    ),
    Question(
        "WADO instance",
        lambda one: f"{_study(one)}/series/{one.series.decode()}/instances/{one.instance.decode()}",
        INSTANCE_TYPE,
        _is_instance,
    ),
    Question(f"WADO study of {PER_STUDY}", _study, INSTANCE_TYPE, _is_study),
    Question("WADO metadata of a study", lambda one: f"{_study(one)}/metadata", JSON, _has_all),
)


def ask_for_study(archive: Archive, corpus: str, studies: Sequence[Names], size: int) -> Sample:
    """Retrieve each of the studies of `size` instances once; the bytes are counted and the last instance looked for."""
    wanted = iter(studies)
    reader = Reader(archive.web)

    def once() -> str:
        names = next(wanted)
        answer = reader.get(_study(names), INSTANCE_TYPE)
        whole = answer.status == 200 and len(answer.body) >= size * len(pattern(corpus).pixels)
        return (
            ""
            if whole and names.instance in answer.body
            else f"status {answer.status}, {len(answer.body)} bytes"
        )

    sender = Repeated(once, reader.close)
    with Meter(archive.trees) as meter:
        driven = drive([sender], seconds=60, most=len(studies))
    sender.close()
    return sample_of(driven, meter.cores(driven.cpu_seconds), per="requests")


def ask(bench: Bench, store: Store, question: Question, concurrency: int) -> Sample:
    """Ask for half the settings' time; every answer is looked at."""
    numbers = count(1)

    def asker() -> Repeated:
        reader = Reader(store.archive.web)

        def once() -> str:
            names = store.name(next(numbers))
            wrong = question.check(reader.get(question.path(names), question.accept), names)
            return f"{question.name}: {wrong}" if wrong else ""

        return Repeated(once, reader.close)

    senders = [asker() for _ in range(concurrency)]
    with Meter(store.archive.trees) as meter:
        driven = drive(senders, seconds=bench.settings.seconds / 2, most=10**6)
    for sender in senders:
        sender.close()
    return sample_of(driven, meter.cores(driven.cpu_seconds), per="requests")
