"""Rules of the macros that several sequences of a work item share (PS3.4 tables CC.2.5-2a to -2f)."""

from systems.dicom_service.workitems.rules import Rules, rules

_CODE = "CodeValue CodingSchemeDesignator CodingSchemeVersion"
_OTHER_CODES = "LongCodeValue URNCodeValue"
_MAPPING = "MappingResource MappingResourceUID ContextGroupVersion ContextGroupExtensionFlag ContextGroupLocalVersion"

CODES: Rules = rules("1 CodeMeaning", f"3 {_CODE} {_OTHER_CODES} {_MAPPING} ContextGroupExtensionCreatorUID")
"""Items of the code sequences that belong to the procedure step."""

_BASIC = f"3 {_CODE} CodeMeaning {_OTHER_CODES}"
_ENHANCED = f"3 ContextIdentifier ContextUID {_MAPPING} MappingResourceName ContextGroupExtensionCreatorUID"
OTHER_CODES: Rules = rules(
    _BASIC, _ENHANCED, "3 EquivalentCodeSequence", below={"EquivalentCodeSequence": rules(_BASIC, _ENHANCED)}
)
"""Items of the code sequences about patient, visit and institution: nothing in them is required."""

DESIGNATOR: Rules = rules("3 LocalNamespaceEntityID UniversalEntityID UniversalEntityIDType")

PERSON: Rules = rules(
    "3 PersonIdentificationCodeSequence PersonAddress PersonTelephoneNumbers PersonTelecomInformation InstitutionName",
    "3 InstitutionAddress InstitutionCodeSequence InstitutionalDepartmentName",
    "3 InstitutionalDepartmentTypeCodeSequence",
    below={
        "PersonIdentificationCodeSequence": OTHER_CODES,
        "InstitutionCodeSequence": OTHER_CODES,
        "InstitutionalDepartmentTypeCodeSequence": OTHER_CODES,
    },
)

CONTENT_ITEM: Rules = rules(
    "1 ValueType ConceptNameCodeSequence",
    "3 DateTime Date Time PersonName UID TextValue ConceptCodeSequence NumericValue MeasurementUnitsCodeSequence",
    below={
        "ConceptNameCodeSequence": CODES,
        "ConceptCodeSequence": CODES,
        "MeasurementUnitsCodeSequence": CODES,
    },
)

REFERENCES: Rules = rules(
    "1 TypeOfInstances ReferencedSOPSequence",
    "3 StudyInstanceUID SeriesInstanceUID DICOMRetrievalSequence DICOMMediaRetrievalSequence WADORetrievalSequence",
    "3 XDSRetrievalSequence WADORSRetrievalSequence",
    below={
        "ReferencedSOPSequence": rules(
            "1 ReferencedSOPClassUID ReferencedSOPInstanceUID",
            "3 HL7InstanceIdentifier ReferencedFrameNumber ReferencedSegmentNumber",
        ),
        "DICOMRetrievalSequence": rules("1 RetrieveAETitle"),
        "DICOMMediaRetrievalSequence": rules("2 StorageMediaFileSetID", "1 StorageMediaFileSetUID"),
        "WADORetrievalSequence": rules("1 RetrieveURI"),
        "XDSRetrievalSequence": rules("1 RepositoryUniqueID", "3 HomeCommunityID"),
        "WADORSRetrievalSequence": rules("1 RetrieveURL"),
    },
)
"""Items that name instances and where to fetch them."""

PATIENT_ID_QUALIFIERS: Rules = rules(
    "2 UniversalEntityID IdentifierTypeCode AssigningFacilitySequence AssigningJurisdictionCodeSequence",
    "2 AssigningAgencyOrDepartmentCodeSequence",
    "3 UniversalEntityIDType",
    below={
        "AssigningFacilitySequence": DESIGNATOR,
        "AssigningJurisdictionCodeSequence": CODES,
        "AssigningAgencyOrDepartmentCodeSequence": CODES,
    },
)

REQUEST: Rules = rules(
    "1 StudyInstanceUID",
    "2 AccessionNumber IssuerOfAccessionNumberSequence OrderPlacerIdentifierSequence OrderFillerIdentifierSequence",
    "2 RequestedProcedureID RequestedProcedureDescription RequestedProcedureCodeSequence",
    "3 PlacerOrderNumberImagingServiceRequest FillerOrderNumberImagingServiceRequest ReasonForTheRequestedProcedure",
    "3 ReasonForRequestedProcedureCodeSequence RequestedProcedureComments ConfidentialityCode",
    "3 NamesOfIntendedRecipientsOfResults ImagingServiceRequestComments RequestingPhysician RequestingService",
    "3 RequestingServiceCodeSequence IssueDateOfImagingServiceRequest IssueTimeOfImagingServiceRequest",
    "3 ReferringPhysicianName",
    below={
        "IssuerOfAccessionNumberSequence": DESIGNATOR,
        "OrderPlacerIdentifierSequence": DESIGNATOR,
        "OrderFillerIdentifierSequence": DESIGNATOR,
        "RequestedProcedureCodeSequence": CODES,
        "ReasonForRequestedProcedureCodeSequence": CODES,
        "RequestingServiceCodeSequence": CODES,
    },
)
"""Items of the Referenced Request Sequence."""
