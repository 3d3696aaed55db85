"""What the change feed says beside what the index says was delivered."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any, Final

import orjson

from systems.router.cloud.http import CloudHttp
from systems.router.config.model import Config
from systems.router.feed.reader import Entry, Wanted, entries
from systems.router.store.feed import delivered_after, states_of
from systems.router.store.queue import SqliteQueue

_AT_ONCE: Final = 100
_PAGE: Final = 1000


def cloud_destination(config: Config) -> str:
    """The name of the destination that is the cloud; empty where there is none."""
    return next((item.name for item in config.destinations if item.kind == "dicomweb"), "")


async def lines(
    config: Config, queue: SqliteQueue | None, http: CloudHttp, wanted: Wanted
) -> AsyncIterator[dict[str, Any]]:
    """The entries, a line each. With `reconcile`, each says what the index says of the delivery, and a summary follows.

    `delivery` of an entry is `delivered`, `waiting`, `in_progress` or `dead` (the router's own state of it) or `unknown`: not by
    this router. Where the whole feed was read, what was delivered and is not, or no more, in the cloud by the feed has a line
    with `missing`.

    Raises:
        CloudError: the cloud cannot be asked, or what it answers is no change feed.

    """
    found = entries(http, config.cloud.version, wanted)
    if queue is None or not wanted.reconcile:
        async for entry in found:
            yield entry
        return
    comparison = _Comparison(queue, cloud_destination(config))
    try:
        async for page in _gathered(found):
            for entry in await comparison.compared(page):
                yield entry
        if wanted.is_all:
            async for missing in comparison.missing():
                yield missing
        yield {"summary": comparison.summary | {"whole_feed": wanted.is_all}}
    finally:
        comparison.close()


async def _gathered(found: AsyncIterator[Entry]) -> AsyncIterator[list[Entry]]:
    page: list[Entry] = []
    async for entry in found:
        page.append(entry)
        if len(page) == _AT_ONCE:
            yield page
            page = []
    if page:
        yield page


class _Comparison:
    """Remembers, on disk where it gets large, which instances the feed has and which it says are deleted."""

    def __init__(self, queue: SqliteQueue, destination: str) -> None:
        self._queue = queue
        self._destination = destination
        # What is delivered while the feed is read may be in a page that has been read already.
        self._began = time.time()
        # A name of no characters is a temporary file that is gone when it is closed.
        self._seen = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._seen.execute("CREATE TABLE seen(uid TEXT PRIMARY KEY, there INTEGER NOT NULL) WITHOUT ROWID")
        self.summary = {"entries": 0, "delivered": 0, "not_delivered": 0, "missing": 0}

    def close(self) -> None:
        """Forget everything."""
        self._seen.close()

    async def compared(self, page: Sequence[Entry]) -> list[Entry]:
        """The entries, each with what the index says of its instance."""
        uids = [str(entry["sopInstanceUid"]) for entry in page]
        states = await self._queue.perform(
            partial(states_of, destination=self._destination, sop_instance_uids=uids)
        )
        await asyncio.to_thread(self._remember, page)
        found = []
        for entry in page:
            state = states.get(str(entry["sopInstanceUid"]), "unknown")
            self.summary["entries"] += 1
            self.summary["delivered" if state == "delivered" else "not_delivered"] += 1
            found.append(entry | {"delivery": state})
        return found

    def _remember(self, page: Sequence[Entry]) -> None:
        """The last entry about an instance is what holds."""
        self._seen.executemany(
            "INSERT OR REPLACE INTO seen VALUES(?, ?)",
            [
                (str(entry["sopInstanceUid"]), int(str(entry.get("action", "")).lower() != "delete"))
                for entry in page
            ],
        )

    async def missing(self) -> AsyncIterator[dict[str, Any]]:
        """What was delivered before the feed was read, and is not in the cloud by it."""
        after = 0
        while True:
            rows = await self._queue.perform(
                partial(
                    delivered_after,
                    destination=self._destination,
                    object_id=after,
                    before=self._began,
                    limit=_PAGE,
                )
            )
            if not rows:
                return
            after = rows[-1][0]
            there = await asyncio.to_thread(self._look, [uid for _, uid, _ in rows])
            for _, uid, study in rows:
                if there.get(uid) != 1:
                    self.summary["missing"] += 1
                    why = "deleted" if uid in there else "not in the change feed"
                    yield {"missing": uid, "study_instance_uid": study, "reason": why}

    def _look(self, uids: Sequence[str]) -> dict[str, int]:
        rows = self._seen.execute(
            "SELECT uid, there FROM seen WHERE uid IN (SELECT value FROM json_each(?))",
            (orjson.dumps(list(uids)).decode(),),
        )
        return dict(rows.fetchall())
