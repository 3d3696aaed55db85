"""`make bench`: measures the systems beside others, writes charts, and says whether something has become slower.

`make load` (`tools.bench load ...`) puts load on any service with Locust, from one machine or many.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.bench_trial import on_this_machine
from tools.common import CHECKOUT, LOCAL, VENV_BIN, environment, main_of, run, say
from tools.demo import engine_answers
from tools.orthanc import ensure_orthanc

OUT = CHECKOUT / "reports" / "out" / "benchmark"
HISTORY = LOCAL / "benchmark" / "history.jsonl"
MOST_PLANTED = 90
LOCUSTFILE = CHECKOUT / "fixtures" / "load" / "locustfile.py"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer cells and rounds: about 3 minutes")
    parser.add_argument(
        "--targets",
        default="emulator,orthanc",
        metavar="A,B",
        help="origin servers: emulator, orthanc, or NAME=URL (default: %(default)s)",
    )
    parser.add_argument(
        "--only",
        default="",
        metavar="WORDS",
        help="parts, apart by commas: stow, cstore, forwarding, retrieval, migration, durability, memory, harness (default: all)",
    )
    parser.add_argument(
        "--matching", default="", metavar="WORDS", help="of these the cells whose name fits (pytest -k)"
    )
    parser.add_argument("--rounds", type=int, help="rounds of each cell (default: 5, quick 3)")
    parser.add_argument("--gate", action="store_true", help="exit with 1 when something has become slower")
    parser.add_argument(
        "--plant",
        type=float,
        default=0,
        metavar="PERCENT",
        help="slow the emulator on purpose (never a baseline)",
    )
    parser.add_argument(
        "--trial",
        action="store_true",
        help="instead: try the gate here, with clean runs and planted slowdowns (about half an hour)",
    )
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="where results go")
    parser.add_argument("--history", type=Path, default=HISTORY, metavar="FILE", help="earlier runs")
    return parser


def bench(words: Sequence[str]) -> int:
    """Measure, report, gate. The exit code is pytest's where a cell does not count, else the gate's."""
    arguments = _parser().parse_args(words)
    if not 0 <= arguments.plant < MOST_PLANTED:
        _parser().error(f"--plant {arguments.plant:g}: give a percentage from 0 to below {MOST_PLANTED}")
    if "orthanc" in arguments.targets.split(",") and not engine_answers():
        ensure_orthanc()
    if arguments.trial:
        return on_this_machine()
    out = arguments.out.resolve()
    settings = {
        "BENCH_QUICK": "1" if arguments.quick else "",
        "BENCH_TARGETS": arguments.targets,
        "BENCH_DIR": str(out),
        "BENCH_SLOWDOWN": str(arguments.plant or ""),
    }
    if arguments.rounds:
        settings["BENCH_ROUNDS"] = str(arguments.rounds)
    results = out / "benchmark.json"
    results.unlink(missing_ok=True)
    measured = run(
        [
            *(str(VENV_BIN / "pytest"), *_files(arguments.only), "-m", "benchmark", "-v"),
            *(("-k", arguments.matching) if arguments.matching else ()),
            *("--no-report", "-p", "no:cacheprovider", "--durations=12"),
        ],
        extra=settings,
    )
    if not results.exists():
        return measured.returncode or 4
    reported = run(
        [
            *(str(VENV_BIN / "python"), "-m", "fixtures.measurement.report", str(results)),
            *("--history", str(arguments.history), "--out", str(out)),
            *(["--gate"] if arguments.gate else []),
        ]
    )
    return measured.returncode or reported.returncode


def _files(only: str) -> list[str]:
    folder = "suites/benchmarks"
    return [f"{folder}/test_{word}.py" for word in only.split(",")] if only else [folder]


def load(words: Sequence[str]) -> int:
    """Run Locust: a master with its web page and workers here, or workers only that join a master elsewhere."""
    parser = argparse.ArgumentParser(
        prog="make load",
        description=load.__doc__,
        epilog="Everything else is given to Locust (locust --help).",
    )
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes that make load here"
    )
    parser.add_argument("--join", metavar="HOST", help="be workers of the master on that machine")
    arguments, rest = parser.parse_known_args(words)
    locust = [str(VENV_BIN / "locust"), "--locustfile", str(LOCUSTFILE)]
    worker = [*locust, "--worker", "--master-host", arguments.join or "127.0.0.1"]
    started = [
        subprocess.Popen(worker, cwd=CHECKOUT, env=environment(), stdin=subprocess.DEVNULL)
        for _ in range(arguments.workers)
    ]
    try:
        if arguments.join:
            return max(process.wait() for process in started)
        # Open to this machine only, unless told otherwise: both speak to whoever comes.
        bind = [
            part
            for option in ("--web-host", "--master-bind-host")
            if not any(word.partition("=")[0] == option for word in rest)
            for part in (option, "127.0.0.1")
        ]
        say(f"{arguments.workers} workers; the page: http://127.0.0.1:8089 (unless --headless)")
        return run([*locust, "--master", "--expect-workers", str(arguments.workers), *bind, *rest]).returncode
    finally:
        for process in started:
            if process.poll() is None:
                process.terminate()
            process.wait()


def main() -> int:
    """Choose by the first word."""
    words = sys.argv[1:]
    return load(words[1:]) if words[:1] == ["load"] else bench(words)


if __name__ == "__main__":
    raise SystemExit(main_of(main))
