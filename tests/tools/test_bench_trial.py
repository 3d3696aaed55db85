"""What a trial of the regression gate counts as right."""

from collections import Counter

import pytest

from tools.bench_trial import ALARM, TOO_NOISY, Trial, trial, trials


def _performed(codes: dict[str, int]) -> int:
    def perform(one: Trial) -> tuple[int, str]:
        kind = next(kind for kind in codes if one.name.startswith(kind))
        return codes[kind], "STOW, all cells: -1 %"

    return trial(list(trials(1, 2, 1)), perform)


@pytest.mark.parametrize(
    ("clean", "slowed", "expected"),
    [(0, ALARM, 0), (TOO_NOISY, ALARM, 0), (ALARM, ALARM, 1), (0, 0, 1), (0, TOO_NOISY, 1), (2, ALARM, 4)],
)
def test_the_gate_must_stay_silent_on_clean_runs_and_see_slowed_ones(
    clean: int, slowed: int, expected: int
) -> None:
    assert _performed({"baseline": 0, "clean": clean, "slowed": slowed}) == expected


def test_only_slowed_runs_are_slowed_and_the_first_ones_have_no_gate() -> None:
    every = list(trials())

    assert Counter(one.name.split()[0] for one in every) == {"baseline": 3, "clean": 10, "slowed": 3}
    assert all(("--plant" in one.words) == one.name.startswith("slowed") for one in every)
    assert all(("--gate" in one.words) != one.name.startswith("baseline") for one in every)


def test_a_wrong_run_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    _performed({"baseline": 0, "clean": ALARM, "slowed": ALARM})

    told = capsys.readouterr().out
    assert "clean run 1 of 2: WRONG: alarm" in told
    assert "right in 1 of 3 runs" in told
