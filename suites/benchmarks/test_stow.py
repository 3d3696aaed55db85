"""How fast origin servers store: by size, form, instances a request and concurrency, all targets in turn."""

import pytest

from fixtures.reporting.evidence import Evidence
from fixtures.traceability import requirement
from suites.benchmarks.judging import conclude
from suites.benchmarks.measuring import Bench, Load, compare_stow
from suites.benchmarks.settings import Settings
from suites.benchmarks.targets import Archive

QUICK = (
    Load("small", "multipart", 1, 1),
    Load("small", "multipart", 1, 4),
    Load("small", "multipart", 10, 4),
    Load("medium", "multipart", 1, 4),
    Load("medium", "multipart", 10, 4),
    Load("large", "multipart", 1, 4),
)
FULL = (
    *(Load("small", "multipart", batch, side) for batch in (1, 10, 50) for side in (1, 4)),
    Load("small", "multipart", 1, 16),
    *(Load("medium", "multipart", batch, side) for batch in (1, 10) for side in (1, 4)),
    *(Load("large", "multipart", 1, side) for side in (1, 4)),
    Load("mix", "multipart", 10, 4),
    Load("small", "single-part", 1, 4),
)
LOADS = QUICK if Settings.read().quick else tuple(dict.fromkeys((*QUICK, *FULL)))


@requirement("CLAIM-PUSH-07", "ROUTER-030")
@pytest.mark.parametrize(
    "load", LOADS, ids=lambda load: f"{load.corpus}-{load.form}-{load.batch}x-{load.concurrency}"
)
def test_stow_throughput(bench: Bench, archives: tuple[Archive, ...], evidence: Evidence, load: Load) -> None:
    """Every instance acknowledged under load is there afterwards; the rates are reported."""
    conclude(evidence, compare_stow(bench, archives, load))
