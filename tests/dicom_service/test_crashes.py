"""What survives a crash of the service."""

import http.client
import os
import signal
import threading
from pathlib import Path

from fixtures.waiting import eventually
from tests.dicom_service.conftest import Service, closed, dataset, part10, path_of, start

ORIGINAL = "application/dicom; transfer-syntax=*"


def test_nothing_acknowledged_is_lost_by_kill_9(tmp_path: Path) -> None:
    """Five rounds of SIGKILL under load; afterwards everything acknowledged is there, whole, and nothing else is."""
    acknowledged: dict[str, bytes] = {}
    attempted: dict[str, bytes] = {}
    for round_number in range(5):
        service = start(tmp_path / "data", tmp_path / "log", "--workers", "2")
        done = threading.Event()
        threads = [
            threading.Thread(target=_keep_storing, args=(service, done, attempted, acknowledged))
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        _wait_for_acknowledged(acknowledged, len(acknowledged) + 15 + round_number)
        os.kill(service.process.pid, signal.SIGKILL)
        done.set()
        service.process.wait()
        for thread in threads:
            thread.join()
        _wait_for_end(service)
    service = start(tmp_path / "data", tmp_path / "log")
    for path, sent in acknowledged.items():
        assert service.get(path, ORIGINAL).body == sent, path
    feed = [
        entry
        for offset in range(0, len(attempted), 200)
        for entry in service.get(f"/v2/changefeed?limit=200&offset={offset}").json()
    ]
    seen = {
        f"/v2/studies/{e['studyInstanceUid']}/series/{e['seriesInstanceUid']}/instances/{e['sopInstanceUid']}"
        for e in feed
    }
    assert set(acknowledged) <= seen <= set(attempted)
    for path in seen:
        assert service.get(path, ORIGINAL).body == attempted[path]
    assert service.stop() == 0


def _wait_for_acknowledged(acknowledged: dict[str, bytes], wanted: int) -> None:
    eventually(lambda: len(acknowledged) >= wanted, within=30, because="stores to be acknowledged")


def _wait_for_end(service: Service) -> None:
    eventually(lambda: closed(service.port), within=10, because="workers to end with their parent")


def _keep_storing(
    service: Service, done: threading.Event, attempted: dict[str, bytes], acknowledged: dict[str, bytes]
) -> None:
    while not done.is_set():
        made = dataset()
        if len(attempted) % 5 == 0:
            made.Rows, made.Columns, made.PixelData = 800, 800, os.urandom(2 * 800 * 800)
        sent = part10(made)
        attempted[path_of(made)] = sent
        try:
            if service.store(sent).status == 200:
                acknowledged[path_of(made)] = sent
        except (OSError, http.client.HTTPException):
            return


def test_start_up_removes_what_was_never_acknowledged(tmp_path: Path) -> None:
    log, data = tmp_path / "log", tmp_path / "data"
    service = start(data, log)
    made = dataset()
    sent = part10(made)
    assert service.store(sent).status == 200
    assert service.stop() == 0
    (segment,) = (data / "segments").iterdir()
    with segment.open("ab") as file:
        file.write(b"half an instance")
    (data / "objects" / "orphan").write_bytes(b"x")

    service = start(data, log)

    assert "never acknowledged" in log.read_text()
    assert segment.stat().st_size == len(sent)
    assert list((data / "objects").iterdir()) == []
    assert service.get(path_of(made), ORIGINAL).body == sent
    assert service.stop() == 0
