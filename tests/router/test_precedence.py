"""Acceptance first: deliveries step back while objects arrive, never for longer than they were told."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from fixtures.waiting import eventually
from systems.router.config.limit_values import Delivery
from systems.router.delivery.precedence import QUIET_SECONDS, Arriving, StepBack
from tests.router.conftest import MakeRouter
from tests.router.fakes import FakeCloud, FakePacs, make_dataset, send


def run(seconds: float, work: Callable[[Arriving, StepBack], Awaitable[None]]) -> None:
    async def inside() -> None:
        arriving = Arriving()
        async with asyncio.timeout(20):
            await work(arriving, StepBack(arriving, Delivery(seconds)))

    asyncio.run(inside())


def now() -> float:
    return asyncio.get_running_loop().time()


def test_nobody_waits_while_nothing_arrives() -> None:
    async def work(_: Arriving, step_back: StepBack) -> None:
        assert not await step_back.wait()

    run(60, work)


def test_delivery_waits_until_the_intake_is_quiet() -> None:
    async def work(arriving: Arriving, step_back: StepBack) -> None:
        with arriving.keeping():
            waiting = asyncio.create_task(step_back.wait())
            await asyncio.sleep(3 * QUIET_SECONDS)
            assert not waiting.done(), "a slow disk looks like quiet"
            ended = now()
        assert await waiting
        assert now() - ended >= 0.9 * QUIET_SECONDS
        assert not await step_back.wait()

    run(60, work)


def test_peer_that_falls_silent_in_mid_object_is_not_waited_for() -> None:
    async def work(arriving: Arriving, step_back: StepBack) -> None:
        arriving.note()
        assert await step_back.wait()
        assert not arriving.busy

    run(60, work)


def test_after_its_time_a_destination_shares_until_it_has_caught_up() -> None:
    async def work(arriving: Arriving, step_back: StepBack) -> None:
        with arriving.keeping():
            began = now()
            while await step_back.wait():
                pass
            assert 0.2 <= now() - began < 10
            assert not await step_back.wait(), "it stepped back again with work left"
            step_back.caught_up()
            assert await step_back.wait()

    run(0.2, work)


def test_quiet_of_the_same_length_gives_the_intake_its_precedence_back() -> None:
    async def work(arriving: Arriving, step_back: StepBack) -> None:
        with arriving.keeping():
            while await step_back.wait():
                pass
        await arriving.quiet(10)
        assert not await step_back.wait()
        arriving.note()
        assert not await step_back.wait(), "a short pause of the intake must not make a backlog wait again"
        await arriving.quiet(10)
        await asyncio.sleep(1)
        assert not await step_back.wait()
        arriving.note()
        assert await step_back.wait()

    run(1, work)


def test_time_of_zero_means_never() -> None:
    async def work(arriving: Arriving, step_back: StepBack) -> None:
        with arriving.keeping():
            assert not await step_back.wait()
        step_back.reconfigure(Delivery(60))
        arriving.note()
        assert await step_back.wait()

    run(0, work)


@pytest.mark.parametrize("seconds", ["0", "0.5"])
def test_steady_stream_starves_no_destination(
    make_router: MakeRouter, cloud: FakeCloud, pacs: FakePacs, seconds: str
) -> None:
    router = make_router(delivery=f"step_back_seconds = {seconds}")
    ended = threading.Event()
    answers: list[int | None] = []

    def stream() -> None:
        while not ended.is_set():
            answers.extend(send(router.intake, [make_dataset() for _ in range(10)]))

    streams = [threading.Thread(target=stream) for _ in range(2)]
    for each in streams:
        each.start()
    try:
        for wanted in (10, 30):
            eventually(
                lambda wanted=wanted: min(len(cloud.stored), len(pacs.stored)) >= wanted,  # type: ignore[misc]
                within=30,
                because=f"{wanted} deliveries while objects arrive",
            )
    finally:
        ended.set()
        for each in streams:
            each.join()
    assert set(answers) == {0}
    eventually(
        lambda: len(cloud.stored) == len(pacs.stored) == len(answers), within=30, because="all deliveries"
    )
