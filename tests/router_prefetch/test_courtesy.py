"""Live traffic first, but the prefetch is never starved (ROUTER-143)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from itertools import pairwise
from typing import Any

from systems.router.prefetch.courtesy import Courtesy


async def _transfers(courtesy: Courtesy, count: int, seconds: float) -> tuple[int, list[float]]:
    """The most that ran at once, and when each began."""
    running, most = 0, 0
    begun: list[float] = []

    async def one() -> None:
        nonlocal running, most
        async with courtesy.turn():
            running += 1
            most = max(most, running)
            begun.append(asyncio.get_running_loop().time())
            await asyncio.sleep(seconds)
            running -= 1

    await asyncio.gather(*(one() for _ in range(count)))
    return most, begun


def test_idle_router_gives_the_whole_width_and_no_more() -> None:
    """ROUTER-143: the global limit."""

    async def work() -> int:
        return (await _transfers(Courtesy(width=3), 9, 0.01))[0]

    assert asyncio.run(work()) == 3


def test_under_live_traffic_one_goes_at_a_time_and_rests() -> None:
    """ROUTER-143: a share of the time is left, so it ends even though the traffic does not."""

    async def work() -> tuple[int, list[float]]:
        courtesy = Courtesy(width=3, share=0.5)
        with courtesy.live():
            return await _transfers(courtesy, 3, 0.05)

    most, begun = asyncio.run(work())
    assert most == 1
    assert all(later - earlier >= 0.09 for earlier, later in pairwise(begun))


def test_rest_ends_with_the_traffic() -> None:
    """ROUTER-143: the rest belongs to live traffic and to nothing else."""

    async def work() -> float:
        courtesy = Courtesy(width=1, share=0.01)
        with courtesy.live():
            first = asyncio.create_task(_transfers(courtesy, 1, 0.05))
            await asyncio.sleep(0.1)
        started = asyncio.get_running_loop().time()
        await first
        return asyncio.get_running_loop().time() - started

    assert asyncio.run(work()) < 3  # of 4.95 s


def test_retrievals_count_as_live_until_their_last_response() -> None:
    """ROUTER-143: an interactive C-MOVE is noticed."""

    async def responses() -> AsyncIterator[int]:
        yield 1
        yield 2

    async def work() -> list[bool]:
        courtesy = Courtesy()
        seen = [courtesy.busy]
        seen += [courtesy.busy async for _ in courtesy.during(responses())]
        return seen

    assert asyncio.run(work()) == [False, True, True]


def test_closing_the_responses_ends_the_retrieval_and_the_courtesy() -> None:
    """ROUTER-143: a requester that leaves is no live traffic any more."""
    ended: list[str] = []

    async def responses() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            ended.append("retrieval")

    async def work() -> int:
        courtesy = Courtesy()
        during: Any = courtesy.during(responses())
        async with aclosing(during) as closing:
            async for _ in closing:
                break
        return courtesy._live

    assert asyncio.run(work()) == 0
    assert ended == ["retrieval"]
