"""The change feed: numbers and times of entries, the parameters of v1, and those of both versions."""

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import needs, requirement
from suites.azure import feed
from suites.azure.conftest import SpecialService
from suites.azure.data import Maker
from suites.azure.feed import FEED, FOREVER, LATEST, Chain
from suites.azure.searching import keep, refused
from suites.azure.workitems import WorkItems

pytestmark = needs("change-feed")


@pytest.fixture(scope="module")
def chain(v1: DicomWeb, v2: DicomWeb, make: Maker) -> Chain:
    """Changes made one after the other."""
    return feed.make_chain(v1, v2, make)


@requirement("FEED-018")
def test_timestamps(chain: Chain) -> None:
    """Times are ISO 8601 instants in UTC with zone and fraction, each later than the one before (FEED-018)."""
    times = [feed.ticks(text) for text in chain.times]
    assert times == sorted(set(times)), "changes made one after the other have different times"
    for text in chain.times:
        assert text.endswith(("Z", "+00:00")), text
        assert "." in text or int(feed.ticks(text)) % 10_000_000 == 0, text
    assert any(tick % 10_000_000 for tick in times), "times have sub-second digits"


@requirement("FEED-019", "FEED-020")
def test_numbers(v1: DicomWeb, chain: Chain) -> None:
    """Numbers rise, without a gap although a store was refused, and what was told stays (FEED-019, FEED-020)."""
    everything = [entry["sequence"] for entry in chain.everything]
    first, last = chain.numbers[0], chain.numbers[-1]
    assert chain.numbers == sorted(set(chain.numbers))
    assert [one for one in everything if first <= one <= last] == list(range(first, last + 1))
    again = feed.read(v1, [("offset", str(first - 1)), ("limit", "100")])
    fixed = ("sequence", "studyInstanceUid", "seriesInstanceUid", "sopInstanceUid", "action", "timestamp")
    earlier = [[entry[name] for name in fixed] for entry in chain.own]
    later = [[entry[name] for name in fixed] for entry in again if entry["sequence"] in chain.numbers]
    assert later == earlier[: len(later)]
    assert later


@requirement("FEED-020")
def test_entries_do_not_change(web: DicomWeb, make: Maker) -> None:
    """A delete changes the state of an earlier entry and nothing else of it (FEED-020)."""
    made, before = make(), feed.mark(web)
    keep(web, made)
    (created,) = feed.of(feed.since(web, before), made)
    assert web.delete(*made.uids).status == 204
    entry = feed.of(feed.since(web, before), made)[0]
    assert entry == {**created, "state": "Deleted"}


@requirement("FEED-021", "FEED-022")
def test_v1_offset_is_a_number(v1: DicomWeb, chain: Chain) -> None:
    """offset=n&limit=m are the entries numbered n+1 to n+m, ascending (FEED-021, FEED-022)."""
    for offset, limit in ((chain.numbers[0] - 1, 1), (chain.numbers[0] - 1, 5), (chain.numbers[2], 7)):
        found = feed.numbers(v1, offset=str(offset), limit=str(limit))
        known = [one["sequence"] for one in chain.everything]
        assert found == [one for one in known if offset < one <= offset + limit]
    assert len(feed.numbers(v1, offset=str(chain.numbers[0] - 1))) == 10, "FEED-021: the default limit is 10"
    far = chain.numbers[-1] + 1_000_000
    assert feed.numbers(v1, offset=str(far), limit="100") == []


@requirement("FEED-021", "FEED-023")
def test_v1_defaults(v1: DicomWeb, chain: Chain) -> None:
    """Without parameters v1 gives the entries 1 to 10 (FEED-021, FEED-023)."""
    assert chain.numbers[-1] > 10
    known = [number for number in feed.numbers(v1, offset="0", limit="100") if number <= 10]
    assert feed.numbers(v1) == known
    answer = feed.ask(v1)
    assert [entry["sequence"] for entry in answer.json()] == known
    assert len(known) > 0


@requirement("FEED-023")
@needs("control")
def test_v1_defaults_on_a_new_service(special_service: SpecialService, make: Maker) -> None:
    """On a feed of eleven entries without gaps v1 gives 1 to 10 and v2 all (FEED-023)."""
    with special_service() as own:
        keep(own.web(version="v2"), *make.series(11))
        assert [entry["sequence"] for entry in feed.ask(own.web(version="v1")).json()] == list(range(1, 11))
        assert [entry["sequence"] for entry in feed.ask(own.web(version="v2")).json()] == list(range(1, 12))


@requirement("FEED-024")
def test_v1_limits(v1: DicomWeb, chain: Chain) -> None:
    """On v1 limit is 1 to 100, else 400 (FEED-024)."""
    for limit in ("101", "0", "-1", "abc", "1.5"):
        refused(feed.ask(v1, f"limit={limit}"))
    start = f"offset={chain.numbers[0] - 1}&includeMetadata=false"
    for good in (1, 100):
        assert 1 <= len(feed.ask(v1, f"{start}&limit={good}").json()) <= good


@requirement("FEED-025")
def test_v1_ignores_times(v1: DicomWeb, chain: Chain) -> None:
    """On v1 startTime and endTime are ignored like any unknown parameter, even when wrong (FEED-025)."""
    offset = str(chain.numbers[0] - 1)
    plain = feed.numbers(v1, offset=offset, limit="5")
    assert plain
    assert (
        feed.numbers(v1, offset=offset, limit="5", startTime=FOREVER, endTime="2000-01-01T00:00:00Z") == plain
    )
    assert feed.numbers(v1, offset=offset, limit="5", startTime="nonsense", foo="1") == plain


@requirement("FEED-037")
@pytest.mark.parametrize("offset", ["-1", "abc", "1.5", "9223372036854775808"])
def test_bad_offset(web: DicomWeb, offset: str) -> None:
    """A negative, non-numeric or too large offset answers 400 (FEED-037)."""
    refused(feed.ask(web, f"offset={offset}"))
    assert feed.ask(web, "offset=0&limit=1").status == 200
    assert feed.ask(web, "offset=4611686018427387904&limit=1").json() == []


@requirement("FEED-038")
@pytest.mark.parametrize("word", ["0", "1", "yes", "true-ish", "nein"])
def test_bad_include_metadata(web: DicomWeb, word: str) -> None:
    """The flag includeMetadata takes true and false in any letter case only, on both resources (FEED-038)."""
    for path in (FEED, LATEST):
        refused(feed.ask(web, f"includeMetadata={word}", path=path))
        for good in ("true", "FALSE", "True"):
            assert feed.ask(web, f"includeMetadata={good}", path=path).status in (200, 204)


@requirement("FEED-039")
def test_window_past_the_end(web: DicomWeb, chain: Chain) -> None:
    """An offset beyond all entries answers 200 with an empty array (FEED-039)."""
    for offset in (chain.numbers[-1] + 1_000_000, 2**62):
        answer = feed.ask(web, f"offset={offset}&limit=100")
        assert (answer.status, answer.json()) == (200, []), answer.describe()
    if web.version == "v2":
        answer = feed.ask(web, [("startTime", "9999-01-01T00:00:00Z"), ("endTime", FOREVER)])
        assert (answer.status, answer.json()) == (200, [])


@requirement("FEED-040")
def test_latest_is_the_last(v1: DicomWeb, v2: DicomWeb, make: Maker) -> None:
    """Latest is the highest number on v1 and the newest time on v2: of one store, its last entry (FEED-040)."""
    before = feed.mark(v1)
    keep(v2, *make.series(3))
    entries = feed.since(v1, before)
    newest = max(entries, key=lambda entry: (feed.ticks(entry["timestamp"]), entry["sequence"]))
    assert feed.mark(v1).sequence == max(entry["sequence"] for entry in entries)
    assert feed.mark(v2).sequence == newest["sequence"]


@requirement("FEED-045")
def test_work_items_are_not_in_the_feed(items: WorkItems, make: Maker) -> None:
    """Creating and changing a work item adds no entry, storing an instance does (FEED-045)."""
    web, before = items.web, feed.mark(items.web)
    uid = items.new()
    items.claim(uid)
    made = make()
    keep(web, made)
    entries = feed.since(web, before)
    assert len(feed.of(entries, made)) == 1
    assert not [entry for entry in entries if uid in entry.values()]
