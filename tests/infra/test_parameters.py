"""The check before a deployment: every wrong input is refused by its name (CLAIM-PROVISION-03)."""

import copy
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tools import azure_parameters
from tools.azure_parameters import PARAMETERS, SHARED, parameter_faults, read_parameters, shared_faults
from tools.common import Stop

GOOD: dict[str, Any] = {
    "location": "westeurope",
    "workspaceName": "hospital1",
    "dicomServiceName": "imaging-1",
    "apiVersion": "v2",
    "publicNetworkAccess": "Enabled",
    "ownerPrincipalId": "11111111-aaaa-4bbb-8ccc-000000000001",
    "readerPrincipalId": "11111111-aaaa-4bbb-8ccc-000000000002",
    "routerPrincipalId": "11111111-aaaa-4bbb-8ccc-000000000003",
    "corsOrigins": ["https://viewer.hospital.example"],
}


def document(**changes: object) -> dict[str, Any]:
    values = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return {"parameters": {name: {"value": value} for name, value in values.items()}}


def test_good_inputs_have_no_fault() -> None:
    assert list(parameter_faults(document())) == []


def test_inputs_with_a_default_can_be_left_out() -> None:
    left = document(
        location=None, dicomServiceName=None, apiVersion=None, publicNetworkAccess=None, corsOrigins=None
    )
    assert list(parameter_faults(left)) == []


@pytest.mark.parametrize("name", azure_parameters.REQUIRED)
def test_missing_input_is_named(name: str) -> None:
    assert [fault.split()[0] for fault in parameter_faults(document(**{name: None}))] == [f"`{name}`"]


@pytest.mark.parametrize("name", [name for name in GOOD if name != "corsOrigins"])
def test_empty_input_is_named(name: str) -> None:
    assert [fault.split()[0] for fault in parameter_faults(document(**{name: ""}))] == [f"`{name}`"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("workspaceName", "ab"),
        ("workspaceName", "a" * 25),
        ("workspaceName", "Hospital"),
        ("workspaceName", "hospital-1"),
        ("workspaceName", "hospital1\n"),
        ("dicomServiceName", "-imaging"),
        ("dicomServiceName", "imaging-"),
        ("dicomServiceName", "b" * 25),
        ("apiVersion", "v3"),
        ("apiVersion", 2),
        ("publicNetworkAccess", True),
        ("ownerPrincipalId", "00000000-0000-0000-0000-000000000000"),
        ("ownerPrincipalId", "{11111111-aaaa-4bbb-8ccc-000000000001}"),
        ("ownerPrincipalId", "11111111-aaaa-4bbb-8ccc-00000000001"),
        ("corsOrigins", "https://viewer.example"),
        ("corsOrigins", ["http://viewer.example"]),
        ("corsOrigins", ["https://viewer.example/"]),
        ("corsOrigins", ["https://viewer.example"] * 11),
        ("clientSecret", "x"),
    ],
)
def test_malformed_or_unknown_input_is_named(name: str, value: object) -> None:
    assert [fault.split()[0] for fault in parameter_faults(document(**{name: value}))] == [f"`{name}`"]


def test_one_principal_cannot_have_two_roles() -> None:
    same = str(GOOD["ownerPrincipalId"]).upper()
    faults = list(parameter_faults(document(routerPrincipalId=same)))
    assert len(faults) == 1
    assert "`routerPrincipalId` is the same principal as `ownerPrincipalId`" in faults[0]


def test_every_fault_is_told_at_once() -> None:
    assert (
        len(list(parameter_faults(document(workspaceName="X", apiVersion="v9", routerPrincipalId="?")))) == 3
    )


@pytest.mark.parametrize("wrong", [[], {}, {"parameters": []}, {"parameters": None}])
def test_document_without_parameters_is_refused(wrong: object) -> None:
    assert list(parameter_faults(wrong)) != []


def test_value_in_another_form_is_refused() -> None:
    wrong = document()
    wrong["parameters"]["workspaceName"] = "hospital1"
    assert [fault.split()[0] for fault in parameter_faults(wrong)] == ["`workspaceName`"]


def test_blanks_of_the_parameters_file_are_named() -> None:
    faults = list(parameter_faults(read_parameters(PARAMETERS)))
    assert [fault.split()[0].strip("`") for fault in faults] == list(azure_parameters.REQUIRED)


@pytest.mark.parametrize(
    "url", ["http://a.example", "https://", "https://a.example/v2", "https://a.example:x", "a", None, ""]
)
def test_service_url_is_https_without_a_version(url: object) -> None:
    assert azure_parameters.url_fault(url) is not None
    assert azure_parameters.url_fault("https://ws-dicom.dicom.azurehealthcareapis.com/") is None


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("ae_titles", "pacs", "SEVENTEEN_LETTERS"),
        ("ae_titles", "pacs", "A\\B"),
        ("ae_titles", "pacs", ""),
        ("ports", "pacs_dicom", 0),
        ("ports", "pacs_dicom", 65536),
        ("ports", "pacs_dicom", True),
        ("dicom_service", "api_version", "3"),
        ("dicom_service", "audience", "dicom"),
        ("dicom_service", "colour", "red"),
        ("role_definitions", "DICOM Data Owner", "owner"),
        ("roles", "owner", "DICOM Data Emperor"),
        ("names", "dicom_service", "Imaging"),
    ],
)
def test_wrong_shared_value_is_named(table: str, key: str, value: object) -> None:
    good = tomllib.loads(SHARED.read_text("utf-8"))
    assert list(shared_faults(good)) == []
    wrong = copy.deepcopy(good)
    wrong[table][key] = value
    assert [fault.split("`")[1] for fault in shared_faults(wrong)] == [f"{table}.{key}"]


def test_missing_shared_table_is_named() -> None:
    good = tomllib.loads(SHARED.read_text("utf-8"))
    del good["ports"]
    assert [fault.split("`")[1] for fault in shared_faults(good)] == ["ports"]


def test_command_ends_with_2_and_every_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "ours.json"
    file.write_text(json.dumps(document(workspaceName="", apiVersion="v9")))
    monkeypatch.setattr("sys.argv", ["azure_parameters", str(file)])
    with pytest.raises(Stop, match=r"(?s)ours\.json.*`workspaceName`.*`apiVersion`") as stop:
        azure_parameters.main()
    assert stop.value.exit_code == 2
    file.write_text(json.dumps(document()))
    assert azure_parameters.main() == 0


def test_file_that_is_not_json_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "ours.json"
    file.write_text("{")
    with pytest.raises(Stop, match=r"ours\.json cannot be read"):
        read_parameters(file)
