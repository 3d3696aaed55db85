"""The attributes of a work item that the service itself reads or writes."""

from systems.dicom_service.dicom import dictionary


def tag_of(keyword: str) -> int:
    """Return the tag of a keyword of the standard."""
    tag = dictionary.tag_of(keyword)
    if tag is None:
        raise KeyError(f"the data dictionary has no {keyword}")
    return tag


def key(keyword: str) -> str:
    """Return the DICOM JSON key of a keyword."""
    return f"{tag_of(keyword):08X}"


SOP_CLASS_UID = key("SOPClassUID")
SOP_INSTANCE_UID = key("SOPInstanceUID")
TRANSACTION_UID = key("TransactionUID")
STATE = key("ProcedureStepState")
WORKLIST_LABEL = key("WorklistLabel")
MODIFIED = key("ScheduledProcedureStepModificationDateTime")
PROGRESS = key("ProcedureStepProgressInformationSequence")
PERFORMED = key("UnifiedProcedureStepPerformedProcedureSequence")
CANCELLED_AT = key("ProcedureStepCancellationDateTime")
DISCONTINUATION_REASON = key("ProcedureStepDiscontinuationReasonCodeSequence")
REASON = key("ReasonForCancellation")
COMMUNICATIONS = key("ProcedureStepCommunicationsURISequence")
CONTACT_URI = key("ContactURI")
CONTACT_NAME = key("ContactDisplayName")

UPS_PUSH = "1.2.840.10008.5.1.4.34.6.1"
"""The SOP Class of every stored work item (PS3.4 CC.2.3)."""
