"""What is required of a work item on create, on update and in its final states (UPS-013 to UPS-018, UPS-031, UPS-043,
UPS-044, UPS-073, UPS-074)."""  # noqa: D205, D209 - one sentence

from systems.dicom_service.workitems import states
from systems.dicom_service.workitems.macros import (
    CODES,
    CONTENT_ITEM,
    DESIGNATOR,
    PATIENT_ID_QUALIFIERS,
    REFERENCES,
    REQUEST,
)
from systems.dicom_service.workitems.patient_rules import OPTIONAL
from systems.dicom_service.workitems.rules import Rules, rules

_SCHEDULING_ITEMS = {
    "ScheduledProcessingParametersSequence": CONTENT_ITEM,
    "ScheduledStationNameCodeSequence": CODES,
    "ScheduledStationClassCodeSequence": CODES,
    "ScheduledStationGeographicLocationCodeSequence": CODES,
    "ScheduledHumanPerformersSequence": rules(
        "1 HumanPerformerCodeSequence HumanPerformerName HumanPerformerOrganization",
        below={"HumanPerformerCodeSequence": CODES},
    ),
    "ScheduledWorkitemCodeSequence": CODES,
    "InputInformationSequence": REFERENCES,
    "OutputDestinationSequence": rules(
        "3 ReferencedSOPClassUID DICOMStorageSequence STOWRSStorageSequence XDSStorageSequence",
        below={
            "DICOMStorageSequence": rules("1 DestinationAE"),
            "STOWRSStorageSequence": rules("1 StorageURL"),
            "XDSStorageSequence": rules("1 RepositoryUniqueID", "3 HomeCommunityID"),
        },
    ),
}
_OPTIONAL_SCHEDULING = (
    "ExpectedCompletionDateTime ScheduledProcedureStepExpirationDateTime OutputDestinationSequence"
)
_ALWAYS_WITH_VALUE = "ScheduledProcedureStepPriority ProcedureStepLabel ScheduledProcedureStepStartDateTime InputReadinessState"
_SCHEDULING_SEQUENCES = (
    "ScheduledProcessingParametersSequence ScheduledStationNameCodeSequence ScheduledStationClassCodeSequence "
    "ScheduledStationGeographicLocationCodeSequence ScheduledWorkitemCodeSequence InputInformationSequence"
)
_ADMISSION = (
    "AdmissionID IssuerOfAdmissionIDSequence AdmittingDiagnosesDescription AdmittingDiagnosesCodeSequence"
)
_ISSUER = "IssuerOfPatientID IssuerOfPatientIDQualifiersSequence"
_PROGRESS = (
    "ProcedureStepProgress ProcedureStepProgressDescription ProcedureStepProgressParametersSequence "
    "ProcedureStepCommunicationsURISequence ProcedureStepCancellationDateTime ReasonForCancellation "
    "ProcedureStepDiscontinuationReasonCodeSequence"
)
_PERFORMED = (
    "ActualHumanPerformersSequence PerformedStationNameCodeSequence PerformedStationClassCodeSequence "
    "PerformedStationGeographicLocationCodeSequence PerformedProcedureStepStartDateTime "
    "PerformedProcedureStepEndDateTime PerformedProcedureStepDescription CommentsOnThePerformedProcedureStep "
    "PerformedWorkitemCodeSequence PerformedProcessingParametersSequence"
)

CREATE: Rules = (
    *rules("2- TransactionUID", "1 SOPClassUID SOPInstanceUID ProcedureStepState WorklistLabel"),
    *rules(
        f"1 {_ALWAYS_WITH_VALUE}",
        f"2 {_SCHEDULING_SEQUENCES} CommentsOnTheScheduledProcedureStep",
        f"3 {_OPTIONAL_SCHEDULING} StudyInstanceUID",
        "2C ScheduledHumanPerformersSequence",
        below=_SCHEDULING_ITEMS,
    ),
    *rules(
        # The patient's birth date, sex and the admission are type 2 in the standard; the original asks for values.
        f"1 PatientBirthDate PatientSex {_ADMISSION}",
        f"2 PatientName {_ISSUER} OtherPatientIDsSequence ReferencedRequestSequence",
        "3 PatientID ReplacedProcedureStepSequence",
        below={
            "IssuerOfAdmissionIDSequence": DESIGNATOR,
            "AdmittingDiagnosesCodeSequence": CODES,
            "IssuerOfPatientIDQualifiersSequence": PATIENT_ID_QUALIFIERS,
            "OtherPatientIDsSequence": rules(
                "1 PatientID",
                f"2 {_ISSUER}",
                "3 TypeOfPatientID",
                below={"IssuerOfPatientIDQualifiersSequence": PATIENT_ID_QUALIFIERS},
            ),
            "ReferencedRequestSequence": REQUEST,
            "ReplacedProcedureStepSequence": rules("1 ReferencedSOPClassUID ReferencedSOPInstanceUID"),
        },
    ),
    *OPTIONAL,
    *rules(
        "2 ProcedureStepProgressInformationSequence UnifiedProcedureStepPerformedProcedureSequence",
        below={
            "ProcedureStepProgressInformationSequence": rules(f"0 {_PROGRESS}"),
            "UnifiedProcedureStepPerformedProcedureSequence": rules(
                f"0 {_PERFORMED} OutputInformationSequence"
            ),
        },
    ),
)

UPDATE: Rules = (
    *rules("0 SOPClassUID SOPInstanceUID ProcedureStepState"),
    *rules(
        f"3 {_ALWAYS_WITH_VALUE} WorklistLabel {_SCHEDULING_SEQUENCES} ScheduledHumanPerformersSequence",
        f"3 CommentsOnTheScheduledProcedureStep {_OPTIONAL_SCHEDULING} StudyInstanceUID",
        below=_SCHEDULING_ITEMS,
    ),
    *rules(
        f"0 PatientName PatientID {_ISSUER} PatientBirthDate PatientSex {_ADMISSION} ReferencedRequestSequence",
        "0 ReplacedProcedureStepSequence",
        "3 OtherPatientIDsSequence",
        below={"OtherPatientIDsSequence": rules("1 PatientID", f"0 {_ISSUER}", "3 TypeOfPatientID")},
    ),
    *OPTIONAL,
    *rules(
        "3 ProcedureStepProgressInformationSequence UnifiedProcedureStepPerformedProcedureSequence",
        below={
            "ProcedureStepProgressInformationSequence": rules(
                f"3 {_PROGRESS}",
                below={
                    "ProcedureStepProgressParametersSequence": (
                        *CONTENT_ITEM,
                        *rules(
                            "3 ContentItemModifierSequence",
                            below={"ContentItemModifierSequence": CONTENT_ITEM},
                        ),
                    ),
                    "ProcedureStepCommunicationsURISequence": rules("1 ContactURI", "3 ContactDisplayName"),
                    "ProcedureStepDiscontinuationReasonCodeSequence": CODES,
                },
            ),
            "UnifiedProcedureStepPerformedProcedureSequence": rules(
                f"3 {_PERFORMED}",
                "2 OutputInformationSequence",
                below={
                    "ActualHumanPerformersSequence": rules(
                        "3 HumanPerformerCodeSequence HumanPerformerName HumanPerformerOrganization",
                        below={"HumanPerformerCodeSequence": CODES},
                    ),
                    "PerformedStationNameCodeSequence": CODES,
                    "PerformedStationClassCodeSequence": CODES,
                    "PerformedStationGeographicLocationCodeSequence": CODES,
                    "PerformedWorkitemCodeSequence": CODES,
                    "PerformedProcessingParametersSequence": CONTENT_ITEM,
                    "OutputInformationSequence": REFERENCES,
                },
            ),
        },
    ),
)

_FINAL = rules(
    "1 SOPClassUID SOPInstanceUID ScheduledProcedureStepPriority ScheduledProcedureStepModificationDateTime",
    "1 ScheduledProcedureStepStartDateTime InputReadinessState ProcedureStepState",
)
FINAL = {
    states.COMPLETED: (
        *_FINAL,
        *rules(
            "1 UnifiedProcedureStepPerformedProcedureSequence",
            below={
                "UnifiedProcedureStepPerformedProcedureSequence": rules(
                    "1 PerformedStationNameCodeSequence PerformedProcedureStepStartDateTime",
                    "1 PerformedWorkitemCodeSequence PerformedProcedureStepEndDateTime OutputInformationSequence",
                )
            },
        ),
    ),
    states.CANCELED: (
        *_FINAL,
        *rules(
            "1 ProcedureStepProgressInformationSequence",
            below={
                "ProcedureStepProgressInformationSequence": rules(
                    "1 ProcedureStepCancellationDateTime ProcedureStepDiscontinuationReasonCodeSequence"
                )
            },
        ),
    ),
}
"""What the stored work item must hold before it may be completed or cancelled (PS3.4 table CC.2.5-3, final state)."""
