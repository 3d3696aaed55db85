"""A durable DICOM router: store-and-forward between modalities, PACS and a DICOMweb cloud."""
