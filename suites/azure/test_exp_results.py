"""Exports that are carried out: what arrives in the container, and what the operation says."""

import secrets
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import needs, requirement
from suites.azure.data import Made, Maker
from suites.azure.exporting import Container, body, container, finished, place, post
from suites.azure.service import Service
from suites.azure.wado import JPEG_LOSSLESS, keep, renamed

pytestmark = needs("export")


@pytest.fixture(scope="module")
def target(service: Service) -> Iterator[Container]:
    """The container of this module."""
    with container(service, f"results-{secrets.token_hex(6)}") as made:
        yield made


@pytest.fixture(scope="module")
def shelf(v2: DicomWeb, make: Maker) -> list[Made]:
    """Two instances of a series, one of another series, one of another study, and one nobody exports."""
    one = make()
    other_series = make(StudyInstanceUID=one.study, PatientID=one.dataset.PatientID)
    made = [one, make(like=one, syntax=JPEG_LOSSLESS), other_series, make(), make()]
    keep(v2, *made)
    return made


def _done(web: DicomWeb, target: Container, values: list[str]) -> tuple[str, dict[str, Any]]:
    """Export, and return the operation's id and its results."""
    state = finished(web, post(web, body(values, target.destination)))
    assert state["status"] == ("succeeded" if web.version == "v2" else "completed"), state
    return state["operationId"], state["results"]


@requirement("EXP-001")
def test_export_is_accepted(web: DicomWeb, target: Container, shelf: list[Made]) -> None:
    """An export is 202 with id, href and the same Location; letter case of types does not matter (EXP-001)."""
    asked = body([shelf[3].study], target.destination)
    for kinds in (("identifiers", "azureBlob"), ("IDENTIFIERS", "AZUREblob")):
        asked["source"]["type"], asked["destination"]["type"] = kinds
        answer = post(web, asked)
        assert answer.status == 202, answer.describe()
        named = answer.json()
        assert set(named) == {"id", "href"}
        assert answer.header("Location") == named["href"]
        assert named["href"].endswith(f"/{web.version}/operations/{named['id']}")
        state = finished(web, answer)
        assert (state["type"], "percentComplete" in state) == ("export", False)


@requirement("EXP-004", "EXP-013", "EXP-014")
def test_instances_arrive_unchanged(web: DicomWeb, target: Container, shelf: list[Made]) -> None:
    """A study, a series and an instance bring their files, byte for byte, and no others (EXP-004, EXP-013, EXP-014)."""
    one, two, other_series, other_study, never = shelf
    for values, expected in (
        ([one.study], (one, two, other_series)),
        ([f"{one.study}/{one.series}"], (one, two)),
        ([f"{one.study}/{one.series}/{two.instance}"], (two,)),
        ([f"{one.study}/{other_series.series}", other_study.study], (other_series, other_study)),
    ):
        identifier, results = _done(web, target, values)
        assert (results["exported"], results["skipped"]) == (len(expected), 0), values
        for made in shelf:
            blob = target.blob(place(identifier, made))
            assert blob.status == (200 if made in expected else 404), f"{values}: {blob.describe()}"
            assert made not in expected or blob.body == made.part10
        assert target.blob(place(identifier, never)).status == 404


@requirement("EXP-014", "EXP-015", "EXP-016")
def test_unknown_identifiers_are_skipped(
    web: DicomWeb, target: Container, make: Maker, shelf: list[Made]
) -> None:
    """What does not exist is counted and logged, and the rest arrives (EXP-014 to EXP-016)."""
    one, unknown = shelf[0], make.uid()
    values = [unknown, f"{one.study}/{unknown}", f"{one.study}/{one.series}/{one.instance}"]
    identifier, results = _done(web, target, values)
    assert (results["exported"], results["skipped"]) == (1, 2)
    assert target.blob(place(identifier, one)).body == one.part10
    href = urlsplit(results["errorHref"])
    assert (href.path.endswith(f"/{identifier}/errors.log"), href.query) == (True, ""), results
    lines = target.lines(f"{identifier}/errors.log")
    assert {line["identifier"] for line in lines} == set(values[:2]), "EXP-016: lines may repeat"
    for line in lines:
        assert set(line) == {"timestamp", "identifier", "error"}
        assert datetime.fromisoformat(line["timestamp"])
        assert line["error"]


@requirement("EXP-016")
def test_error_log_without_errors(web: DicomWeb, target: Container, shelf: list[Made]) -> None:
    """The error log exists, and is empty, when nothing went wrong (EXP-016)."""
    identifier, _ = _done(web, target, [shelf[3].study])
    assert target.lines(f"{identifier}/errors.log") == []


@requirement("EXP-017")
def test_latest_version_is_exported(web: DicomWeb, v2: DicomWeb, target: Container, make: Maker) -> None:
    """After an update the file exported is the updated one (EXP-017)."""
    made = make()
    keep(v2, made)
    renamed(v2, made, "Changed^Name")
    identifier, _ = _done(web, target, [made.study])
    latest = v2.retrieve(*made.uids)
    assert latest != [made.part10]
    assert target.blob(place(identifier, made)).body == latest[0]
