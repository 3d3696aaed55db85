"""Creating work items: UIDs, answers and what the service sets itself (PS3.18 section 11.4)."""

from typing import Any

import pytest

from fixtures.clients.dicomweb import DICOM_JSON
from fixtures.traceability import requirement
from suites.azure.workitems import WorkItems, first, is_recent, model, refused

pytestmark = pytest.mark.azure


@requirement("UPS-001")
@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"null", b"[1]", b"not json", b'["text"]'])
def test_body_is_no_array_of_objects(items: WorkItems, body: bytes) -> None:
    """Anything but an array with a DICOM JSON object is 400 (UPS-001)."""
    uid = items.uid()
    refused(items.send("POST", "", body, query=uid), 400)
    refused(items.send("POST", "", items.payload(), query=uid), 400, because="an object, no array")
    assert items.create(items.payload(), uid).status == 201, "the same as an array"


@requirement("UPS-001")
def test_only_the_first_object(items: WorkItems) -> None:
    """Of several objects only the first is used (UPS-001)."""
    kept, ignored = items.uid(), items.uid()
    bodies = [items.payload(SOPInstanceUID=kept), items.payload(SOPInstanceUID=ignored)]
    assert items.send("POST", "", bodies).status == 201
    assert items.state(kept) == "SCHEDULED"
    assert items.web.get(f"/workitems/{ignored}", accept=DICOM_JSON).status == 404


@requirement("UPS-001")
def test_keys_in_lower_case(items: WorkItems) -> None:
    """Keys count in either letter case: 0040e020 is 0040E020 (UPS-001)."""
    uid = items.uid()
    lower = {key.lower(): value for key, value in items.payload().items()}
    assert lower != items.payload()
    assert items.create(lower, uid).status == 201
    forbidden = items.send("POST", f"/{uid}", [{"0040a370": {"vr": "SQ"}}])
    refused(forbidden, 400, "(0040,a370)", because="understood, so refused in an update (UPS-031)")
    assert first(items.get(uid), "PatientName") == {"Alphabetic": "Conformance^Work"}


@requirement("UPS-005", "UPS-007")
def test_uid_in_the_query(items: WorkItems) -> None:
    """The UID is the name of the first query parameter; 201 without body, both locations (UPS-005, UPS-007)."""
    uid = items.uid()
    answer = items.create(items.payload(), uid)
    url = f"{items.web.http.base_url}/{items.web.version}/workitems/{uid}"
    assert (answer.status, answer.body) == (201, b""), answer.describe()
    assert answer.header("Location") == url
    assert answer.header("Content-Location") == url
    assert first(items.get(uid), "SOPInstanceUID") == uid


@requirement("UPS-006", "UPS-007")
def test_uid_in_the_payload(items: WorkItems) -> None:
    """Without a query the SOP Instance UID of the data set counts (UPS-006, UPS-007)."""
    uid = items.uid()
    answer = items.create(items.payload(SOPInstanceUID=uid))
    assert answer.status == 201, answer.describe()
    assert answer.header("Location").endswith(f"/{items.web.version}/workitems/{uid}")
    assert first(items.get(uid), "SOPInstanceUID") == uid


@requirement("UPS-008")
def test_uids_that_differ(items: WorkItems) -> None:
    """A UID in the query other than that of the payload is 400 (UPS-008)."""
    asked, held = items.uid(), items.uid()
    refused(items.create(items.payload(SOPInstanceUID=held), asked), 400)
    for uid in (asked, held):
        assert items.web.get(f"/workitems/{uid}", accept=DICOM_JSON).status == 404
    assert items.create(items.payload(SOPInstanceUID=held), held).status == 201, "the same UID twice"


@requirement("UPS-009")
def test_no_uid(items: WorkItems) -> None:
    """Neither in the query nor in the payload: 400 that names the tag (UPS-009)."""
    refused(items.create(items.payload()), 400, "(0008,0018)")
    assert items.create(items.payload(SOPInstanceUID=items.uid())).status == 201


@requirement("UPS-010")
@pytest.mark.parametrize("query", ["abc", "1.2.x", "1.2.3.", "workitem=1.2.3", "9" * 65])
def test_malformed_uid(items: WorkItems, query: str) -> None:
    """A query whose first name is no UID is 400, in plain text (UPS-010)."""
    answer = items.send("POST", "", [items.payload()], query=query)
    refused(answer, 400)
    assert answer.content_type.startswith("text/plain"), answer.describe()


@requirement("UPS-011")
def test_duplicate(items: WorkItems) -> None:
    """A UID that is taken is 409 and says so; what was stored stays (UPS-011)."""
    uid = items.new(ProcedureStepLabel="The first")
    refused(items.create(items.payload(ProcedureStepLabel="The second"), uid), 409, "exists", "different")
    assert first(items.get(uid), "ProcedureStepLabel") == "The first"


@requirement("UPS-012")
def test_what_the_service_sets(items: WorkItems) -> None:
    """Class, label, state and modification time are the service's, whatever was sent (UPS-012)."""
    sent = {
        "SOPClassUID": "1.2.840.10008.5.1.4.34.6.4",
        "WorklistLabel": "MINE",
        "ProcedureStepState": "COMPLETED",
        "ScheduledProcedureStepModificationDateTime": "20010101000000",
    }
    for changes in (sent, dict.fromkeys(sent)):
        stored = items.get(items.new(**changes))
        assert first(stored, "SOPClassUID") == "1.2.840.10008.5.1.4.34.6.1", "UPS Push (PS3.4 CC.2.3)"
        assert first(stored, "WorklistLabel") == "worklist"
        assert first(stored, "ProcedureStepState") == "SCHEDULED"
        assert is_recent(first(stored, "ScheduledProcedureStepModificationDateTime"))


@requirement("UPS-078")
def test_values_are_kept_as_sent(items: WorkItems) -> None:
    """A value that does not suit its VR is stored as it is (UPS-078)."""
    odd: dict[str, Any] = {"PatientBirthDate": "not a date", "InputReadinessState": "lower case"}
    stored = items.get(items.new(**odd))
    assert {word: first(stored, word) for word in odd} == odd


@requirement("UPS-014", "UPS-019")
def test_everything_comes_back(items: WorkItems) -> None:
    """What was created is retrieved, empty attributes and unlisted ones included (UPS-014, UPS-019)."""
    private = {"00091001": {"vr": "LO", "Value": ["kept"]}, "00090010": {"vr": "LO", "Value": ["MAKER"]}}
    payload = items.payload(PatientComments="Fasting") | private
    uid = items.uid()
    assert items.create(payload, uid).status == 201
    stored = items.get(uid)
    own = model(dict.fromkeys(["TransactionUID"], ()))
    assert {key: stored.get(key) for key in payload if key not in own} == {
        key: value for key, value in payload.items() if key not in own
    }
