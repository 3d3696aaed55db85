"""The attributes a bulk update may change (UPD-009)."""

from systems.dicom_service.dicom import dictionary

UPDATABLE = frozenset(
    tag
    for keyword in (
        "PatientName",
        "PatientID",
        "IssuerOfPatientID",
        "TypeOfPatientID",
        "OtherPatientIDs",
        "OtherPatientNames",
        "PatientBirthName",
        "PatientMotherBirthName",
        "MedicalRecordLocator",
        "PatientAge",
        "Occupation",
        "ConfidentialityConstraintOnPatientDataDescription",
        "PatientBirthDate",
        "PatientBirthTime",
        "PatientSex",
        "QualityControlSubject",
        "PatientSize",
        "PatientWeight",
        "PatientAddress",
        "MilitaryRank",
        "BranchOfService",
        "CountryOfResidence",
        "RegionOfResidence",
        "PatientTelephoneNumbers",
        "EthnicGroup",
        "PatientReligiousPreference",
        "PatientComments",
        "ResponsiblePerson",
        "ResponsiblePersonRole",
        "ResponsibleOrganization",
        "PatientSpeciesDescription",
        "PatientBreedDescription",
        "BreedRegistrationNumber",
        "ReferringPhysicianName",
        "AccessionNumber",
        "StudyDescription",
    )
    if (tag := dictionary.tag_of(keyword)) is not None
)
