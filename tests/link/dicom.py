"""Small Part 10 files and STOW-RS bodies for the link's tests."""

from io import BytesIO

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, ExplicitVRLittleEndian

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
STUDY, SERIES = "2.25.100", "2.25.200"


def part10(sop_instance_uid: str, *, pixels: bytes = b"\x10\x20" * 600, study: str = STUDY) -> bytes:
    """Return a DICOM file with the given SOP Instance UID."""
    dataset = Dataset()
    dataset.SOPClassUID = SECONDARY_CAPTURE
    dataset.SOPInstanceUID = sop_instance_uid
    dataset.PatientName = "Nobody^No"
    dataset.StudyInstanceUID = study
    dataset.SeriesInstanceUID = SERIES
    dataset.add_new(0x7FE00010, "OW", pixels)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = UID(SECONDARY_CAPTURE)
    dataset.file_meta.MediaStorageSOPInstanceUID = UID(sop_instance_uid)
    file = BytesIO()
    dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def multipart(*parts: bytes, boundary: str = "b-1", content_type: str = "application/dicom") -> bytes:
    """Return a multipart/related body."""
    mark = boundary.encode()
    wrapped = [
        b"--%b\r\nContent-Type: %b\r\n\r\n%b\r\n" % (mark, content_type.encode(), part) for part in parts
    ]
    return b"".join(wrapped) + b"--" + mark + b"--\r\n"


MULTIPART = 'Content-Type: multipart/related; type="application/dicom"; boundary="b-1"'
