"""What a benchmark run is asked for. `make bench` sets it by environment variables, so that plain pytest does too."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """How long and on what to measure."""

    quick: bool
    targets: tuple[str, ...]
    rounds: int
    seconds: float
    """The longest one sample of throughput takes."""
    sample_bytes: int
    """The most bytes one sample stores."""
    folder: Path
    rounds_asked: bool = False
    slowdown_percent: float = 0
    """By how much the emulator is slowed on purpose."""

    def rounds_or(self, usual: int) -> int:
        """The rounds somebody asked for, else what is usual where a round takes long."""
        return self.rounds if self.rounds_asked else usual

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read BENCH_QUICK, BENCH_TARGETS (words apart by commas), BENCH_ROUNDS, BENCH_SLOWDOWN and BENCH_DIR."""
        quick = environment.get("BENCH_QUICK", "") not in ("", "0")
        return cls(
            quick=quick,
            targets=tuple(environment.get("BENCH_TARGETS", "emulator,orthanc").split(",")),
            rounds=int(environment.get("BENCH_ROUNDS", "3" if quick else "5")),
            seconds=0.5 if quick else 0.6,
            sample_bytes=(60 if quick else 100) * 10**6,
            folder=Path(environment.get("BENCH_DIR", "reports/out/benchmark")),
            rounds_asked="BENCH_ROUNDS" in environment,
            slowdown_percent=float(environment.get("BENCH_SLOWDOWN") or 0),
        )
