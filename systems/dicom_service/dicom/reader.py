"""Walks the element headers of a data set without looking at a value (PS3.5 chapter 7)."""

from collections.abc import Callable
from struct import Struct
from typing import NamedTuple, Protocol

from systems.dicom_service.dicom import dictionary
from systems.shared.header_errors import NotDicom

_UNDEFINED = 0xFFFFFFFF
_ITEM = 0xFFFEE000
_ITEM_END = 0xFFFEE00D
_SEQUENCE_END = 0xFFFEE0DD
_DEEPEST_NESTING = 100

SHORT_VRS = {
    vr.encode(): vr
    for vr in [
        "AE",
        "AS",
        "AT",
        "CS",
        "DA",
        "DS",
        "DT",
        "FD",
        "FL",
        "IS",
        "LO",
        "LT",
        "PN",
        "SH",
        "SL",
        "SS",
        "ST",
        "TM",
        "UI",
        "UL",
        "US",
    ]
}
_LONG_VRS = {
    vr.encode(): vr for vr in ["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"]
}


class Buffer(Protocol):
    """Bytes or a memory-mapped file."""

    def __len__(self) -> int: ...
    def __getitem__(self, part: slice, /) -> bytes: ...
    def find(self, sub: bytes, start: int, /) -> int:
        """Return the first position of `sub` from `start` on, -1 when there is none."""
        ...


class Element(NamedTuple):
    """One element: its tag, VR, where its value lies and, for a sequence, its items."""

    tag: int
    vr: str
    start: int
    stop: int
    items: "list[list[Element]] | None"


def looks_explicit(data: Buffer, position: int) -> bool:
    """Return whether the element at `position` names its VR."""
    vr = data[position + 4 : position + 6]
    return len(vr) == 2 and 0x40 < vr[0] < 0x5B and 0x40 < vr[1] < 0x5B


new_element: Callable[[type[Element], tuple[int, str, int, int, list[list[Element]] | None]], Element] = (
    tuple.__new__
)
"""Makes an element without the detour of its constructor."""


class Cut(Exception):  # noqa: N818 - a signal inside this module
    """The bytes end inside an element."""


class Reader:
    """Walks element headers; values are only skipped."""

    def __init__(self, data: Buffer, *, explicit: bool, little_endian: bool) -> None:
        self.data = data
        self.end = len(data)
        self.explicit = explicit
        self.little_endian = little_endian
        self.pixels_start = self.pixels_stop = self.end
        order = "<" if little_endian else ">"
        self._explicit: Callable[[Buffer, int], tuple[int, int, bytes, int]]
        self._explicit = Struct(order + "HH2sH").unpack_from  # type: ignore[assignment]
        self._implicit: Callable[[Buffer, int], tuple[int, int, int]]
        self._implicit = Struct(order + "HHL").unpack_from  # type: ignore[assignment]
        self._length: Callable[[Buffer, int], tuple[int]] = Struct(order + "L").unpack_from  # type: ignore[assignment]

    def top_level(self, position: int) -> list[Element]:
        """Return the elements from `position` to the end of the bytes or to where they are cut."""
        elements: list[Element] = []
        # Nearly all elements have a short header; calls and attribute look-ups for each would double the time.
        end, data, explicit, header, short = self.end, self.data, self.explicit, self._explicit, SHORT_VRS
        try:
            while position + 8 <= end:
                if explicit:
                    group, number, code, length = header(data, position)
                    vr = short.get(code)
                    if vr is not None and group != 0x7FE0:
                        stop = position + 8 + length
                        if stop > end:
                            raise Cut  # noqa: TRY301 - a call for each element would cost more
                        elements.append(
                            new_element(Element, (group << 16 | number, vr, position + 8, stop, None))
                        )
                        position = stop
                        continue
                element, after = self.element(position, end, self.explicit, 0)
                if element.tag == _ITEM_END:
                    break
                if element.tag >> 16 == 0x7FE0:
                    self._note_pixels(position, after)
                elements.append(element)
                position = after
        except Cut:
            self.pixels_start = min(self.pixels_start, position)
            self.pixels_stop = end if self.pixels_start == position else self.pixels_stop
        return elements

    def _note_pixels(self, start: int, after: int) -> None:
        self.pixels_start = min(self.pixels_start, start)
        self.pixels_stop = after

    def element(self, position: int, end: int, explicit: bool, depth: int) -> tuple[Element, int]:
        """Return the element at `position` and where the next one starts."""
        tag, vr, length, start = self._header(position, end, explicit)
        if vr == "SQ" or length == _UNDEFINED:
            return self._nested(tag, vr, length, start, end, explicit, depth)
        stop = start + length
        if stop > end:
            raise Cut
        return new_element(Element, (tag, vr, start, stop, None)), stop

    def _header(self, position: int, end: int, explicit: bool) -> tuple[int, str, int, int]:
        if explicit:
            group, number, code, length = self._explicit(self.data, position)
            vr = SHORT_VRS.get(code)
            if vr is not None:
                return group << 16 | number, vr, length, position + 8
            vr = _LONG_VRS.get(code)
            if vr is not None:
                if position + 12 > end:
                    raise Cut
                return group << 16 | number, vr, self._length(self.data, position + 8)[0], position + 12
            if b"AA" <= code <= b"ZZ":
                return group << 16 | number, "UN", length, position + 8
        group, number, length = self._implicit(self.data, position)
        tag = group << 16 | number
        return tag, dictionary.vr(tag), length, position + 8

    def _nested(
        self, tag: int, vr: str, length: int, start: int, end: int, explicit: bool, depth: int
    ) -> tuple[Element, int]:
        if vr not in ("SQ", "UN") and (explicit or tag >> 16 == 0x7FE0):
            stop = self._fragments_end(start, end)
            return new_element(Element, (tag, vr, start, stop, None)), stop + 8
        if depth >= _DEEPEST_NESTING:
            raise NotDicom(f"sequences are nested deeper than {_DEEPEST_NESTING}")
        limit = end if length == _UNDEFINED else start + length
        if limit > end:
            raise Cut
        items, stop, after = self._items(start, limit, explicit and vr != "UN", depth, length == _UNDEFINED)
        return new_element(Element, (tag, "SQ", start, stop, items)), after

    def _items(
        self, position: int, end: int, explicit: bool, depth: int, delimited: bool
    ) -> tuple[list[list[Element]], int, int]:
        """Return the items, where the value ends and where the next element starts."""
        items: list[list[Element]] = []
        while position < end or delimited:
            if position + 8 > end:
                raise Cut
            group, number, length = self._implicit(self.data, position)
            tag = group << 16 | number
            if tag == _SEQUENCE_END:
                return items, position, position + 8
            if tag != _ITEM:
                raise Cut
            limit = end if length == _UNDEFINED else position + 8 + length
            if limit > end:
                raise Cut
            item, position = self._item(position + 8, limit, explicit, depth, length == _UNDEFINED)
            items.append(item)
        return items, position, position

    def _item(
        self, position: int, end: int, explicit: bool, depth: int, delimited: bool
    ) -> tuple[list[Element], int]:
        elements: list[Element] = []
        # Writers put implicit items into explicit files, never the reverse (PS3.5 section 6.2.2).
        explicit = explicit and looks_explicit(self.data, position)
        data, header, short = self.data, self._explicit, SHORT_VRS
        while position < end or delimited:
            if position + 8 > end:
                raise Cut
            if explicit:
                # As at the top level: most elements are short, and calls would double the time.
                group, number, code, length = header(data, position)
                vr = short.get(code)
                if vr is not None:
                    stop = position + 8 + length
                    if stop > end:
                        raise Cut
                    elements.append(
                        new_element(Element, (group << 16 | number, vr, position + 8, stop, None))
                    )
                    position = stop
                    continue
            element, position = self.element(position, end, explicit, depth + 1)
            if element.tag == _ITEM_END:
                return elements, position
            elements.append(element)
        return elements, position

    def _fragments_end(self, position: int, end: int) -> int:
        """Return where encapsulated pixel data ends: the position of its delimiter."""
        start = position
        while position + 8 <= end:
            group, number, length = self._implicit(self.data, position)
            tag = group << 16 | number
            if tag == _SEQUENCE_END:
                return position
            if tag != _ITEM or length == _UNDEFINED:
                found = self.data.find(
                    b"\xfe\xff\xdd\xe0" if self.little_endian else b"\xff\xfe\xe0\xdd", start
                )
                if found < 0:
                    raise Cut
                return found
            position += 8 + length
        raise Cut
