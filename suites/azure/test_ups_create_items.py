"""What the items of sequences must hold in a create request (PS3.4 tables CC.2.5-2a to -2e)."""

from typing import Any

import pytest

from fixtures.traceability import requirement
from suites.azure.workitems import CODE, EMPTY, INSTANCES, WorkItems, refused, shown

pytestmark = pytest.mark.azure

_QUALIFIERS = {
    "UniversalEntityID": EMPTY,
    "IdentifierTypeCode": EMPTY,
    "AssigningFacilitySequence": EMPTY,
    "AssigningJurisdictionCodeSequence": EMPTY,
    "AssigningAgencyOrDepartmentCodeSequence": EMPTY,
}
_SEQUENCES: dict[str, dict[str, Any]] = {
    "ScheduledProcessingParametersSequence": {"ValueType": "TEXT", "ConceptNameCodeSequence": [CODE]},
    "ScheduledHumanPerformersSequence": {
        "HumanPerformerCodeSequence": [CODE],
        "HumanPerformerName": "Reader^Rita",
        "HumanPerformerOrganization": "Hospital",
    },
    "InputInformationSequence": INSTANCES,
    "OtherPatientIDsSequence": {
        "PatientID": "OTHER",
        "IssuerOfPatientID": EMPTY,
        "IssuerOfPatientIDQualifiersSequence": EMPTY,
    },
    "IssuerOfPatientIDQualifiersSequence": _QUALIFIERS,
    "ReferencedRequestSequence": {
        "StudyInstanceUID": "1.2.3",
        "AccessionNumber": EMPTY,
        "IssuerOfAccessionNumberSequence": EMPTY,
        "OrderPlacerIdentifierSequence": EMPTY,
        "OrderFillerIdentifierSequence": EMPTY,
        "RequestedProcedureID": EMPTY,
        "RequestedProcedureDescription": EMPTY,
        "RequestedProcedureCodeSequence": EMPTY,
    },
    "ReplacedProcedureStepSequence": {
        "ReferencedSOPClassUID": "1.2.840.10008.5.1.4.34.6.1",
        "ReferencedSOPInstanceUID": "1.2.3.4",
    },
}
_OPTIONAL = frozenset({"StudyInstanceUID", "SeriesInstanceUID", "DICOMRetrievalSequence"})
_MEMBERS = [
    (sequence, member)
    for sequence, item in _SEQUENCES.items()
    for member in item
    if sequence != "InputInformationSequence" or member not in _OPTIONAL
]
_NEED_VALUES = [
    ("ScheduledProcessingParametersSequence", "ValueType"),
    ("ScheduledHumanPerformersSequence", "HumanPerformerName"),
    ("InputInformationSequence", "TypeOfInstances"),
    ("InputInformationSequence", "ReferencedSOPSequence"),
    ("OtherPatientIDsSequence", "PatientID"),
    ("ReferencedRequestSequence", "StudyInstanceUID"),
    ("ReplacedProcedureStepSequence", "ReferencedSOPClassUID"),
    ("ReplacedProcedureStepSequence", "ReferencedSOPInstanceUID"),
]
_CODED = (
    "ScheduledStationNameCodeSequence",
    "ScheduledStationClassCodeSequence",
    "ScheduledStationGeographicLocationCodeSequence",
    "ScheduledWorkitemCodeSequence",
    "AdmittingDiagnosesCodeSequence",
)
_FREELY_CODED = ("PatientInsurancePlanCodeSequence", "ReasonForVisitCodeSequence", "InstitutionCodeSequence")
_NO_PROGRESS: dict[str, Any] = {
    "ProcedureStepProgress": "10",
    "ProcedureStepProgressDescription": "Begun",
    "ProcedureStepProgressParametersSequence": EMPTY,
    "ProcedureStepCommunicationsURISequence": EMPTY,
    "ProcedureStepCancellationDateTime": "20240102100000",
    "ReasonForCancellation": "None",
    "ProcedureStepDiscontinuationReasonCodeSequence": [CODE],
}
_NOT_PERFORMED: dict[str, Any] = {
    "ActualHumanPerformersSequence": EMPTY,
    "PerformedStationNameCodeSequence": [CODE],
    "PerformedStationClassCodeSequence": [CODE],
    "PerformedStationGeographicLocationCodeSequence": [CODE],
    "PerformedProcedureStepStartDateTime": "20240102100000",
    "PerformedProcedureStepEndDateTime": "20240102103000",
    "PerformedProcedureStepDescription": "Done",
    "CommentsOnThePerformedProcedureStep": "Well",
    "PerformedWorkitemCodeSequence": [CODE],
    "PerformedProcessingParametersSequence": EMPTY,
    "OutputInformationSequence": EMPTY,
}


def _create(items: WorkItems, sequence: str, item: dict[str, Any]) -> Any:
    return items.create(items.payload(**{sequence: [item]}), items.uid())


@requirement("UPS-017")
@pytest.mark.parametrize("sequence", _SEQUENCES)
def test_complete_items(items: WorkItems, sequence: str) -> None:
    """An item with all required members is taken (UPS-017)."""
    answer = _create(items, sequence, _SEQUENCES[sequence])
    assert answer.status == 201, answer.describe()


@requirement("UPS-017")
@pytest.mark.parametrize(("sequence", "member"), _MEMBERS)
def test_missing_members(items: WorkItems, sequence: str, member: str) -> None:
    """An item without a required member is 400 naming the tag (UPS-017)."""
    incomplete = {**_SEQUENCES[sequence], member: None}
    refused(_create(items, sequence, incomplete), 400, shown(member))


@requirement("UPS-017")
@pytest.mark.parametrize(("sequence", "member"), _NEED_VALUES)
def test_empty_members(items: WorkItems, sequence: str, member: str) -> None:
    """A member that needs a value is 400 when it is empty (UPS-017)."""
    refused(_create(items, sequence, {**_SEQUENCES[sequence], member: EMPTY}), 400, shown(member))


@requirement("UPS-017")
def test_references(items: WorkItems) -> None:
    """Referenced instances name class and instance, two levels down (UPS-017)."""
    for member in ("ReferencedSOPClassUID", "ReferencedSOPInstanceUID"):
        reference = {**INSTANCES["ReferencedSOPSequence"][0], member: None}  # type: ignore[dict-item]
        item = {**INSTANCES, "ReferencedSOPSequence": [reference]}
        refused(_create(items, "InputInformationSequence", item), 400, shown(member))


@requirement("UPS-017")
@pytest.mark.parametrize("sequence", _CODED)
def test_code_meaning(items: WorkItems, sequence: str) -> None:
    """Codes of the procedure step need Code Meaning with a value (UPS-017)."""
    for meaning in (None, EMPTY):
        refused(_create(items, sequence, {**CODE, "CodeMeaning": meaning}), 400, shown("CodeMeaning"))
    assert _create(items, sequence, CODE).status == 201


@requirement("UPS-017")
@pytest.mark.parametrize("sequence", _FREELY_CODED)
def test_code_without_meaning(items: WorkItems, sequence: str) -> None:
    """Codes of patient, visit and institution need none, but it must not be empty (UPS-017)."""
    assert _create(items, sequence, {**CODE, "CodeMeaning": None}).status == 201
    refused(_create(items, sequence, {**CODE, "CodeMeaning": EMPTY}), 400, shown("CodeMeaning"))


@requirement("UPS-018")
@pytest.mark.parametrize("member", _NO_PROGRESS)
def test_no_progress_yet(items: WorkItems, member: str) -> None:
    """A new work item has no progress to report: 400 naming the tag (UPS-018)."""
    sequence = "ProcedureStepProgressInformationSequence"
    answer = _create(items, sequence, {member: _NO_PROGRESS[member]})
    refused(answer, 400, shown(member), "present")


@requirement("UPS-018")
@pytest.mark.parametrize("member", _NOT_PERFORMED)
def test_nothing_performed_yet(items: WorkItems, member: str) -> None:
    """Nothing of a new work item has been performed: 400 naming the tag (UPS-018)."""
    sequence = "UnifiedProcedureStepPerformedProcedureSequence"
    answer = _create(items, sequence, {member: _NOT_PERFORMED[member]})
    refused(answer, 400, shown(member), "present")


@requirement("UPS-018")
def test_empty_items(items: WorkItems) -> None:
    """An item without any of them is taken (UPS-018)."""
    for sequence in (
        "ProcedureStepProgressInformationSequence",
        "UnifiedProcedureStepPerformedProcedureSequence",
    ):
        assert _create(items, sequence, {}).status == 201
