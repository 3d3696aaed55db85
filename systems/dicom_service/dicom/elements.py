"""A light tree of the elements of a data set: positions in the bytes, no values converted.

pydicom builds objects that cost a millisecond an instance; checking, indexing and describing an instance only needs to
know where each value lies (PS3.5 chapter 7). Reading is as tolerant as the original server's: a data set that ends
inside an element counts up to that element (STOW-132).
"""

import zlib
from dataclasses import dataclass, field

from systems.dicom_service.dicom.reader import Buffer, Element, Reader, looks_explicit
from systems.shared.header_errors import NotDicom, Truncated
from systems.shared.header_scan import (
    DEFLATED_EXPLICIT_VR_LE,
    EXPLICIT_VR_BE,
    EXPLICIT_VR_LE,
    IMPLICIT_VR_LE,
    FileMeta,
    read_file_meta,
)

__all__ = ["Buffer", "DataSet", "Element", "describe_part10", "open_part10", "read_data_set", "read_meta"]

_LARGEST_INFLATED_HEAD = 1 << 28
_PREAMBLE = 132
_SMALLEST_FILE = 132


@dataclass(slots=True)
class DataSet:
    """The elements of one data set, in file order, over the bytes they point into."""

    data: Buffer
    elements: list[Element]
    little_endian: bool
    explicit: bool
    pixels_start: int
    """Where the element header of the pixel data begins; the end of the bytes without pixel data."""
    pixels_stop: int
    """Where the element after the pixel data begins; the same as `pixels_start` without pixel data."""
    by_tag: dict[int, Element] = field(init=False)

    def __post_init__(self) -> None:
        self.by_tag = {element.tag: element for element in self.elements}

    def value(self, element: Element) -> bytes:
        """Return the encoded value."""
        return self.data[element.start : element.stop]


def open_part10(data: Buffer) -> tuple[FileMeta, DataSet]:
    """Return file meta information and elements of an instance as it arrives in a store.

    A file without preamble and a bare data set are read as well (STOW-133). Raises `HeaderError` for what cannot be
    parsed at all (STOW-026).
    """
    if len(data) < _SMALLEST_FILE:
        raise Truncated(f"{len(data)} bytes are too few for a DICOM file")
    return _open(data)


def describe_part10(data: Buffer) -> DataSet:
    """Return the elements of a stored file, or of what is left of it without its pixel data."""
    return _open(data)[1]


def _open(data: Buffer) -> tuple[FileMeta, DataSet]:
    if data[128:_PREAMBLE] == b"DICM":
        meta = read_meta(data)
    elif data[:2] == b"\x02\x00":
        meta = _meta_without_preamble(data)
    elif data[:1] < b"\x80" and data[1:2] == b"\x00":
        explicit = looks_explicit(data, 0)
        meta = FileMeta(EXPLICIT_VR_LE if explicit else IMPLICIT_VR_LE, "", "", 0)
    else:
        raise NotDicom("neither a DICM prefix nor a data set")
    return meta, read_data_set(data, meta)


def read_data_set(data: Buffer, meta: FileMeta) -> DataSet:
    """Return the elements after the file meta information; raises `HeaderError` when sequences nest too deep."""
    start, syntax = meta.data_set_offset, meta.transfer_syntax_uid
    if syntax == DEFLATED_EXPLICIT_VR_LE:
        data, start = _inflated(data, start), 0
    explicit = looks_explicit(data, start) if len(data) >= start + 6 else syntax != IMPLICIT_VR_LE
    reader = Reader(data, explicit=explicit, little_endian=syntax != EXPLICIT_VR_BE)
    elements = reader.top_level(start)
    if syntax == DEFLATED_EXPLICIT_VR_LE:
        # Positions in the inflated bytes mean nothing in the file: description always reads the whole of it.
        return DataSet(data, elements, reader.little_endian, explicit, -1, -1)
    return DataSet(data, elements, reader.little_endian, explicit, reader.pixels_start, reader.pixels_stop)


def read_meta(data: Buffer) -> FileMeta:
    """Return the file meta information of a file with a preamble; raises `HeaderError`."""
    head = data[: 1 << 16]
    try:
        return read_file_meta(head)
    except Truncated:
        if len(data) <= len(head):
            raise
        return read_file_meta(data[: 1 << 24])


def _meta_without_preamble(data: Buffer) -> FileMeta:
    meta = read_file_meta(b"\0" * 128 + b"DICM" + data[: 1 << 16])
    return FileMeta(
        meta.transfer_syntax_uid, meta.sop_class_uid, meta.sop_instance_uid, meta.data_set_offset - _PREAMBLE
    )


def _inflated(data: Buffer, start: int) -> bytes:
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[start : len(data)], _LARGEST_INFLATED_HEAD)
    except zlib.error as error:
        raise NotDicom(f"the deflated data set cannot be inflated: {error}") from error
