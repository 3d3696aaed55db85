"""QIDO-RS: from query parameters to rows to DICOM JSON."""
