from pathlib import Path

import pytest

from fixtures.measurement.gate import judge, ratios_of
from fixtures.measurement.results import Results, add_to_history, comparable, read, read_history, write
from fixtures.measurement.samples import Cores, Sample

PARAMETERS: dict[str, str | int] = {"instances": "small", "concurrency": 4}


def _results(taken: str, emulator: float = 100.0) -> Results:
    results = Results.begin(quick=True)
    results.taken = taken
    for target, rate in (("emulator", emulator), ("orthanc", 200.0)):
        cell = results.cell("STOW", PARAMETERS, target, "instances/s")
        cell.samples += [
            Sample(rate * factor, 1.0, 5, 50, Cores(0.1, 1.0, 0.0)) for factor in (0.99, 1.0, 1.01)
        ]
    return results


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    results = _results("now")

    write(results, tmp_path / "out" / "benchmark.json")

    assert read(tmp_path / "out" / "benchmark.json") == results


def test_history_grows_by_a_line_a_run(tmp_path: Path) -> None:
    for taken in ("first", "second"):
        add_to_history(_results(taken), tmp_path / "history.jsonl")

    assert [run.taken for run in read_history(tmp_path / "history.jsonl")] == ["first", "second"]
    assert read_history(tmp_path / "none.jsonl") == []


def test_a_broken_line_of_the_history_is_named(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    add_to_history(_results("first"), path)
    with path.open("a", encoding="utf-8") as file:
        file.write('{"format": 99}\n')

    with pytest.raises(ValueError, match="line 2"):
        read_history(path)


def test_only_runs_of_the_same_kind_are_compared() -> None:
    now, quick, full, elsewhere = (_results(name) for name in ("now", "quick", "full", "elsewhere"))
    full.quick = False
    elsewhere.machine = {"cores": 64}

    assert comparable([quick, full, elsewhere, now], now) == [quick]


def test_the_gate_reads_ratios_from_results() -> None:
    before, slower = _results("before"), _results("now", emulator=75.0)

    looks = judge([ratios_of(before)], ratios_of(slower))

    assert looks[0].alarm
    assert looks[1].change == pytest.approx(0.75)


def test_a_void_cell_has_no_ratio() -> None:
    results = _results("now")
    cell = next(iter(results.cells.values()))
    cell.samples.append(Sample(1.0, 1.0, 1, 1, Cores(0, 0, 0), void="1 lost"))

    assert ratios_of(results) == {}
