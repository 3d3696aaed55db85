"""Transcoding files to Explicit VR Little Endian and JPEG 2000 Lossless (WADO-019 to WADO-023, WADO-050, WADO-051)."""

from io import BytesIO

import pydicom
from pydicom.dataset import FileDataset
from pydicom.filewriter import correct_ambiguous_vr
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEG2000Lossless

from systems.dicom_service.imaging.errors import CannotTranscode
from systems.dicom_service.imaging.reading import codec_failures, open_dataset

_COMPRESSED_COLOUR = frozenset({"YBR_RCT", "YBR_ICT"})


def transcode(part10: bytes, transfer_syntax_uid: str) -> bytes:
    """Return the file in another transfer syntax, Explicit VR Little Endian or JPEG 2000 Lossless.

    Only what describes the pixel data changes. Raises `CannotTranscode`.
    """
    dataset = open_dataset(part10)
    with codec_failures():
        _decompress(dataset)
        if transfer_syntax_uid == JPEG2000Lossless:
            _compress(dataset)
        elif transfer_syntax_uid != ExplicitVRLittleEndian:
            raise CannotTranscode(f"{transfer_syntax_uid} is not a syntax to transcode to")
        return _written(dataset)


def _decompress(dataset: FileDataset) -> None:
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    if syntax.is_compressed and syntax.is_encapsulated:
        if not _has_pixels(dataset):
            dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            return
        dataset.decompress(
            as_rgb=dataset.get("PhotometricInterpretation") in _COMPRESSED_COLOUR, generate_instance_uid=False
        )
        if dataset.get("PlanarConfiguration") not in (None, 0):
            dataset.PlanarConfiguration = 0
    elif not dataset.original_encoding[1]:
        _to_little_endian(dataset)


def _to_little_endian(dataset: FileDataset) -> None:
    """Swap the words of big endian pixel data, which pydicom leaves as they are."""
    for keyword in ("PixelData",):
        if keyword in dataset and dataset.BitsAllocated > 8:
            raw = bytearray(dataset[keyword].value)
            size = dataset.BitsAllocated // 8
            swapped = bytearray(len(raw))
            for byte in range(size):
                swapped[byte::size] = raw[size - 1 - byte :: size]
            dataset[keyword].value = bytes(swapped)


def _compress(dataset: FileDataset) -> None:
    if _has_pixels(dataset):
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        colour = dataset.get("SamplesPerPixel") == 3 and dataset.get("PhotometricInterpretation") == "RGB"
        if colour:
            dataset.PhotometricInterpretation = "YBR_RCT"
        dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless


def _has_pixels(dataset: FileDataset) -> bool:
    return "PixelData" in dataset and "Rows" in dataset and "BitsAllocated" in dataset


def _written(dataset: FileDataset) -> bytes:
    if not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if not dataset.preamble:
        dataset.preamble = b"\0" * 128
    meta = dataset.file_meta
    meta.MediaStorageSOPClassUID = meta.get("MediaStorageSOPClassUID") or dataset.get("SOPClassUID", "")
    meta.MediaStorageSOPInstanceUID = meta.get("MediaStorageSOPInstanceUID") or dataset.get(
        "SOPInstanceUID", ""
    )
    dataset.preamble = b"\0" * 128
    correct_ambiguous_vr(dataset, is_little_endian=True)
    out = BytesIO()
    pydicom.dcmwrite(out, dataset, implicit_vr=False, little_endian=True, enforce_file_format=False)
    return out.getvalue()
