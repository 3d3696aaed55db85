"""Optional attributes of a work item: none is required, but a listed one must have a value when it is there (UPS-016)."""

from systems.dicom_service.workitems.macros import DESIGNATOR, OTHER_CODES, PERSON, REFERENCES
from systems.dicom_service.workitems.rules import Rules, rules

_SIGNATURES = rules(
    "3 MACParametersSequence DigitalSignaturesSequence",
    below={
        "MACParametersSequence": rules(
            "3 MACIDNumber MACCalculationTransferSyntaxUID MACAlgorithm DataElementsSigned"
        ),
        "DigitalSignaturesSequence": rules(
            "3 MACIDNumber DigitalSignatureUID DigitalSignatureDateTime CertificateType CertificateOfSigner Signature",
            "3 CertifiedTimestampType CertifiedTimestamp DigitalSignaturePurposeCodeSequence",
            below={"DigitalSignaturePurposeCodeSequence": OTHER_CODES},
        ),
    },
)
_EQUIPMENT = rules(
    "3 PurposeOfReferenceCodeSequence Manufacturer InstitutionName InstitutionAddress StationName OperatorsName",
    "3 InstitutionalDepartmentName InstitutionalDepartmentTypeCodeSequence OperatorIdentificationSequence",
    "3 ManufacturerModelName DeviceSerialNumber SoftwareVersions SpatialResolution DateOfLastCalibration",
    "3 TimeOfLastCalibration ContributionDateTime ContributionDescription",
    below={
        "PurposeOfReferenceCodeSequence": OTHER_CODES,
        "InstitutionalDepartmentTypeCodeSequence": OTHER_CODES,
        "OperatorIdentificationSequence": PERSON,
    },
)
_ORIGINAL_ATTRIBUTES = rules(
    "3 SourceOfPreviousValues AttributeModificationDateTime ModifyingSystem ReasonForTheAttributeModification",
    "3 ModifiedAttributesSequence NonconformingModifiedAttributesSequence",
    below={
        "NonconformingModifiedAttributesSequence": rules(
            "3 SelectorAttribute SelectorValueNumber SelectorSequencePointer SelectorSequencePointerPrivateCreator",
            "3 SelectorSequencePointerItems SelectorAttributePrivateCreator NonconformingDataElementValue",
        )
    },
)
_PRIVATE_ELEMENTS = rules(
    "3 PrivateGroupReference PrivateCreatorReference PrivateDataElementDefinitionSequence",
    "3 BlockIdentifyingInformationStatus NonidentifyingPrivateElements DeidentificationActionSequence",
    below={
        "PrivateDataElementDefinitionSequence": rules(
            "3 PrivateDataElement PrivateDataElementValueMultiplicity PrivateDataElementValueRepresentation",
            "3 PrivateDataElementNumberOfItems PrivateDataElementKeyword PrivateDataElementName",
            "3 PrivateDataElementDescription PrivateDataElementEncoding RetrieveURI",
        ),
        "DeidentificationActionSequence": rules("3 IdentifyingPrivateElements DeidentificationAction"),
    },
)
_INSTANCE = "ReferencedSOPClassUID ReferencedSOPInstanceUID"
_PROTOCOL = rules(
    f"3 {_INSTANCE} SourceAcquisitionProtocolElementNumber SourceReconstructionProtocolElementNumber"
)

_COMMON = rules(
    "3 InstanceCreationDate InstanceCreationTime InstanceCoercionDateTime InstanceCreatorUID InstanceNumber",
    "3 RelatedGeneralSOPClassUID OriginalSpecializedSOPClassUID CodingSchemeIdentificationSequence",
    "3 ContextGroupIdentificationSequence MappingResourceIdentificationSequence TimezoneOffsetFromUTC",
    "3 ContributingEquipmentSequence SOPInstanceStatus SOPAuthorizationDateTime SOPAuthorizationComment",
    "3 AuthorizationEquipmentCertificationNumber EncryptedAttributesSequence OriginalAttributesSequence",
    "3 HL7StructuredDocumentReferenceSequence LongitudinalTemporalInformationModified QueryRetrieveView",
    "3 ConversionSourceAttributesSequence ContentQualification PrivateDataElementCharacteristicsSequence",
    "3 InstanceOriginStatus BarcodeValue ReferencedDefinedProtocolSequence ReferencedPerformedProtocolSequence",
    below={
        "CodingSchemeIdentificationSequence": rules(
            "3 CodingSchemeDesignator CodingSchemeRegistry CodingSchemeUID CodingSchemeExternalID CodingSchemeName",
            "3 CodingSchemeVersion CodingSchemeResponsibleOrganization CodingSchemeResourcesSequence",
            below={"CodingSchemeResourcesSequence": rules("3 CodingSchemeURLType CodingSchemeURL")},
        ),
        "ContextGroupIdentificationSequence": rules(
            "3 ContextIdentifier ContextUID MappingResource ContextGroupVersion"
        ),
        "MappingResourceIdentificationSequence": rules(
            "3 MappingResource MappingResourceUID MappingResourceName"
        ),
        "ContributingEquipmentSequence": _EQUIPMENT,
        "EncryptedAttributesSequence": rules("3 EncryptedContentTransferSyntaxUID EncryptedContent"),
        "OriginalAttributesSequence": _ORIGINAL_ATTRIBUTES,
        "HL7StructuredDocumentReferenceSequence": rules(f"3 {_INSTANCE} HL7InstanceIdentifier RetrieveURI"),
        "ConversionSourceAttributesSequence": rules(
            f"3 {_INSTANCE} ReferencedFrameNumber ReferencedSegmentNumber"
        ),
        "PrivateDataElementCharacteristicsSequence": _PRIVATE_ELEMENTS,
        "ReferencedDefinedProtocolSequence": _PROTOCOL,
        "ReferencedPerformedProtocolSequence": _PROTOCOL,
    },
)

_DEMOGRAPHIC = rules(
    "3 PatientAge Occupation ConfidentialityConstraintOnPatientDataDescription PatientBirthTime QualityControlSubject",
    "3 PatientInsurancePlanCodeSequence PatientPrimaryLanguageCodeSequence PatientSize PatientWeight",
    "3 PatientSizeCodeSequence PatientAddress MilitaryRank BranchOfService CountryOfResidence RegionOfResidence",
    "3 PatientTelephoneNumbers PatientTelecomInformation EthnicGroup PatientReligiousPreference PatientComments",
    "3 ResponsiblePerson ResponsiblePersonRole ResponsibleOrganization PatientSpeciesDescription",
    "3 PatientSpeciesCodeSequence PatientBreedDescription PatientBreedCodeSequence BreedRegistrationSequence",
    "3 StrainDescription StrainNomenclature StrainCodeSequence StrainAdditionalInformation StrainStockSequence",
    "3 GeneticModificationsSequence TypeOfPatientID PatientBirthDateInAlternativeCalendar PatientAlternativeCalendar",
    "3 PatientDeathDateInAlternativeCalendar ReferencedPatientPhotoSequence",
    below={
        "PatientInsurancePlanCodeSequence": OTHER_CODES,
        "PatientPrimaryLanguageCodeSequence": (
            *OTHER_CODES,
            *rules(
                "3 PatientPrimaryLanguageModifierCodeSequence",
                below={"PatientPrimaryLanguageModifierCodeSequence": OTHER_CODES},
            ),
        ),
        "PatientSizeCodeSequence": OTHER_CODES,
        "PatientSpeciesCodeSequence": OTHER_CODES,
        "PatientBreedCodeSequence": OTHER_CODES,
        "BreedRegistrationSequence": rules(
            "3 BreedRegistrationNumber BreedRegistryCodeSequence",
            below={"BreedRegistryCodeSequence": OTHER_CODES},
        ),
        "StrainCodeSequence": OTHER_CODES,
        "StrainStockSequence": rules(
            "3 StrainStockNumber StrainSource StrainSourceRegistryCodeSequence",
            below={"StrainSourceRegistryCodeSequence": OTHER_CODES},
        ),
        "GeneticModificationsSequence": rules(
            "3 GeneticModificationsDescription GeneticModificationsNomenclature GeneticModificationsCodeSequence",
            below={"GeneticModificationsCodeSequence": OTHER_CODES},
        ),
        "ReferencedPatientPhotoSequence": REFERENCES,
    },
)

_MEDICAL = rules(
    "3 MedicalAlerts PregnancyStatus SpecialNeeds Allergies SmokingStatus AdditionalPatientHistory LastMenstrualDate",
    "3 PatientSexNeutered PatientBodyMassIndex MeasuredAPDimension MeasuredLateralDimension PatientState",
    "3 PertinentDocumentsSequence PertinentResourcesSequence PatientClinicalTrialParticipationSequence",
    below={
        "PertinentDocumentsSequence": rules(
            f"3 {_INSTANCE} PurposeOfReferenceCodeSequence DocumentTitle",
            below={"PurposeOfReferenceCodeSequence": OTHER_CODES},
        ),
        "PertinentResourcesSequence": rules("3 RetrieveURI ResourceDescription"),
        "PatientClinicalTrialParticipationSequence": rules(
            "3 ClinicalTrialSponsorName ClinicalTrialProtocolID ClinicalTrialProtocolName ClinicalTrialSiteID",
            "3 ClinicalTrialSiteName ClinicalTrialSubjectID ClinicalTrialSubjectReadingID",
        ),
    },
)

_VISIT = rules(
    "3 InstitutionName InstitutionAddress InstitutionCodeSequence InstitutionalDepartmentName ReasonForVisit",
    "3 InstitutionalDepartmentTypeCodeSequence ReasonForVisitCodeSequence ServiceEpisodeID ServiceEpisodeDescription",
    "3 IssuerOfServiceEpisodeIDSequence VisitStatusID CurrentPatientLocation PatientInstitutionResidence VisitComments",
    "3 ReferringPhysicianName ReferringPhysicianAddress ReferringPhysicianTelephoneNumbers RouteOfAdmissions",
    "3 ReferringPhysicianIdentificationSequence ConsultingPhysicianName AdmittingDate AdmittingTime",
    "3 ConsultingPhysicianIdentificationSequence",
    below={
        "InstitutionCodeSequence": OTHER_CODES,
        "InstitutionalDepartmentTypeCodeSequence": OTHER_CODES,
        "ReasonForVisitCodeSequence": OTHER_CODES,
        "IssuerOfServiceEpisodeIDSequence": DESIGNATOR,
        "ReferringPhysicianIdentificationSequence": PERSON,
        "ConsultingPhysicianIdentificationSequence": PERSON,
    },
)

OPTIONAL: Rules = (*_COMMON, *_SIGNATURES, *_DEMOGRAPHIC, *_MEDICAL, *_VISIT)
