"""What a create request must hold at its top level (PS3.4 table CC.2.5-3, N-CREATE)."""

import pytest

from fixtures.traceability import requirement
from suites.azure.workitems import CODE, EMPTY, WorkItems, first, refused, shown

pytestmark = pytest.mark.azure

_WITH_VALUE = (
    "ScheduledProcedureStepPriority",
    "ProcedureStepLabel",
    "ScheduledProcedureStepStartDateTime",
    "InputReadinessState",
)
_STRICTER_THAN_DICOM = (
    "PatientBirthDate",
    "PatientSex",
    "AdmissionID",
    "AdmittingDiagnosesDescription",
    "IssuerOfAdmissionIDSequence",
    "AdmittingDiagnosesCodeSequence",
)
_PRESENT = (
    "ScheduledProcessingParametersSequence",
    "ScheduledStationNameCodeSequence",
    "ScheduledStationClassCodeSequence",
    "ScheduledStationGeographicLocationCodeSequence",
    "ScheduledWorkitemCodeSequence",
    "CommentsOnTheScheduledProcedureStep",
    "InputInformationSequence",
    "PatientName",
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "OtherPatientIDsSequence",
    "ReferencedRequestSequence",
    "ProcedureStepProgressInformationSequence",
    "UnifiedProcedureStepPerformedProcedureSequence",
)
_NOT_EMPTY_WHEN_PRESENT = (
    "PatientID",
    "StudyInstanceUID",
    "PatientComments",
    "ReferringPhysicianName",
    "MedicalAlerts",
    "ExpectedCompletionDateTime",
    "OutputDestinationSequence",
    "ReplacedProcedureStepSequence",
    "InstanceCreationDate",
    "InstitutionName",
    "VisitComments",
    "AdmittingDate",
    "PatientInsurancePlanCodeSequence",
)


def _refuses_then_takes(items: WorkItems, keyword: str, sent: object) -> None:
    """The payload is refused because of this attribute alone: with it mended, the same UID is created."""
    uid = items.uid()
    refused(items.create(items.payload(**{keyword: sent}), uid), 400, shown(keyword), because=keyword)
    assert items.create(items.payload(), uid).status == 201


@requirement("UPS-013")
@pytest.mark.parametrize("keyword", _WITH_VALUE)
def test_needs_a_value(items: WorkItems, keyword: str) -> None:
    """Absent or empty is 400 naming the tag (UPS-013)."""
    _refuses_then_takes(items, keyword, None)
    _refuses_then_takes(items, keyword, EMPTY)


@requirement("UPS-013a")
@pytest.mark.parametrize("keyword", _STRICTER_THAN_DICOM)
def test_needs_a_value_beyond_the_standard(items: WorkItems, keyword: str) -> None:
    """Six attributes of type 2 need a value, sequences an item (UPS-013a)."""
    _refuses_then_takes(items, keyword, None)
    _refuses_then_takes(items, keyword, EMPTY)


@requirement("UPS-014")
@pytest.mark.parametrize("keyword", _PRESENT)
def test_must_be_present(items: WorkItems, keyword: str) -> None:
    """Absent is 400 naming the tag; empty is taken (UPS-014)."""
    _refuses_then_takes(items, keyword, None)
    uid = items.new(**{keyword: EMPTY})
    assert first(items.get(uid), keyword) is None


@requirement("UPS-015")
def test_transaction_uid(items: WorkItems) -> None:
    """The Transaction UID is there and empty; absent or with a value is 400 (UPS-015)."""
    _refuses_then_takes(items, "TransactionUID", None)
    _refuses_then_takes(items, "TransactionUID", "1.2.3")


@requirement("UPS-016")
@pytest.mark.parametrize("keyword", _NOT_EMPTY_WHEN_PRESENT)
def test_optional_but_not_empty(items: WorkItems, keyword: str) -> None:
    """A listed optional attribute may be absent; present and empty is 400 naming the tag (UPS-016)."""
    _refuses_then_takes(items, keyword, EMPTY)
    items.new(**{keyword: None})


@requirement("UPS-016")
def test_optional_with_values(items: WorkItems) -> None:
    """Optional attributes with a value are kept; scheduled performers and unlisted ones may be empty (UPS-016)."""
    values = {"PatientComments": "Fasting", "MedicalAlerts": "Latex", "StudyInstanceUID": items.uid()}
    codes = {"PatientInsurancePlanCodeSequence": [CODE]}
    stored = items.get(
        items.new(**values, **codes, ScheduledHumanPerformersSequence=EMPTY, SliceThickness=EMPTY)
    )
    assert {keyword: first(stored, keyword) for keyword in values} == values
    assert first(stored, "PatientInsurancePlanCodeSequence") is not None
