"""What the DICOM router promises, checked on the network by clients of ours and by dcmtk."""
