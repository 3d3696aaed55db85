"""What operations keep over kills and faults, and what only the inside shows."""

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from fixtures.waiting import eventually
from systems.dicom_service.dicom.attributes import Level
from systems.dicom_service.dicom.intake import examine
from systems.dicom_service.storage.jobs import KeepInstances, NewInstance
from systems.dicom_service.storage.schema import create
from systems.dicom_service.storage.store import Store
from systems.dicom_service.storage.writer import Transaction
from systems.dicom_service.tags import changes
from systems.dicom_service.tags.additions import NewTag
from tests.dicom_service.conftest import Answer, Service, Starter, dataset, part10, path_of

JSON = {"Content-Type": "application/json"}


def add_tags(service: Service, *tags: dict[str, str]) -> str:
    answer = service.request("POST", "/v2/extendedquerytags", json.dumps(tags).encode(), JSON)
    assert answer.status == 202, answer.body
    return str(answer.json()["id"])


def update(service: Service, studies: list[str], name: str) -> str:
    change = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": name}]}}
    body = json.dumps({"studyInstanceUids": studies, "changeDataset": change}).encode()
    answer = service.request("POST", "/v2/studies/$bulkUpdate", body, JSON)
    assert answer.status == 202, answer.body
    return str(answer.json()["id"])


def state(service: Service, identifier: str) -> Answer:
    return service.get(f"/v2/operations/{identifier}")


def ended(service: Service, identifier: str) -> dict[str, Any]:
    def answer() -> dict[str, Any] | None:
        seen = state(service, identifier)
        return seen.json() if seen.status == 200 else None

    found = eventually(answer, within=30, because="the operation should end")
    assert found is not None
    return found


def names(service: Service, study: str, *, original: bool = False) -> list[str]:
    headers = {"msdicom-request-original": "true"} if original else {}
    answer = service.get(f"/v2/studies/{study}/metadata", "application/dicom+json", **headers)
    assert answer.status == 200, answer.body
    return [one["00100010"]["Value"][0]["Alphabetic"] for one in answer.json()]


def test_reindex_goes_on_after_kill(starter: Starter, tmp_path: Path) -> None:
    """A reindex that is killed goes on at the next start, and every instance is found (TAG-033)."""
    first = starter(tmp_path / "data")
    study = dataset().StudyInstanceUID
    files = [part10(dataset(StudyInstanceUID=study, PatientAge="045Y")) for _ in range(400)]
    assert first.store(*files).status == 200
    identifier = add_tags(first, {"path": "PatientAge", "level": "instance"})
    first.process.kill()
    first.process.wait()
    second = starter(tmp_path / "data", "--workers", "2")
    assert ended(second, identifier)["status"] == "succeeded"
    found: set[str] = set()
    for offset in range(0, 400, 200):
        page = second.get(
            f"/v2/instances?PatientAge=045Y&limit=200&offset={offset}", "application/dicom+json"
        )
        found |= {one["00080018"]["Value"][0] for one in page.json()}
    assert len(found) == 400


def test_update_goes_on_after_kill(starter: Starter, tmp_path: Path) -> None:
    """An update that is killed goes on; each study is updated once and the originals stay (UPD-013, UPD-019)."""
    first = starter(tmp_path / "data")
    large = bytes(2 * 1024 * 1024)
    made = [dataset(PatientName="Be^Fore", Rows=1024, Columns=1024, PixelData=large) for _ in range(2)]
    made += [dataset(PatientName="Be^Fore") for _ in range(30)]
    files = [part10(one) for one in made]
    assert first.store(*files).status == 200
    identifier = update(first, [str(one.StudyInstanceUID) for one in made], "Af^Ter")
    first.process.kill()
    first.process.wait()
    second = starter(tmp_path / "data")
    results = ended(second, identifier)["results"]
    assert results == {"studyProcessed": 32, "studyUpdated": 32, "studyFailed": 0, "instanceUpdated": 32}
    feed = second.get("/v2/changefeed?includemetadata=false&limit=200").json()
    assert len([entry for entry in feed if entry["action"].lower() == "update"]) == 32
    assert second.stop() == 0
    third = starter(tmp_path / "data")
    for one, content in zip(made, files, strict=True):
        assert names(third, one.StudyInstanceUID) == ["Af^Ter"]
        whole = third.get(
            path_of(one), "application/dicom; transfer-syntax=*", **{"msdicom-request-original": "true"}
        )
        assert whole.body == content, "the start-up repair must keep originals"
    assert not re.search(r'"missing": [1-9]', third.log.read_text())


def test_intermediate_versions_go(starter: Starter, tmp_path: Path) -> None:
    """Of a large file the original and the latest version stay, and with the instance both go (UPD-021, UPD-026)."""
    service = starter(tmp_path / "data")
    made = dataset(Rows=1024, Columns=1024, PixelData=bytes(2 * 1024 * 1024))
    assert service.store(part10(made)).status == 200
    for name in ("One", "Two", "Three"):
        ended(service, update(service, [made.StudyInstanceUID], name))
    objects = tmp_path / "data" / "objects"
    eventually(lambda: len(list(objects.iterdir())) == 2, within=5, because="two versions should be left")
    assert service.request("DELETE", path_of(made, "study")).status == 204
    eventually(lambda: not list(objects.iterdir()), within=5, because="both versions should go")


def test_failed_update(starter: Starter, tmp_path: Path) -> None:
    """A study that cannot be read fails as a whole; the operation is failed and answers 200 (UPD-015, OPS-007)."""
    service = starter(tmp_path / "data")
    broken, sound = dataset(PatientName="Be^Fore"), dataset(PatientName="Be^Fore")
    broken.Rows = broken.Columns = 1024
    broken.PixelData = bytes(2 * 1024 * 1024)
    beside = dataset(StudyInstanceUID=broken.StudyInstanceUID, PatientName="Be^Fore")
    assert service.store(part10(broken), part10(beside), part10(sound)).status == 200
    (file,) = (tmp_path / "data" / "objects").iterdir()
    file.write_bytes(file.read_bytes()[:-1000])
    identifier = update(service, [str(broken.StudyInstanceUID), str(sound.StudyInstanceUID)], "Af^Ter")
    found = ended(service, identifier)
    assert found["status"] == "failed"
    results = found["results"]
    assert results["errors"][0] == f"Failed to update instances for study {broken.StudyInstanceUID}"
    del results["errors"]
    assert results == {"studyProcessed": 2, "studyUpdated": 1, "studyFailed": 1, "instanceUpdated": 1}
    assert names(service, sound.StudyInstanceUID) == ["Af^Ter"]
    assert names(service, broken.StudyInstanceUID) == ["Be^Fore", "Be^Fore"], "none of its study"
    assert service.get(f"/v1/operations/{identifier}").json()["status"] == "failed"


def test_reindex_of_a_damaged_store(starter: Starter, tmp_path: Path) -> None:
    """A file that cannot be read is an error of the tag; the others are indexed (TAG-044)."""
    service = starter(tmp_path / "data")
    broken, sound = dataset(PatientAge="045Y"), dataset(PatientAge="045Y")
    broken.Rows = broken.Columns = 1024
    broken.PixelData = bytes(2 * 1024 * 1024)
    assert service.store(part10(broken), part10(sound)).status == 200
    (file,) = (tmp_path / "data" / "objects").iterdir()
    file.write_bytes(b"")
    assert (
        ended(service, add_tags(service, {"path": "PatientAge", "level": "instance"}))["status"]
        == "succeeded"
    )
    errors = service.get("/v2/extendedquerytags/PatientAge/errors").json()
    assert [error["sopInstanceUid"] for error in errors] == [str(broken.SOPInstanceUID)]
    enable = service.request("PATCH", "/v2/extendedquerytags/PatientAge", b'{"queryStatus": "enabled"}', JSON)
    assert enable.status == 200
    found = service.get("/v2/instances?PatientAge=045Y&includefield=PatientAge", "application/dicom+json")
    assert [one["00080018"]["Value"][0] for one in found.json()] == [str(sound.SOPInstanceUID)]


@pytest.fixture
def store(tmp_path: Path) -> Any:
    (tmp_path / "segments").mkdir()
    (tmp_path / "objects").mkdir()
    create(tmp_path / "index.sqlite")
    opened = Store(tmp_path)
    yield opened
    opened.close()


def test_tag_added_while_an_instance_arrives(store: Store) -> None:
    """An instance examined before a tag came, and kept after it, is indexed by it all the same (TAG-034)."""
    content = part10(dataset(PatientAge="045Y"))
    examined = examine(content, version=2, study=None)
    tag = NewTag("00101010", "AS", Level.INSTANCE, None)

    def add(connection: sqlite3.Connection, clock: Any) -> None:
        changes.add([tag], "0" * 32, connection, clock)

    store.run(Transaction(add))
    store.run(KeepInstances([NewInstance(examined, content)]))
    rows = store.connection.execute("SELECT key FROM extended_tag_value").fetchall()
    assert rows == [("045y",)]
