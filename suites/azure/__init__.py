"""The contract of Microsoft's DICOM service, asked from outside: requirements/azure-*.yaml."""
