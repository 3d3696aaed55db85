"""Work items in data partitions."""

from collections.abc import Iterator
from itertools import count

import pytest

from fixtures.clients.dicomweb import DICOM_JSON, DicomWeb
from fixtures.traceability import needs, requirement
from suites.azure.conftest import SpecialService
from suites.azure.data import Maker
from suites.azure.service import VERSIONS, Service
from suites.azure.workitems import WorkItems, first, refused

pytestmark = pytest.mark.azure

_NAMES = count(1)


@pytest.fixture(scope="module")
def partitioned(special_service: SpecialService) -> Iterator[Service]:
    """A service with partitions; everything in it goes with it."""
    with special_service("--partitions") as own:
        yield own


def _within(service: Service, make: Maker, version: str) -> WorkItems:
    """Work items in a partition nobody has had before."""
    return WorkItems(DicomWeb(service.http(), f"{version}/partitions/Work-{next(_NAMES)}"), make)


@needs("control")
@requirement("UPS-071")
@pytest.mark.parametrize("version", VERSIONS)
def test_every_route(partitioned: Service, make: Maker, version: str) -> None:
    """Create makes the partition and names it in Location; all routes work below it (UPS-071)."""
    items = _within(partitioned, make, version)
    refused(items.search(), 400, because="the partition is not there yet")
    uid = items.uid()
    answer = items.create(items.payload(), uid)
    assert answer.status == 201, answer.describe()
    assert answer.header("Location") == f"{items.web.http.base_url}/{items.web.version}/workitems/{uid}"
    assert items.found(PatientID=first(items.get(uid), "PatientID")) == [uid]
    lock = items.claim(uid)
    assert items.update(uid, {"ProcedureStepLabel": "New"}, lock).status == 200
    assert first(items.get(uid), "ProcedureStepLabel") == "New"
    refused(items.cancel(uid), 400, "C312")
    assert items.cancel(items.new()).status == 202


@needs("control")
@requirement("UPS-071")
@pytest.mark.parametrize("version", VERSIONS)
def test_partitions_do_not_meet(partitioned: Service, make: Maker, version: str) -> None:
    """The same UID lives in two partitions, and no search spans them (UPS-071)."""
    here, there = _within(partitioned, make, version), _within(partitioned, make, version)
    uid = here.new(PatientID="SAME")
    there.new()
    refused(there.web.get(f"/workitems/{uid}", accept=DICOM_JSON), 404)
    assert there.create(there.payload(PatientID="SAME"), uid).status == 201
    here.claim(uid)
    assert (here.state(uid), there.state(uid)) == ("IN PROGRESS", "SCHEDULED")
    assert here.found(PatientID="SAME", ProcedureStepState="SCHEDULED") == []
    assert there.found(PatientID="SAME") == [uid]


@requirement("UPS-071")
@pytest.mark.parametrize("version", VERSIONS)
def test_partitions_switched_off(service: Service, make: Maker, version: str) -> None:
    """Without partitions the paths below them are 400 (UPS-071)."""
    items = _within(service, make, version)
    refused(items.create(items.payload(), items.uid()), 400)
