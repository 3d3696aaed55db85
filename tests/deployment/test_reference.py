"""The whole reference deployment on both runners: the parts find each other, and only by the ways they should."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification

from fixtures.deployment import engine, probes
from fixtures.deployment.deploy import deploy
from fixtures.deployment.deployment import Control, Deployment
from fixtures.deployment.spec import ROLES
from tests.deployment.standin import Profile

needs_engine = pytest.mark.skipif(not engine.answers(), reason="no container engine answers on this machine")


@pytest.fixture(
    scope="module",
    params=[pytest.param("process", id="process"), pytest.param("docker", id="docker", marks=needs_engine)],
)
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder: Path = tmp_path_factory.mktemp("runs")
    with deploy(Profile("reference"), request.param, folder / f"stack-{request.param}") as up:
        yield up


def control_of(stack: Deployment) -> Control:
    assert stack.control is not None
    return stack.control


def connection_tests(stack: Deployment) -> dict[str, bool]:
    """Let the router try every way it has."""
    answer = probes.call(
        "POST",
        f"{stack.router.admin_url}/connection-tests",
        headers={"Authorization": f"Bearer {stack.router.admin_token}"},
    ).require(200)
    return {one["name"]: one["passed"] for one in json.loads(answer.body)}


def link_call(stack: Deployment, method: str, path: str, body: object = None) -> bytes:
    assert stack.link is not None
    return (
        probes.call(
            method,
            f"{stack.link.control_url}{path}",
            headers={"X-Control-Key": stack.link.control_key, "Content-Type": "application/json"},
            body=None if body is None else json.dumps(body).encode(),
        )
        .require(200, 204)
        .body
    )


def test_the_build_of_every_role_is_told(stack: Deployment) -> None:
    builds = {role: control_of(stack).build(role) for role in ROLES}
    marks = ["sha256:"] if stack.runner == "docker" else ["sha256:", " 0."]
    assert all(any(mark in build for mark in marks) for build in builds.values()), builds
    assert "Orthanc" in builds["pacs"]
    assert "dicom-router" in builds["router"]


def test_every_role_is_up_and_reached(stack: Deployment) -> None:
    assert all(stack.has(role) and control_of(stack).running(role) for role in ROLES)


def test_router_reaches_identity_cloud_and_archive_and_the_link_sees_it(stack: Deployment) -> None:
    tried = connection_tests(stack)
    assert {name: tried[name] for name in ("oauth", "cloud-qido", "echo-ORTHANC")} == {
        "oauth": True,
        "cloud-qido": True,
        "echo-ORTHANC": True,
    }
    routes = {one["name"]: one["connections"] for one in json.loads(link_call(stack, "GET", "/routes"))}
    assert all(routes[name] > 0 for name in ("cloud", "identity", "pacs"))


def test_cut_link_separates_the_router_but_not_the_harness(stack: Deployment) -> None:
    link_call(stack, "PUT", "/routes/cloud/fault", {"kind": "refuse"})
    try:
        assert connection_tests(stack)["cloud-qido"] is False
        probes.cloud_ready(stack.cloud, stack.identity, control_of(stack).running)
    finally:
        link_call(stack, "DELETE", "/routes/cloud/fault")
    assert connection_tests(stack)["cloud-qido"] is True


def test_router_reaches_the_workstation_of_the_harness(stack: Deployment) -> None:
    here = stack.workstation_bind
    assert connection_tests(stack)["echo-WORKSTATION"] is False
    ae = AE(ae_title=here.ae_title)
    ae.add_supported_context(Verification)
    echoed: list[str] = []

    def note(event: evt.Event) -> int:
        echoed.append(event.assoc.requestor.ae_title)
        return 0

    server = ae.start_server((here.host, here.port), block=False, evt_handlers=[(evt.EVT_C_ECHO, note)])
    try:
        assert connection_tests(stack)["echo-WORKSTATION"] is True
    finally:
        server.shutdown()
    assert echoed == ["QIETOAZURE"]


def test_cloud_starts_while_the_identity_provider_is_down(stack: Deployment) -> None:
    control = control_of(stack)
    control.kill("identity")
    try:
        control.kill("cloud")
        control.start("cloud")
        assert control.running("cloud")
    finally:
        control.start("identity")
    probes.cloud_ready(stack.cloud, stack.identity, control.running)


def test_on_prem_has_no_other_way_to_the_cloud(stack: Deployment) -> None:
    if stack.runner != "docker":
        pytest.skip("processes share one network: the process runner does not promise this")
    client = engine.connect()
    router = client.containers.get(f"conformance-{stack.run_id}-router")
    link = client.containers.get(f"conformance-{stack.run_id}-link")
    attempt = ["python3", "-c", "import socket; socket.create_connection(('cloud', 8443), 3)"]
    assert link.exec_run(attempt).exit_code == 0
    assert router.exec_run(attempt).exit_code != 0
    address = client.containers.get(f"conformance-{stack.run_id}-cloud").attrs["NetworkSettings"]["Networks"]
    (only,) = address.values()
    direct = attempt[-1].replace("'cloud'", repr(only["IPAddress"]))
    assert link.exec_run([*attempt[:-1], direct]).exit_code == 0
    assert router.exec_run([*attempt[:-1], direct]).exit_code != 0
