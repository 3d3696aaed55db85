"""The viewer in the deployment: there when it is asked for, and then known to its neighbours."""

import tomllib
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from fixtures.deployment.credentials import Certificates, Credentials
from fixtures.deployment.reference import Plan
from fixtures.deployment.spec import ON_REQUEST, Address, ContainerSite, SystemSpec, all_ports


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    published = dict.fromkeys(all_ports(), 21000)
    site = ContainerSite("r1", published, Address("172.20.0.1", 21100), Address("172.20.0.1", 21100))
    folder: Path = tmp_path_factory.mktemp("ca")
    return Plan(site, Credentials(), Certificates.make(), folder / "ca.pem", PurePosixPath("/plugin.so"))


def described(plan: Plan) -> dict[str, SystemSpec]:
    return {spec.role: spec for spec in plan.specs()}


def test_nobody_asked_for_a_viewer(plan: Plan) -> None:
    usual = described(plan)
    assert not set(ON_REQUEST) & set(usual)
    assert plan.endpoints().viewer is None
    assert "--cors-origin" not in usual["cloud"].command
    identity = usual["identity"].files["identity.toml"].decode()
    assert plan.credentials.reader_name not in {user["name"] for user in tomllib.loads(identity)["users"]}
    assert "/callback" not in identity


def test_a_viewer_that_is_asked_for_is_known_to_cloud_and_identity_provider(plan: Plan) -> None:
    asked = replace(plan, viewer=PurePosixPath("/opt/viewer"))
    specs, endpoint = described(asked), asked.endpoints().viewer
    assert endpoint is not None
    command = specs["cloud"].command
    assert command[command.index("--cors-origin") + 1] == endpoint.url
    identity = tomllib.loads(specs["identity"].files["identity.toml"].decode())
    public = [one for one in identity["applications"] if one.get("public")]
    (viewer,) = [one for one in public if f"{endpoint.url}/callback" in one["redirect_uris"]]
    assert viewer["client_id"] == asked.credentials.viewer_client_id
    assert endpoint.username in {user["name"] for user in identity["users"]}
    assert specs["viewer"].networks == ("cloud",)


def test_the_viewer_is_told_no_secret(plan: Plan) -> None:
    asked = replace(plan, viewer=PurePosixPath("/opt/viewer"))
    spec = described(asked)["viewer"]
    assert spec.environment == {}
    secrets = [
        asked.credentials.reader_password,
        *(one.secret for one in asked.credentials.applications.values()),
    ]
    assert not [secret for secret in secrets if secret in " ".join(spec.command) or secret in repr(asked)]
