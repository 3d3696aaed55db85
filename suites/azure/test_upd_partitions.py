"""Bulk update within a data partition."""

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import needs, requirement
from suites.azure.conftest import SpecialService
from suites.azure.data import Maker
from suites.azure.stow import stored
from suites.azure.tags import ended
from suites.azure.updates import ask, metadata, model, values

pytestmark = pytest.mark.azure


@requirement("UPD-030", "OPS-020", "TAG-066")
@needs("control")
def test_one_partition_only(special_service: SpecialService, make: Maker) -> None:
    """An update touches its own partition; operations and tags stay at the base URI (UPD-030, OPS-020, TAG-066)."""
    made = make(PatientName="Before^Update")
    with special_service("--partitions") as own:
        here, there = (DicomWeb(own.http(), version=f"v2/partitions/{name}") for name in ("here", "there"))
        for partition in (here, there):
            assert stored(partition, made).status == 200
        answer = ask(here, [made.study], model(PatientName="After^Update"))
        assert answer.status == 202, answer.describe()
        base = own.web()
        assert answer.json()["href"].startswith(f"{base.http.base_url}/v2/operations/"), answer.describe()
        results = ended(base, answer.json()["id"]).json()["results"]
        assert (results["studyUpdated"], results["instanceUpdated"]) == (1, 1), results
        for partition, name in ((here, "After^Update"), (there, "Before^Update")):
            assert values(metadata(partition, made.path()), "PatientName") == [{"Alphabetic": name}]
        assert base.request("GET", "/extendedquerytags").status == 200
        for path in ("extendedquerytags", f"operations/{answer.json()['id']}"):
            assert here.request("GET", f"/{path}").status == 404, path
