"""Full result sets: pages, retries and bounds of QIDO-RS searches (ROUTER-065, ROUTER-068, ROUTER-172)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import Final, TypeVar

from systems.router.bridge.cloud import CloudReader, CloudRefused, CloudUnreachable, JsonDataset
from systems.router.bridge.keys import Search

PAGE: Final = 200
_FIRST_DELAY: Final = 0.25

T = TypeVar("T")


class TooManyMatches(Exception):  # noqa: N818 - an answer, not a defect
    """The configured ceiling is passed; never answered with a cut list (ROUTER-065)."""


class Cancelled(Exception):  # noqa: N818 - an answer, not a defect
    """The requester sent C-CANCEL or left."""


@dataclass(frozen=True, slots=True)
class SearchLimits:
    """`answer` seconds for a page with all its repeats, `attempts` at a transient refusal, `ceiling` matches."""

    answer: float = 7.5
    attempts: int = 3
    ceiling: int = 100_000


async def interruptible(work: Awaitable[T], cancelled: asyncio.Event) -> T:
    """Wait for `work`, but not after `cancelled` is set.

    Raises:
        Cancelled: when that came first; `work` is cancelled then.

    """
    task = asyncio.ensure_future(work)
    stop = asyncio.ensure_future(cancelled.wait())
    try:
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise Cancelled
    finally:
        for pending in (task, stop):
            if not pending.done():
                pending.cancel()


async def page(
    cloud: CloudReader, search: Search, offset: int, limits: SearchLimits, cancelled: asyncio.Event
) -> list[JsonDataset]:
    """One page; transient refusals are asked again within the bound.

    Raises:
        CloudError: when there is no page.
        Cancelled: when the requester no longer wants it.

    """
    try:
        async with asyncio.timeout(limits.answer):
            return await interruptible(_repeated(cloud, search, offset, limits), cancelled)
    except TimeoutError as error:
        message = f"no answer from the cloud within {limits.answer:g} s"
        raise CloudUnreachable(message) from error


async def _repeated(
    cloud: CloudReader, search: Search, offset: int, limits: SearchLimits
) -> list[JsonDataset]:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limits.answer
    attempt, delay = 1, _FIRST_DELAY
    while True:
        try:
            return await cloud.search(search.resource, search.params, limit=PAGE, offset=offset)
        except CloudRefused as refused:
            wait = max(delay, refused.retry_after or 0)
            if not refused.is_transient or attempt >= limits.attempts or loop.time() + wait >= deadline:
                raise
        await asyncio.sleep(wait)
        attempt, delay = attempt + 1, delay * 2


async def all_matches(
    cloud: CloudReader, search: Search, limits: SearchLimits, cancelled: asyncio.Event
) -> AsyncIterator[list[JsonDataset]]:
    """Every page of a search, until a short one.

    Raises:
        TooManyMatches: above the ceiling.
        CloudError: when a page cannot be had.
        Cancelled: when the requester no longer wants it.

    """
    offset = 0
    while True:
        found = await page(cloud, search, offset, limits, cancelled)
        offset += len(found)
        if offset > limits.ceiling:
            raise TooManyMatches
        if found:
            yield found
        if len(found) < PAGE:
            return
