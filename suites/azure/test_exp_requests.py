"""Exports that are refused, each beside one that is accepted."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import needs, requirement
from suites.azure.conftest import SpecialService
from suites.azure.data import Maker
from suites.azure.exporting import ACCOUNT, CONNECTION, Container, body, container, finished, post
from suites.azure.service import Service

pytestmark = needs("export")

UID = "1.2.3"
SAS = "sv=2023-01-03&sp=rw&sig=c2lnbmF0dXJl"
KEY = "DefaultEndpointsProtocol=https;AccountName=contoso;AccountKey=a2V5;EndpointSuffix=core.windows.net"


@pytest.fixture(scope="module")
def target(service: Service) -> Iterator[Container]:
    """The container of this module."""
    with container(service, f"requests-{secrets.token_hex(6)}") as made:
        yield made


def _accepted(web: DicomWeb, content: object) -> None:
    finished(web, post(web, content))


def _refused(web: DicomWeb, content: object, *named: str, status: int = 400) -> None:
    answer = post(web, content)
    assert answer.status == status, f"{content}: {answer.describe()}"
    for name in named:
        assert name.lower() in answer.body.decode().lower(), f"{name} is named: {answer.describe()}"


@requirement("EXP-003")
def test_not_on_the_prerelease_version(service: Service, target: Container) -> None:
    """v1 and v2 export, v1.0-prerelease does not (EXP-003)."""
    answer = post(service.web(version="v1.0-prerelease"), body([UID], target.destination))
    assert 400 <= answer.status < 500, f"EXP-003 names no status: {answer.describe()}"
    for version in ("v1", "v2"):
        _accepted(service.web(version=version), body([UID], target.destination))


@requirement("EXP-004")
@pytest.mark.parametrize("value", ["", "abc", "1.2/3/4/5", "1.2//3", "1.2/", "1.2/abc", "1" * 65])
def test_bad_identifiers(web: DicomWeb, target: Container, value: str) -> None:
    """An identifier is one to three UIDs (EXP-004)."""
    _refused(web, body([value], target.destination))
    _refused(web, body([UID, value], target.destination))
    _accepted(web, body([UID, "1.2/3", "1.2/3/4"], target.destination))


@requirement("EXP-005")
def test_no_identifiers(web: DicomWeb, target: Container) -> None:
    """Missing or empty values are 400 that names them (EXP-005)."""
    _refused(web, body([], target.destination), "Values")
    _refused(web, body(None, target.destination), "Values")
    missing = body([UID], target.destination, source={"type": "identifiers", "settings": {}})
    _refused(web, missing, "Values")
    _accepted(web, body([UID], target.destination))


@requirement("EXP-006")
@pytest.mark.parametrize("name", ["source", "destination"])
def test_source_or_destination_missing(web: DicomWeb, target: Container, name: str) -> None:
    """Both are needed, and the one that is missing is named (EXP-006)."""
    whole = body([UID], target.destination)
    _refused(web, {key: value for key, value in whole.items() if key != name}, name)
    _refused(web, {**whole, name: None}, name)
    _accepted(web, whole)


@requirement("EXP-007", "EXP-020")
@pytest.mark.parametrize("name", ["source", "destination"])
def test_types_and_settings(web: DicomWeb, target: Container, name: str) -> None:
    """An unknown or missing type, and missing settings, are 400; unknown members are not (EXP-007, EXP-020)."""
    whole = body([UID], target.destination)
    kind, settings = whole[name]["type"], whole[name]["settings"]
    wrong: tuple[dict[str, Any], ...] = (
        {"type": "unknown", "settings": settings},
        {"settings": settings},
        {"type": kind},
        {"type": kind, "settings": None},
    )
    for options in wrong:
        _refused(web, {**whole, name: options})
    _accepted(web, {**whole, name: {"type": kind, "settings": {**settings, "unknown": 1}}})


@requirement("EXP-008")
def test_destination_settings(web: DicomWeb, target: Container) -> None:
    """A URI, or a connection string with a container name: neither, half and both are 400 (EXP-008)."""
    pair = {"connectionString": CONNECTION, "blobContainerName": target.name}
    uri = target.destination
    for settings in (
        {},
        {"connectionString": CONNECTION},
        {"blobContainerName": target.name},
        {**pair, **uri},
    ):
        _refused(web, body([UID], settings))
    _accepted(web, body([UID], uri))


@requirement("EXP-008", "EXP-009")
@needs("development-storage")
def test_connection_strings_of_the_storage_emulator(web: DicomWeb, target: Container) -> None:
    """Those of the emulator are taken, with and without its well-known account key (EXP-008, EXP-009)."""
    for connection in (CONNECTION, f"AccountName={ACCOUNT};AccountKey=a2V5"):
        settings = {"connectionString": connection, "blobContainerName": target.name}
        _accepted(web, body([UID], settings))


@requirement("EXP-009")
def test_account_keys(web: DicomWeb, target: Container) -> None:
    """A connection string with an account key is 400 (EXP-009)."""
    _refused(web, body([UID], {"connectionString": KEY, "blobContainerName": target.name}))
    _accepted(web, body([UID], target.destination))


@requirement("EXP-010")
def test_managed_identity(web: DicomWeb, target: Container) -> None:
    """A managed identity goes with a plain URI only (EXP-010)."""
    pair = {"connectionString": CONNECTION, "blobContainerName": target.name}
    _refused(web, body([UID], {**pair, "useManagedIdentity": True}))
    signed = f"{target.uri.partition('?')[0]}?{SAS}"
    _refused(web, body([UID], {"blobContainerUri": signed, "useManagedIdentity": True}))
    _accepted(web, body([UID], target.destination))


@requirement("EXP-011")
def test_container_must_exist(web: DicomWeb, target: Container) -> None:
    """A container that is missing or cannot be reached is 400 and named with its account (EXP-011)."""
    address, _, query = target.uri.partition("?")
    missing = f"{address}-missing" + (f"?{query}" if query else "")
    _refused(web, body([UID], {"blobContainerUri": missing}), f"{target.name}-missing")
    nobody = "http://127.0.0.1:9/nobodys-account/nobodys-container"
    _refused(web, body([UID], {"blobContainerUri": nobody}), "nobodys-container", "nobodys-account")
    _accepted(web, body([UID], target.destination))


@requirement("EXP-021")
def test_body_and_media_type(web: DicomWeb, target: Container) -> None:
    """Other types than JSON are 415; an empty body, null and broken JSON are 400 (EXP-021)."""
    whole = body([UID], target.destination)
    for content_type in ("text/plain", "application/xml", "multipart/form-data; boundary=x"):
        answer = post(web, whole, content_type=content_type)
        assert answer.status == 415, f"{content_type}: {answer.describe()}"
    for content in (b"", b"null", b'{"source": ', b"[]"):
        _refused(web, content)
    _accepted(web, whole)


@requirement("EXP-002")
@needs("control")
def test_export_switched_off(special_service: SpecialService) -> None:
    """Switched off a valid export is 404, while a body that does not bind is still 400 (EXP-002)."""
    valid = body([UID], {"connectionString": CONNECTION, "blobContainerName": "somewhere"})
    with special_service("--no-export") as own:
        for version in ("v1", "v2"):
            _refused(own.web(version=version), valid, status=404)
            _refused(own.web(version=version), body([], {}), status=400)


@requirement("EXP-012", "EXP-019")
@needs("control", "development-storage")
def test_destination_switches(special_service: SpecialService) -> None:
    """Signed and public destinations can be forbidden, and signed ones need a secret store (EXP-012, EXP-019)."""
    with (
        special_service("--no-export-sas", "--no-export-public") as own,
        container(own, "switches") as target,
    ):
        web = own.web()
        _refused(web, body([UID], {"blobContainerUri": target.uri}))
        _refused(web, body([UID], {"blobContainerUri": f"{target.uri}?{SAS}"}))
        _accepted(web, body([UID], {**target.destination, "useManagedIdentity": True}))
    with special_service("--no-secret-store") as own, container(own, "secrets") as target:
        _refused(own.web(), body([UID], {"blobContainerUri": f"{target.uri}?{SAS}"}))
        _accepted(own.web(), body([UID], target.destination))
    with special_service() as usual, container(usual, "switches") as target:
        _accepted(usual.web(), body([UID], target.destination))
        _accepted(usual.web(), body([UID], {"blobContainerUri": f"{target.uri}?{SAS}"}))


@requirement("EXP-018")
@needs("control", "development-storage")
def test_export_of_a_partition(special_service: SpecialService, make: Maker) -> None:
    """With partitions an export reads the partition of its path, and without one it is 400 (EXP-018)."""
    made = make()
    with special_service("--partitions") as own, container(own, "partitions") as target:
        one, other = (own.web(version=f"v2/partitions/{name}") for name in ("one", "other"))
        assert one.store([made.part10]).status == 200
        assert other.store([make().part10]).status == 200
        asked = body([made.study], target.destination)
        counted = {}
        for name, web in (("one", one), ("other", other)):
            results = finished(own.web(), post(web, asked))["results"]
            counted[name] = (results["exported"], results["skipped"])
        assert counted == {"one": (1, 0), "other": (0, 1)}
        _refused(own.web(), asked, "PartitionName")
