import pytest

from fixtures.measurement.samples import Cell, Cores, Sample, interleaved
from fixtures.measurement.statistics import interval, percentile, power_slope, ratios, robust_deviation


def _sample(
    rate: float, *, client: float = 0.1, server: float = 1.0, others: float = 0.0, void: str = ""
) -> Sample:
    return Sample(rate, 1.0, 10, 100, Cores(client, server, others), p50=0.1 * rate, void=void)


def test_the_interval_holds_the_median_and_is_the_same_again() -> None:
    values = [10.0, 11.0, 9.0, 10.5, 30.0]

    first = interval(values)

    assert first.median == 10.5
    assert first.low <= first.median <= first.high
    assert interval(values) == first


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(number) for number in range(1, 101)]

    assert (percentile(values, 0.50), percentile(values, 0.95), percentile(values, 0.99)) == (50, 95, 99)
    assert percentile([3.0], 0.99) == 3.0


def test_one_outlier_does_not_move_the_robust_deviation() -> None:
    assert robust_deviation([1.0, 1.1, 0.9, 1.0, 50.0]) == pytest.approx(0.176, abs=0.01)
    assert robust_deviation([1.0]) == 0


def test_ratios_go_round_by_round() -> None:
    assert ratios([2.0, 9.0], [1.0, 3.0]) == (2.0, 3.0)
    with pytest.raises(ValueError, match="no pairs"):
        ratios([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="positive"):
        ratios([1.0], [0.0])


def test_growth_is_read_as_a_power() -> None:
    assert power_slope([1e3, 1e4, 1e5], [5.0, 5.0, 5.0]) == pytest.approx(0)
    assert power_slope([1e3, 1e4, 1e5], [1.0, 10.0, 100.0]) == pytest.approx(1)


def test_targets_take_turns_in_both_directions() -> None:
    assert "".join(interleaved("AB", 3)) == "ABBAAB"


def test_one_void_sample_voids_its_cell() -> None:
    cell = Cell("STOW", {"n": 1}, "emulator", "instances/s", [_sample(1), _sample(2, void="2 lost")])

    assert cell.void == "2 lost"
    assert Cell("STOW", {}, "emulator", "instances/s").void == "nothing was measured"


def test_a_cell_says_what_limited_it() -> None:
    assert _sample(1, client=0.9, server=1.0).limited_by == "client"
    assert _sample(1, client=0.5, server=0.2).limited_by == "client"
    assert _sample(1).limited_by == "server"
    assert _sample(1, client=0.3, server=0.0).limited_by == "not seen"
    assert _sample(1, server=0.3).limited_by == "waiting"
    assert _sample(1, others=0.4).disturbed


def test_latencies_and_figures_have_medians() -> None:
    cell = Cell("STOW", {}, "emulator", "instances/s", [_sample(1), _sample(2), _sample(3)])

    assert cell.median_of("p50") == pytest.approx(0.2)
    assert cell.median_of("p99") is None
    assert cell.median_of("client us") is None
