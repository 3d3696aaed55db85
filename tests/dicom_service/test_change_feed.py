"""The change feed as the catalogue has it."""

from datetime import datetime
from urllib.parse import quote

import pytest
from pydicom.dataset import Dataset

from tests.dicom_service.conftest import Service, Starter, dataset, part10, path_of


@pytest.fixture
def fed(starter: Starter) -> tuple[Service, Dataset]:
    """A service with the history create, delete, create of one instance."""
    service = starter(":memory:")
    assert service.get("/v2/changefeed/latest").status == 204
    made = dataset()
    sent = part10(made)
    service.store(sent)
    service.request("DELETE", path_of(made))
    service.store(sent)
    service.store(sent)
    return service, made


def test_change_feed_tells_the_history(fed: tuple[Service, Dataset]) -> None:
    """FEED-001 to FEED-023, FEED-039 to FEED-044."""
    service, made = fed
    answer = service.get("/v2/changefeed", None)
    entries = answer.json()
    assert answer.headers["content-type"].startswith("application/json")
    assert [(entry["sequence"], entry["action"], entry["state"]) for entry in entries] == [
        (1, "Create", "Replaced"), (2, "Delete", "Replaced"), (3, "Create", "Current"),
    ]  # fmt: skip
    assert {entry["partitionName"] for entry in entries} == {"Microsoft.Default"}
    assert entries[2]["sopInstanceUid"] == made.SOPInstanceUID
    assert entries[2]["metadata"]["00080018"]["Value"] == [made.SOPInstanceUID]
    assert service.get("/v1/changefeed?offset=1&limit=1&includemetadata=false").json()[0]["sequence"] == 2
    assert "metadata" not in service.get("/v1/changefeed/latest?includeMetadata=false").json()
    assert service.get("/v1/changefeed?offset=9223372036854775807").json() == []
    service.request("DELETE", path_of(made))
    assert {entry["state"] for entry in service.get("/v2/changefeed").json()} == {"Deleted"}
    assert not any("metadata" in entry for entry in service.get("/v2/changefeed").json())


def test_change_feed_windows(fed: tuple[Service, Dataset]) -> None:
    """FEED-026 to FEED-036."""
    service, _ = fed
    times = [entry["timestamp"] for entry in service.get("/v2/changefeed?includeMetadata=false").json()]
    assert all(datetime.fromisoformat(time[:26] + time[27:]).tzinfo for time in times)
    assert len(set(times)) == 3

    def numbers(query: str) -> list[int]:
        answer = service.get(f"/v2/changefeed?includeMetadata=false&{query}")
        assert answer.status == 200, answer.body
        return [entry["sequence"] for entry in answer.json()]

    assert numbers(f"startTime={quote(times[1])}") == [2, 3]
    assert numbers(f"endTime={quote(times[1])}") == [1]
    assert numbers(
        f"startTime={quote(times[1])}&endTime={quote('9999-12-31T23:59:59.9999999+00:00')}&limit=1&offset=1"
    ) == [3]
    assert numbers("startTime=&endTime=") == [1, 2, 3]


@pytest.mark.parametrize(
    "query",
    [
        "v2/changefeed?limit=201", "v2/changefeed?limit=0", "v1/changefeed?limit=101", "v1/changefeed?offset=-1",
        "v2/changefeed?offset=x", "v2/changefeed?startTime=2020-01-01T00:00:00", "v2/changefeed?startTime=abc",
        "v2/changefeed?startTime=2020-01-02T00:00:00Z&endTime=2020-01-02T00:00:00Z", "v2/changefeed?includeMetadata=1",
        "v1/changefeed/latest?includeMetadata=x", "v2/changefeed?endTime=2020-13-41T00:00:00Z",
        "v2/changefeed?endTime=2020-01-01T00:00:00%2B99:00",
    ],
)  # fmt: skip
def test_bad_feed_parameters(service: Service, query: str) -> None:
    """FEED-024, FEED-032 to FEED-038."""
    answer = service.get(f"/{query}")
    assert answer.status == 400
    assert answer.headers["content-type"].startswith("text/plain")
