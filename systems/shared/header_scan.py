"""Reads chosen top-level attributes of a DICOM data set from its bytes, without building a data set.

A store path that parses every instance with pydicom cannot pass a few thousand instances a second; this scan walks
element headers only (PS3.5 chapter 7) and copies the values asked for. It reads what pydicom reads, including the
encodings writers get wrong (a data set in the other VR encoding, implicit items inside explicit sequences).
"""

import zlib
from dataclasses import dataclass
from typing import Final

from systems.shared.element_walk import Encoding, observed, walk
from systems.shared.header_errors import NotDicom, Truncated

IMPLICIT_VR_LE: Final = "1.2.840.10008.1.2"
EXPLICIT_VR_LE: Final = "1.2.840.10008.1.2.1"
DEFLATED_EXPLICIT_VR_LE: Final = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BE: Final = "1.2.840.10008.1.2.2"

_FIRST_INFLATION: Final = 1 << 18
_LARGEST_HEAD: Final = 1 << 28
_PREAMBLE: Final = 128


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What a Part 10 file says about itself (PS3.10 section 7.1)."""

    transfer_syntax_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    data_set_offset: int


def scan(data: bytes | memoryview, transfer_syntax_uid: str, wanted: frozenset[int]) -> dict[int, bytes]:
    """Return the encoded values of the `wanted` top-level tags that `data`, a data set without file meta, has.

    Values are as encoded, with padding; a sequence or encapsulated value of undefined length comes without its
    delimiter. Elements are in ascending order (PS3.5 section 7.1), so the scan ends at the first tag beyond the
    largest wanted one and `data` may be the head of a data set. Raises `Truncated` when `data` ends before that
    inside an element, `NotDicom` when it cannot be a data set.
    """
    if not wanted:
        return {}
    if transfer_syntax_uid == DEFLATED_EXPLICIT_VR_LE:
        return _scan_deflated(bytes(data), wanted)
    encoding = Encoding(
        explicit=transfer_syntax_uid != IMPLICIT_VR_LE, little_endian=transfer_syntax_uid != EXPLICIT_VR_BE
    )
    return _scan_from(bytes(data), 0, encoding, wanted)


def scan_part10(part10: bytes, meta: FileMeta, wanted: frozenset[int]) -> dict[int, bytes]:
    """Return what `scan` returns for the data set of a Part 10 file whose file meta is already read."""
    if meta.transfer_syntax_uid == DEFLATED_EXPLICIT_VR_LE:
        return _scan_deflated(part10[meta.data_set_offset :], wanted)
    encoding = Encoding(
        explicit=meta.transfer_syntax_uid != IMPLICIT_VR_LE,
        little_endian=meta.transfer_syntax_uid != EXPLICIT_VR_BE,
    )
    return _scan_from(part10, meta.data_set_offset, encoding, wanted)


def read_file_meta(part10: bytes | memoryview) -> FileMeta:
    """Return the file meta information of a Part 10 file or of its head.

    The group ends where another group starts: its group length is often wrong and is not used. Raises `NotDicom`
    without the DICM prefix or a Transfer Syntax UID, `Truncated` when the bytes end inside the group.
    """
    data = bytes(part10)
    if data[_PREAMBLE : _PREAMBLE + 4] != b"DICM":
        if len(data) < _PREAMBLE + 4:
            raise Truncated(f"{len(data)} bytes are too few for a DICOM file")
        raise NotDicom("no DICM prefix after a 128 byte preamble")
    encoding = observed(data, _PREAMBLE + 4, Encoding(explicit=True, little_endian=True))
    found: dict[int, bytes] = {}
    end = walk(data, _PREAMBLE + 4, encoding, _META_TAGS, 0x0002FFFF, found, least=0x00020000)
    transfer_syntax = _uid(found.get(0x00020010, b""))
    if not transfer_syntax:
        raise NotDicom("the file meta information has no Transfer Syntax UID (0002,0010)")
    return FileMeta(transfer_syntax, _uid(found.get(0x00020002, b"")), _uid(found.get(0x00020003, b"")), end)


_META_TAGS: Final = frozenset({0x00020002, 0x00020003, 0x00020010})


def _uid(value: bytes) -> str:
    try:
        return value.rstrip(b"\0 ").decode("ascii")
    except UnicodeDecodeError as error:
        raise NotDicom("a UID of the file meta information is not ASCII") from error


def _scan_from(data: bytes, start: int, encoding: Encoding, wanted: frozenset[int]) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    walk(data, start, observed(data, start, encoding), wanted, max(wanted), found)
    return found


def _scan_deflated(data: bytes, wanted: frozenset[int]) -> dict[int, bytes]:
    """Inflate only as much as the scan needs (PS3.5 section A.5: raw deflate of the whole data set)."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    head, rest, step = b"", data, _FIRST_INFLATION
    while True:
        try:
            more = inflater.decompress(rest, step)
        except zlib.error as error:
            raise NotDicom(f"the deflated data set cannot be inflated: {error}") from error
        rest = inflater.unconsumed_tail
        head += more
        try:
            found = _scan_from(head, 0, Encoding(explicit=True, little_endian=True), wanted)
        except Truncated:
            if inflater.eof or not more or len(head) >= _LARGEST_HEAD:
                raise
        else:
            # A head that ends exactly between two elements looks complete: go on until the stream really ends.
            if inflater.eof or not more or _passes(head, max(wanted)):
                return found
        step = len(head)


def _passes(head: bytes, last: int) -> bool:
    """Return whether `head` reaches an element beyond `last`."""
    encoding = observed(head, 0, Encoding(explicit=True, little_endian=True))
    return walk(head, 0, encoding, frozenset(), last, {}) < len(head)
