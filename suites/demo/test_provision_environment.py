"""A new environment comes up as declared and empty, and leaves no trace (CLAIM-PROVISION-01, CLAIM-PROVISION-04)."""

import re
import socket
import time
import tomllib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from fixtures.data import Study
from fixtures.deployment.deploy import deploy
from fixtures.deployment.deployment import Deployment
from fixtures.deployment.owner import processes_of
from fixtures.deployment.runs import LABEL, RECORD, RUN_VARIABLE
from fixtures.deployment.viewer import prepared_files
from fixtures.reporting.run import REPOSITORY, suite_run
from fixtures.traceability import needs, requirement
from fixtures.world import World
from fixtures.world.stage import MakeWorld

pytestmark = pytest.mark.demo

COLD_SECONDS = 120
DECLARED: dict[str, Any] = tomllib.loads((REPOSITORY / "infra" / "parameters.toml").read_text("utf-8"))


@requirement("CLAIM-PROVISION-01", "CLAIM-PROVISION-04")
@needs("control")
@pytest.mark.lasting(20)
def test_new_environment_is_as_declared_empty_and_leaves_no_trace(
    world: World, make_world: MakeWorld, pytestconfig: pytest.Config
) -> None:
    """Brought up twice: at once everything serves, is set up as declared and holds nothing; torn down, nothing remains.

    CLAIM-PROVISION-01; CLAIM-PROVISION-04: the new service has a URL that router and viewer use alike, asks for a token and
    knows nothing of the other environment's data.
    """
    elsewhere = world.series(instances=1, matrix=16)
    world.store_in_cloud([elsewhere])
    also = ("viewer",) if prepared_files() is not None else ()
    taken = []
    for number in (1, 2):
        run_dir = world.deployment.run_dir.with_name(f"{world.deployment.run_id}-new{number}")
        began = time.monotonic()
        with _deployed(world, run_dir, pytestconfig, also if number == 1 else ()) as fresh:
            taken.append(time.monotonic() - began)
            new = make_world(fresh)
            new.begin()
            _serves_at_once_and_is_empty(new)
            _is_as_declared(new)
            study = _passes_a_study(new)
            if fresh.has("viewer"):
                new.start("viewer")
                _viewer_uses_the_same_service(new, study)
        _left_no_trace(fresh)
    assert max(taken) < COLD_SECONDS, f"ready only after {taken} s"
    assert world.held("cloud", [elsewhere]) == world.sop_uids([elsewhere])
    world.evidence.figure("ready after", ", ".join(f"{seconds:.1f}" for seconds in taken), "s")
    world.evidence.note(
        f"{'All systems with the viewer' if also else 'All systems (the viewer is not prepared here)'} came up twice as "
        "declared and empty; after the end no process, container, network, port, data or temporary folder was left."
    )


def _deployed(
    world: World, run_dir: Path, config: pytest.Config, also: tuple[str, ...]
) -> AbstractContextManager[Deployment]:
    """A deployment as the standing one was made, in the sabotaged world that was asked for."""
    sabotage, runner = suite_run(config).sabotage, world.deployment.runner
    if sabotage is not None:
        return sabotage.deployed(world.profile, runner, run_dir)
    return deploy(world.profile, runner, run_dir, also=also)


def _serves_at_once_and_is_empty(new: World) -> None:
    """The first request to each part is answered as it should be: readiness meant that it can serve."""
    path = f"/{new.deployment.cloud.version}/studies"
    assert new.anonymous.request("GET", path).status == 401, "the new service asks for no token"
    listed = new.cloud.get("/studies", accept="application/dicom+json")
    assert listed.status == 204, f"the new service is not empty: {listed.describe()}"
    for form in ("v1", "v2"):
        assert new.ask_for_token("reader", form).status == 200
    counts = new.pacs_counts()
    assert (counts.patients, counts.instances) == (0, 0), "the new PACS is not empty"
    assert new.pacs_http("none").request("GET", "/system").status == 401
    assert new.modality().echo(new.intake).succeeded
    assert new.modality().echo(new.bridge).succeeded
    rows = new.router.status()["destinations"]
    assert [row["accepted"] for row in rows] == [0] * len(rows), "the new router has a past"
    failed = {name: test.detail for name, test in new.connection_tests().items() if not test.passed}
    assert not failed, failed


def _is_as_declared(new: World) -> None:
    """AE titles, ports, modalities, URLs and API version of the running systems are the declared ones."""
    titles, ports = DECLARED["ae_titles"], DECLARED["ports"]
    inside = new.deployment.runner == "docker"
    paths = {row["name"]: row for row in new.router.status()["paths"]}
    bridge, intake = paths["cloud-bridge"], paths["modality-intake"]
    assert (bridge["ae_title"], intake["ae_title"]) == (titles["router_bridge"], titles["router_intake"])
    assert bridge["port"] == (ports["router_bridge"] if inside else new.bridge.port)
    assert intake["port"] == (ports["router_intake"] if inside else new.intake.port)
    system = new.pacs.system()
    assert system["DicomAet"] == titles["pacs"]
    assert system["DicomPort"] == (ports["pacs_dicom"] if inside else new.deployment.pacs.dicom.port)
    known = new.pacs.http.request("GET", "/modalities?expand").json()
    assert {name: (one["AET"], one["Port"]) for name, one in known.items()} == {
        titles["router_bridge"]: (titles["router_bridge"], bridge["port"])
    }
    config = new.router.config()
    assert {peer["ae_title"] for peer in config["peers"]} == {titles["pacs"], titles["workstation"]}
    assert config["cloud"]["version"] == DECLARED["dicom_service"]["api_version"]
    assert config["cloud"]["credential"]["audience"].startswith(DECLARED["dicom_service"]["audience"])
    assert (
        config["cloud"]["credential"]["client_id"] == new.deployment.identity.applications["router"].client_id
    )


def _passes_a_study(new: World) -> Study:
    study = new.series(instances=2, matrix=16)
    assert new.send([study], "intake").all_success
    new.expect_both([study])
    return study


def _viewer_uses_the_same_service(new: World, study: Study) -> None:
    """What came through the router is at the very URL that the viewer is set up with."""
    viewer = new.http(new.deployment.viewer.url, ca_file=new.deployment.viewer.ca_file)
    page = viewer.request("GET", "/index.html")
    assert page.status == 200, page.describe()
    settings = viewer.request("GET", "/app-config.js").body.decode()
    service = f"{new.deployment.cloud.url}/{new.deployment.cloud.version}"
    named = set(re.findall(r"https://[\w.:-]+/v\d\b", settings))
    assert named == {service}, f"the viewer reads from {named}, the router's studies are at {service}"
    found = new.cloud_as(new.tokens("reader")).metadata(study.study_instance_uid)
    assert found.status == 200, found.describe()


def _left_no_trace(ended: Deployment) -> None:
    run = ended.run_id
    assert processes_of(RUN_VARIABLE, run) == [], "processes are left"
    open_ports = [port for port in _ports(ended) if _listens(port)]
    assert not open_ports, f"still listening: {open_ports}"
    kept = [
        str(path.relative_to(ended.run_dir))
        for path in ended.run_dir.glob("*/*")
        if path.name in ("data", "tmp")
    ]
    assert not kept, f"folders are left: {kept}"
    assert not (ended.run_dir / RECORD).exists(), "the run is still on record"
    if ended.runner == "docker":
        assert _left_in_the_engine(run) == []


def _ports(ended: Deployment) -> Iterator[int]:
    yield from (ended.pacs.dicom.port, ended.router.bridge.port, ended.router.intake.port)
    urls = [ended.pacs.http_url, ended.router.admin_url, ended.cloud.url, ended.identity.authority]
    urls += [ended.viewer.url] if ended.has("viewer") else []
    urls += [ended.link.control_url] if ended.link is not None else []
    yield from (port for url in urls if (port := urlsplit(url).port))


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _left_in_the_engine(run: str) -> list[str]:
    from fixtures.deployment import engine  # noqa: PLC0415 - what the process runner need not load

    client = engine.connect()
    try:
        ours = {"label": f"{LABEL}.run={run}"}
        kinds = (
            client.containers.list(all=True, filters=ours),
            client.networks.list(filters=ours),
            client.volumes.list(filters=ours),
        )
        return [str(one.name) for kind in kinds for one in kind]
    finally:
        client.close()
