"""The change feed as tests read it: their own entries among everybody's."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fixtures.clients.answers import Response, expect
from fixtures.clients.dicomweb import FEED_PAGE_V1, PAGE, DicomWeb
from fixtures.clients.http import Query
from suites.azure.data import Made, Maker
from suites.azure.searching import keep

Entry = dict[str, Any]
FEED, LATEST = "/changefeed", "/changefeed/latest"
FOREVER = "9999-12-31T23:59:59.9999999+00:00"


@dataclass(frozen=True)
class Mark:
    """A point in the feed: the last entry there was, number 0 and no time when there was none."""

    sequence: int
    timestamp: str | None


def ask(
    web: DicomWeb, query: Query = (), *, path: str = FEED, accept: str | None = "application/json"
) -> Response:
    """GET the change feed or its latest entry; a `str` query goes out as it is."""
    headers = [("Accept", accept)] if accept is not None else []
    return web.request("GET", path, query=query, headers=headers)


def read(web: DicomWeb, query: Query = ()) -> list[Entry]:
    """The entries of one page, without their metadata unless the query asks for it."""
    pairs = query if isinstance(query, str) else list(query)
    if not isinstance(pairs, str) and not any(name == "includeMetadata" for name, _ in pairs):
        pairs.append(("includeMetadata", "false"))
    found: list[Entry] = expect(f"change feed {pairs}", ask(web, pairs)).json()
    return found


def mark(web: DicomWeb) -> Mark:
    """Where the feed ends now."""
    answer = expect("latest change", ask(web, "includeMetadata=false", path=LATEST), 200, 204)
    entry = answer.json() if answer.status == 200 else None
    return Mark(entry["sequence"], entry["timestamp"]) if entry else Mark(0, None)


def since(web: DicomWeb, start: Mark, *, metadata: bool = False) -> list[Entry]:
    """All entries after a mark, page by page: on v1 by number, on v2 by time."""
    size = FEED_PAGE_V1 if web.version == "v1" else PAGE
    found: list[Entry] = []
    offset = start.sequence if web.version == "v1" else 0
    last = mark(web).sequence
    while True:
        query = [("offset", str(offset)), ("limit", str(size)), ("includeMetadata", str(metadata).lower())]
        if web.version != "v1" and start.timestamp is not None:
            query.append(("startTime", start.timestamp))
        page = read(web, query)
        found += [entry for entry in page if entry["sequence"] > start.sequence]
        offset += size
        if (web.version == "v1" and offset >= last) or (web.version != "v1" and len(page) < size):
            return found


def of(entries: Iterable[Entry], *made: Made) -> list[Entry]:
    """The entries of these instances."""
    wanted = {one.uids for one in made}
    return [
        entry
        for entry in entries
        if (entry["studyInstanceUid"], entry["seriesInstanceUid"], entry["sopInstanceUid"]) in wanted
    ]


def told(entries: Iterable[Entry]) -> list[tuple[str, str]]:
    """Action and state of each entry."""
    return [(entry["action"], entry["state"]) for entry in entries]


def ticks(timestamp: str) -> int:
    """An instant of the feed in units of 100 ns since 1970.

    Raises:
        ValueError: it is no ISO 8601 instant with an explicit zone.

    """
    main, _, rest = timestamp.partition(".")
    digits = len(rest) - len(rest.lstrip("0123456789"))
    fraction, zone = rest[:digits], rest[digits:]
    moment = datetime.fromisoformat(main + ("+00:00" if zone == "Z" else zone))
    if moment.tzinfo is None:
        raise ValueError(f"{timestamp!r} has no zone")
    whole = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    return whole * 10_000_000 + int(fraction.ljust(7, "0"))


@dataclass(frozen=True)
class Chain:
    """Changes made one after the other: the entries of the module's instances, oldest first, and of all between."""

    own: list[Entry]
    everything: list[Entry]

    @property
    def numbers(self) -> list[int]:
        """The numbers of the own entries."""
        return [entry["sequence"] for entry in self.own]

    @property
    def times(self) -> list[str]:
        """The times of the own entries, as the feed prints them."""
        return [entry["timestamp"] for entry in self.own]

    def between(self, start: str, end: str) -> list[int]:
        """The numbers of all entries from `start` to before `end`."""
        first, last = ticks(start), ticks(end)
        return [one["sequence"] for one in self.everything if first <= ticks(one["timestamp"]) < last]


def make_chain(v1: DicomWeb, v2: DicomWeb, make: Maker) -> Chain:
    """Store twelve instances one by one, by both versions in turn; before the last one, a store is refused."""
    before = mark(v1)
    made = make.series(12)
    for place, one in enumerate(made):
        keep((v1, v2)[place % 2], one)
        if place == 10:
            assert v2.store([one.part10]).status == 409
    everything = since(v1, before)
    return Chain(of(everything, *made), everything)


def numbers(web: DicomWeb, **parameters: str) -> list[int]:
    """The numbers of one page."""
    return [entry["sequence"] for entry in read(web, parameters.items())]


def instant(at: int) -> str:
    """A number of 100 ns units since 1970 as an instant with all seven digits."""
    seconds, fraction = divmod(at, 10_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:07d}+00:00"
