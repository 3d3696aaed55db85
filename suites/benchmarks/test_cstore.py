"""How fast C-STORE is taken: the archive, with the router's intake measured in test_forwarding."""

import pytest

from fixtures.reporting.evidence import Evidence
from fixtures.traceability import requirement
from suites.benchmarks.judging import conclude
from suites.benchmarks.measuring import Bench, store_sample
from suites.benchmarks.settings import Settings
from suites.benchmarks.targets import Archive

FEEDS = (
    (("small", 1), ("small", 4))
    if Settings.read().quick
    else (("small", 1), ("small", 4), ("small", 16), ("medium", 1), ("medium", 4), ("large", 2))
)


@requirement("ROUTER-030")
@pytest.mark.parametrize(("corpus", "associations"), FEEDS)
def test_c_store_throughput(
    bench: Bench, archives: tuple[Archive, ...], evidence: Evidence, corpus: str, associations: int
) -> None:
    """Every instance acknowledged by C-STORE is read back over DICOMweb; the rates are reported."""
    listening = [archive for archive in archives if archive.dicom is not None]
    parameters: dict[str, str | int] = {"instances": corpus, "associations": associations}
    cells = []
    for archive in listening:
        store_sample(bench, archive, corpus, associations)
        cell = bench.results.cell("C-STORE", parameters, archive.name, "instances/s")
        cell.samples += [
            store_sample(bench, archive, corpus, associations) for _ in range(bench.settings.rounds)
        ]
        cells.append(cell)
    conclude(evidence, cells)
