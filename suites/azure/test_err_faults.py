"""What the service says while its data store is broken (ERR-007, HLTH-003, HLTH-005)."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from fixtures.clients.dicomweb import ONE_AS_STORED
from fixtures.traceability import needs, not_applicable, requirement
from fixtures.waiting import eventually
from suites.azure.conftest import SpecialService
from suites.azure.data import Maker
from suites.azure.service import Service

pytestmark = [pytest.mark.azure, needs("control", "open-source")]

HEALTH = "/health/check"
# The report is cached for a moment (HLTH-005).
WITHIN = 15.0


@contextmanager
def broken_store(service: Service) -> Iterator[None]:
    """Take the folder with the stored files away for a while, as a disk that is gone."""
    deployment = service.deployment
    folder = deployment.run_dir / "cloud" / "data" / "objects"
    if not folder.is_dir():
        not_applicable(
            "the files of the service cannot be taken away from outside",
            probe=f"runner {deployment.runner!r} keeps no data folder of the service in the run's own",
        )
    away = Path(f"{folder}-away")
    folder.rename(away)
    try:
        yield
    finally:
        away.rename(folder)


@requirement("ERR-007", "HLTH-003", "HLTH-005")
def test_store_is_gone(special_service: SpecialService, make: Maker) -> None:
    """While files cannot be read retrieval is 503 and the report turns Unhealthy; then all is well again (ERR-007, HLTH-003, HLTH-005)."""
    made = make(Rows=1024, Columns=1024, PixelData=bytes(range(256)) * 8192)
    with special_service("--log-level", "info") as own:
        web, report = own.web(), partial(own.anonymous.request, "GET", HEALTH)
        assert web.store([made.part10]).status == 200
        assert report().json()["overallStatus"] == "Healthy"
        with broken_store(own):
            answer = web.get(made.path(), accept=ONE_AS_STORED)
            assert answer.status == 503, answer.describe()
            assert answer.content_type.partition(";")[0] == "text/plain"
            assert b"objects" not in answer.body, "the sentence shows nothing of the inside"
            eventually(lambda: report().status == 503, within=WITHIN, because="the report should turn to 503")
            ill = report().json()
            assert ill["overallStatus"] == "Unhealthy"
            assert "Unhealthy" in {detail["status"] for detail in ill["details"]}
        assert web.retrieve(*made.uids) == [made.part10]
        eventually(
            lambda: report().status == 200, within=WITHIN, because="the report should turn to 200 again"
        )
