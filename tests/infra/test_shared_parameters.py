"""infra/parameters.toml against what the local deployment really hands to its systems (CLAIM-PROVISION-02)."""

import inspect
import json
import tomllib
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from fixtures.actors.modality import Modality
from fixtures.deployment.credentials import APPLICATION_ROLES, AUDIENCE, Certificates, Credentials
from fixtures.deployment.reference import Plan
from fixtures.deployment.router_config import CLOUD_VERSION
from fixtures.deployment.spec import PORTS, Address, ContainerSite, SystemSpec, all_ports
from fixtures.traceability import Catalogue, Profile
from tools.azure_parameters import SHARED, read_shared
from tools.common import CHECKOUT

PLAIN: dict[str, Any] = tomllib.loads(SHARED.read_text("utf-8"))


@pytest.fixture(scope="module")
def plan() -> Plan:
    published = {name: 20000 + number for number, name in enumerate(all_ports())}
    at = Address("127.0.0.1", 30000)
    return Plan(
        ContainerSite("agreement", published, at, at),
        Credentials(),
        Certificates(b"ca", b"leaf", b"key"),
        Path("ca.pem"),
        PurePosixPath("/plugin.so"),
    )


@pytest.fixture(scope="module")
def specs(plan: Plan) -> dict[str, SystemSpec]:
    return {spec.role: spec for spec in plan.specs()}


@pytest.fixture(scope="module")
def router(specs: dict[str, SystemSpec]) -> dict[str, Any]:
    return tomllib.loads(specs["router"].files["router.toml"].decode("ascii"))


def test_its_own_values_are_good() -> None:
    assert read_shared() == PLAIN


def test_ports_are_those_inside_the_containers() -> None:
    for name, port in PLAIN["ports"].items():
        role, _, kind = name.partition("_")
        assert PORTS[role][kind] == port, name


def test_ports_are_all_there() -> None:
    """Those of the systems that stand in both ways of deployment; link and viewer are the harness's."""
    named = {f"{role}_{kind}" for role in ("pacs", "router", "cloud", "identity") for kind in PORTS[role]}
    assert PLAIN["ports"].keys() == named


def test_titles_are_those_of_archive_and_router(
    plan: Plan, specs: dict[str, SystemSpec], router: dict[str, Any]
) -> None:
    titles = PLAIN["ae_titles"]
    archive = json.loads(specs["pacs"].files["orthanc.json"])
    assert archive["DicomAet"] == plan.pacs().dicom.ae_title == titles["pacs"]
    assert list(archive["DicomModalities"]) == [titles["router_bridge"]]
    assert router["paths"]["cloud-bridge"]["ae_title"] == titles["router_bridge"]
    assert router["paths"]["modality-intake"]["ae_title"] == titles["router_intake"]
    assert {peer["ae_title"] for peer in router["peers"]} == {titles["pacs"], titles["workstation"]}
    assert plan.router().bridge.ae_title == titles["router_bridge"]
    assert plan.router().intake.ae_title == titles["router_intake"]


def test_titles_are_those_of_the_harness(plan: Plan) -> None:
    workstation = plan.endpoints().workstation
    assert workstation is not None
    assert workstation.ae_title == PLAIN["ae_titles"]["workstation"]
    calling = inspect.signature(Modality).parameters["ae_title"].default
    assert calling == PLAIN["ae_titles"]["modality"]


def test_ports_are_those_in_the_systems_own_configuration(
    specs: dict[str, SystemSpec], router: dict[str, Any]
) -> None:
    ports = PLAIN["ports"]
    archive = json.loads(specs["pacs"].files["orthanc.json"])
    assert (archive["DicomPort"], archive["HttpPort"]) == (ports["pacs_dicom"], ports["pacs_http"])
    paths = router["paths"]
    assert paths["cloud-bridge"]["port"] == ports["router_bridge"]
    assert paths["modality-intake"]["port"] == ports["router_intake"]
    assert router["prefetch"]["hl7"]["port"] == ports["router_hl7"]
    assert router["admin"]["port"] == ports["router_admin"]


def test_version_and_audience_are_those_of_service_router_and_profile(
    specs: dict[str, SystemSpec], router: dict[str, Any]
) -> None:
    version, audience = PLAIN["dicom_service"]["api_version"], PLAIN["dicom_service"]["audience"]
    profile = Profile.load(
        "azure", folder=CHECKOUT / "profiles", catalogue=Catalogue.load(CHECKOUT / "requirements")
    )
    assert version == CLOUD_VERSION == router["cloud"]["version"] == profile.roles["cloud"]["version"]
    assert audience == AUDIENCE == profile.roles["cloud"]["audience"]
    assert router["cloud"]["credential"]["scope"] == f"{audience}/.default"
    command = specs["cloud"].command
    assert command[command.index("--audience") + 1] == audience


def test_roles_are_those_of_the_local_tokens() -> None:
    for who, role in PLAIN["roles"].items():
        assert APPLICATION_ROLES[who] == (role,), who
