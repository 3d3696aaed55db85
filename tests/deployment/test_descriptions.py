"""The descriptions of the systems, and what they are made from."""

import json
import socket
import ssl
import tomllib
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from fixtures.deployment import orthanc
from fixtures.deployment.base_image import mirror_of_this_machine
from fixtures.deployment.credentials import Certificates, Credentials
from fixtures.deployment.deploy import choose_runner
from fixtures.deployment.errors import DeploymentFailed, MachineProblem, ProfileProblem
from fixtures.deployment.images import requirements
from fixtures.deployment.ports import free_ports
from fixtures.deployment.reference import Plan
from fixtures.deployment.spec import ROLES, Address, ContainerSite, ProcessSite, all_ports

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return Certificates.make()


def process_plan(tmp_path: Path, certificates: Certificates) -> Plan:
    numbers = iter(range(21000, 21100))
    ports = {name: next(numbers) for name in all_ports()}
    site = ProcessSite("r1", ports, tmp_path, Address("127.0.0.1", 21100))
    return Plan(site, Credentials(), certificates, tmp_path / "ca.pem", Path("/plugin.so"))


def container_plan(tmp_path: Path, certificates: Certificates) -> Plan:
    published = dict.fromkeys(all_ports(), 21000)
    site = ContainerSite("r1", published, Address("172.20.0.1", 21100), Address("172.20.0.1", 21100))
    return Plan(site, Credentials(), certificates, tmp_path / "ca.pem", PurePosixPath("/plugin.so"))


def test_every_role_is_described_and_no_secret_is_in_a_command_or_repr(
    tmp_path: Path, certificates: Certificates
) -> None:
    plan = process_plan(tmp_path, certificates)
    assert {spec.role for spec in plan.specs()} == set(ROLES)
    secrets = [
        plan.credentials.router_token,
        plan.credentials.identity_key,
        plan.credentials.link_key,
        plan.credentials.pacs_password,
        *(one.secret for one in plan.credentials.applications.values()),
    ]
    shown = repr(plan) + "".join(f"{spec!r} {spec.command}" for spec in plan.specs())
    assert [secret for secret in secrets if secret in shown] == []


def test_router_reaches_cloud_identity_and_pacs_only_through_the_link(
    tmp_path: Path, certificates: Certificates
) -> None:
    plan = container_plan(tmp_path, certificates)
    router = next(spec for spec in plan.specs() if spec.role == "router")
    config = tomllib.loads(router.files["router.toml"].decode())
    assert config["cloud"]["base_url"] == "https://link:8443"
    assert config["cloud"]["credential"]["token_url"].startswith("https://link:8444/")
    assert next(peer for peer in config["peers"] if peer["ae_title"] == "ORTHANC")["host"] == "link"
    assert router.networks == ("onprem",)


def test_configurations_are_valid_toml_and_json(tmp_path: Path, certificates: Certificates) -> None:
    for plan in (process_plan(tmp_path, certificates), container_plan(tmp_path, certificates)):
        for spec in plan.specs():
            for name, content in spec.files.items():
                if name.endswith(".toml"):
                    assert tomllib.loads(content.decode("ascii"))
                if name.endswith(".json"):
                    assert json.loads(content)


def test_archive_has_the_settings_of_the_demo(tmp_path: Path, certificates: Certificates) -> None:
    plan = container_plan(tmp_path, certificates)
    pacs = next(spec for spec in plan.specs() if spec.role == "pacs")
    settings = json.loads(pacs.files["orthanc.json"])
    assert (settings["DicomAet"], settings["DicomPort"]) == ("ORTHANC", 4242)
    assert settings["DicomCheckCalledAet"] is False
    assert settings["DefaultEncoding"] == "Latin1"
    assert [(one["AET"], one["Host"], one["Port"]) for one in settings["DicomModalities"].values()] == [
        ("QIETOAZURE", "router", 4006)
    ]
    assert settings["StorageDirectory"] == "/conformance/data"
    assert pacs.environment["TCP_NODELAY"] == "1"


def test_leaf_certificate_is_valid_for_every_name_and_only_with_the_runs_authority(
    tmp_path: Path, certificates: Certificates
) -> None:
    for name, content in certificates.files().items():
        (tmp_path / name).write_bytes(content)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    ours = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    for name in ("localhost", "127.0.0.1", "cloud", "identity", "link", "host.docker.internal"):
        assert handshake(server, ours, name) is None
    assert "Hostname mismatch" in str(handshake(server, ours, "elsewhere"))
    assert "unable to get local issuer" in str(handshake(server, ssl.create_default_context(), "cloud"))


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> ssl.SSLError | None:
    """Let client and server shake hands in memory; return what the client objects to."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    there = server.wrap_bio(to_server, to_client, server_side=True)
    here = client.wrap_bio(to_client, to_server, server_hostname=name)
    for _ in range(4):
        for side in (here, there):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                if side is here:
                    return error
    return None


def test_free_ports_are_different_free_and_not_taken_for_outgoing_connections() -> None:
    ports = free_ports(12)
    assert len(set(ports)) == 12
    assert max(ports) < 32768
    with socket.create_server(("127.0.0.1", ports[0])):
        pass


def test_requirements_of_an_extra_resolve_the_projects_own_extras() -> None:
    found = requirements(ROOT / "pyproject.toml", "systems")
    assert {"pydicom", "aiohttp", "pyjwt"} <= set(found)
    assert not any("imaging-cloud-conformance" in one for one in found)


def test_mirror_is_the_one_of_the_machine_and_comments_are_ignored(tmp_path: Path) -> None:
    sources = tmp_path / "sources.list.d"
    sources.mkdir()
    (sources / "debian.sources").write_text(
        "Types: deb\n# URIs: http://snapshot.example/archive/debian/2025\n"
        "URIs: http://mirror.example/debian\nSuites: bookworm\n"
    )
    (tmp_path / "sources.list").write_text("# deb http://commented.example/debian x\n")
    assert mirror_of_this_machine(tmp_path) == "http://mirror.example/debian"
    (sources / "debian.sources").unlink()
    assert mirror_of_this_machine(tmp_path) == "http://deb.debian.org/debian"
    (tmp_path / "sources.list").write_text("deb [arch=amd64] http://old.example/debian/ trixie main\n")
    assert mirror_of_this_machine(tmp_path) == "http://old.example/debian"


def test_program_named_by_the_environment_that_is_not_there_is_not_replaced_by_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ORTHANC", "/nowhere/Orthanc")
    assert orthanc.find_program() is None


def test_unknown_runner_is_a_usage_problem() -> None:
    with pytest.raises(ProfileProblem, match=r"(?s)kubernetes.*docker, process, external"):
        choose_runner("kubernetes")
    assert choose_runner("process") == "process"


def test_each_kind_of_problem_has_its_own_exit_code() -> None:
    assert [kind.exit_code for kind in (ProfileProblem, MachineProblem, DeploymentFailed)] == [2, 3, 4]


def test_description_can_be_changed_without_touching_the_original(
    tmp_path: Path, certificates: Certificates
) -> None:
    spec = process_plan(tmp_path, certificates).specs()[0]
    changed = replace(spec, environment={"A": "b"})
    assert spec.environment != changed.environment
