"""Walks the element headers of an encoded data set (PS3.5 chapter 7), copying the values asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from typing import Final

from systems.shared.header_errors import NotDicom, Truncated

_UNDEFINED: Final = 0xFFFFFFFF
_ITEM: Final = 0xFFFEE000
_ITEM_END: Final = 0xFFFEE00D
_SEQUENCE_END: Final = 0xFFFEE0DD
_DEEPEST_NESTING: Final = 200

_SHORT_VRS: Final = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG_VRS: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())


@dataclass(frozen=True, slots=True)
class Encoding:
    """How element headers are written: byte order and whether a VR is present."""

    explicit: bool
    little_endian: bool

    @property
    def explicit_header(self) -> Callable[[bytes, int], tuple[int, int, bytes, int]]:
        """Unpacks group, element, VR and the 16 bit length of a header with a VR."""
        return _EXPLICIT_LE if self.little_endian else _EXPLICIT_BE

    @property
    def implicit_header(self) -> Callable[[bytes, int], tuple[int, int, int]]:
        """Unpacks group, element and length of a header without a VR, as of items."""
        return _IMPLICIT_LE if self.little_endian else _IMPLICIT_BE

    @property
    def length(self) -> Callable[[bytes, int], tuple[int]]:
        """Unpacks the 32 bit length that stands after some VRs."""
        return _LENGTH_LE if self.little_endian else _LENGTH_BE


_EXPLICIT_LE: Final = Struct("<HH2sH").unpack_from
_EXPLICIT_BE: Final = Struct(">HH2sH").unpack_from
_IMPLICIT_LE: Final = Struct("<HHL").unpack_from
_IMPLICIT_BE: Final = Struct(">HHL").unpack_from
_LENGTH_LE: Final = Struct("<L").unpack_from
_LENGTH_BE: Final = Struct(">L").unpack_from


def observed(data: bytes, position: int, assumed: Encoding) -> Encoding:
    """Return the VR encoding the first element really has; two letters where a VR would stand mean explicit."""
    vr = data[position + 4 : position + 6]
    if len(vr) < 2:
        return assumed
    explicit = 0x40 < vr[0] < 0x5B and 0x40 < vr[1] < 0x5B
    return assumed if explicit == assumed.explicit else Encoding(explicit, assumed.little_endian)


def walk(  # noqa: C901, PLR0912 - the hot loop: calls per element would double its time
    data: bytes,
    position: int,
    encoding: Encoding,
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
    data: bytes, start: int, tag: int, vr: bytes, encoding: Encoding, depth: int
) -> tuple[int, int]:
    """Return where a value of undefined length ends and where the next element starts."""
    holds_items = vr in (b"SQ", b"UN") or (not vr and tag >> 16 != 0x7FE0)
    if holds_items:
        return _skip_sequence(data, start, encoding, depth)
    return _skip_fragments(data, start, encoding)


def _skip_sequence(data: bytes, position: int, encoding: Encoding, depth: int) -> tuple[int, int]:
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


def _skip_item(data: bytes, position: int, encoding: Encoding, depth: int) -> int:
    """Return the position after the item's delimiter."""
    if encoding.explicit:
        encoding = observed(data, position, encoding)
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


def _element(data: bytes, position: int, encoding: Encoding) -> tuple[int, int, bytes, int]:
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


def _skip_fragments(data: bytes, position: int, encoding: Encoding) -> tuple[int, int]:
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


def _item_header(data: bytes, position: int, encoding: Encoding) -> tuple[int, int]:
    if len(data) - position < 8:
        raise Truncated("the data ends inside a value of undefined length")
    group, element, length = encoding.implicit_header(data, position)
    return group << 16 | element, length
