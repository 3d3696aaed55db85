"""How fast the router moves studies from a PACS to the cloud, each instance read back and compared."""

import pytest

from fixtures.reporting.evidence import Evidence
from fixtures.traceability import requirement
from suites.benchmarks.hosting import Hosting
from suites.benchmarks.judging import conclude
from suites.benchmarks.measuring import Bench
from suites.benchmarks.migrating import Migration, migrate, start
from suites.benchmarks.settings import Settings
from suites.benchmarks.targets import emulator

QUICK = Settings.read().quick
PLANS = (("small", 100, 50),) if QUICK else (("small", 400, 100), ("medium", 100, 50))


@pytest.fixture(scope="module")
def way(host: Hosting) -> Migration:
    """PACS, router and cloud."""
    return start(host, emulator(host))


@requirement("ROUTER-195")
@pytest.mark.parametrize(("corpus", "count", "per_study"), PLANS)
def test_migration_rate(
    bench: Bench, way: Migration, evidence: Evidence, corpus: str, count: int, per_study: int
) -> None:
    """Everything migrated is in the cloud byte for byte; the rate is reported."""
    parameters: dict[str, str | int] = {"instances": corpus, "per study": per_study}
    cell = bench.results.cell("migrated and proven", parameters, "router", "instances/s")
    cell.samples += [migrate(bench, way, corpus, count, per_study) for _ in range(2 if QUICK else 3)]
    conclude(evidence, [cell])
