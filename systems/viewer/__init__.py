"""The zero-footprint viewer of the cloud: serves the OHIF viewer, set up for one DICOM service and one identity provider."""
