"""compose/compose.yaml: it is what the descriptions of the systems say, and can be read by whoever likes."""

import re
from typing import Any

import pytest
import yaml

from fixtures.deployment.reference import Plan
from fixtures.deployment.spec import SystemSpec
from tools.play_compose import FILE, LABEL, PROJECT, render, variables
from tools.play_plan import ELSEWHERE, FOLDER, WORKSTATION_PORT, prepared_plan

IMAGES = {name: f"imaging-conformance/{name}:0123456789abcdef" for name in ("orthanc", "systems", "viewer")}


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return prepared_plan(tmp_path_factory.mktemp("play"))


@pytest.fixture(scope="module")
def composed(plan: Plan) -> dict[str, Any]:
    """The committed file as `docker compose` reads it: with the variables of one checkout filled in."""
    filled = variables(plan, IMAGES)
    text = re.sub(r"\$\{(\w+):\?[^}]*\}", lambda found: filled[found[1]], FILE.read_text(encoding="utf-8"))
    assert "$" not in text
    read: dict[str, Any] = yaml.safe_load(text)
    return read


def specs(plan: Plan) -> dict[str, SystemSpec]:
    return {spec.role: spec for spec in plan.specs()}


def test_the_committed_file_is_the_one_that_the_descriptions_give() -> None:
    assert FILE.read_text(encoding="utf-8") == render(), "write it anew: python -m tools.play_compose"


def test_every_system_runs_with_the_image_command_and_networks_of_its_description(
    plan: Plan, composed: dict[str, Any]
) -> None:
    services = composed["services"]
    assert composed["name"] == PROJECT
    assert set(services) == {"pacs", "router", "link", "cloud", "identity", "viewer"}
    for role, spec in specs(plan).items():
        assert services[role]["command"] == list(spec.command)
        assert services[role]["image"] == IMAGES[spec.image]
        assert services[role]["networks"] == list(spec.networks)
        assert set(spec.networks) <= set(composed["networks"])
        assert services[role]["cap_drop"] == ["ALL"]
        assert services[role]["security_opt"] == ["no-new-privileges"]


def test_the_router_has_no_way_to_the_cloud_but_the_link(composed: dict[str, Any]) -> None:
    services = composed["services"]
    both = [name for name, service in services.items() if len(service["networks"]) > 1]
    assert both == ["link"]
    assert services["router"]["networks"] == services["pacs"]["networks"] == ["onprem"]
    assert services["cloud"]["networks"] == services["identity"]["networks"] == ["cloud"]


def test_ports_are_those_of_the_demo_closed_to_other_machines_and_each_used_once(
    plan: Plan, composed: dict[str, Any]
) -> None:
    seen: dict[int, tuple[str, int]] = {}
    for role, service in composed["services"].items():
        for entry in service["ports"]:
            host, outside, inside = entry.split(":")
            assert host == "127.0.0.1"
            assert int(outside) not in seen
            seen[int(outside)] = (role, int(inside))
    assert seen[4242] == ("pacs", 4242)
    assert seen[8042] == ("pacs", 8042)
    assert seen[4006] == ("router", 4006)
    assert seen[4007] == ("router", 4007)
    assert WORKSTATION_PORT not in seen
    described = {
        plan.site.reach(role, name).port: (role, number)
        for role, spec in specs(plan).items()
        for name, number in spec.ports.items()
    }
    assert seen == described
    assert set(ELSEWHERE.values()) <= set(seen)


def test_ae_titles_are_those_of_the_demo(plan: Plan) -> None:
    assert str(plan.router().intake) == "QIEROUTER@127.0.0.1:4007"
    assert str(plan.router().bridge) == "QIETOAZURE@127.0.0.1:4006"
    assert str(plan.pacs().dicom) == "ORTHANC@127.0.0.1:4242"


def test_data_is_kept_in_named_volumes_where_a_system_has_any(plan: Plan, composed: dict[str, Any]) -> None:
    keeping = {"pacs", "router", "cloud", "identity"}
    assert composed["volumes"] == {role: {"name": f"{PROJECT}-{role}", "external": True} for role in keeping}
    for role, service in composed["services"].items():
        mounted = dict(reversed(entry.split(":")[:2]) for entry in service["volumes"])
        expected = {str(plan.site.config(role)): f"../.local/play/{role}/config"}
        if role in keeping:
            expected[str(plan.site.data(role))] = role
        assert mounted == expected
        assert service["volumes"][0].endswith(":ro")


def test_what_is_mounted_is_what_make_up_writes() -> None:
    assert (FILE.parent / "../.local/play").resolve() == FOLDER.resolve()


def test_secrets_come_from_files_of_the_checkout_only(plan: Plan, composed: dict[str, Any]) -> None:
    for role, spec in specs(plan).items():
        service = composed["services"][role]
        assert "environment" not in service
        assert service.get("env_file", []) == (
            [f"../.local/play/{role}/environment"] if spec.environment else []
        )
    secrets = {value for spec in plan.specs() for name, value in spec.environment.items() if value != "1"}
    assert secrets
    shown = FILE.read_text(encoding="utf-8") + "".join(variables(plan, IMAGES).values())
    assert [secret for secret in secrets if secret in shown] == []


def test_containers_and_networks_say_which_checkout_they_belong_to(composed: dict[str, Any]) -> None:
    labelled = [*composed["services"].values(), *composed["networks"].values()]
    assert all(one["labels"] == {LABEL: str(FOLDER)} for one in labelled)


def test_each_variable_says_where_it_comes_from_when_it_is_missing(plan: Plan) -> None:
    found = set(re.findall(r"\$\{(\w+):\?\w[^}]*make up[^}]*\}", FILE.read_text(encoding="utf-8")))
    assert found == set(variables(plan, IMAGES))


def test_no_path_of_a_machine_is_in_the_file() -> None:
    assert str(FOLDER.parents[1]) not in FILE.read_text(encoding="utf-8")
