"""Whether two data sets say the same, when their bytes differ.

A PACS may write what it received in another way: other group lengths, padding, explicit or undefined lengths of
sequences. Two copies are the same when they agree element by element after that. Encapsulated pixel data must agree
fragment by fragment; nothing is decoded.
"""

import hashlib
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import pydicom
from pydicom.dataset import Dataset
from pydicom.encaps import generate_fragments
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.uid import UID

_PADDING: Final = 0xFFFCFFFC
_PIXEL_DATA: Final = 0x7FE00010
_TEXT_VRS: Final = frozenset(
    {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
)


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


def same_content(first: Path | BinaryIO, second: Path | BinaryIO) -> bool:
    """Compare the data sets of two Part 10 files. A file pydicom cannot read is the same as nothing."""
    try:
        return content_digest(first) == content_digest(second)
    except (
        pydicom.errors.InvalidDicomError,
        ValueError,
        KeyError,
        TypeError,
        EOFError,
        OSError,
        NotImplementedError,
    ):
        return False


def content_digest(part10: Path | BinaryIO) -> str:
    """SHA-256 over the elements, without group 0002, group lengths and padding. Raises what pydicom raises."""
    data_set = pydicom.dcmread(part10)
    hasher = hashlib.sha256()
    syntax = UID(data_set.file_meta.TransferSyntaxUID)
    _add(hasher, data_set, encapsulated=syntax.is_compressed and not syntax.is_deflated)
    # Native encodings differ in byte order and VR only; a compressed one is part of the content.
    hasher.update(syntax.encode() if syntax.is_encapsulated else b"native")
    return hasher.hexdigest()


def _add(hasher: _Hash, data_set: Dataset, *, encapsulated: bool) -> None:
    for element in data_set:
        tag = int(element.tag)
        if tag & 0xFFFF == 0 or tag == _PADDING:
            continue
        hasher.update(tag.to_bytes(4, "big"))
        if element.VR == "SQ":
            for item in element.value:
                hasher.update(b"\\item")
                _add(hasher, item, encapsulated=False)
            hasher.update(b"\\end")
        elif tag == _PIXEL_DATA and encapsulated:
            for fragment in generate_fragments(element.value):
                hasher.update(len(fragment).to_bytes(8, "big"))
                hasher.update(fragment)
        else:
            value = _encoded(data_set, element)
            hasher.update(len(value).to_bytes(8, "big"))
            hasher.update(value)


def _encoded(data_set: Dataset, element: pydicom.DataElement) -> bytes:
    """The value as Implicit VR Little Endian bytes without padding."""
    if isinstance(element.value, bytes):
        return element.value.rstrip(b"\0") if len(element.value) < 1024 else element.value
    buffer = DicomBytesIO()
    buffer.is_little_endian = True
    buffer.is_implicit_VR = True
    charset = data_set.get("SpecificCharacterSet", None) or "ISO_IR 6"
    write_data_element(buffer, element, charset)
    value = bytes(buffer.getvalue()[8:])
    return value.rstrip(b" \0") if element.VR in _TEXT_VRS else value
