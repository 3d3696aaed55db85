"""An emulator of Microsoft's DICOM service: DICOMweb over a durable local store."""
