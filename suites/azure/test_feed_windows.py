"""The change feed of v2: windows of time and pages of rows."""

from urllib.parse import quote

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import needs, requirement
from suites.azure import feed
from suites.azure.data import Maker
from suites.azure.feed import FOREVER, Chain
from suites.azure.searching import keep, refused

pytestmark = needs("change-feed")


@pytest.fixture(scope="module")
def chain(v1: DicomWeb, v2: DicomWeb, make: Maker) -> Chain:
    """Changes made one after the other."""
    return feed.make_chain(v1, v2, make)


@requirement("FEED-018", "FEED-029", "FEED-030")
def test_a_timestamp_sent_back_is_that_instant(v2: DicomWeb, chain: Chain) -> None:
    """The parameter startTime includes the entry of exactly that instant, endTime excludes it (FEED-018, FEED-029, FEED-030)."""
    for place in (1, 5, 9):
        start, end = chain.times[place], chain.times[place + 1]
        found = feed.numbers(v2, startTime=start, endTime=end)
        assert found == chain.between(start, end)
        assert chain.numbers[place] in found, "FEED-029: the start is inclusive"
        assert chain.numbers[place + 1] not in found, "FEED-030: the end is exclusive"
        after = feed.instant(feed.ticks(start) + 1)
        later = feed.numbers(v2, startTime=after, endTime=end)
        assert chain.numbers[place] not in later, "FEED-018: 100 ns later the entry is past"


@requirement("FEED-026", "FEED-027", "FEED-028", "FEED-031")
def test_v2_pages(v2: DicomWeb, chain: Chain) -> None:
    """On v2 offset skips rows: pages are disjoint, complete and in order of time (FEED-026, FEED-027, FEED-028, FEED-031)."""
    start, end = chain.times[0], chain.times[-1]
    whole = feed.read(v2, [("startTime", start), ("endTime", end), ("limit", "200")])
    times = [(feed.ticks(entry["timestamp"]), entry["sequence"]) for entry in whole]
    assert times == sorted(times), "FEED-028: ascending time, ties by number"
    numbers = [entry["sequence"] for entry in whole]
    assert numbers == chain.between(start, end)
    paged: list[int] = []
    for offset in range(0, len(numbers) + 3, 3):
        paged += feed.numbers(v2, startTime=start, endTime=end, offset=str(offset), limit="3")
    assert paged == numbers
    from_start = feed.numbers(v2, startTime=start, limit="200")
    assert from_start[: len(numbers) + 1] == [*numbers, chain.numbers[-1]], "FEED-031: no end, no upper bound"
    until = feed.numbers(v2, endTime=chain.times[0], limit="200")
    assert not set(until) & set(chain.numbers), "FEED-031: no start means from the beginning"
    assert feed.numbers(v2, limit="1") == feed.numbers(v2, endTime=end, limit="1")


@requirement("FEED-026")
def test_v2_default_limit(v2: DicomWeb, make: Maker) -> None:
    """On v2 a page has 100 entries unless limit says otherwise (FEED-026)."""
    before = feed.mark(v2)
    keep(v2, *make.series(101, Rows=1, Columns=1, PixelData=b"\0\0"))
    start = feed.since(v2, before)[0]["timestamp"]
    assert len(feed.numbers(v2, startTime=start)) == 100
    assert len(feed.numbers(v2, startTime=start, limit="101")) == 101


@requirement("FEED-032")
def test_v2_times_need_a_zone(v2: DicomWeb, chain: Chain) -> None:
    """A time without zone answers 400 saying so; Z, offsets and zero to seven digits are taken (FEED-032)."""
    for name in ("startTime", "endTime"):
        for text in ("2023-01-01T00:00:00", "2023-01-01T00:00:00.1234567"):
            refused(feed.ask(v2, f"{name}={text}"), "time zone")
    for text in ("2000-01-01T00:00:00Z", "2000-01-01T02:00:00+02:00", "1999-12-31T19:00:00-05:00",
                 *(f"2000-01-01T00:00:00.{'1234567'[:digits]}+00:00" for digits in range(1, 8))):  # fmt: skip
        assert feed.ask(v2, [("startTime", text), ("limit", "1")]).status == 200, text
    found = feed.numbers(v2, startTime=chain.times[0], endTime=FOREVER, limit="200")
    assert set(chain.numbers[:5]) <= set(found)


@requirement("FEED-032")
def test_v2_offsets_are_converted(v2: DicomWeb, chain: Chain) -> None:
    """The same instant in another zone selects the same entries (FEED-032)."""
    seconds, _, rest = chain.times[3].partition(".")
    hour = int(seconds[11:13])
    shift = 1 if hour < 23 else -1
    fraction = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    moved = f"{seconds[:11]}{hour + shift:02d}{seconds[13:]}.{fraction}{'+' if shift > 0 else '-'}01:00"
    assert feed.numbers(v2, startTime=moved, endTime=chain.times[6]) == chain.between(
        chain.times[3], chain.times[6]
    )


@requirement("FEED-033")
@pytest.mark.parametrize("text", ["abc", "2023-13-01T00:00:00Z", "2023-02-30T00:00:00Z", "20230101", "1"])
def test_v2_unparsable_time(v2: DicomWeb, chain: Chain, text: str) -> None:
    """A startTime or endTime that is no date answers 400 (FEED-033)."""
    for name in ("startTime", "endTime"):
        refused(feed.ask(v2, f"{name}={text}"))
    assert feed.numbers(v2, startTime=chain.times[0], limit="1") == chain.numbers[:1]


@requirement("FEED-034")
def test_v2_empty_or_reversed_window(v2: DicomWeb, chain: Chain) -> None:
    """A window that ends when or before it starts answers 400 saying strictly before (FEED-034)."""
    first, last = chain.times[0], chain.times[-1]
    for start, end in ((first, first), (last, first)):
        refused(feed.ask(v2, [("startTime", start), ("endTime", end)]), "strictly before")
    assert feed.ask(v2, [("startTime", first), ("endTime", last)]).status == 200


@requirement("FEED-035")
@pytest.mark.parametrize("blank", ["", "%20"])
def test_v2_blank_time(v2: DicomWeb, chain: Chain, blank: str) -> None:
    """A blank startTime or endTime counts as not given (FEED-035)."""
    start, end = quote(chain.times[0]), quote(chain.times[4])
    limit = "limit=200&includeMetadata=false"
    bounded = feed.ask(v2, f"startTime={start}&endTime={blank}&{limit}").json()
    assert [entry["sequence"] for entry in bounded][:12] == [
        entry["sequence"] for entry in feed.ask(v2, f"startTime={start}&{limit}").json()
    ][:12]
    assert (
        feed.ask(v2, f"startTime={blank}&endTime={end}&{limit}").json()
        == feed.ask(v2, f"endTime={end}&{limit}").json()
    )
    assert bounded[0]["sequence"] == chain.numbers[0]


@requirement("FEED-036")
def test_v2_limits(v2: DicomWeb, chain: Chain) -> None:
    """On v2 limit is 1 to 200, else 400 (FEED-036)."""
    for limit in ("201", "0", "-1", "abc", "1.5"):
        refused(feed.ask(v2, f"limit={limit}"))
    start = f"startTime={quote(chain.times[0])}&includeMetadata=false"
    for good in (1, 200):
        assert 1 <= len(feed.ask(v2, f"{start}&limit={good}").json()) <= good
