"""Acceptance first: deliveries step back while objects arrive, never for longer than they were told."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from fixtures.waiting import eventually
from systems.router.config.limit_values import Backoff, Delivery
from systems.router.config.model import Destination
from systems.router.delivery.attempt import Attempt
from systems.router.delivery.group import WorkerGroup
from systems.router.delivery.precedence import QUIET_SECONDS, Arriving, StepBack
from systems.router.store.model import Effect, Task
from systems.router.store.queue import SqliteQueue
from tests.router.conftest import MakeRouter
from tests.router.fakes import FakeCloud, FakePacs, make_dataset, send
from tests.router.test_store import received
from tests.router.test_store import run as run_queue


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


class Carrier:
    """Delivers everything at once."""

    batch_instances, batch_bytes = 5, 1 << 20

    def __init__(self) -> None:
        self.delivered: list[str] = []
        self.happened = asyncio.Event()

    async def deliver(self, tasks: Sequence[Task]) -> list[Attempt]:
        self.delivered += [task.identity.sop_instance_uid for task in tasks]
        self.happened.set()
        return [Attempt(task, Effect.DELIVERED, "0000") for task in tasks]

    async def close(self) -> None:
        """Nothing to give back."""


def deliver(
    folder: Path, seconds: float, work: Callable[[Arriving, WorkerGroup, Carrier], Awaitable[None]]
) -> None:
    """Let a destination with seven objects work while objects arrive."""

    async def inside(queue: SqliteQueue) -> None:
        arriving, carrier = Arriving(), Carrier()
        cloud = Destination("cloud", "dicomweb", "", 2, 0, 5, mandatory=True)
        step_back = StepBack(arriving, Delivery(seconds))
        group = WorkerGroup(cloud, queue, carrier, Backoff(0.05, 2, 0.1, 0), step_back)
        for number in range(7):
            await queue.accept(received(f"1.{number}"), ["cloud"])
        try:
            with arriving.keeping():
                async with asyncio.timeout(20):
                    await work(arriving, group, carrier)
        finally:
            await group.stop(5)

    run_queue(folder, inside)


def test_destination_delivers_nothing_at_first_and_everything_in_the_end(tmp_path: Path) -> None:
    async def work(arriving: Arriving, group: WorkerGroup, carrier: Carrier) -> None:
        group.start()
        await asyncio.sleep(0.3)
        assert carrier.delivered == []
        while len(carrier.delivered) < 7:
            await asyncio.wait_for(carrier.happened.wait(), 10)
            carrier.happened.clear()
        assert arriving.busy, "the time to step back was not what let it go on"

    deliver(tmp_path, 1.5, work)


def test_probe_of_a_destination_that_was_away_does_not_wait(tmp_path: Path) -> None:
    async def work(_: Arriving, group: WorkerGroup, carrier: Carrier) -> None:
        group.gate.failed("away", None)
        group.start()
        await asyncio.wait_for(carrier.happened.wait(), 10)
        await asyncio.sleep(0.3)
        assert len(carrier.delivered) == 1, "what follows the probe has to wait like anything else"

    deliver(tmp_path, 60, work)


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
    assert set(answers) <= {0, None}, "a stream was refused"
    acknowledged = answers.count(0)
    eventually(
        lambda: min(len(cloud.stored), len(pacs.stored)) >= acknowledged, within=30, because="all deliveries"
    )
