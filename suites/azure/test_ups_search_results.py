"""What a search for work items shows, and that it sees every change at once."""

from typing import Any

import pytest

from fixtures.traceability import requirement
from suites.azure.workitems import CODE, WorkItems, first, key, refused

pytestmark = pytest.mark.azure

_DEFAULT_KEYWORDS = (
    "SpecificCharacterSet SOPClassUID SOPInstanceUID ScheduledProcedureStepPriority ProcedureStepLabel WorklistLabel "
    "ScheduledProcessingParametersSequence ScheduledStationNameCodeSequence ScheduledStationClassCodeSequence "
    "ScheduledStationGeographicLocationCodeSequence ScheduledHumanPerformersSequence "
    "ScheduledProcedureStepStartDateTime ScheduledWorkitemCodeSequence InputReadinessState InputInformationSequence "
    "StudyInstanceUID PatientName PatientID IssuerOfPatientID IssuerOfPatientIDQualifiersSequence "
    "OtherPatientIDsSequence PatientBirthDate PatientSex AdmissionID IssuerOfAdmissionIDSequence "
    "AdmittingDiagnosesDescription AdmittingDiagnosesCodeSequence ReferencedRequestSequence MedicalAlerts "
    "PregnancyStatus SpecialNeeds ProcedureStepState ProcedureStepProgressInformationSequence"
)
_DEFAULT = _DEFAULT_KEYWORDS.split()
_NOT_BY_DEFAULT = (
    "ScheduledProcedureStepModificationDateTime",
    "CommentsOnTheScheduledProcedureStep",
    "UnifiedProcedureStepPerformedProcedureSequence",
    "PatientComments",
)
_START = "ScheduledProcedureStepStartDateTime"


@pytest.fixture(scope="module")
def whole(items: WorkItems) -> dict[str, Any]:
    """A work item that holds all that a match may show, as it is stored."""
    uid = items.new(
        SpecificCharacterSet="ISO_IR 192",
        ScheduledHumanPerformersSequence=(),
        StudyInstanceUID=items.uid(),
        MedicalAlerts="Latex",
        PregnancyStatus=4,
        SpecialNeeds="Wheelchair",
        PatientComments="Fasting",
        CommentsOnTheScheduledProcedureStep="Soon",
    )
    return items.get(uid)


def _match(items: WorkItems, whole: dict[str, Any], *fields: str) -> dict[str, Any]:
    included = [("includefield", field) for field in fields]
    answer = items.search_pairs([("PatientID", first(whole, "PatientID")), *included])
    assert answer.status == 200, answer.describe()
    (match,) = answer.json()
    found: dict[str, Any] = match
    return found


@requirement("UPS-066")
def test_default_attributes(items: WorkItems, whole: dict[str, Any]) -> None:
    """A match shows exactly the default attributes, with the stored values (UPS-066)."""
    assert _match(items, whole) == {key(word): whole[key(word)] for word in _DEFAULT}


@requirement("UPS-066")
def test_only_what_is_there(items: WorkItems) -> None:
    """What an item does not have, its match does not show (UPS-066)."""
    uid = items.new()
    stored = items.get(uid)
    match = _match(items, stored)
    assert set(match) == {key(word) for word in _DEFAULT} & set(stored)
    assert key("MedicalAlerts") not in match


@requirement("UPS-067")
def test_further_attributes(items: WorkItems, whole: dict[str, Any]) -> None:
    """Attributes are added by keyword or tag, several at a time; `all` shows everything (UPS-067)."""
    shown = {key(word) for word in _DEFAULT}
    for fields in (["PatientComments"], [key("PatientComments")], ["PatientComments,WorklistLabel"]):
        assert set(_match(items, whole, *fields)) == shown | {key("PatientComments")}, fields
    match = _match(items, whole, *_NOT_BY_DEFAULT)
    assert set(match) == shown | {key(word) for word in _NOT_BY_DEFAULT}
    assert _match(items, whole, "all") == whole


@requirement("UPS-067")
@pytest.mark.parametrize(
    "fields",
    [
        ["all", "PatientComments"],
        ["all,PatientComments"],
        ["ReferencedRequestSequence.AccessionNumber"],
        ["Nothing"],
    ],
)
def test_bad_fields(items: WorkItems, fields: list[str]) -> None:
    """`all` with others, a path or an unknown name is 400 (UPS-067)."""
    refused(items.search_pairs([("includefield", field) for field in fields]), 400)


@requirement("UPS-068")
def test_state_changes(items: WorkItems) -> None:
    """After a state change or a cancel request only the new state finds the item (UPS-068)."""
    patient = items.make.patient_id()
    claimed, cancelled = items.new(PatientID=patient), items.new(PatientID=patient)

    def found(state: str) -> list[str]:
        return items.found(PatientID=patient, ProcedureStepState=state)

    assert found("SCHEDULED") == [cancelled, claimed]
    items.claim(claimed)
    assert (found("SCHEDULED"), found("IN PROGRESS")) == ([cancelled], [claimed])
    assert items.cancel(cancelled).status == 202
    assert (found("SCHEDULED"), found("CANCELED")) == ([], [cancelled])


@requirement("UPS-075")
def test_updates(items: WorkItems) -> None:
    """After an update the new value finds the item and the old one does not (UPS-075)."""
    station = "ScheduledStationNameCodeSequence"
    old: dict[str, Any] = {"StudyInstanceUID": items.uid(), _START: "20240102", station: [CODE]}
    code = {**CODE, "CodeValue": "C2"}
    new: dict[str, Any] = {"StudyInstanceUID": items.uid(), _START: "20250102", station: [code]}
    uid = items.new(**old)
    patient = first(items.get(uid), "PatientID")
    before = _filters(old), _filters(new)
    assert [_found(items, patient, pairs) for pairs in before] == [[[uid]] * 3, [[]] * 3]
    assert items.update(uid, new).status == 200
    assert [_found(items, patient, pairs) for pairs in before] == [[[]] * 3, [[uid]] * 3]


def _filters(values: dict[str, Any]) -> list[tuple[str, str]]:
    path = "ScheduledStationNameCodeSequence"
    return [
        ("StudyInstanceUID", values["StudyInstanceUID"]),
        (_START, values[_START]),
        (f"{path}.CodeValue", values[path][0]["CodeValue"]),
    ]


def _found(items: WorkItems, patient: str, pairs: list[tuple[str, str]]) -> list[list[str]]:
    return [items.found(("PatientID", patient), pair) for pair in pairs]
