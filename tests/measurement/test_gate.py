import random

import pytest

from fixtures.measurement.gate import judge

CELLS = [
    f"STOW instances=small per request={batch} concurrency={side}" for batch in (1, 10, 50) for side in (1, 4)
]

STEADY = [1.02, 0.99, 1.00, 1.05, 0.97, 1.01, 1.00]


def _chance(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - noise, not secrets


def _run(
    chance: random.Random, *, factor: float = 1.0, noise: float = 0.08, rounds: int = 7
) -> dict[str, list[float]]:
    return {
        cell: [factor * (0.5 + place / 10) * chance.lognormvariate(0, noise) for _ in range(rounds)]
        for place, cell in enumerate(CELLS)
    }


def test_literal_ratios_a_fifth_lower_alarm_cell_and_operation() -> None:
    slower = [value * 0.8 for value in STEADY]

    looks = judge([{"STOW instances=small": STEADY}], {"STOW instances=small": slower})

    assert [look.alarm for look in looks] == [True, True]
    assert looks[1].change == pytest.approx(0.8)
    assert not looks[1].blind


def test_literal_ratios_that_are_the_same_do_not_alarm() -> None:
    looks = judge([{"STOW instances=small": STEADY}], {"STOW instances=small": STEADY})

    assert not any(look.alarm or look.blind for look in looks)


def test_faster_is_no_alarm() -> None:
    faster = [value * 1.5 for value in STEADY]

    assert not any(
        look.alarm for look in judge([{"STOW instances=small": STEADY}], {"STOW instances=small": faster})
    )


def test_a_drop_below_the_tolerated_is_no_alarm_however_steady() -> None:
    baseline = [{f"STOW instances={n}": STEADY for n in range(50)}]
    now = {f"STOW instances={n}": [value * 0.96 for value in STEADY] for n in range(50)}

    assert not judge(baseline, now)[0].alarm


def test_noise_that_hides_a_fifth_is_told() -> None:
    wild = [0.5, 1.9, 1.0, 0.6, 1.6, 2.2, 0.8]

    look = judge([{"STOW instances=small": wild}], {"STOW instances=small": [0.8 * value for value in wild]})[
        1
    ]

    assert look.blind
    assert "too noisy" in look.describe()


@pytest.mark.parametrize("seed", range(20))
def test_ten_clean_runs_raise_no_alarm(seed: int) -> None:
    chance = _chance(seed)
    baseline = [_run(chance) for _ in range(3)]

    alarms = [look.describe() for _ in range(10) for look in judge(baseline, _run(chance)) if look.alarm]

    assert not alarms


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("runs", [1, 3])
def test_a_planted_slowdown_of_a_fifth_is_caught(seed: int, runs: int) -> None:
    chance = _chance(seed)
    baseline = [_run(chance) for _ in range(runs)]

    looks = judge(baseline, _run(chance, factor=0.8))

    assert looks[0].name == "STOW, all cells"
    assert looks[0].alarm, looks[0].describe()


@pytest.mark.parametrize("seed", range(20))
def test_ten_clean_runs_after_one_baseline_raise_no_alarm(seed: int) -> None:
    chance = _chance(100 + seed)
    baseline = [_run(chance)]

    assert not any(look.alarm for _ in range(10) for look in judge(baseline, _run(chance)))


def test_runs_that_move_together_widen_the_threshold() -> None:
    chance = _chance(7)
    moving = [_run(chance, factor=factor) for factor in (0.8, 1.0, 1.25, 0.9, 1.15)]
    steady = [_run(chance) for _ in range(5)]
    now = _run(chance, factor=0.85)

    assert judge(moving, now)[0].threshold < judge(steady, now)[0].threshold
    assert not judge(moving, now)[0].alarm


def test_cells_without_a_past_are_passed_over() -> None:
    assert judge([{"STOW instances=small": STEADY}], {"QIDO instances=small": STEADY}) == []


def test_no_past_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="there is none"):
        judge([], {"STOW instances=small": STEADY})
