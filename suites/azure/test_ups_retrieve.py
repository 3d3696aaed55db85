"""Retrieving work items, and what there is not."""

import pytest

from fixtures.clients.dicomweb import DICOM_JSON
from fixtures.traceability import requirement
from suites.azure.workitems import WorkItems, first, key, refused

pytestmark = pytest.mark.azure

_TRANSACTION_UID = key("TransactionUID")


@requirement("UPS-019")
def test_retrieve(items: WorkItems) -> None:
    """One DICOM JSON object, no array (UPS-019)."""
    uid = items.new(ProcedureStepLabel="Its own label")
    answer = items.web.get(f"/workitems/{uid}", accept=DICOM_JSON)
    assert answer.status == 200, answer.describe()
    assert answer.content_type.startswith(DICOM_JSON), answer.describe()
    assert isinstance(answer.json(), dict)
    assert first(answer.json(), "ProcedureStepLabel") == "Its own label"


@requirement("UPS-020")
def test_transaction_uid_is_secret(items: WorkItems) -> None:
    """No state and no request shows the Transaction UID (UPS-020)."""
    scheduled, claimed, cancelled = items.new(), items.new(), items.new()
    lock = items.claim(claimed)
    assert items.cancel(cancelled).status == 202
    completed, _ = items.finished("COMPLETED")
    for uid in (scheduled, claimed, cancelled, completed):
        stored = items.get(uid)
        assert _TRANSACTION_UID not in stored
        patient = first(stored, "PatientID")
        for include in ("all", "TransactionUID", _TRANSACTION_UID):
            (match,) = items.search(PatientID=patient, includefield=include).json()
            assert first(match, "SOPInstanceUID") == uid
            assert _TRANSACTION_UID not in match, include
    assert items.update(claimed, {"ProcedureStepLabel": "Mine"}, lock).status == 200, (
        "it is the lock all the same"
    )


@requirement("UPS-021")
def test_unknown(items: WorkItems) -> None:
    """An unknown work item is 404 with a text (UPS-021)."""
    refused(items.web.get(f"/workitems/{items.uid()}", accept=DICOM_JSON), 404, "not found")
    assert items.state(items.new()) == "SCHEDULED"


@requirement("UPS-021")
@pytest.mark.parametrize("uid", ["abc", "1.2.x", "1.2.3.", "9" * 65])
def test_malformed_uid(items: WorkItems, uid: str) -> None:
    """A malformed UID is 400 (UPS-021)."""
    refused(items.web.get(f"/workitems/{uid}", accept=DICOM_JSON), 400)


@requirement("UPS-022")
def test_no_delete(items: WorkItems) -> None:
    """Nothing deletes a work item (UPS-022)."""
    uid = items.new()
    assert items.web.request("DELETE", f"/workitems/{uid}").status in (404, 405)
    assert items.state(uid) == "SCHEDULED"


@requirement("UPS-070")
def test_work_items_are_no_studies(items: WorkItems) -> None:
    """Neither searches nor retrieval of studies show them (UPS-070)."""
    study = items.uid()
    uid = items.new(StudyInstanceUID=study)
    patient = first(items.get(uid), "PatientID")
    assert items.found(PatientID=patient) == [uid]
    for level in ("studies", "series", "instances"):
        assert items.web.search(level, PatientID=patient).status == 204, level
    assert items.web.search("instances", SOPInstanceUID=uid).status == 204
    assert items.web.metadata(study).status == 404


@requirement("UPS-072")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/workitems/{uid}/subscribers/READER"),
        ("DELETE", "/workitems/{uid}/subscribers/READER"),
        ("POST", "/workitems/1.2.840.10008.5.1.4.34.5/subscribers/READER"),
        ("POST", "/workitems/1.2.840.10008.5.1.4.34.5.1/subscribers/READER"),
        ("POST", "/workitems/1.2.840.10008.5.1.4.34.5/subscribers/READER/suspend"),
        ("GET", "/subscribers/READER"),
    ],
)
def test_no_subscriptions(items: WorkItems, method: str, path: str) -> None:
    """Subscriptions and the global worklist do not exist (UPS-072)."""
    answer = items.web.request(method, path.format(uid=items.new()), headers=[("Accept", DICOM_JSON)])
    assert answer.status == 404, answer.describe()
