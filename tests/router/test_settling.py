"""How long objects wait, and when they are given up."""

import time

import pytest

from systems.router.config.limit_values import Backoff
from systems.router.delivery.attempt import Attempt
from systems.router.delivery.settling import Settling
from systems.router.objects import Identity
from systems.router.store.model import Effect, Location, Settlement, Task

BOUND = 3


def task(number: int = 1, failures: int = 0) -> Task:
    identity = Identity(f"1.{number}", "1.2.3", "1.2", "1.1", "1.2.840.10008.1.2.1")
    return Task(
        number, number, "cloud", identity, "", Location("p", 0, 1), "GDCM", 1, failures, False, False, 0.0
    )


@pytest.fixture
def settling() -> Settling:
    return Settling("cloud", Backoff(10, 2, 1000, 0), BOUND)


def wait_of(settlement: Settlement) -> float:
    return round(settlement.not_before - time.time()) if settlement.not_before else 0.0


def refused(**facts: bool | float) -> Attempt:
    return Attempt(task(), Effect.TRANSIENT, "A700", reached=True, **facts)  # type: ignore[arg-type]


SILENCE = Attempt(task(), Effect.OUTAGE, "no answer", reached=True, suspect=True, uncertain=True)


def test_transient_answers_lengthen_the_objects_own_back_off_and_never_end_it(settling: Settling) -> None:
    made = [settling.settle(refused(), served) for served in range(20)]
    assert [wait_of(each) for each in made[:4]] == [10, 20, 40, 80]
    assert {each.effect for each in made} == {Effect.TRANSIENT}
    assert all(each.until_recovery for each in made)


def test_retry_after_is_waited_for(settling: Settling) -> None:
    assert wait_of(settling.settle(refused(retry_after=500), 0)) == 500


def test_what_failed_because_the_destination_was_away_keeps_its_place(settling: Settling) -> None:
    away = Attempt(task(), Effect.OUTAGE, "no connection")
    assert [wait_of(settling.settle(away, served)) for served in range(5)] == [0] * 5
    assert not settling.troubled


def test_answer_to_a_request_of_many_is_nobodys_failure(settling: Settling) -> None:
    made = [settling.settle(refused(shared=True), served) for served in range(5)]
    assert [wait_of(each) for each in made] == [0] * 5
    assert not settling.troubled


def test_silence_is_borne_while_nobody_else_is_served(settling: Settling) -> None:
    made = [settling.settle(SILENCE, 7) for _ in range(20)]
    assert {each.effect for each in made} == {Effect.OUTAGE}
    assert settling.troubled == {1}


@pytest.mark.parametrize("effect", [Effect.OUTAGE, Effect.TRANSIENT])
def test_silence_while_others_are_served_is_borne_only_so_often_and_slowly(
    settling: Settling, effect: Effect
) -> None:
    silence = Attempt(task(), effect, "A700", reached=True, suspect=True)
    made = [settling.settle(silence, served) for served in range(BOUND)]
    assert [each.effect for each in made] == [effect, effect, Effect.DEAD]
    assert wait_of(made[1]) >= 10
    assert not made[1].until_recovery
    assert not settling.troubled


def test_failures_of_the_object_are_bounded(settling: Settling) -> None:
    made = [settling.settle(Attempt(task(failures=n), Effect.FAILED, "C000"), n) for n in range(BOUND)]
    assert [each.effect for each in made] == [Effect.FAILED, Effect.FAILED, Effect.DEAD]
    assert [wait_of(each) for each in made[:2]] == [10, 20]


def test_delivery_forgets_the_trouble(settling: Settling) -> None:
    settling.settle(refused(), 0)
    settling.settle(Attempt(task(), Effect.DELIVERED, "0000"), 1)
    assert wait_of(settling.settle(refused(), 2)) == 10
    assert not settling.is_new_trouble(refused())
