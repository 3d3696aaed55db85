"""The rules of matching against plain Python: generated histories and filters, judged by an oracle that knows no SQL."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from systems.dicom_service.dicom.attributes import (
    MODALITIES_IN_STUDY,
    SERIES_ATTRIBUTES,
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
from tests.dicom_service.matching_oracle import DATES, NAMES, SERIES_TAGS, STUDY_TAGS, Oracle, Values, plain

_EVERY_LEVEL = {Level.STUDY: STUDY_TAGS, Level.SERIES: STUDY_TAGS + SERIES_TAGS}
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
    if tag in DATES:
        # A store indexes dates only, never an empty value.
        return st.one_of(st.none(), _days, _days, _days)
    texts = _names if tag in NAMES else _texts
    return st.one_of(st.none(), st.just(""), texts, texts, texts)


def _sent(tag: int) -> st.SearchStrategy[str]:
    if tag in DATES:
        return _ranges
    return (
        st.one_of(_names, _words, st.sampled_from(["jo do", "do jo"]))
        if tag in NAMES
        else _texts.map(lambda text: text or "x")
    )


def _tagged(tag: int) -> st.SearchStrategy[tuple[int, str | None]]:
    return _stored(tag).map(lambda value: (tag, value))


_values = st.lists(st.one_of(*map(_tagged, STUDY_TAGS + SERIES_TAGS)), max_size=6).map(
    lambda pairs: dict.fromkeys(STUDY_TAGS + SERIES_TAGS) | dict(pairs)
)
_uids = st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 3))
_histories = st.lists(st.tuples(st.booleans() | st.just(True), _uids, _values), min_size=1, max_size=10)
Step = tuple[bool, tuple[int, int, int], Values]
Search = tuple[Level, dict[int, str], Paging]


def _like(tag: int, value: str) -> st.SearchStrategy[str]:
    """Filters that a stored value may match: itself, its other spellings, its beginnings, ranges around it."""
    if tag in DATES:
        return st.sampled_from([value, f"{value}-", f"-{value}", f"{value}-{value}", f"20190101-{value}"])
    spelled = [value, value.upper(), value.swapcase(), plain(value), f"{value}\0"]
    if tag in NAMES:
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
    tags = [*_EVERY_LEVEL.get(level, STUDY_TAGS + SERIES_TAGS), MODALITIES_IN_STUDY]
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
        study_values=tuple(values[tag] for tag in STUDY_TAGS),
        series_values=tuple(values[tag] for tag in SERIES_TAGS), tag_generation=generation(connection),
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
