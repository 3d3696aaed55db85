"""What the service knows of DICOM: elements, text, JSON model and the rules of both versions."""
