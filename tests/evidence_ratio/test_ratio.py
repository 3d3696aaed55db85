"""The ratio rule on literal measurements: clear, slow, noisy and negligible."""

import pytest

from fixtures.evidence.ratio import judge_ratio, measure_ratio

QUIET = [(1.0, 1.02)] * 7


def test_equal_times_pass() -> None:
    assert judge_ratio([(1.0, 1.1)] * 7, QUIET, limit=1.5).verdict == "pass"


def test_four_times_slower_fails() -> None:
    ratio = judge_ratio([(1.0, 4.0 + 0.1 * n) for n in range(7)], QUIET, limit=1.5)
    assert ratio.verdict == "fail"
    assert ratio.low > 1.5


def test_slow_by_less_than_anyone_feels_passes() -> None:
    assert judge_ratio([(0.001, 0.01)] * 7, [(0.001, 0.001)] * 7, limit=1.5).verdict == "pass"


def test_a_busy_machine_is_too_noisy_and_not_a_failure() -> None:
    assert judge_ratio([(1.0, 4.0)] * 7, [(1.0, 2.0)] * 7, limit=1.5).verdict == "too-noisy"


def test_scattered_quotients_are_too_noisy() -> None:
    pairs = [(1.0, 0.5), (1.0, 9.0), (1.0, 1.2), (1.0, 8.0), (1.0, 1.4), (1.0, 6.0), (1.0, 1.3)]
    assert judge_ratio(pairs, QUIET, limit=1.5).verdict == "too-noisy"


def test_too_few_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="7 pairs"):
        judge_ratio([(1.0, 1.0)] * 6, QUIET, limit=1.5)


def test_measuring_warms_up_and_counts() -> None:
    rounds = iter([(1.0, 1.0, 1.0), *[(1.0, 4.0, 1.0)] * 9])

    ratio = measure_ratio(rounds, limit=1.5)

    assert (ratio.verdict, ratio.pairs, ratio.median) == ("fail", 7, 4.0)
    assert len(list(rounds)) == 2
