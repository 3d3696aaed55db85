import re
from pathlib import Path

import pytest

from fixtures.measurement import report
from fixtures.measurement.charts import charts
from fixtures.measurement.report import gate_of, table, write_report
from fixtures.measurement.results import Results, add_to_history, read_history, write
from fixtures.measurement.samples import Cores, Sample


def _cell(results: Results, operation: str, target: str, rate: float, **parameters: str | int) -> None:
    cell = results.cell(operation, parameters, target, "instances/s")
    for factor in (0.98, 1.0, 1.02):
        cell.samples.append(
            Sample(
                rate * factor,
                1.0,
                100,
                1000,
                Cores(0.1, 1.2, 0.0),
                0.001,
                0.002,
                0.003,
                figures={"client us": 20.0},
            )
        )


@pytest.fixture
def results() -> Results:
    made = Results.begin(quick=True)
    made.versions["emulator"] = "<script>alert(1)</script>"
    for side in (1, 4):
        _cell(made, "STOW", "emulator", 100.0 * side, instances="small", concurrency=side)
        _cell(made, "STOW", "orthanc", 50.0 * side, instances="small", concurrency=side)
    for stored in (1000, 10_000):
        _cell(made, "QIDO study by UID", "emulator", 500.0, stored=stored, concurrency=1)
    _cell(made, "STOW", "other", 1.0, instances="large", concurrency=1)
    made.cells[next(key for key in made.cells if key[1] == "other")].samples[0] = Sample(
        1, 1, 1, 1, Cores(0, 0, 0), void="3 of 9 acknowledged instances: lost"
    )
    return made


def test_the_page_asks_no_host_for_anything(results: Results, tmp_path: Path) -> None:
    page, _, words = write_report(results, [], tmp_path)
    text = page.read_text(encoding="utf-8")

    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)\s*=", text.split("<body>")[1])
    assert "default-src 'none'" in text
    assert "3 of 9 acknowledged instances: lost" in text
    assert "<script>alert(1)" not in text
    assert "This run is the baseline" in words


def test_every_chart_is_also_a_picture(results: Results, tmp_path: Path) -> None:
    write_report(results, [], tmp_path)

    drawn = {path.stem for path in (tmp_path / "png").glob("*.png")}
    assert drawn == {chart.name for chart in charts(results)}
    assert {"ratios", "STOW-small", "STOW-latency", "QIDO-study-by-UID-growth", "cpu", "client"} <= drawn
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (tmp_path / "png").iterdir())


def test_the_table_tells_ratios_and_what_does_not_count(results: Results) -> None:
    lines = table(results)

    assert "= 2.00 x orthanc (2.00-2.00)" in lines[0]
    assert any("does not count: 3 of 9" in line for line in lines)


def test_a_slower_run_is_told_by_the_gate(results: Results) -> None:
    before = Results.from_json(results.as_json() | {"taken": "before"})
    for (_, target), cell in results.cells.items():
        if target == "emulator":
            cell.samples = [Sample(one.rate * 0.75, 1, 1, 1, one.cores) for one in cell.samples]

    looks, words = gate_of(results, [before])

    assert any(look.alarm for look in looks)
    assert "SLOWER: STOW, all cells: -25.0%" in words


def test_history_is_drawn_when_there_is_one(results: Results) -> None:
    before = Results.from_json(results.as_json() | {"taken": "2026-01-01T00:00:00"})

    assert "history" not in [chart.name for chart in charts(results)]
    assert "history" in [chart.name for chart in charts(results, [before])]


def test_runs_on_a_busy_machine_are_no_baseline_while_there_are_quiet_ones(results: Results) -> None:
    quiet = Results.from_json(results.as_json() | {"taken": "quiet"})
    busy = Results.from_json(results.as_json() | {"taken": "busy"})
    for cell in busy.cells.values():
        cell.samples = [Sample(one.rate / 2, 1, 1, 1, Cores(0.1, 1.0, 1.5)) for one in cell.samples]

    assert busy.disturbed == 1.0
    assert "compared with 1 earlier runs" in gate_of(results, [quiet, busy])[1]


@pytest.mark.parametrize(("factor", "gate", "code"), [(0.7, True, 1), (0.7, False, 0), (1.0, True, 0)])
def test_the_program_says_by_its_exit_code_what_the_gate_says(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factor: float, gate: bool, code: int
) -> None:
    history = tmp_path / "history.jsonl"
    add_to_history(Results.from_json(results.as_json() | {"taken": "before"}), history)
    for (_, target), cell in results.cells.items():
        if target == "emulator":
            cell.samples = [Sample(one.rate * factor, 1, 1, 1, one.cores) for one in cell.samples]
    write(results, tmp_path / "benchmark.json")
    words = [str(tmp_path / "benchmark.json"), "--history", str(history), "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["report", *words, *(["--gate"] if gate else [])])
    monkeypatch.setattr(report, "picture", lambda *_: None)

    assert report.main() == code
    assert len(read_history(history)) == (1 if code else 2)


def test_a_run_with_a_planted_slowdown_is_no_past(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results.slowdown_percent = 20
    write(results, tmp_path / "benchmark.json")
    history = tmp_path / "history.jsonl"
    words = [str(tmp_path / "benchmark.json"), "--history", str(history), "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["report", *words])
    monkeypatch.setattr(report, "picture", lambda *_: None)

    assert report.main() == 0
    assert read_history(history) == []
