"""What an update must and must not hold (PS3.4 table CC.2.5-3, N-SET)."""

from typing import Any

import pytest

from fixtures.traceability import requirement
from suites.azure.workitems import CODE, EMPTY, INSTANCES, PERFORMED, WorkItems, first, refused, shown

pytestmark = pytest.mark.azure

_FORBIDDEN: dict[str, Any] = {
    "SOPClassUID": "1.2.840.10008.5.1.4.34.6.1",
    "SOPInstanceUID": "1.2.3",
    "ProcedureStepState": "IN PROGRESS",
    "PatientName": "Other^Name",
    "PatientID": "OTHER",
    "IssuerOfPatientID": "ISSUER",
    "IssuerOfPatientIDQualifiersSequence": [{}],
    "PatientBirthDate": "19800101",
    "PatientSex": "M",
    "AdmissionID": "ADM2",
    "IssuerOfAdmissionIDSequence": [{}],
    "AdmittingDiagnosesDescription": "Other",
    "AdmittingDiagnosesCodeSequence": [CODE],
    "ReferencedRequestSequence": [{}],
    "ReplacedProcedureStepSequence": [{}],
}
_NOT_TO_BE_CLEARED = (
    "WorklistLabel",
    "ProcedureStepLabel",
    "StudyInstanceUID",
    "ScheduledStationNameCodeSequence",
    "ScheduledWorkitemCodeSequence",
    "PatientComments",
    "InputReadinessState",
    "ProcedureStepProgressInformationSequence",
    "UnifiedProcedureStepPerformedProcedureSequence",
)
_PROGRESS = "ProcedureStepProgressInformationSequence"
_PERFORMED = "UnifiedProcedureStepPerformedProcedureSequence"
_NO_MEANING = {**CODE, "CodeMeaning": None}
_INCOMPLETE: list[tuple[str, str, dict[str, Any]]] = [
    (_PERFORMED, "OutputInformationSequence", {**PERFORMED, "OutputInformationSequence": None}),
    *(
        (_PERFORMED, member, {**PERFORMED, "OutputInformationSequence": [{**INSTANCES, member: None}]})
        for member in ("TypeOfInstances", "ReferencedSOPSequence")
    ),
    *(
        (_PERFORMED, "CodeMeaning", {**PERFORMED, sequence: [_NO_MEANING]})
        for sequence in (
            "PerformedStationNameCodeSequence",
            "PerformedStationClassCodeSequence",
            "PerformedStationGeographicLocationCodeSequence",
            "PerformedWorkitemCodeSequence",
        )
    ),
    (
        _PERFORMED,
        "CodeMeaning",
        {**PERFORMED, "ActualHumanPerformersSequence": [{"HumanPerformerCodeSequence": [_NO_MEANING]}]},
    ),
    (_PROGRESS, "CodeMeaning", {"ProcedureStepDiscontinuationReasonCodeSequence": [_NO_MEANING]}),
    (_PROGRESS, "ContactURI", {"ProcedureStepCommunicationsURISequence": [{"ContactDisplayName": "Desk"}]}),
    ("OtherPatientIDsSequence", "PatientID", {"TypeOfPatientID": "TEXT"}),
    ("OtherPatientIDsSequence", "IssuerOfPatientID", {"PatientID": "O", "IssuerOfPatientID": "I"}),
    (
        "OtherPatientIDsSequence",
        "IssuerOfPatientIDQualifiersSequence",
        {"PatientID": "O", "IssuerOfPatientIDQualifiersSequence": EMPTY},
    ),
    ("ScheduledStationNameCodeSequence", "CodeMeaning", _NO_MEANING),
    ("ScheduledHumanPerformersSequence", "HumanPerformerName", {"HumanPerformerCodeSequence": [CODE]}),
    ("InputInformationSequence", "TypeOfInstances", {**INSTANCES, "TypeOfInstances": None}),
]
_ACCEPTED: dict[str, dict[str, Any]] = {
    _PERFORMED: {**PERFORMED, "OutputInformationSequence": EMPTY},
    _PROGRESS: {
        "ProcedureStepProgress": "50",
        "ProcedureStepCommunicationsURISequence": [{"ContactURI": "https://desk.example"}],
        "ProcedureStepDiscontinuationReasonCodeSequence": [CODE],
    },
    "OtherPatientIDsSequence": {"PatientID": "O"},
    "ScheduledStationNameCodeSequence": CODE,
    "InputInformationSequence": INSTANCES,
}


@pytest.fixture(scope="module")
def uid(items: WorkItems) -> str:
    """One scheduled work item, which no refused update may change."""
    return items.new(StudyInstanceUID=items.uid())


@requirement("UPS-031")
@pytest.mark.parametrize("keyword", _FORBIDDEN)
def test_forbidden(items: WorkItems, uid: str, keyword: str) -> None:
    """Some attributes cannot be updated: 400 naming the tag, with or without a value (UPS-031)."""
    before = items.get(uid)
    for value in (_FORBIDDEN[keyword], EMPTY):
        refused(items.update(uid, {keyword: value}), 400, shown(keyword), "present")
    assert items.get(uid) == before


@requirement("UPS-031")
def test_transaction_uid_in_the_payload(items: WorkItems) -> None:
    """It is not rejected and does not change the lock (UPS-031)."""
    uid = items.new()
    lock = items.claim(uid)
    other = items.uid()
    assert items.update(uid, {"TransactionUID": other, "ProcedureStepLabel": "One"}, lock).status == 200
    refused(items.update(uid, {"ProcedureStepLabel": "Two"}, other), 400)
    assert items.update(uid, {"ProcedureStepLabel": "Three"}, lock).status == 200
    assert first(items.get(uid), "ProcedureStepLabel") == "Three"


@requirement("UPS-073")
@pytest.mark.parametrize("keyword", _NOT_TO_BE_CLEARED)
def test_values_cannot_be_cleared(items: WorkItems, uid: str, keyword: str) -> None:
    """A listed attribute without a value is 400 naming the tag (UPS-073)."""
    before = items.get(uid)
    refused(items.update(uid, {keyword: EMPTY}), 400, shown(keyword))
    assert items.get(uid) == before


@requirement("UPS-073")
def test_values_can_be_replaced(items: WorkItems) -> None:
    """The same attributes are taken with a value (UPS-073)."""
    uid = items.new()
    changes = {"WorklistLabel": "other", "PatientComments": "Fasting", "StudyInstanceUID": items.uid()}
    assert items.update(uid, changes).status == 200
    stored = items.get(uid)
    assert {keyword: first(stored, keyword) for keyword in changes} == changes


@requirement("UPS-074")
@pytest.mark.parametrize(("sequence", "member", "item"), _INCOMPLETE)
def test_incomplete_items(
    items: WorkItems, uid: str, sequence: str, member: str, item: dict[str, Any]
) -> None:
    """Items that lack or hold what they must not are 400 naming the tag (UPS-074)."""
    refused(items.update(uid, {sequence: [item]}), 400, shown(member))


@requirement("UPS-074")
@pytest.mark.parametrize("sequence", _ACCEPTED)
def test_complete_items(items: WorkItems, sequence: str) -> None:
    """Complete items are taken and replace the sequence (UPS-074)."""
    uid = items.new()
    answer = items.update(uid, {sequence: [_ACCEPTED[sequence]]})
    assert answer.status == 200, answer.describe()
    assert first(items.get(uid), sequence) is not None
