"""The change feed is read as the cloud gives it, compared with what was delivered, and purging needs leave and a word (ROUTER-196)."""

import json
import os
import subprocess
import sys

import pytest
import requests

from fixtures.waiting import eventually
from tests.router.conftest import ADMIN_TOKEN, REPOSITORY, MakeRouter, RouterProcess
from tests.router.fakes import make_dataset, part10, send

NO_PACS = 'host = "127.0.0.1"\nport = 0\ndestinations = ["cloud"]'


@pytest.fixture(params=["v1", "v2"])
def feeding(request: pytest.FixtureRequest, make_router: MakeRouter, service: str) -> RouterProcess:
    return make_router(
        **{
            "cloud": f'base_url = "{service}"\nversion = "{request.param}"',
            "cloud_credential": None,
            "paths_modality-intake": NO_PACS,
        }
    )


def command(router: RouterProcess, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "systems.router.cli",
            "change-feed",
            "--config",
            str(router.config),
            *arguments,
        ],
        cwd=REPOSITORY,
        env={**os.environ, "TEST_ADMIN_TOKEN": ADMIN_TOKEN},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def read(router: RouterProcess, *arguments: str, code: int = 0) -> list[dict[str, object]]:
    done = command(router, *arguments)
    assert done.returncode == code, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def deliver(router: RouterProcess, count: int, study: str | None = None) -> list[str]:
    sets = [make_dataset(study=study) for _ in range(count)]
    before = router.destination("cloud")["delivered"]
    assert send(router.intake, sets) == [0] * count
    eventually(
        lambda: router.destination("cloud")["delivered"] == before + count, within=20, because="all delivered"
    )
    return [str(ds.SOPInstanceUID) for ds in sets]


def store_past(service: str, count: int) -> list[str]:
    """Into the cloud, past the router."""
    sets = [make_dataset() for _ in range(count)]
    for ds in sets:
        answer = requests.post(
            f"{service}/v2/studies",
            data=part10(ds),
            headers={"Content-Type": "application/dicom", "Accept": "application/dicom+json"},
            timeout=20,
        )
        assert answer.status_code == 200, answer.text
    return [str(ds.SOPInstanceUID) for ds in sets]


def uids(lines: list[dict[str, object]]) -> list[object]:
    return [line["sopInstanceUid"] for line in lines if "sopInstanceUid" in line]


def test_pages_offset_limit_and_metadata(feeding: RouterProcess, service: str) -> None:
    everything = store_past(service, 105)
    assert uids(read(feeding)) == everything
    assert uids(read(feeding, "--offset", "3", "--limit", "2")) == everything[3:5]
    assert uids(read(feeding, "--offset", "1", "--limit", "101")) == everything[1:102]
    (with_metadata,) = read(feeding, "--limit", "1", "--metadata")
    metadata = with_metadata["metadata"]
    assert isinstance(metadata, dict)
    assert metadata["00080018"]["Value"] == [everything[0]]
    assert "metadata" not in read(feeding, "--limit", "1")[0]
    assert feeding.stop() == 0
    assert uids(read(feeding, "--offset", "3", "--limit", "2")) == everything[3:5], "without a router"


def test_deliveries_are_compared(feeding: RouterProcess, service: str) -> None:
    mine, foreign = deliver(feeding, 3), store_past(service, 1)
    lines = read(feeding, "--reconcile")
    found = {line["sopInstanceUid"]: line["delivery"] for line in lines if "delivery" in line}
    assert found == {**dict.fromkeys(mine, "delivered"), **dict.fromkeys(foreign, "unknown")}
    assert lines[-1]["summary"] == {
        "entries": 4,
        "delivered": 3,
        "not_delivered": 1,
        "missing": 0,
        "whole_feed": True,
    }
    study = next(line["studyInstanceUid"] for line in lines if line.get("sopInstanceUid") == mine[1])
    assert requests.delete(f"{service}/v2/studies/{study}", timeout=20).status_code == 204

    for _ in range(2):
        lines = read(feeding, "--reconcile", code=1)
        missing = [line for line in lines if "missing" in line]
        assert [(line["missing"], line["reason"]) for line in missing] == [(mine[1], "deleted")]
        if feeding.process is not None and feeding.process.poll() is None:
            assert feeding.stop() == 0
    assert [line for line in read(feeding, "--reconcile", "--limit", "1") if "missing" in line] == []


def test_what_the_feed_never_had_is_missing(
    feeding: RouterProcess, service: str, make_router: MakeRouter
) -> None:
    """Delivered to another cloud, so that this one's feed has nothing of it."""
    other = make_router(**{"paths_modality-intake": NO_PACS})
    (uid,) = deliver(other, 1)
    other.stop()
    text, tables = other.config.read_text(), feeding.config.read_text()
    version = "v1" if '"v1"' in tables else "v2"
    begin, end = text.index("[cloud]"), text.index("[paths")
    other.config.write_text(
        f'{text[:begin]}[cloud]\nbase_url = "{service}"\nversion = "{version}"\n{text[end:]}'
    )

    missing, summary = read(other, "--reconcile", code=1)

    assert (missing["missing"], missing["reason"]) == (uid, "not in the change feed")
    assert summary["summary"] == {
        "entries": 0,
        "delivered": 0,
        "not_delivered": 0,
        "missing": 1,
        "whole_feed": True,
    }


def test_purging_needs_leave_and_a_confirmation(feeding: RouterProcess, service: str) -> None:
    kept, gone = make_dataset(), make_dataset()
    assert send(feeding.intake, [kept, gone]) == [0, 0]
    eventually(lambda: feeding.destination("cloud")["delivered"] == 2, within=20, because="both delivered")
    study = str(gone.StudyInstanceUID)

    refused = command(feeding, "--purge", study, "--yes-delete-studies")
    assert refused.returncode == 2
    assert "change_feed.allow_purge" in refused.stderr
    answer = feeding.ask("POST", "/change-feed/purge", {"studies": [study], "confirm": "delete-studies"})
    assert answer.status_code == 400
    feeding.config.write_text(feeding.config.read_text() + "\n[change_feed]\nallow_purge = true\n")
    assert feeding.ask("POST", "/config/load").json()["applied"] == ["change_feed"]
    unconfirmed = command(feeding, "--purge", study)
    assert unconfirmed.returncode == 2
    assert "--yes-delete-studies" in unconfirmed.stderr
    assert feeding.ask("POST", "/change-feed/purge", {"studies": [study]}).status_code == 400
    assert command(feeding, "--purge", "../../x", "--yes-delete-studies").returncode == 2
    assert len(uids(read(feeding))) == 2, "nothing was deleted so far"

    (outcome,) = read(feeding, "--purge", study, "--yes-delete-studies")

    assert outcome["outcome"] == "deleted"
    there = [
        requests.get(f"{service}/v2/studies/{uid}/metadata", timeout=20).status_code
        for uid in (study, kept.StudyInstanceUID)
    ]
    assert there == [404, 200]
    events = [json.loads(line)["event"] for line in feeding.ask("GET", "/audit").text.splitlines()]
    assert "operator purge" in events
    assert "purged" in events
    (again,) = read(feeding, "--purge", study, "--yes-delete-studies")
    assert again["outcome"] == "not there"
    assert send(feeding.intake, [gone]) == [0]
    eventually(
        lambda: requests.get(f"{service}/v2/studies/{study}/metadata", timeout=20).status_code == 200,
        within=20,
        because="what is sent again after the purge to be delivered again",
    )
    feeding.status()


def test_a_study_that_is_still_to_be_delivered_is_not_purged(feeding: RouterProcess) -> None:
    feeding.config.write_text(feeding.config.read_text() + "\n[change_feed]\nallow_purge = true\n")
    feeding.ask("POST", "/config/load")
    feeding.ask("POST", "/queues/cloud/pause")
    ds = make_dataset()
    assert send(feeding.intake, [ds]) == [0]
    (outcome,) = read(feeding, "--purge", str(ds.StudyInstanceUID), "--yes-delete-studies", code=1)
    assert outcome["outcome"] == "waits"
    assert feeding.destination("cloud")["waiting"] == 1


def test_wrong_usage_and_a_cloud_without_a_feed(feeding: RouterProcess, make_router: MakeRouter) -> None:
    for arguments in (("--offset", "-1"), ("--limit", "0")):
        done = command(feeding, *arguments)
        assert (done.returncode, arguments[0][2:] in done.stderr) == (2, True), done.stderr
    assert feeding.ask("GET", "/change-feed?offst=1").status_code == 400
    other = make_router(cloud_credential=None)
    done = command(other)
    assert done.returncode == 3
    assert "404" in done.stderr
    other.stop()
    assert command(other).returncode == 3
