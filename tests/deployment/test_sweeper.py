"""What a killed run leaves behind is removed by the next one; what somebody uses or has kept is not."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.deployment import engine
from fixtures.deployment.owner import ProcessIdentity, alive, identify, machine, this_process
from fixtures.deployment.runs import RunRecord, read_record
from fixtures.deployment.sweeper import forget_old_folders, sweep
from fixtures.waiting import eventually

ROOT = Path(__file__).parents[2]
needs_engine = pytest.mark.skipif(not engine.answers(), reason="no container engine answers on this machine")

SCRIPT = """
import sys, time
from pathlib import Path
from fixtures.deployment.deploy import deploy
from tests.deployment.standin import Profile, only_cloud
runner, folder, keep = sys.argv[1], Path(sys.argv[2]), sys.argv[3] == "keep"
with deploy(Profile(), runner, folder, keep=keep, overrides=only_cloud()):
    print("up", flush=True)
    if not keep:
        time.sleep(60)
"""


def begin_run(runner: str, folder: Path, keep: str = "no") -> subprocess.Popen[str]:
    """Start a run in a process of its own and wait until its system is up."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, runner, str(folder), keep],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def record_of(folder: Path) -> RunRecord:
    record = read_record(folder)
    assert record is not None
    return record


def system_of(folder: Path) -> ProcessIdentity:
    (only,) = record_of(folder).processes
    return ProcessIdentity(only.pid, only.started)


def containers_of(runs: Path) -> list[str]:
    client = engine.connect()
    labels = {"label": f"imaging-conformance.runs={runs}"}
    found = client.containers.list(all=True, filters=labels)
    networks = client.networks.list(filters=labels)
    return [str(one.name) for one in [*found, *networks]]


def test_processes_of_a_killed_run_are_swept_and_those_of_a_living_one_are_not(tmp_path: Path) -> None:
    run = begin_run("process", tmp_path / "killed")
    system = system_of(tmp_path / "killed")
    assert sweep(tmp_path, containers=False).in_use == {"killed"}
    assert alive(system)
    run.kill()
    run.communicate()
    assert alive(system), "the system must have outlived its run, or nothing is shown"
    assert sweep(tmp_path, containers=False).processes == ["killed/cloud"]
    eventually(lambda: not alive(system), within=5, because="the swept process to be gone")
    assert sweep(tmp_path, containers=False).processes == []


@needs_engine
def test_containers_of_a_killed_run_are_swept_and_those_of_a_living_one_are_not(tmp_path: Path) -> None:
    run = begin_run("docker", tmp_path / "killed")
    sweep(tmp_path)
    assert len(containers_of(tmp_path)) == 3
    run.kill()
    run.communicate()
    swept = sweep(tmp_path)
    assert (swept.containers, len(swept.networks)) == (["conformance-killed-cloud"], 2)
    assert containers_of(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_takes_everything_down(number: signal.Signals, tmp_path: Path) -> None:
    run = begin_run("process", tmp_path / "ended")
    system = system_of(tmp_path / "ended")
    run.send_signal(number)
    run.communicate(timeout=20)
    assert run.returncode != 0
    assert not alive(system)
    assert read_record(tmp_path / "ended") is None


def test_kept_run_outlives_its_owner_until_it_is_taken_down(tmp_path: Path) -> None:
    run = begin_run("process", tmp_path / "kept", keep="keep")
    _, said = run.communicate(timeout=20)
    assert "make down" in said
    system = system_of(tmp_path / "kept")
    access = tmp_path / "kept" / "access.json"
    assert access.stat().st_mode & 0o077 == 0
    assert json.loads(access.read_text())["pacs"]["password"] not in said
    sweep(tmp_path, containers=False)
    assert alive(system)
    sweep(tmp_path, containers=False, kept_too=True)
    eventually(lambda: not alive(system), within=5, because="the kept system to be gone")


def test_record_with_a_process_id_that_was_given_again_counts_as_over(tmp_path: Path) -> None:
    own = this_process()
    reused = {"pid": own.pid, "started": "1"}
    bystander = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        record = {
            "run_id": "old",
            "machine": machine(),
            "owner": reused,
            "runner": "process",
            "keep": False,
            "processes": [{"role": "pacs", "pid": bystander.pid, "started": "1"}],
        }
        (tmp_path / "old").mkdir()
        (tmp_path / "old" / "run.json").write_text(json.dumps(record))
        swept = sweep(tmp_path, containers=False)
        assert swept.in_use == set()
        assert swept.processes == []
        assert bystander.poll() is None, "a process that only has the recorded number must not be ended"
        assert not (tmp_path / "old" / "run.json").exists()
    finally:
        bystander.communicate(b"\n")


def test_record_of_another_machine_is_left_alone(tmp_path: Path) -> None:
    run = begin_run("process", tmp_path / "theirs")
    record = json.loads((tmp_path / "theirs" / "run.json").read_text())
    system = system_of(tmp_path / "theirs")
    try:
        changed = {**record, "machine": "another/pid:[1]", "owner": {"pid": 1, "started": "0"}}
        (tmp_path / "theirs" / "run.json").write_text(json.dumps(changed))
        assert sweep(tmp_path, containers=False).processes == []
        assert alive(system)
    finally:
        (tmp_path / "theirs" / "run.json").write_text(json.dumps(record))
        run.terminate()
        run.communicate(timeout=20)


def test_only_the_newest_folders_of_ended_runs_stay(tmp_path: Path) -> None:
    for number in range(5):
        folder = tmp_path / f"r{number}"
        folder.mkdir()
        os.utime(folder, (number, number))
    (tmp_path / "r0" / "run.json").write_text("{}")
    os.utime(tmp_path / "r0", (0, 0))
    forget_old_folders(tmp_path, keep=2)
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["r0", "r3", "r4"]


def test_process_that_has_ended_has_no_identity() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert identify(ended.pid) is None
