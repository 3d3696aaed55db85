"""Pages through the change feed of the cloud."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from systems.router.cloud.errors import CloudAnswerError
from systems.router.cloud.http import Answer, CloudHttp, require_authorised
from systems.router.errors import ConfigError

Entry = dict[str, Any]
# What a page may have: FEED-011 of the requirements, 100 in v1 and 200 in v2.
_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to read. `offset` is the service's own: in v1 a sequence number, in v2 how many entries are left out."""

    offset: int = 0
    limit: int | None = None
    metadata: bool = False
    reconcile: bool = False

    @property
    def is_all(self) -> bool:
        """Whether the whole feed is read."""
        return self.offset == 0 and self.limit is None

    @classmethod
    def from_query(cls, query: dict[str, str]) -> "Wanted":
        """From query parameters.

        Raises:
            ConfigError: one cannot be used; the message names it.

        """
        for key in query:
            if key not in ("offset", "limit", "metadata", "reconcile"):
                raise ConfigError(f"{key}: is not known; known: offset, limit, metadata, reconcile")
        limit = _number(query, "limit", 1)
        return cls(
            _number(query, "offset", 0) or 0, limit, _flag(query, "metadata"), _flag(query, "reconcile")
        )

    def to_query(self) -> str:
        """As query parameters."""
        values = {"offset": self.offset, "metadata": self.metadata, "reconcile": self.reconcile}
        if self.limit is not None:
            values["limit"] = self.limit
        return urlencode({key: str(value).lower() for key, value in values.items()})


def _number(query: dict[str, str], key: str, low: int) -> int | None:
    text = query.get(key)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or int(text) < low:
        raise ConfigError(f"{key}: is {text!r}; give a whole number from {low} on")
    return int(text)


def _flag(query: dict[str, str], key: str) -> bool:
    text = query.get(key, "false").lower()
    if text not in ("true", "false"):
        raise ConfigError(f"{key}: is {text!r}; give true or false")
    return text == "true"


async def entries(http: CloudHttp, version: str, wanted: Wanted) -> AsyncIterator[Entry]:
    """The entries in the feed's own order, as the cloud gives them.

    Raises:
        CloudError: the cloud cannot be asked, or what it answers is no change feed.

    """
    pages = _by_sequence if version == "v1" else _by_count
    left = wanted.limit
    async for page in pages(http, wanted):
        for entry in page if left is None else page[:left]:
            yield entry
        if left is not None:
            left -= len(page)
            if left <= 0:
                return


async def _by_count(http: CloudHttp, wanted: Wanted) -> AsyncIterator[list[Entry]]:
    offset = wanted.offset
    while page := await _page(http, offset, wanted):
        yield page
        offset += len(page)


async def _by_sequence(http: CloudHttp, wanted: Wanted) -> AsyncIterator[list[Entry]]:
    """A page of v1 is a range of numbers and may be empty while later entries exist (FEED-022)."""
    latest = await _ask(http, "/changefeed/latest?includeMetadata=false")
    entry = _json(latest) if latest.body else None
    last = int(entry["sequence"]) if isinstance(entry, dict) else 0
    for offset in range(wanted.offset, last, _PAGE):
        yield await _page(http, offset, wanted)


async def _page(http: CloudHttp, offset: int, wanted: Wanted) -> list[Entry]:
    query = urlencode(
        {"offset": offset, "limit": _PAGE, "includeMetadata": "true" if wanted.metadata else "false"}
    )
    found = _json(await _ask(http, f"/changefeed?{query}"))
    if not isinstance(found, list) or not all(
        isinstance(entry, dict) and isinstance(entry.get("sopInstanceUid"), str) for entry in found
    ):
        raise CloudAnswerError("the cloud's answer is no page of a change feed", 200)
    return found


async def _ask(http: CloudHttp, path: str) -> Answer:
    answer = await http.request("GET", path, headers={"Accept": "application/json"})
    require_authorised(answer)
    if answer.status not in (200, 204):
        hint = "; this service has none" if answer.status == 404 else ""
        raise CloudAnswerError(
            f"the change feed is answered HTTP {answer.status}{hint}", answer.status, answer.retry_after
        )
    return answer


def _json(answer: Answer) -> Any:
    if answer.status == 204:
        return []
    try:
        return orjson.loads(answer.body)
    except orjson.JSONDecodeError as error:
        raise CloudAnswerError("the change feed is not answered in JSON", answer.status) from error
