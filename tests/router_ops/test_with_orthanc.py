"""What needs a real PACS: migration by size (ROUTER-195), reconciliation through REST (ROUTER-197)."""

from typing import Any

import pytest
import requests

from fixtures.waiting import eventually
from tests.router.conftest import MakeRouter, RouterProcess, orthanc
from tests.router.fakes import FakeCloud, make_dataset, send
from tests.router.orthanc import AUTH, Orthanc
from tests.router.test_migration import rest_table
from tests.router_ops.sides import SearchableCloud

__all__ = ["orthanc"]


def _ended(router: RouterProcess, path: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        now: dict[str, Any] = router.ask("GET", path).json()
        return None if now["state"] == "running" else now

    found = eventually(look, within=15, because="the end of the job")
    assert found is not None
    return found


def _delivered(router: RouterProcess) -> bool:
    return all(router.destination(name)["delivered"] == 1 for name in ("cloud", "ORTHANC"))


def test_bytes_take_the_oldest_that_fit(
    make_router: MakeRouter, orthanc: Orthanc, cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_PACS_PASSWORD", "student")
    for year in ("1980", "1990", "2000"):
        orthanc.put(make_dataset(StudyDate=f"{year}0101", StudyTime="080000"))
    size = int(orthanc.get(f"/studies/{orthanc.get('/studies')[0]}/statistics")["DiskSize"])
    router = make_router(**rest_table(orthanc))
    for limit, chosen in ((size * 2 + size // 2, 2), (size // 2, 0)):
        body = {"select": {"bytes": limit}, "dry_run": True}
        report = _ended(router, f"/migrations/{router.ask('POST', '/migrations', body).json()['id']}")
        assert len(report["studies"]) == chosen
    assert router.ask("POST", "/migrations", {"select": {"bytes": 0}}).status_code == 400
    assert not cloud.posts


def test_copies_of_the_pacs_are_read_back_and_repair_the_cloud(
    make_router: MakeRouter, orthanc: Orthanc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_PACS_PASSWORD", "student")
    asker: list[str | int] = ["QIETOAZURE", "127.0.0.1", 104]
    requests.put(f"{orthanc.url}/modalities/QIETOAZURE", json=asker, auth=AUTH, timeout=10).raise_for_status()
    cloud = SearchableCloud()
    try:
        router = make_router(cloud_url=cloud.url, pacs_port=orthanc.port, **rest_table(orthanc))
        ds = make_dataset()
        assert send(router.intake, [ds]) == [0]
        eventually(lambda: _delivered(router), within=15, because="both copies")
        original = cloud.stored.pop(ds.SOPInstanceUID)
        body = {"deep": True, "repair": True}
        report = _ended(
            router, f"/reconciliations/{router.ask('POST', '/reconciliations', body).json()['id']}"
        )
        rows = {row["name"]: row for row in report["destinations"]}
        assert (rows["ORTHANC"]["present"], rows["ORTHANC"]["differs"], rows["ORTHANC"]["unread"]) == (
            1,
            0,
            0,
        )
        assert rows["cloud"]["put_back"] == 1
        eventually(lambda: cloud.stored.get(ds.SOPInstanceUID) == original, within=10, because="the repair")
    finally:
        cloud.stop()
