"""Back-off, pause and probe of a destination."""

import asyncio

import pytest

from systems.router.config.limit_values import Backoff
from systems.router.delivery.gate import Gate, delay

BACKOFF = Backoff(1, 2, 300, 0.2)


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (10_000, 300)]
)
def test_delay_grows_by_the_factor_up_to_the_ceiling(failures: int, seconds: float) -> None:
    assert delay(BACKOFF, failures, lambda: 0.5) == seconds


def test_jitter_stays_within_its_share_and_below_the_ceiling() -> None:
    assert delay(BACKOFF, 1, lambda: 0.0) == pytest.approx(0.8)
    assert delay(BACKOFF, 1, lambda: 1.0) == pytest.approx(1.2)
    assert delay(BACKOFF, 50, lambda: 1.0) == 300


def test_after_a_failure_one_probes_and_its_success_lets_all_go() -> None:
    async def work() -> None:
        gate = Gate(Backoff(0.01, 2, 1, 0))
        assert await gate.admit() is False
        assert gate.failed("down", None)
        assert not gate.failed("down", None)
        assert gate.failures == 1
        assert await gate.admit() is True
        second = asyncio.create_task(gate.admit())
        await asyncio.sleep(0.05)
        assert not second.done()
        assert gate.succeeded() is not None
        assert await second is False
        assert gate.succeeded() is None

    asyncio.run(work())


def test_retry_after_lengthens_and_wake_ends_the_wait() -> None:
    async def work() -> None:
        gate = Gate(Backoff(0.01, 2, 1, 0))
        gate.failed("busy", 500)
        waiting = asyncio.create_task(gate.admit())
        await asyncio.sleep(0.05)
        assert not waiting.done()
        assert gate.backoff_until is not None
        gate.wake()
        assert await asyncio.wait_for(waiting, 1) is True

    asyncio.run(work())


def test_only_many_different_objects_in_a_row_count_as_the_destination() -> None:
    async def work() -> None:
        gate = Gate(BACKOFF)
        assert not any(gate.refused(1, "503") for _ in range(20))
        assert [gate.refused(n, "503") for n in range(1, 6)] == [False] * 4 + [True]
        gate.served()
        assert not gate.refused(6, "503")
        assert gate.state == "running"

    asyncio.run(work())


def test_pause_and_stop_are_independent() -> None:
    async def work() -> None:
        gate = Gate(BACKOFF)
        gate.hold(paused=True)
        gate.hold(stopped=True)
        gate.hold(paused=False)
        states = [gate.state]
        gate.hold(stopped=False)
        states.append(gate.state)
        assert states == ["stopped", "running"]
        assert await asyncio.wait_for(gate.admit(), 1) is False

    asyncio.run(work())
