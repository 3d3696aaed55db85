"""Systems of other makers in the place of reference ones: described, reached, and refused where nobody knows them."""

import json
from pathlib import Path

import pytest

from fixtures.deployment import autorouting, foreign
from fixtures.deployment.credentials import Certificates, Credentials
from fixtures.deployment.deploy import deploy
from fixtures.deployment.errors import ProfileProblem
from fixtures.deployment.reference import Plan
from fixtures.deployment.spec import ROLES, Address, ProcessSite, SystemSpec, all_ports
from tests.deployment.standin import Profile


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return Certificates.make()


def plan_with(tmp_path: Path, certificates: Certificates, **systems: str) -> Plan:
    ports = {name: 21000 + number for number, name in enumerate(all_ports())}
    site = ProcessSite("r1", ports, tmp_path, Address("127.0.0.1", 21100))
    plugin = Path("/plugin.so")
    return Plan(site, Credentials(), certificates, tmp_path / "ca.pem", plugin, systems=systems)


def described(plan: Plan) -> dict[str, SystemSpec]:
    return {spec.role: spec for spec in plan.specs()}


def test_orthanc_as_the_cloud_is_served_where_the_service_would_be(
    tmp_path: Path, certificates: Certificates
) -> None:
    plan = plan_with(tmp_path, certificates, cloud="orthanc-dicomweb")
    specs = described(plan)
    assert set(specs) == set(ROLES)
    settings = json.loads(specs["cloud"].files["orthanc.json"])
    assert settings["DicomWeb"]["Root"] == f"/{plan.cloud().version}/"
    assert settings["DicomServerEnabled"] is False
    assert plan.cloud().url == f"http://127.0.0.1:{settings['HttpPort']}"
    assert b"target_tls = false" in specs["link"].files["link.toml"]
    assert plan.cloud().rest_url == plan.cloud().url
    assert b"credential" not in specs["router"].files["router.toml"]


def test_reference_router_has_a_credential_and_the_reference_cloud_no_rest_interface(
    tmp_path: Path, certificates: Certificates
) -> None:
    plan = plan_with(tmp_path, certificates)
    assert b"[cloud.credential]" in described(plan)["router"].files["router.toml"]
    assert plan.cloud().rest_url is None


def test_orthanc_as_the_router_answers_by_both_titles_and_knows_only_the_link(
    tmp_path: Path, certificates: Certificates
) -> None:
    plan = plan_with(tmp_path, certificates, router="orthanc")
    spec = described(plan)["router"]
    settings = json.loads(spec.files["orthanc.json"])
    router = plan.router()
    assert (router.bridge.ae_title, router.intake.ae_title) == ("QIETOAZURE", "QIEROUTER")
    assert router.bridge.port == router.intake.port == settings["DicomPort"]
    assert router.admin_url == ""
    assert settings["HttpsVerifyPeers"] is True
    link, site = plan.site.peer("link", "pacs"), plan.site
    assert settings["DicomModalities"]["ORTHANC"]["Port"] == link.port
    script = spec.files["forward.lua"].decode()
    assert f"https://{site.peer('link', 'cloud')}/v2/" in script
    assert f"https://{site.peer('link', 'identity')}/" in script
    assert str(site.peer("cloud", "https").port) not in script
    assert plan.credentials.applications["router"].secret not in repr(spec)


def test_script_sends_by_the_called_title() -> None:
    ways = {"A": autorouting.Way(("PACS",), ("cloud",)), None: autorouting.Way(servers=("other's",))}
    lines = autorouting.script(ways).decode().splitlines()
    assert "  if origin['CalledAet'] == 'A' then" in lines
    assert "    SendToModality(instance, 'PACS')" in lines
    assert any(line.startswith("  RestApiPost('/dicom-web/servers/other\\'s/stow'") for line in lines)
    assert not any("Authorise" in line for line in lines)


@pytest.mark.parametrize("systems", [{"cloud": "orthanc"}, {"pacs": "orthanc"}])
def test_unknown_system_is_refused_before_anything_starts(tmp_path: Path, systems: dict[str, str]) -> None:
    with (
        pytest.raises(ProfileProblem, match="there is no system"),
        deploy(Profile(systems=systems), "process", tmp_path / "runs" / "one"),
    ):
        pass
    assert set(foreign.DESCRIPTIONS) == {"cloud", "router"}
