"""The slowdown that is planted to try the gate, and that such a run is no baseline."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from fixtures.measurement.results import Results
from suites.benchmarks.planted.sitecustomize import Slowed
from suites.benchmarks.settings import Settings

FOLDER = Path(__file__).resolve().parents[2] / "suites" / "benchmarks" / "planted"


async def _working(_scope: dict[str, Any], _receive: object, send: Any) -> None:
    end = time.thread_time() + 0.02
    while time.thread_time() < end:
        pass
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"all"})


def _cpu_seconds(application: Any) -> float:
    async def sent(_: dict[str, Any]) -> None: ...

    async def nothing() -> dict[str, Any]:
        return {}

    async def ask() -> None:
        for _ in range(5):
            await application({"type": "http"}, nothing, sent)

    begin = time.thread_time()
    asyncio.run(ask())
    return time.thread_time() - begin


def test_half_the_rate_is_twice_the_cpu() -> None:
    slowed = _cpu_seconds(Slowed(_working, 50))

    assert 0.18 < slowed < 0.35


def test_uvicorn_is_patched_only_where_it_is_asked_for() -> None:
    code = "import uvicorn; print(uvicorn.Config.load.__name__)"
    for percent, expected in (("20", "and_slow"), ("0", "load"), ("", "load")):
        environment = {**os.environ, "PYTHONPATH": str(FOLDER), "PLANTED_SLOWDOWN_PERCENT": percent}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == expected


def test_a_slowed_run_says_so_wherever_it_is_read() -> None:
    settings = Settings.read({"BENCH_SLOWDOWN": "20"})
    results = Results.begin(quick=True, slowdown_percent=settings.slowdown_percent)

    again = Results.from_json(results.as_json())

    assert again.slowdown_percent == 20
    assert again.notes == ["the emulator is slower by 20 % on purpose"]
    assert Settings.read({}).slowdown_percent == 0
