"""Reads chosen top-level attributes of a DICOM data set from its bytes, without building a data set.

A store path that parses every instance with pydicom cannot pass a few thousand instances a second; this scan walks
element headers only (PS3.5 chapter 7) and copies the values asked for. It reads what pydicom reads, including the
encodings writers get wrong (a data set in the other VR encoding, implicit items inside explicit sequences).
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from typing import Final

IMPLICIT_VR_LE: Final = "1.2.840.10008.1.2"
EXPLICIT_VR_LE: Final = "1.2.840.10008.1.2.1"
DEFLATED_EXPLICIT_VR_LE: Final = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BE: Final = "1.2.840.10008.1.2.2"

_UNDEFINED: Final = 0xFFFFFFFF
_ITEM: Final = 0xFFFEE000
_ITEM_END: Final = 0xFFFEE00D
_SEQUENCE_END: Final = 0xFFFEE0DD
_DEEPEST_NESTING: Final = 200
_FIRST_INFLATION: Final = 1 << 18
_LARGEST_HEAD: Final = 1 << 28
_PREAMBLE: Final = 128

_SHORT_VRS: Final = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG_VRS: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())


class HeaderError(ValueError):
    """The bytes cannot be read as the DICOM encoding they should have; the message says why."""


class NotDicom(HeaderError):  # noqa: N818 - the contract's name
    """The bytes are not DICOM in the encoding they claim."""


class Truncated(HeaderError):  # noqa: N818 - the contract's name
    """The bytes end inside an element; with more bytes the answer may differ."""


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What a Part 10 file says about itself (PS3.10 section 7.1)."""

    transfer_syntax_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    data_set_offset: int


@dataclass(frozen=True, slots=True)
class _Encoding:
    """How element headers are written: byte order and whether a VR is present."""

    explicit: bool
    little_endian: bool

    @property
    def explicit_header(self) -> Callable[[bytes, int], tuple[int, int, bytes, int]]:
        return _EXPLICIT_LE if self.little_endian else _EXPLICIT_BE

    @property
    def implicit_header(self) -> Callable[[bytes, int], tuple[int, int, int]]:
        return _IMPLICIT_LE if self.little_endian else _IMPLICIT_BE

    @property
    def length(self) -> Callable[[bytes, int], tuple[int]]:
        return _LENGTH_LE if self.little_endian else _LENGTH_BE


_EXPLICIT_LE: Final = Struct("<HH2sH").unpack_from
_EXPLICIT_BE: Final = Struct(">HH2sH").unpack_from
_IMPLICIT_LE: Final = Struct("<HHL").unpack_from
_IMPLICIT_BE: Final = Struct(">HHL").unpack_from
_LENGTH_LE: Final = Struct("<L").unpack_from
_LENGTH_BE: Final = Struct(">L").unpack_from


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
    encoding = _Encoding(
        explicit=transfer_syntax_uid != IMPLICIT_VR_LE, little_endian=transfer_syntax_uid != EXPLICIT_VR_BE
    )
    return _scan_from(bytes(data), 0, encoding, wanted)


def scan_part10(part10: bytes, meta: FileMeta, wanted: frozenset[int]) -> dict[int, bytes]:
    """Return what `scan` returns for the data set of a Part 10 file whose file meta is already read."""
    if meta.transfer_syntax_uid == DEFLATED_EXPLICIT_VR_LE:
        return _scan_deflated(part10[meta.data_set_offset :], wanted)
    encoding = _Encoding(
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
    encoding = _observed(data, _PREAMBLE + 4, _Encoding(explicit=True, little_endian=True))
    found: dict[int, bytes] = {}
    end = _walk(data, _PREAMBLE + 4, encoding, _META_TAGS, 0x0002FFFF, found, least=0x00020000)
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


def _scan_from(data: bytes, start: int, encoding: _Encoding, wanted: frozenset[int]) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    _walk(data, start, _observed(data, start, encoding), wanted, max(wanted), found)
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
            found = _scan_from(head, 0, _Encoding(explicit=True, little_endian=True), wanted)
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
    encoding = _observed(head, 0, _Encoding(explicit=True, little_endian=True))
    return _walk(head, 0, encoding, frozenset(), last, {}) < len(head)


def _observed(data: bytes, position: int, assumed: _Encoding) -> _Encoding:
    """Return the VR encoding the first element really has; two letters where a VR would stand mean explicit."""
    vr = data[position + 4 : position + 6]
    if len(vr) < 2:
        return assumed
    explicit = 0x40 < vr[0] < 0x5B and 0x40 < vr[1] < 0x5B
    return assumed if explicit == assumed.explicit else _Encoding(explicit, assumed.little_endian)


def _walk(  # noqa: C901, PLR0912 - the hot loop: calls per element would double its time
    data: bytes,
    position: int,
    encoding: _Encoding,
    wanted: frozenset[int],
    last: int,
    found: dict[int, bytes],
    least: int = 0,
) -> int:
    """Collect `wanted` values of tags from `least` to `last`; return where the walk ended: the next element or the end."""
    end = len(data)
    explicit, header, value_length = encoding.explicit, encoding.explicit_header, encoding.length
    implicit_header = encoding.implicit_header
    while position < end:
        if end - position < 8:
            raise Truncated(f"{end - position} bytes left at offset {position}, an element header needs 8")
        vr = b""
        if explicit:
            group, element, vr, length = header(data, position)
            start = position + 8
            if vr not in _SHORT_VRS:
                if vr in _LONG_VRS:
                    if end - position < 12:
                        raise Truncated(f"the element header at offset {position} is cut")
                    length = value_length(data, start)[0]
                    start += 4
                elif not b"AA" <= vr <= b"ZZ":
                    group, element, length = implicit_header(data, position)
                    vr = b""
        else:
            group, element, length = implicit_header(data, position)
            start = position + 8
        tag = group << 16 | element
        if not least <= tag <= last or tag == _ITEM_END:
            return position
        if length == _UNDEFINED and vr not in _SHORT_VRS:
            stop, after = _skip_undefined(data, start, tag, vr, encoding, 0)
        else:
            stop = after = start + length
            if after > end:
                raise Truncated(f"({group:04X},{element:04X}) has {length} bytes, {end - start} are there")
        if tag in wanted:
            found[tag] = data[start:stop]
        position = after
    return position


def _skip_undefined(
    data: bytes, start: int, tag: int, vr: bytes, encoding: _Encoding, depth: int
) -> tuple[int, int]:
    """Return where a value of undefined length ends and where the next element starts."""
    holds_items = vr in (b"SQ", b"UN") or (not vr and tag >> 16 != 0x7FE0)
    if holds_items:
        return _skip_sequence(data, start, encoding, depth)
    return _skip_fragments(data, start, encoding)


def _skip_sequence(data: bytes, position: int, encoding: _Encoding, depth: int) -> tuple[int, int]:
    if depth > _DEEPEST_NESTING:
        raise NotDicom(f"sequences are nested deeper than {_DEEPEST_NESTING}")
    while True:
        tag, length = _item_header(data, position, encoding)
        if tag == _SEQUENCE_END:
            return position, position + 8
        if tag != _ITEM:
            raise NotDicom(
                f"({tag >> 16:04X},{tag & 0xFFFF:04X}) at offset {position} where an item should be"
            )
        position += 8
        if length != _UNDEFINED:
            position += length
            if position > len(data):
                raise Truncated(f"an item of {length} bytes goes beyond the end")
        else:
            position = _skip_item(data, position, encoding, depth)


def _skip_item(data: bytes, position: int, encoding: _Encoding, depth: int) -> int:
    """Return the position after the item's delimiter."""
    if encoding.explicit:
        encoding = _observed(data, position, encoding)
    while True:
        start, tag, vr, length = _element(data, position, encoding)
        if tag == _ITEM_END:
            return start
        if length == _UNDEFINED and vr not in _SHORT_VRS:
            position = _skip_undefined(data, start, tag, vr, encoding, depth + 1)[1]
        else:
            position = start + length
            if position > len(data):
                raise Truncated(f"an element of {length} bytes goes beyond the end")


def _element(data: bytes, position: int, encoding: _Encoding) -> tuple[int, int, bytes, int]:
    """Return value position, tag, VR (empty when implicit) and length of one element."""
    if len(data) - position < 8:
        raise Truncated("the data ends inside an item of undefined length")
    if encoding.explicit:
        group, element, vr, length = encoding.explicit_header(data, position)
        if vr in _LONG_VRS:
            if len(data) - position < 12:
                raise Truncated("the data ends inside an element header")
            return position + 12, group << 16 | element, vr, encoding.length(data, position + 8)[0]
        if b"AA" <= vr <= b"ZZ":
            return position + 8, group << 16 | element, vr, length
    group, element, length = encoding.implicit_header(data, position)
    return position + 8, group << 16 | element, b"", length


def _skip_fragments(data: bytes, position: int, encoding: _Encoding) -> tuple[int, int]:
    """Skip encapsulated pixel data; where fragments are not well formed, look for the delimiter itself."""
    start = position
    while True:
        tag, length = _item_header(data, position, encoding)
        if tag == _SEQUENCE_END:
            return position, position + 8
        if tag != _ITEM or length == _UNDEFINED:
            break
        position += 8 + length
    delimiter = b"\xfe\xff\xdd\xe0" if encoding.little_endian else b"\xff\xfe\xe0\xdd"
    stop = data.find(delimiter, start)
    if stop < 0:
        raise Truncated("a value of undefined length has no delimiter")
    return stop, stop + 8


def _item_header(data: bytes, position: int, encoding: _Encoding) -> tuple[int, int]:
    if len(data) - position < 8:
        raise Truncated("the data ends inside a value of undefined length")
    group, element, length = encoding.implicit_header(data, position)
    return group << 16 | element, length
