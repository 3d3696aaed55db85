"""infra/azure/main.bicep by its text. A lint, not a verdict: no compiler and no Azure has seen it here."""

import json
import re
import tomllib

import pytest

from tests.infra import bicep
from tools.azure_parameters import (
    ACCESS,
    API_VERSIONS,
    MOST_ORIGINS,
    NAME_LENGTH,
    PARAMETERS,
    PRINCIPALS,
    REQUIRED,
    RULES,
    SHARED,
)
from tools.common import CHECKOUT

TEXT = (CHECKOUT / "infra" / "azure" / "main.bicep").read_text("utf-8")
FOUND = bicep.parameters(TEXT)
PLAIN = tomllib.loads(SHARED.read_text("utf-8"))
SECRET = re.compile(r"secret|password|accountKey|connectionString|sharedAccess|listKeys", re.IGNORECASE)


def test_the_reader_of_the_text_sees_every_parameter() -> None:
    """Also one without decorators, which the pattern would miss."""
    assert list(FOUND) == re.findall(r"^param (\w+)", TEXT, re.MULTILINE)


def test_every_parameter_is_described_and_checked_before_a_deployment() -> None:
    assert FOUND.keys() == RULES.keys()
    for one in FOUND.values():
        assert one.description, f"{one.name} has no description"


def test_what_has_no_default_is_required() -> None:
    assert {one.name for one in FOUND.values() if one.default is None} == set(REQUIRED)


def test_limits_are_those_of_the_check_before_a_deployment() -> None:
    for name in ("workspaceName", "dicomServiceName"):
        assert (FOUND[name].limit("minLength"), FOUND[name].limit("maxLength")) == NAME_LENGTH
    for name in PRINCIPALS:
        assert FOUND[name].limit("minLength") == FOUND[name].limit("maxLength") == 36
    assert FOUND["corsOrigins"].limit("maxLength") == MOST_ORIGINS
    assert FOUND["apiVersion"].allowed == API_VERSIONS
    assert FOUND["publicNetworkAccess"].allowed == ACCESS


def test_workspace_service_and_role_assignments_are_made() -> None:
    assert bicep.resources(TEXT) == {
        "workspace": ("Microsoft.HealthcareApis/workspaces", "2024-03-31"),
        "dicomService": ("Microsoft.HealthcareApis/workspaces/dicomservices", "2024-03-31"),
        "assignments": ("Microsoft.Authorization/roleAssignments", "2022-04-01"),
    }


def test_every_application_gets_its_role_and_no_other() -> None:
    """The roles of infra/parameters.toml, which the local deployment gives too, by the same identifiers."""
    roles = bicep.variables(TEXT)
    granted = re.findall(
        r"principalId: (\w+)PrincipalId\n\s+role: (\w+)", bicep.block(TEXT, "var grants = [")
    )
    wanted = {who: PLAIN["role_definitions"][role] for who, role in PLAIN["roles"].items()}
    assert {who: roles[role] for who, role in granted} == wanted
    assert len(granted) == len(wanted)


def test_assignments_are_on_the_service_alone_and_keep_their_names() -> None:
    body = bicep.block(TEXT, "[for grant in grants: {")
    assert "scope: dicomService\n" in body
    assert "name: guid(dicomService.id, grant.principalId, grant.role)" in body


def test_no_secret_is_taken_or_given_out() -> None:
    for text in (TEXT, PARAMETERS.read_text("utf-8")):
        assert SECRET.search(text) is None
    assert SECRET.search("param clientSecret string") is not None, "the pattern finds one"


def test_defaults_are_those_of_both_ways_of_deployment() -> None:
    assert FOUND["dicomServiceName"].default == f"'{PLAIN['names']['dicom_service']}'"
    assert FOUND["apiVersion"].default == f"'{PLAIN['dicom_service']['api_version']}'"


def test_parameters_file_has_known_names_and_the_shared_values() -> None:
    given = json.loads(PARAMETERS.read_text("utf-8"))["parameters"]
    assert set(REQUIRED) <= given.keys() <= FOUND.keys()
    assert given["dicomServiceName"]["value"] == PLAIN["names"]["dicom_service"]
    assert given["apiVersion"]["value"] == PLAIN["dicom_service"]["api_version"]


@pytest.mark.parametrize("output", ["serviceUrl", "dicomWebUrl", "tenantId"])
def test_what_the_nightly_run_needs_is_given_out(output: str) -> None:
    assert re.search(rf"^@description\('.+'\)\noutput {output} string = ", TEXT, re.MULTILINE)
