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
    """Return the data set of a file; raises `CannotTranscode` when it cannot be read."""
    with codec_failures():
        return pydicom.dcmread(BytesIO(part10), force=True)


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
