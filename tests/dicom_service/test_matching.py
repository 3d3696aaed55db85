"""The rules of matching against plain Python: generated histories and filters, judged by an oracle that knows no SQL."""

import re
import sqlite3
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from systems.dicom_service.dicom.attributes import (
    MODALITIES_IN_STUDY,
    SEARCHABLE,
    SERIES_ATTRIBUTES,
    STUDY_ATTRIBUTES,
    Level,
)
from systems.dicom_service.dicom.intake import Examined
from systems.dicom_service.search import results
from systems.dicom_service.search.conditions import condition
from systems.dicom_service.search.parameters import Paging, Query, Target
from systems.dicom_service.storage import schema
from systems.dicom_service.storage.blobs import Location
from systems.dicom_service.storage.jobs import KeepInstances, NewInstance, Outcome, Remove
from systems.dicom_service.storage.keys import has_phrase
from systems.dicom_service.storage.writer import Clock
from systems.dicom_service.tags.definitions import generation

Values = dict[int, str | None]
_DATES = {item.tag for item in SEARCHABLE.values() if item.vr == "DA"}
_NAMES = {item.tag for item in SEARCHABLE.values() if item.vr == "PN"}
_STUDY_TAGS = [item.tag for item in STUDY_ATTRIBUTES]
_SERIES_TAGS = [item.tag for item in SERIES_ATTRIBUTES]
_EVERY_LEVEL = {Level.STUDY: _STUDY_TAGS, Level.SERIES: _STUDY_TAGS + _SERIES_TAGS}

_texts = st.sampled_from(
    ["", "a", "A", "ab", "AB", "ä", "Äb", "a b", "a*", "%", "_", "ß", "SS", "b\0", "b", "é", "e"]
)
_words = st.sampled_from(["jo", "John", "JÖHN", "do", "Doe", "Dö", "o", "Ann"])
_names = st.builds(
    lambda parts, joints: "".join(a + b for a, b in zip(parts, joints, strict=False)).rstrip("^= "),
    st.lists(_words, min_size=1, max_size=3),
    st.lists(st.sampled_from(["^", "^", " ", "="]), min_size=3, max_size=3),
)
_days = st.sampled_from(["20191231", "20200101", "20200229", "20200301", "20210101"])
_ranges = st.one_of(
    _days,
    st.tuples(_days, _days).map(lambda pair: "-".join(sorted(pair))),
    _days.map(lambda day: f"{day}-"),
    _days.map(lambda day: f"-{day}"),
)


def _stored(tag: int) -> st.SearchStrategy[str | None]:
    if tag in _DATES:
        # A store indexes dates only, never an empty value.
        return st.one_of(st.none(), _days, _days, _days)
    texts = _names if tag in _NAMES else _texts
    return st.one_of(st.none(), st.just(""), texts, texts, texts)


def _sent(tag: int) -> st.SearchStrategy[str]:
    if tag in _DATES:
        return _ranges
    return (
        st.one_of(_names, _words, st.sampled_from(["jo do", "do jo"]))
        if tag in _NAMES
        else _texts.map(lambda text: text or "x")
    )


@dataclass
class Entity:
    """A study or series of the oracle: when it was made, and the latest value of each attribute."""

    made: int
    values: Values = field(default_factory=dict)

    def learn(self, values: Values) -> None:
        """Take over what a new instance says (QIDO-099)."""
        self.values |= {tag: value for tag, value in values.items() if value}


@dataclass
class Oracle:
    """What is stored, as plain data."""

    studies: dict[int, Entity] = field(default_factory=dict)
    series: dict[tuple[int, int], Entity] = field(default_factory=dict)
    instances: dict[tuple[int, int, int], int] = field(default_factory=dict)
    clock: int = 0

    def store(self, uids: tuple[int, int, int], values: Values) -> bool:
        """Store an instance; returns False when it is there already."""
        if uids in self.instances:
            return False
        self.clock += 1
        self.instances[uids] = self.clock
        self.studies.setdefault(uids[0], Entity(self.clock)).learn({tag: values[tag] for tag in _STUDY_TAGS})
        self.series.setdefault(uids[:2], Entity(self.clock)).learn({tag: values[tag] for tag in _SERIES_TAGS})
        return True

    def delete(self, uids: tuple[int, int, int]) -> None:
        """Delete an instance and what becomes empty above it; the index keeps its values (QIDO-106)."""
        self.instances.pop(uids, None)
        if not any(one[:2] == uids[:2] for one in self.instances):
            self.series.pop(uids[:2], None)
        if not any(one[0] == uids[0] for one in self.instances):
            self.studies.pop(uids[0], None)

    def holds(self, tag: int, sent: str, uids: tuple[int, ...], *, fuzzy: bool) -> bool:
        """Whether a filter matches what has these UIDs: a study, a series or an instance."""
        study = uids[0]
        if tag == MODALITIES_IN_STUDY:
            modality = SERIES_ATTRIBUTES[0].tag
            below = [one for key, one in self.series.items() if key[0] == study]
            return any(_equal(one.values.get(modality), sent) for one in below)
        entity = self.studies[study] if tag in _STUDY_TAGS else self.series[study, uids[1]]
        value = entity.values.get(tag)
        if tag in _DATES:
            return _in_range(value, sent)
        if tag in _NAMES:
            return _begins(value, sent) if fuzzy else _equal(value and _plain(value), _plain(sent))
        return _equal(value, sent)

    def search(self, level: Level, filters: dict[int, str], *, fuzzy: bool) -> list[tuple[int, ...]]:
        """The matches, newest first (QIDO-103)."""
        found: list[tuple[tuple[int, ...], int]]
        if level is Level.STUDY:
            found = [((study,), one.made) for study, one in self.studies.items()]
        elif level is Level.SERIES:
            found = [(key, one.made) for key, one in self.series.items()]
        else:
            found = [*self.instances.items()]
        kept = [
            (made, uids)
            for uids, made in found
            if all(self.holds(tag, sent, uids, fuzzy=fuzzy) for tag, sent in filters.items())
        ]
        return [uids for _, uids in sorted(kept, reverse=True)]


def _equal(value: str | None, sent: str) -> bool:
    return value is not None and value.strip("\0").lower().replace("ß", "ss") == sent.strip(
        "\0"
    ).lower().replace("ß", "ss")


def _plain(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text) if unicodedata.category(c) != "Mn").lower()


def _begins(value: str | None, sent: str) -> bool:
    words = re.findall(r"[^ ^=]+", _plain(value or ""))
    wanted = re.findall(r"[^ ^=]+", _plain(sent))
    return any(
        len(words) - at >= len(wanted) and all(words[at + n].startswith(w) for n, w in enumerate(wanted))
        for at in range(len(words))
    )


def _in_range(value: str | None, sent: str) -> bool:
    if not value:
        return False
    start, hyphen, end = sent.partition("-")
    return value == start if not hyphen else (start or value) <= value <= (end or value)


def _tagged(tag: int) -> st.SearchStrategy[tuple[int, str | None]]:
    return _stored(tag).map(lambda value: (tag, value))


_values = st.lists(st.one_of(*map(_tagged, _STUDY_TAGS + _SERIES_TAGS)), max_size=6).map(
    lambda pairs: dict.fromkeys(_STUDY_TAGS + _SERIES_TAGS) | dict(pairs)
)
_uids = st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 3))
_histories = st.lists(st.tuples(st.booleans() | st.just(True), _uids, _values), min_size=1, max_size=10)


Step = tuple[bool, tuple[int, int, int], Values]
Search = tuple[Level, dict[int, str], Paging]


def _like(tag: int, value: str) -> st.SearchStrategy[str]:
    """Filters that a stored value may match: itself, its other spellings, its beginnings, ranges around it."""
    if tag in _DATES:
        return st.sampled_from([value, f"{value}-", f"-{value}", f"{value}-{value}", f"20190101-{value}"])
    spelled = [value, value.upper(), value.swapcase(), _plain(value), f"{value}\0"]
    if tag in _NAMES:
        words = re.findall(r"[^ ^=]+", value)
        spelled += [
            words[-1],
            words[0][:2],
            " ".join(word[:2] for word in words),
            " ".join(words[-2:]).upper(),
        ]
    return st.sampled_from([text for text in spelled if text.strip(" \0")] or ["x"])


@st.composite
def _scenes(draw: st.DrawFn) -> tuple[list[Step], list[Search]]:
    history = draw(_histories)
    known = sorted({(tag, value) for _, _, values in history for tag, value in values.items() if value})
    known += [(MODALITIES_IN_STUDY, value) for tag, value in known if tag == SERIES_ATTRIBUTES[0].tag]
    return history, [_search(draw, known) for _ in range(draw(st.integers(1, 6)))]


def _search(draw: st.DrawFn, known: list[tuple[int, str]]) -> Search:
    level = draw(st.sampled_from(list(Level)))
    tags = [*_EVERY_LEVEL.get(level, _STUDY_TAGS + _SERIES_TAGS), MODALITIES_IN_STUDY]
    here = [pair for pair in known if pair[0] in tags]
    filters: dict[int, str] = {}
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 2]))):
        if here and draw(st.sampled_from([True, True, False])):
            tag, value = draw(st.sampled_from(here))
            filters[tag] = draw(_like(tag, value))
        else:
            tag = draw(st.sampled_from(tags))
            filters[tag] = draw(_sent(tag))
    return (
        level,
        filters,
        Paging(draw(st.sampled_from([1, 2, 200])), draw(st.integers(0, 2)), draw(st.booleans())),
    )


Empty = Callable[[], sqlite3.Connection]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Empty]:
    """Makes an empty index in memory."""
    path: Path = tmp_path_factory.mktemp("matching") / "index.sqlite"
    schema.create(path)
    template = schema.connect(path)

    def copy() -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        template.backup(connection)
        connection.create_function("has_phrase", 2, has_phrase, deterministic=True)
        return connection

    yield copy
    template.close()


def _uid(*parts: int) -> str:
    return ".".join(map(str, (2, 25, *parts)))


def _store(connection: sqlite3.Connection, uids: tuple[int, int, int], values: Values) -> bool:
    examined = Examined(
        "1.2.3", _uid(*uids), _uid(uids[0]), _uid(*uids[:2]), "1.2.840.10008.1.2.1",
        study_values=tuple(values[tag] for tag in _STUDY_TAGS),
        series_values=tuple(values[tag] for tag in _SERIES_TAGS), tag_generation=generation(connection),
    )  # fmt: skip
    job = KeepInstances([NewInstance(examined, b"x")])
    places = [Location(1, None, 0, 1) for _ in job.blobs(connection)]
    return job.apply(connection, places, Clock(connection)) == [Outcome.STORED]


def _found(connection: sqlite3.Connection, query: Query) -> list[tuple[int, ...]]:
    """The matches of a search as the oracle names them."""
    if query.target.level is Level.INSTANCE:
        return [_parts(one.sop_uid) for one in results._instances(connection, query)]
    table, column = ("study", "study_uid") if query.target.level is Level.STUDY else ("series", "series_uid")
    rows = results._matches(connection, query)
    keys = [one.study if query.target.level is Level.STUDY else one.series for one in rows]
    select = f"SELECT {column} FROM {table} WHERE id = ?"  # noqa: S608 - own names only
    return [_parts(connection.execute(select, (key,)).fetchone()[0]) for key in keys]


def _parts(uid: str) -> tuple[int, ...]:
    return tuple(int(part) for part in uid.split(".")[2:])


@settings(
    max_examples=120,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(scene=_scenes())
def test_searches_against_plain_python(empty: Empty, scene: tuple[list[Step], list[Search]]) -> None:
    """QIDO-018 to QIDO-020, QIDO-036 to QIDO-067, QIDO-071 to QIDO-074, QIDO-099, QIDO-103, QIDO-106."""
    connection, oracle = empty(), Oracle()
    for stores, uids, values in scene[0]:
        if stores:
            assert _store(connection, uids, values) is oracle.store(uids, values)
        else:
            Remove(Path(), _uid(uids[0]), _uid(*uids[:2]), _uid(*uids)).apply(
                connection, (), Clock(connection)
            )
            oracle.delete(uids)
    for level, filters, paging in scene[1]:
        conditions = tuple(condition(tag, sent, fuzzy=paging.fuzzy) for tag, sent in filters.items())
        query = Query(Target(level, None, None), paging, conditions, frozenset())
        matches = oracle.search(level, filters, fuzzy=paging.fuzzy)
        event(f"{len(filters)} filters, {'matches' if matches else 'no match'}")
        assert _found(connection, query) == matches[paging.offset :][: paging.limit], (level, filters, paging)
    connection.close()
