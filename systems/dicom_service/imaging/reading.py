"""Opening Part 10 bytes for image work, and keeping codec failures inside it."""

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import pydicom
from pydicom.dataset import FileDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from systems.dicom_service.imaging.errors import CannotTranscode

# What pydicom and its codec plug-ins raise for pixel data that is damaged, cut or in a syntax they do not know.
_CODEC_FAILURES = (
    AttributeError,
    EOFError,
    IndexError,
    InvalidDicomError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    ZeroDivisionError,
    struct.error,
    zlib.error,
)


def open_dataset(part10: bytes) -> FileDataset:
    """Return the data set of a file, its transfer syntax seen when not said; raises `CannotTranscode` when unreadable."""
    with codec_failures():
        dataset = pydicom.dcmread(BytesIO(part10), force=True)
        if not dataset.file_meta.get("TransferSyntaxUID"):
            dataset.file_meta.TransferSyntaxUID = _seen_syntax(dataset)
        for tag in list(dataset.keys()):
            # An element without VR amid explicit ones could not be written again.
            if dataset.get_item(tag).VR is None:
                dataset[tag]
        return dataset


def _seen_syntax(dataset: FileDataset) -> UID:
    implicit, little_endian = dataset.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little_endian else ExplicitVRBigEndian


@contextmanager
def codec_failures() -> Iterator[None]:
    """Turn what codecs raise into `CannotTranscode`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except _CODEC_FAILURES as error:
            raise CannotTranscode(f"the pixel data cannot be processed ({type(error).__name__})") from error
        except BaseException as error:
            # Rust's panics, with which pylibjpeg-rle ends on damaged data, are no Exception to Python.
            if type(error).__name__ != "PanicException":
                raise
            raise CannotTranscode("the pixel data cannot be processed (panic)") from error
