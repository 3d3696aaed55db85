"""Data partitions switched on over data that was stored without them (PART-006)."""

import pytest

from fixtures.traceability import needs, not_applicable, requirement
from suites.azure.conftest import SpecialService
from suites.azure.data import Maker
from suites.azure.service import VERSIONS
from suites.azure.stow import stored
from suites.azure.test_part import DEFAULT, assert_refused, names, within

pytestmark = [pytest.mark.azure, needs("control")]


@requirement("PART-006", "PART-003")
def test_existing_data(special_service: SpecialService, make: Maker) -> None:
    """What was stored before partitions were enabled is found, whole, under Microsoft.Default (PART-006)."""
    before, after = make(), make()
    with special_service() as plain:
        assert stored(plain.web(), before).status == 200
        assert plain.web().retrieve(*before.uids) == [before.part10]
        folder = plain.deployment.run_dir / "cloud" / "data"
        if not folder.is_dir():
            not_applicable(
                "the data of one service cannot be given to another",
                probe=f"runner {plain.deployment.runner!r} keeps no data folder of the service in the run's own",
            )
        assert plain.deployment.control is not None
        plain.deployment.control.stop("cloud")
        with special_service("--partitions", "--data", str(folder)) as partitioned:
            assert names(partitioned) == [DEFAULT]
            for version in VERSIONS:
                web = within(partitioned, DEFAULT, version)
                assert web.retrieve(*before.uids) == [before.part10]
                found = web.search("studies", StudyInstanceUID=before.study).json()
                assert [item["0020000D"]["Value"][0] for item in found] == [before.study]
            assert_refused(partitioned.web().metadata(before.study), "PartitionName")
            other = within(partitioned, "Another")
            assert stored(other, after).status == 200
            assert other.metadata(before.study).status == 404, "it is in the default partition only"
