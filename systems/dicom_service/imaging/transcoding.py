"""Transcoding files to Explicit VR Little Endian and JPEG 2000 Lossless (WADO-019 to WADO-023, WADO-050, WADO-051)."""

from io import BytesIO

import pydicom
from pydicom.dataset import FileDataset
from pydicom.filewriter import correct_ambiguous_vr
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless

from systems.dicom_service.imaging.codecs import ISOLATED, compress, decoder, is_compressed
from systems.dicom_service.imaging.endian import to_little_endian
from systems.dicom_service.imaging.errors import CannotTranscode
from systems.dicom_service.imaging.isolated import DECODER
from systems.dicom_service.imaging.reading import codec_failures, open_dataset

_IMAGE = ("PixelData", "Rows", "Columns", "BitsAllocated")
_COMPRESSED_COLOUR = frozenset({"YBR_RCT", "YBR_ICT"})


def transcode(part10: bytes, transfer_syntax_uid: str) -> bytes:
    """Return the file in another transfer syntax, Explicit VR Little Endian or JPEG 2000 Lossless.

    Only what describes the pixel data changes. Raises `CannotTranscode`.
    """
    dataset = open_dataset(part10)
    convert(dataset, transfer_syntax_uid)
    with codec_failures():
        return _written(dataset)


def convert(dataset: FileDataset, transfer_syntax_uid: str) -> None:
    """Do the same with a data set, in place: its words are little endian afterwards. Raises `CannotTranscode`."""
    if transfer_syntax_uid not in (ExplicitVRLittleEndian, JPEG2000Lossless):
        raise CannotTranscode(f"{transfer_syntax_uid} is not a syntax to transcode to")
    with codec_failures():
        _decompress(dataset)
        if transfer_syntax_uid == JPEG2000Lossless:
            _compress(dataset)


def _decompress(dataset: FileDataset) -> None:
    syntax = dataset.file_meta.TransferSyntaxUID
    if is_compressed(syntax):
        if has_pixels(dataset):
            _decode(dataset, decoder(syntax))
    elif not dataset.original_encoding[1]:
        to_little_endian(dataset)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian


def _decode(dataset: FileDataset, plugin: str) -> None:
    if plugin == ISOLATED:
        changed, pixels = DECODER.decode(dataset)
        dataset["PixelData"].value = pixels
        dataset["PixelData"].VR = "OB" if dataset.BitsAllocated <= 8 else "OW"
        dataset["PixelData"].is_undefined_length = False
        for keyword, value in changed.items():
            if keyword in dataset:
                setattr(dataset, keyword, value)
    else:
        dataset.decompress(
            decoding_plugin=plugin,
            as_rgb=dataset.get("PhotometricInterpretation") in _COMPRESSED_COLOUR,
            generate_instance_uid=False,
        )
    if dataset.get("PhotometricInterpretation") == "YBR_FULL_422":
        # The decoder has made the samples complete.
        dataset.PhotometricInterpretation = "YBR_FULL"
    if dataset.get("PlanarConfiguration") not in (None, 0):
        dataset.PlanarConfiguration = 0


def _compress(dataset: FileDataset) -> None:
    if has_pixels(dataset):
        if dataset.get("SamplesPerPixel") == 3 and dataset.get("PhotometricInterpretation") == "RGB":
            dataset.PhotometricInterpretation = "YBR_RCT"
        compress(dataset)
        if dataset.get("PlanarConfiguration") not in (None, 0):
            dataset.PlanarConfiguration = 0
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless


def has_pixels(dataset: FileDataset) -> bool:
    """Say whether there is pixel data with what describes it."""
    return all(dataset.get(keyword) not in (None, "", b"") for keyword in _IMAGE)


def _written(dataset: FileDataset) -> bytes:
    meta = dataset.file_meta
    meta.MediaStorageSOPClassUID = meta.get("MediaStorageSOPClassUID") or dataset.get("SOPClassUID", "")
    meta.MediaStorageSOPInstanceUID = meta.get("MediaStorageSOPInstanceUID") or dataset.get(
        "SOPInstanceUID", ""
    )
    dataset.preamble = dataset.preamble or b"\0" * 128
    correct_ambiguous_vr(dataset, is_little_endian=True)
    out = BytesIO()
    pydicom.dcmwrite(out, dataset, implicit_vr=False, little_endian=True, enforce_file_format=False)
    return out.getvalue()
