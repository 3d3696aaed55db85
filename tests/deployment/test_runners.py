"""Both runners, with a stand-in: what a test may rely on when it stops, kills, wipes and destroys a system."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.deployment import engine
from fixtures.deployment.deploy import deploy
from fixtures.deployment.deployment import Control, Deployment
from fixtures.deployment.errors import DeploymentFailed
from fixtures.deployment.spec import SystemSpec
from fixtures.waiting import eventually
from tests.deployment.standin import Profile, cloud_stand_in, only_cloud, starts

needs_engine = pytest.mark.skipif(not engine.answers(), reason="no container engine answers on this machine")
RUNNERS = [pytest.param("process", id="process"), pytest.param("docker", id="docker", marks=needs_engine)]


@pytest.fixture(params=RUNNERS)
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    with deploy(Profile(), request.param, tmp_path / "runs" / "t1", overrides=only_cloud()) as up:
        yield up


def control_of(deployment: Deployment) -> Control:
    assert deployment.control is not None
    return deployment.control


def count(deployment: Deployment) -> int:
    return eventually(lambda: starts(deployment.cloud.url), within=10, because="the stand-in to answer")


def test_data_and_address_survive_stop_and_kill_but_not_a_wipe(deployment: Deployment) -> None:
    control = control_of(deployment)
    assert count(deployment) == 1
    control.stop("cloud")
    assert not control.running("cloud")
    assert control.data_size("cloud") == 1
    control.start("cloud")
    assert count(deployment) == 2
    control.kill("cloud")
    assert not control.running("cloud")
    control.start("cloud")
    assert count(deployment) == 3
    assert control.data_size("cloud") == 3
    control.start("cloud", wipe=True)
    assert count(deployment) == 1


def test_destroyed_system_has_no_data_and_comes_back_empty(deployment: Deployment) -> None:
    control = control_of(deployment)
    assert count(deployment) == 1
    control.destroy(["cloud"])
    assert not control.running("cloud")
    assert control.data_size("cloud") == 0
    assert control.logs("cloud") == ""
    control.start("cloud")
    assert count(deployment) == 1


def test_logs_are_read_while_it_runs_and_after_it_was_killed(deployment: Deployment) -> None:
    control = control_of(deployment)
    eventually(lambda: "stand-in listens" in control.logs("cloud"), within=10, because="the first log line")
    control.kill("cloud")
    assert "stand-in listens" in control.logs("cloud")


def test_unknown_role_is_a_key_error(deployment: Deployment) -> None:
    control = control_of(deployment)
    with pytest.raises(KeyError, match="viewer"):
        control.kill("viewer")
    with pytest.raises(KeyError, match="viewer"):
        control.destroy(["cloud", "viewer"])
    assert control.running("cloud")


@pytest.mark.parametrize("runner", RUNNERS)
def test_system_that_ends_early_is_reported_at_once_with_its_log(runner: str, tmp_path: Path) -> None:
    def ends(spec: SystemSpec) -> SystemSpec:
        command = ("python3", "-c", "import sys; print('no licence found'); sys.exit(7)")

        def never(_: object) -> None:
            raise AssertionError("not ready")

        return replace(cloud_stand_in(spec), command=command, ready=never)

    overrides = {**only_cloud(), "cloud": ends}
    with (
        pytest.raises(DeploymentFailed, match=r"(?s)exit code 7.*no licence found"),
        deploy(Profile(), runner, tmp_path / "runs" / "t2", overrides=overrides),
    ):
        pytest.fail("a system that has ended must not count as up")


@needs_engine
def test_containers_carry_the_run_and_are_gone_afterwards(tmp_path: Path) -> None:
    client = engine.connect()
    run_id = "t3"
    ours = {"label": [f"imaging-conformance.run={run_id}", f"imaging-conformance.runs={tmp_path}"]}
    with deploy(Profile(), "docker", tmp_path / run_id, overrides=only_cloud()):
        assert [box.labels["imaging-conformance.role"] for box in client.containers.list(filters=ours)] == [
            "cloud"
        ]
        assert len(client.networks.list(filters=ours)) == 2
    assert client.containers.list(all=True, filters=ours) == []
    assert client.networks.list(filters=ours) == []


@needs_engine
def test_container_reaches_the_workstation_on_this_machine(tmp_path: Path) -> None:
    import socket

    from docker.models.containers import Container

    with deploy(Profile(), "docker", tmp_path / "t4", overrides=only_cloud()) as up:
        client = engine.connect()
        networks = client.networks.list(filters={"label": f"imaging-conformance.runs={tmp_path}"})
        onprem = next(network for network in networks if str(network.name).endswith("onprem"))
        box: Container = client.containers.list(filters={"label": f"imaging-conformance.runs={tmp_path}"})[0]
        onprem.connect(box)
        with socket.create_server((up.workstation_bind.host, up.workstation_bind.port)) as server:
            server.settimeout(10)
            address = (up.workstation.host, up.workstation.port)
            answer = box.exec_run(["python3", "-c", f"import socket; socket.create_connection({address}, 5)"])
            assert answer.exit_code == 0, answer.output
            server.accept()[0].close()
