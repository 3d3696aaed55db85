"""ROUTER-174: killed at any instant, nothing answered 0000 is lost and nothing has a second effect."""

import random
import threading
from pathlib import Path

import pytest

from fixtures.waiting import eventually
from tests.router.conftest import MakeRouter, RouterProcess, config_text
from tests.router.fakes import FakeCloud, FakePacs, digest, make_dataset, part10, send
from tests.router.test_encryption import spool_table


@pytest.mark.timeout(240)
@pytest.mark.parametrize("encrypts", [False, True])
def test_kill_loop_loses_nothing_and_doubles_nothing(
    make_router: MakeRouter, cloud: FakeCloud, pacs: FakePacs, tmp_path: Path, *, encrypts: bool
) -> None:
    router = make_router(spool=spool_table(tmp_path, encrypts=encrypts))
    chance = random.Random(7)  # noqa: S311
    acknowledged: dict[str, str] = {}
    for _ in range(5):
        datasets = [make_dataset() for _ in range(25)]
        killer = threading.Timer(chance.uniform(0.05, 0.6), router.kill)
        killer.start()
        for ds, status in zip(datasets, send(router.intake, datasets), strict=True):
            if status == 0:
                acknowledged[ds.SOPInstanceUID] = digest(part10(ds))
        killer.join()
        router.start()

    assert acknowledged
    eventually(
        lambda: acknowledged.keys() <= cloud.stored.keys(), within=30, because="all copies in the cloud"
    )
    eventually(lambda: acknowledged.keys() <= pacs.stored.keys(), within=30, because="all copies in the PACS")
    eventually(lambda: _waiting(router) == 0, within=10, because="empty queues")
    assert set(cloud.effects.values()) == set(pacs.effects.values()) == {1}
    assert {uid: digest(cloud.stored[uid]) for uid in acknowledged} == acknowledged
    assert router.status()["conflicts"] == 0
    assert router.stop() == 0
    assert not list((router.data / "spool" / "incoming").iterdir())


def _waiting(router: RouterProcess) -> int:
    return sum(int(router.destination(name)["waiting"]) for name in ("cloud", "ORTHANC"))


def test_unfinished_files_and_unindexed_packs_are_removed_at_start(make_router: MakeRouter) -> None:
    router = make_router()
    assert router.stop() == 0
    (router.data / "spool" / "incoming" / "half.dcm").write_bytes(b"half")
    (router.data / "spool" / "packs" / "orphan.dcm").write_bytes(b"orphan")

    router.start()

    assert not list((router.data / "spool").glob("*/*.dcm"))


def test_sigterm_ends_with_0_and_keeps_the_rest_queued(make_router: MakeRouter, cloud: FakeCloud) -> None:
    router = make_router()
    cloud.stop()
    send(router.intake, [make_dataset() for _ in range(3)])
    assert router.stop() == 0
    cloud.start()
    router.start()
    eventually(lambda: len(cloud.stored) == 3, within=10, because="the kept queue")


def test_one_data_folder_one_router_and_a_taken_port(
    make_router: MakeRouter, cloud: FakeCloud, pacs: FakePacs
) -> None:
    import os
    import subprocess
    import sys

    router = make_router()
    env = {**os.environ, "TEST_ADMIN_TOKEN": "x"}
    command = [sys.executable, "-m", "systems.router.cli", "serve", "--config"]
    second = subprocess.run(
        [*command, str(router.config)], env=env, capture_output=True, text=True, timeout=20, check=False
    )
    assert second.returncode == 3
    assert "in use by another router" in second.stderr.splitlines()[-1]

    other = router.folder / "other.toml"
    table = {"paths_modality-intake": f'host = "127.0.0.1"\nport = {router.intake}'}
    other.write_text(config_text(router.folder / "b", cloud.url, pacs.port, **table))
    third = subprocess.run(
        [*command, str(other)], env=env, capture_output=True, text=True, timeout=20, check=False
    )
    assert third.returncode == 3
    assert "cannot listen" in third.stderr.splitlines()[-1]
