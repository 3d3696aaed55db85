"""The migration job against a real Orthanc (CLAIM-MIGRATE-02 to 09)."""

import asyncio
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import requests
from pydicom.dataset import Dataset

from fixtures.waiting import eventually
from systems.router.cloud.http import CloudHttp
from systems.router.cloud.uploader import Uploader
from systems.router.config import Config, load
from systems.router.errors import ConfigError
from systems.router.migration.model import PacsStudy, Selection, plan, usable_date
from systems.router.migrations import Migrations
from systems.router.runtime import make_tokens
from systems.shared.header_scan import read_file_meta
from tests.router.conftest import REPOSITORY, MakeRouter, config_text
from tests.router.fakes import Answer, FakeCloud, digest, make_dataset, stow_body, study_of, uid_of
from tests.router.orthanc import AUTH, Orthanc


def study(date: str | None, instances: int = 2, time: str = "") -> list[Dataset]:
    first = make_dataset(StudyTime=time, StudyDate=date or "")
    return [
        first,
        *(
            make_dataset(study=first.StudyInstanceUID, StudyTime=time, StudyDate=date or "")
            for _ in range(instances - 1)
        ),
    ]


def rest_table(orthanc: Orthanc) -> dict[str, str]:
    table = f'url = "{orthanc.url}"\nusername = "student"\npassword_env = "TEST_PACS_PASSWORD"'
    return {"pacs_rest": table}


@pytest.fixture
def config(tmp_path: Path, cloud: FakeCloud, orthanc: Orthanc, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("TEST_ADMIN_TOKEN", "x")
    monkeypatch.setenv("TEST_PACS_PASSWORD", "student")
    (tmp_path / "secret").write_text("right")
    path = tmp_path / "router.toml"
    path.write_text(config_text(tmp_path, cloud.url, 1, **rest_table(orthanc)))
    return load(path)


def migrate(config: Config, body: dict[str, Any], *, resume: str = "") -> dict[str, Any]:
    async def run() -> dict[str, Any]:
        http = CloudHttp(config.cloud, make_tokens(config))
        migrations = Migrations(config, Uploader(http, config.cloud))
        try:
            if resume:
                await migrations.ledger.reopen(resume)
            job = resume or await migrations.ledger.new_job(Selection.from_json(body))
            await migrations.run(job)
            report = await migrations.report(job)
            assert report is not None
            return report
        finally:
            await migrations.close()
            await http.close()

    return asyncio.run(run())


def test_oldest_go_first_and_only_they_leave(config: Config, orthanc: Orthanc, cloud: FakeCloud) -> None:
    old, older, late, new = (
        study("19940223"),
        study("19691116"),
        study("19940223", time="120000"),
        study("20221122"),
    )
    none, odd = study(None, 1), study("19991399", 1)
    for part in (new, late, old, none, older, odd):
        orthanc.put(*part)
    before = {ds.SOPInstanceUID: digest(orthanc_file(orthanc, ds)) for ds in (*old, *older, *late)}

    report = migrate(config, {"select": {"oldest": 3}, "delete": True})

    assert report["state"] == "done"
    assert orthanc.studies() == {part[0].StudyInstanceUID for part in (new, none, odd)}
    assert {uid: digest(content) for uid, content in cloud.stored.items()} == before
    order = list(dict.fromkeys(study_of(content) for content in cloud.stored.values()))
    assert order == [part[0].StudyInstanceUID for part in (older, old, late)]
    assert {row["study_instance_uid"] for row in report["studies"] if row["state"] == "undated"} == {
        none[0].StudyInstanceUID,
        odd[0].StudyInstanceUID,
    }
    assert report["totals"] == {"deleted": 6}
    for row in report["manifest"]:
        stored = cloud.stored[row["sop_instance_uid"]]
        plain = hashlib.sha256(stored[read_file_meta(stored).data_set_offset :]).hexdigest()
        assert row["pacs_digest"] == row["cloud_digest"] == plain
        assert row["copied_at"] <= row["verified_at"] <= row["deleted_at"]


def orthanc_file(orthanc: Orthanc, ds: Dataset) -> bytes:
    found = requests.post(f"{orthanc.url}/tools/lookup", ds.SOPInstanceUID, auth=AUTH, timeout=10).json()
    return requests.get(f"{orthanc.url}/instances/{found[0]['ID']}/file", auth=AUTH, timeout=10).content


def lose_one(cloud: FakeCloud) -> Callable[[list[bytes]], Answer | None]:
    def answer(parts: list[bytes]) -> Answer | None:
        return (200, {}, stow_body([uid_of(part) for part in parts])) if len(cloud.posts) == 2 else None

    return answer


def alter_one(cloud: FakeCloud) -> Callable[[list[bytes]], Answer | None]:
    def answer(parts: list[bytes]) -> Answer | None:
        if len(cloud.posts) != 2:
            return None
        cloud.stored[uid_of(parts[0])] = parts[0][:-1] + b"\xff"
        return 200, {}, stow_body([uid_of(parts[0])])

    return answer


@pytest.mark.parametrize("sabotage", [lose_one, alter_one])
def test_nothing_is_deleted_before_the_cloud_copy_is_proven(
    config: Config,
    orthanc: Orthanc,
    cloud: FakeCloud,
    sabotage: Callable[[FakeCloud], Callable[[list[bytes]], Answer | None]],
) -> None:
    datasets = study("19900101", 3)
    orthanc.put(*datasets)
    cloud.always = sabotage(cloud)

    report = migrate(config, {"select": {"oldest": 1}, "delete": True})

    assert report["state"] == "failed"
    assert orthanc.instances() == {ds.SOPInstanceUID for ds in datasets}
    assert [row["outcome"] for row in report["manifest"]].count("failed") == 1
    assert "deleted" not in report["totals"]


def test_interrupted_migration_goes_on_and_stores_nothing_twice(
    config: Config, orthanc: Orthanc, cloud: FakeCloud
) -> None:
    orthanc.put(*study("19900101", 4))

    def refuse_third(_: list[bytes]) -> Answer | None:
        return (403, {}, b"") if len(cloud.posts) == 3 else None

    cloud.always = refuse_third
    first = migrate(config, {"select": {"before": "20000101"}, "delete": True})
    assert (first["state"], len(orthanc.instances())) == ("failed", 4)

    cloud.always = None
    second = migrate(config, {}, resume=first["id"])

    assert (second["state"], second["totals"]) == ("done", {"deleted": 4})
    assert orthanc.instances() == set()
    assert set(cloud.effects.values()) == {1}


def test_instance_that_arrives_during_the_migration_is_migrated_too(
    config: Config, orthanc: Orthanc, cloud: FakeCloud
) -> None:
    datasets = study("19900101", 2)
    late = make_dataset(study=datasets[0].StudyInstanceUID, StudyDate="19900101")
    orthanc.put(*datasets)

    def receive_meanwhile(_: list[bytes]) -> Answer | None:
        if len(cloud.posts) == 2:
            orthanc.put(late)
        return None

    cloud.always = receive_meanwhile
    report = migrate(config, {"select": {"studies": [datasets[0].StudyInstanceUID]}, "delete": True})

    assert report["state"] == "done"
    assert late.SOPInstanceUID in cloud.stored
    assert orthanc.instances() == set()


def test_dry_run_touches_nothing_and_unknown_studies_are_named(
    config: Config, orthanc: Orthanc, cloud: FakeCloud
) -> None:
    datasets = study("19900101", 2)
    orthanc.put(*datasets)
    uids = [datasets[0].StudyInstanceUID, "1.2.3.4"]

    report = migrate(config, {"select": {"studies": uids}, "delete": True, "dry_run": True})

    assert cloud.posts == []
    assert len(orthanc.instances()) == 2
    assert [row["state"] for row in report["studies"]] == ["planned", "absent"]
    assert report["totals"] == {"planned": 2}
    assert {row["sop_instance_uid"] for row in report["manifest"]} == {ds.SOPInstanceUID for ds in datasets}


def test_command_and_http_run_the_same_job(
    orthanc: Orthanc, make_router: MakeRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_PACS_PASSWORD", "student")
    first, second = study("19800101"), study("19900101")
    orthanc.put(*first, *second)
    router = make_router(**rest_table(orthanc))

    answer = router.ask("POST", "/migrations", {"select": {"oldest": 1}, "delete": True})
    assert answer.status_code == 202
    job = answer.json()["id"]
    eventually(
        lambda: router.ask("GET", f"/migrations/{job}").json()["state"] == "done",
        within=20,
        because="the job",
    )
    assert orthanc.studies() == {second[0].StudyInstanceUID}

    command = [
        sys.executable,
        "-m",
        "systems.router.cli",
        "migrate",
        "--config",
        str(router.config),
        "--oldest",
        "1",
    ]
    done = subprocess.run(
        command,
        env={**os.environ, "TEST_ADMIN_TOKEN": "x"},
        capture_output=True,
        timeout=60,
        check=False,
        cwd=REPOSITORY,
    )
    assert done.returncode == 0, done.stderr
    assert orjson.loads(done.stdout)["totals"] == {"verified": 2}
    assert orthanc.studies() == {second[0].StudyInstanceUID}
    assert (
        router.ask("POST", "/migrations", {"select": {"oldest": 0}})
        .json()["error"]
        .startswith("select.oldest")
    )


def test_plan_orders_by_date_time_and_uid() -> None:
    studies = [
        PacsStudy("a", "1.3", "20000101", "10"),
        PacsStudy("b", "1.2", "20000101", "10"),
        PacsStudy("c", "1.1", "20000101", "11"),
        PacsStudy("d", "1.0", "", ""),
        PacsStudy("e", "1.4", "19991231", ""),
    ]
    assert [s.pacs_id for s in plan(Selection(oldest=9), studies).chosen] == ["e", "b", "a", "c"]
    assert [s.pacs_id for s in plan(Selection(before="20000101"), studies).chosen] == ["e"]


@pytest.mark.parametrize(
    ("text", "usable"),
    [
        ("20000229", True),
        ("19000229", False),
        ("2000-1-1", False),
        ("", False),
        ("20001301", False),
        ("00000101", False),
    ],
)
def test_usable_dates(text: str, usable: bool) -> None:
    assert usable_date(text) is usable


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ([], "body"),
        ({}, "select"),
        ({"select": {"oldest": 1, "before": "20000101"}}, "select"),
        ({"select": {"oldest": True}}, "select.oldest"),
        ({"select": {"before": "2000"}}, "select.before"),
        ({"select": {"studies": []}}, "select.studies"),
        ({"select": {"youngest": 1}}, "select.youngest"),
        ({"select": {"oldest": 1}, "delete": "yes"}, "delete"),
        ({"select": {"oldest": 1}, "remove": True}, "remove"),
    ],
)
def test_bad_selection_names_the_key(body: Any, key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        Selection.from_json(body)
