"""Requests to cancel a work item (PS3.18 section 11.8)."""

import json
from typing import Any

import pytest

from fixtures.traceability import requirement
from suites.azure.workitems import CODE, PERFORMED, WorkItems, first, is_recent, key, model, refused, warned

pytestmark = pytest.mark.azure

_PROGRESS = "ProcedureStepProgressInformationSequence"
_PERFORMED = "UnifiedProcedureStepPerformedProcedureSequence"
_DISCONTINUED = "ProcedureStepDiscontinuationReasonCodeSequence"
_CONTACTS = "ProcedureStepCommunicationsURISequence"
_REQUEST = {
    "ReasonForCancellation": "Patient left",
    "ContactURI": "https://desk.example",
    "ContactDisplayName": "Desk",
}


@requirement("UPS-050", "UPS-051")
def test_cancel_scheduled(items: WorkItems) -> None:
    """202 with a sentence and no warning; the item is CANCELED at once (UPS-050, UPS-051)."""
    uid = items.new()
    answer = items.cancel(uid, _REQUEST)
    assert answer.status == 202, answer.describe()
    assert not answer.header("Warning")
    assert items.state(uid) == "CANCELED"
    if answer.body:
        assert "cancel" in json.loads(answer.body).lower(), answer.describe()


@requirement("UPS-052")
@pytest.mark.parametrize(
    "request_data", [{}, {"ReasonForCancellation": "Why"}, {"ContactDisplayName": "Desk"}]
)
def test_payload_is_optional(items: WorkItems, request_data: dict[str, str]) -> None:
    """An empty object will do (UPS-052)."""
    uid = items.new()
    answer = items.cancel(uid, request_data)
    assert answer.status == 202, answer.describe()
    assert items.state(uid) == "CANCELED"


@requirement("UPS-052", "UPS-053")
def test_no_rules_for_the_request(items: WorkItems) -> None:
    """Items that no update might hold are taken, and replace those of the item (UPS-052, UPS-053)."""
    uid = items.new()
    odd: dict[str, Any] = {"PerformedStationNameCodeSequence": [{}], "OutputInformationSequence": [{}]}
    assert items.update(uid, {_PERFORMED: [odd]}).status == 400, "refused as an update"
    answer = items.cancel(uid, {_PERFORMED: [odd]})
    assert answer.status == 202, answer.describe()
    assert first(items.get(uid), _PERFORMED) == model(odd)


@requirement("UPS-053")
def test_what_is_recorded(items: WorkItems) -> None:
    """State, time and reason at the top, and one progress item with the contact; nothing else (UPS-053)."""
    uid = items.new()
    assert (
        items.update(
            uid, {_PROGRESS: [{"ProcedureStepProgress": "1"}, {"ProcedureStepProgress": "2"}]}
        ).status
        == 200
    )
    before = items.get(uid)
    assert items.cancel(uid, {**_REQUEST, "ProcedureStepLabel": "Ignored", "PatientSex": "O"}).status == 202
    stored = items.get(uid)
    assert first(stored, "ProcedureStepState") == "CANCELED"
    (progress,) = _items(stored, _PROGRESS)
    (contact,) = _items(progress, _CONTACTS)
    for holder in (stored, progress):
        assert is_recent(first(holder, "ProcedureStepCancellationDateTime"))
        (reason,) = _items(holder, _DISCONTINUED)
        assert first(reason, "ReasonForCancellation") == _REQUEST["ReasonForCancellation"]
    assert {word: first(contact, word) for word in ("ContactURI", "ContactDisplayName")} == {
        word: _REQUEST[word] for word in ("ContactURI", "ContactDisplayName")
    }
    for ignored in ("ProcedureStepLabel", "PatientSex"):
        assert first(stored, ignored) == first(before, ignored)


@requirement("UPS-053")
def test_what_was_not_sent_is_empty(items: WorkItems) -> None:
    """The reason and the contact are there without values (UPS-053)."""
    uid = items.new()
    assert items.cancel(uid).status == 202
    (progress,) = _items(items.get(uid), _PROGRESS)
    (reason,) = _items(progress, _DISCONTINUED)
    (contact,) = _items(progress, _CONTACTS)
    for holder, word in (
        (reason, "ReasonForCancellation"),
        (contact, "ContactURI"),
        (contact, "ContactDisplayName"),
    ):
        assert first(holder, word) in (None, ""), word


@requirement("UPS-053")
def test_performed_procedure_of_the_request(items: WorkItems) -> None:
    """The performed procedure of the request replaces that of the item (UPS-053)."""
    uid = items.new()
    assert items.update(uid, {_PERFORMED: [PERFORMED]}).status == 200
    other = {"PerformedWorkitemCodeSequence": [{**CODE, "CodeValue": "C9"}]}
    assert items.cancel(uid, {_PERFORMED: [other]}).status == 202
    assert _items(items.get(uid), _PERFORMED) == [model(other)]


@requirement("UPS-054")
def test_cancel_twice(items: WorkItems) -> None:
    """409, the text as a JSON string and as a warning (UPS-054)."""
    uid = items.new()
    assert items.cancel(uid).status == 202
    answer = items.cancel(uid)
    refused(answer, 409)
    text = "The UPS is already in the requested state of CANCELED."
    assert answer.json() == text, answer.describe()
    warned(items, answer, text)


@requirement("UPS-055")
def test_cancel_in_progress(items: WorkItems) -> None:
    """400 with C312, or the 409 of the documentation; the state stays (UPS-055)."""
    uid = items.new()
    lock = items.claim(uid)
    answer = items.cancel(uid, _REQUEST)
    assert answer.status in (400, 409), answer.describe()
    refused(answer, answer.status, "C312")
    assert items.state(uid) == "IN PROGRESS"
    assert items.update(uid, {"ProcedureStepLabel": "New"}, lock).status == 200


@requirement("UPS-056")
def test_cancel_completed(items: WorkItems) -> None:
    """400 with C311, or the 409 of the documentation; the state stays (UPS-056)."""
    uid, _ = items.finished("COMPLETED")
    answer = items.cancel(uid, _REQUEST)
    assert answer.status in (400, 409), answer.describe()
    refused(answer, answer.status, "C311")
    assert items.state(uid) == "COMPLETED"


@requirement("UPS-057")
def test_cancel_unknown(items: WorkItems) -> None:
    """404 with the text as a JSON string (UPS-057)."""
    answer = items.cancel(items.uid())
    refused(answer, 404)
    assert answer.body == b'"The workitem instance is not found."', answer.describe()


def _items(holder: dict[str, Any], sequence: str) -> list[dict[str, Any]]:
    values: list[dict[str, Any]] = holder[key(sequence)]["Value"]
    return values
