"""ROUTER-197: the ledger against PACS and cloud: missing, extra, differing; repair; never a guess."""

import hashlib
from collections.abc import Iterator

import orjson
import pytest
from pydicom.uid import generate_uid

from fixtures.waiting import eventually
from systems.router.reconcile.report import digest
from tests.router.conftest import MakeRouter, RouterProcess
from tests.router.fakes import make_dataset, part10, send
from tests.router_ops.sides import SearchableCloud, SearchablePacs, command


@pytest.fixture
def cloud() -> Iterator[SearchableCloud]:
    fake = SearchableCloud()
    yield fake
    fake.stop()


@pytest.fixture
def pacs() -> Iterator[SearchablePacs]:
    fake = SearchablePacs()
    yield fake
    fake.stop()


def _deliver(router: RouterProcess, number: int, study: str | None = None) -> list[str]:
    datasets = [make_dataset(study=study) for _ in range(number)]
    assert send(router.intake, datasets) == [0] * number
    eventually(lambda: _open(router) == 0, within=15, because="all deliveries")
    return [str(ds.SOPInstanceUID) for ds in datasets]


def _open(router: RouterProcess) -> int:
    rows = router.status()["destinations"]
    return sum(int(row["waiting"]) + int(row["in_progress"]) for row in rows)


def _run(router: RouterProcess, **body: object) -> dict[str, object]:
    answer = router.ask("POST", "/reconciliations", body)
    assert answer.status_code == 202, answer.text
    return _finished(router, answer.json()["id"])


def _finished(router: RouterProcess, job: str) -> dict[str, object]:
    found = eventually(
        lambda: (now := router.ask("GET", f"/reconciliations/{job}").json())["state"] != "running" and now,
        within=20,
        because="the report",
    )
    assert isinstance(found, dict)
    return found


def _at(report: dict[str, object], name: str) -> dict[str, int]:
    rows = report["destinations"]
    assert isinstance(rows, list)
    row: dict[str, int] = next(row for row in rows if row["name"] == name)
    parts = ("present", "missing", "waiting", "dead_lettered", "not_compared")
    assert row["expected"] == sum(row[part] for part in parts)
    return row


def _findings(router: RouterProcess, report: dict[str, object]) -> list[dict[str, object]]:
    text = router.ask("GET", f"/reconciliations/{report['id']}/findings").content
    assert hashlib.sha256(text).hexdigest() == report["findings_sha256"]
    return [orjson.loads(line) for line in text.splitlines()]


def test_what_agrees_is_signed(router: RouterProcess) -> None:
    _deliver(router, 3, generate_uid())
    report = _run(router, deep=True, signed_off_by="A. Person")
    assert report["state"] == "done"
    assert report["agrees"] is True
    assert _at(report, "cloud")["present"] == _at(report, "ORTHANC")["present"] == 3
    assert _at(report, "cloud")["unread"] == 0
    assert _at(report, "ORTHANC")["unread"] == 3  # without [pacs.rest]
    text = str(report.pop("text"))
    assert report["sha256"] == digest(report)
    assert str(report["sha256"]) in text
    assert "A. Person" in text
    assert str(report["sha256"]) in router.ask("GET", "/audit").text
    assert (router.data / "reconciliations" / f"{report['id']}.txt").read_text() == text
    assert orjson.loads((router.data / "reconciliations" / f"{report['id']}.json").read_bytes()) == report


def test_missing_extra_and_differing_are_listed_and_nothing_is_changed(
    router: RouterProcess, cloud: SearchableCloud, pacs: SearchablePacs
) -> None:
    study = generate_uid()
    gone, altered, lost = _deliver(router, 3, study)
    stranger = make_dataset(study=study)
    cloud.stored[stranger.SOPInstanceUID] = part10(stranger)
    del cloud.stored[gone]
    cloud.stored[altered] = cloud.stored[altered].replace(b"Do^Not^Log", b"Do^Not^Lie")
    del pacs.stored[lost]
    posts = len(cloud.posts)

    report = _run(router, deep=True)

    assert report["agrees"] is False
    found = {(row["destination"], row["kind"], row["sop_instance_uid"]) for row in _findings(router, report)}
    assert {("cloud", "missing", gone), ("cloud", "extra", str(stranger.SOPInstanceUID))} < found
    assert {("cloud", "differs", altered), ("ORTHANC", "missing", lost)} < found
    assert len(cloud.posts) == posts
    assert _open(router) == 0
    assert "Do^Not" not in str(report)


def test_repair_puts_back_what_is_missing_from_the_other_copy(
    router: RouterProcess, pacs: SearchablePacs
) -> None:
    uids = _deliver(router, 3)
    content = pacs.stored.pop(uids[1])
    assert not list((router.data / "spool" / "packs").iterdir())

    report = _run(router, repair=True)

    assert _at(report, "ORTHANC")["put_back"] == 1
    (finding,) = _findings(router, report)
    assert finding["action"] == "put back from cloud"
    eventually(lambda: pacs.stored.get(uids[1]) == content, within=10, because="the repaired copy")
    eventually(lambda: _open(router) == 0, within=10, because="the end of the repair")
    assert router.destination("ORTHANC")["accepted"] == 3
    assert _run(router)["agrees"] is True
    assert '"operator put back"' in router.ask("GET", "/audit").text


def test_repair_takes_the_spools_own_copy_and_no_altered_one(
    make_router: MakeRouter, cloud: SearchableCloud, pacs: SearchablePacs
) -> None:
    router = make_router(spool="keep_delivered_seconds = 600")
    (kept,) = _deliver(router, 1)
    del cloud.stored[kept]
    report = _run(router, repair=True)
    assert _findings(router, report)[0]["action"] == "put back from the spool"
    eventually(lambda: kept in cloud.stored, within=10, because="the copy of the spool")
    eventually(lambda: _open(router) == 0, within=10, because="the end of the repair")

    for pack in (router.data / "spool" / "packs").iterdir():
        pack.unlink()
    del pacs.stored[kept]
    cloud.stored[kept] = cloud.stored[kept].replace(b"Do^Not^Log", b"Do^Not^Lie")
    report = _run(router, repair=True)
    action = str(_findings(router, report)[0]["action"])
    assert action == "not repaired: cloud: its copy is not what was received"
    assert not pacs.stored


@pytest.mark.parametrize(
    "broken", [(503, b"<html>busy</html>"), (200, b"<html>ok</html>"), (200, b'[{"x": 1}]')]
)
def test_side_that_cannot_be_asked_is_not_taken_to_be_empty(
    router: RouterProcess, cloud: SearchableCloud, broken: tuple[int, bytes]
) -> None:
    for _ in range(5):
        _deliver(router, 1)
    cloud.broken, cloud.searches = broken, 0
    report = _run(router, repair=True)
    assert report["state"] == "incomplete"
    assert report["agrees"] is False
    row = _at(report, "cloud")
    assert (row["missing"], row["not_compared"], row["put_back"]) == (0, 5, 0)
    assert _at(report, "ORTHANC")["present"] == 5
    assert cloud.searches == 3

    cloud.broken = None
    assert router.ask("POST", f"/reconciliations/{report['id']}/resume").status_code == 202
    again = _finished(router, str(report["id"]))
    assert (again["state"], again["agrees"], again["studies"]) == ("done", True, 5)
    assert _at(again, "cloud")["present"] == _at(again, "ORTHANC")["present"] == 5


def test_waiting_objects_are_not_missing(router: RouterProcess, cloud: SearchableCloud) -> None:
    router.ask("POST", "/queues/ORTHANC/pause")
    assert send(router.intake, [make_dataset()]) == [0]
    eventually(lambda: len(cloud.stored) == 1, within=10, because="the copy in the cloud")
    eventually(lambda: router.destination("cloud")["delivered"] == 1, within=10, because="its record")
    report = _run(router)
    assert _at(report, "ORTHANC")["waiting"] == 1
    assert report["agrees"] is True


def test_command_asks_the_running_router_and_works_without_one(
    router: RouterProcess, cloud: SearchableCloud, pacs: SearchablePacs
) -> None:
    first, second = _deliver(router, 2)
    running = command(router, "reconcile")
    assert running.returncode == 0, running.stderr
    assert "agree" in running.stdout

    assert router.stop() == 0
    del cloud.stored[first]
    stopped = command(router, "reconcile", "--json", "--repair")
    assert stopped.returncode == 1, stopped.stderr
    report = orjson.loads(stopped.stdout)
    assert _at(report, "cloud")["missing"] == 1
    assert _at(report, "cloud")["put_back"] == 0
    wrong = command(router, "reconcile", "--since", "yesterday")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("dicom-router: since: 'yesterday'")
    only = command(router, "reconcile", "--json", "--study", "1.2.3")
    assert only.returncode == 0
    assert orjson.loads(only.stdout)["instances"] == 0
    assert second in pacs.stored


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({"sins": 1}, "sins"),
        ({"since": "x"}, "since"),
        ({"deep": 1}, "deep"),
        ({"studies": ["a"]}, "studies"),
    ],
)
def test_bad_request_names_the_key(router: RouterProcess, body: dict[str, object], key: str) -> None:
    answer = router.ask("POST", "/reconciliations", body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(key)


def test_interrupted_one_goes_on_after_a_kill(router: RouterProcess, cloud: SearchableCloud) -> None:
    for _ in range(4):
        _deliver(router, 1)
    cloud.broken = (503, b"")
    job = router.ask("POST", "/reconciliations", {}).json()["id"]
    router.kill()
    cloud.broken = None
    router.start()
    report = _finished(router, job)
    assert report["studies"] == 4


def test_dead_letter_is_exported_as_received(router: RouterProcess, cloud: SearchableCloud) -> None:
    """ROUTER-109."""
    cloud.always = lambda _: (415, {}, b"")
    ds = make_dataset()
    assert send(router.intake, [ds]) == [0]
    letter = eventually(
        lambda: router.ask("GET", "/dead-letters").json(), within=10, because="the dead letter"
    )[0]
    answer = router.ask("GET", f"/dead-letters/{letter['id']}/object")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/dicom"
    from tests.router.fakes import digest as content_digest

    assert content_digest(answer.content) == letter["digest"] == content_digest(part10(ds))
    assert router.ask("GET", "/dead-letters/999/object").status_code == 404
    for pack in (router.data / "spool" / "packs").iterdir():
        pack.unlink()
    assert router.ask("GET", f"/dead-letters/{letter['id']}/object").status_code == 410
