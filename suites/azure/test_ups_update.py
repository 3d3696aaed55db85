"""Updating work items: who may, in which state, and what the answer says (PS3.18 section 11.6)."""

from typing import Any

import pytest

from fixtures.traceability import requirement
from suites.azure.workitems import CODE, WorkItems, entry, first, is_recent, key, refused, warned

pytestmark = pytest.mark.azure

_LABEL = {"ProcedureStepLabel": "Changed"}


def _label(items: WorkItems, uid: str) -> Any:
    return first(items.get(uid), "ProcedureStepLabel")


@requirement("UPS-023", "UPS-024")
def test_update_scheduled(items: WorkItems) -> None:
    """A scheduled item is updated without a transaction UID: merged, sequences replaced (UPS-023, UPS-024)."""
    other = {**CODE, "CodeValue": "C2"}
    uid = items.new(ScheduledStationNameCodeSequence=[CODE, CODE], InputReadinessState="INCOMPLETE")
    answer = items.update(uid, {**_LABEL, "ScheduledStationNameCodeSequence": [other]})
    assert answer.status == 200, answer.describe()
    assert answer.body in (b"", b'""'), answer.describe()
    assert not answer.header("Warning")
    base = f"{items.web.http.base_url}/{items.web.version}"
    assert answer.header("Content-Location") == f"{base}/workitems/{uid}"
    stored = items.get(uid)
    assert (first(stored, "ProcedureStepLabel"), first(stored, "InputReadinessState")) == (
        "Changed",
        "INCOMPLETE",
    )
    sequence = key("ScheduledStationNameCodeSequence")
    assert stored[sequence] == entry("ScheduledStationNameCodeSequence", [other])


@requirement("UPS-025", "UPS-024")
def test_update_in_progress(items: WorkItems) -> None:
    """A claimed item is updated with the transaction UID in the query (UPS-025, UPS-024)."""
    uid = items.new()
    answer = items.update(uid, _LABEL, items.claim(uid))
    assert answer.status == 200, answer.describe()
    assert answer.header("Content-Location").endswith(f"/workitems/{uid}")
    assert not answer.header("Warning")
    assert _label(items, uid) == "Changed"


@requirement("UPS-026", "UPS-033")
def test_update_without_the_lock(items: WorkItems) -> None:
    """A missing or other transaction UID is 400 with a warning and changes nothing (UPS-026, UPS-033)."""
    uid = items.new()
    lock = items.claim(uid)
    for wrong in ("", items.uid()):
        answer = items.update(uid, _LABEL, wrong)
        refused(answer, 400, "did not reference a claimed workitem")
        warned(items, answer)
    assert _label(items, uid) == "Reading"
    assert items.update(uid, _LABEL, lock).status == 200


@requirement("UPS-027", "UPS-033")
def test_update_scheduled_with_a_lock(items: WorkItems) -> None:
    """A transaction UID for a scheduled item is 400 (UPS-027, UPS-033)."""
    uid = items.new()
    answer = items.update(uid, _LABEL, items.uid())
    refused(answer, 400)
    warned(items, answer)
    assert _label(items, uid) == "Reading"


@requirement("UPS-028", "UPS-029", "UPS-033")
def test_update_after_the_end(items: WorkItems) -> None:
    """COMPLETED is 400; CANCELED is 409, or the 400 of the documentation (UPS-028, UPS-029, UPS-033)."""
    completed, lock = items.finished("COMPLETED")
    answer = items.update(completed, _LABEL, lock)
    refused(answer, 400, "already", "COMPLETED")
    warned(items, answer)
    cancelled = items.new()
    assert items.cancel(cancelled).status == 202
    answer = items.update(cancelled, _LABEL)
    assert answer.status in (400, 409), answer.describe()
    refused(answer, answer.status, "already", "cancel")
    warned(items, answer)
    assert [_label(items, uid) for uid in (completed, cancelled)] == ["Reading", "Reading"]


@requirement("UPS-030", "UPS-033")
def test_update_unknown(items: WorkItems) -> None:
    """An unknown work item is 400, or the 404 of the documentation, and is not created (UPS-030, UPS-033)."""
    unknown = items.uid()
    answer = items.update(unknown, _LABEL)
    assert answer.status in (400, 404), answer.describe()
    warned(items, answer)
    refused(items.web.get(f"/workitems/{unknown}", accept="application/dicom+json"), 404)


@requirement("UPS-032")
def test_modification_time(items: WorkItems) -> None:
    """Each update sets the modification time, also over a time in the payload (UPS-032)."""
    uid = items.new()
    old = {"ScheduledProcedureStepModificationDateTime": "20010101000000"}
    assert items.update(uid, {**_LABEL, **old}).status == 200
    assert is_recent(first(items.get(uid), "ScheduledProcedureStepModificationDateTime"))


@requirement("UPS-033")
def test_failures_before_the_logic_carry_no_warning(items: WorkItems) -> None:
    """Malformed UIDs, bodies and media types are refused without a warning (UPS-033)."""
    uid = items.new()
    answers = [
        items.send("POST", "/1.2.x", [{}]),
        items.send("POST", f"/{uid}", [{}], query="1.2.x"),
        items.send("POST", f"/{uid}", b"{}"),
        items.send("POST", f"/{uid}", [{}], content_type="text/plain"),
        items.send("PUT", "/1.2.x/state", [{}]),
        items.send("PUT", f"/{uid}/state", b"{}"),
    ]
    assert [answer.status for answer in answers] == [400, 400, 400, 415, 400, 400]
    assert not [answer.headers for answer in answers if answer.header("Warning")]


@requirement("UPS-034")
@pytest.mark.parametrize("lock", ["abc", "1.2.x", "transaction-uid=1.2.3", "9" * 65])
def test_malformed_transaction_uid(items: WorkItems, lock: str) -> None:
    """A query whose first name is no UID is 400 (UPS-034)."""
    uid = items.new()
    refused(items.update(uid, _LABEL, lock), 400)
    assert items.update(uid, _LABEL).status == 200


@requirement("UPS-033")
def test_state_changes_that_fail_carry_a_warning(items: WorkItems) -> None:
    """Missing attributes, illegal transitions and unknown items are warned of as well (UPS-033)."""
    uid = items.new()
    for answer in (
        items.send("PUT", f"/{uid}/state", [{}], accept=None),
        items.change_state(uid, "COMPLETED", items.uid()),
        items.change_state(items.uid(), "IN PROGRESS", items.uid()),
        items.update(uid, {"PatientSex": "M"}),
        items.update(uid, {"WorklistLabel": ()}),
    ):
        assert answer.status in (400, 404), answer.describe()
        warned(items, answer)
