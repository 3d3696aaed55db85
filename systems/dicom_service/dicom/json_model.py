"""The DICOM JSON model of metadata and search results (PS3.18 annex F; META-010 to META-034)."""

import re
from collections.abc import Callable
from struct import Struct
from typing import Any

from systems.dicom_service.dicom.elements import DataSet, Element
from systems.dicom_service.dicom.text import SINGLE_TEXT_VRS, TEXT_VRS, Decoder

Json = dict[str, Any]

_LEFT_OUT = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_NUMBER_CODES = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d", "SV": "q", "UV": "Q"}
_INTEGER = re.compile(r"[+-]?[0-9]{1,10}(\.0*)?")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_PIXEL_REPRESENTATION = 0x00280103


def to_json(
    data_set: DataSet, *, without: frozenset[int] = frozenset(), only: frozenset[int] | None = None
) -> Json:
    """Return the DICOM JSON object of a data set.

    `without` names root tags to leave out, `only` the root tags to look at (all when None). Bulk data VRs, group
    lengths and file meta information never appear.
    """
    return _Writer(data_set).root(without, only)


def tag_key(tag: int) -> str:
    """Return a tag as a DICOM JSON key."""
    return f"{tag:08X}"


def person_name(text: str) -> Json | None:
    """Return the PN object of one name; None when all groups are blank (META-014)."""
    groups = zip(("Alphabetic", "Ideographic", "Phonetic"), text.split("="), strict=False)
    return {name: group for name, group in groups if group.strip(" ")} or None


class _Writer:
    def __init__(self, data_set: DataSet) -> None:
        self._data_set = data_set
        self._data = data_set.data
        self._decoder = Decoder(data_set)
        self._order = "<" if data_set.little_endian else ">"
        signed = data_set.by_tag.get(_PIXEL_REPRESENTATION)
        self._signed = signed is not None and data_set.value(signed).strip(b"\0") == b"\1"

    def root(self, without: frozenset[int], only: frozenset[int] | None) -> Json:
        elements = self._data_set.elements
        if only is not None:
            elements = [element for element in elements if element.tag in only]
        return self._object(elements, without)

    def _object(self, elements: list[Element], without: frozenset[int]) -> Json:
        result: Json = {}
        for element in sorted(elements) if _unordered(elements) else elements:
            tag = element.tag
            vr = self._resolved(element.vr)
            if (
                vr in _LEFT_OUT
                or tag in without
                or not tag & 0xFFFF
                or (tag < 0x00080000 and not (tag >> 16) & 1)
            ):
                continue
            result[f"{tag:08X}"] = self._entry(element, vr)
        return result

    def _resolved(self, vr: str) -> str:
        """Return one VR for the dictionary's choices of an implicit file."""
        if " " not in vr:
            return vr
        if vr.startswith("US or SS"):
            return "SS" if self._signed else "US"
        return "OW"

    def _entry(self, element: Element, vr: str) -> Json:
        if element.items is not None:
            values: list[Any] = [self._object(item, frozenset()) for item in element.items]
            return {"vr": "SQ", "Value": values} if values else {"vr": "SQ"}
        if element.stop == element.start:
            return {"vr": vr, "Value": [None]} if vr in SINGLE_TEXT_VRS else {"vr": vr}
        values = self._values(element, vr)
        return {"vr": vr, "Value": values} if values else {"vr": vr}

    def _values(self, element: Element, vr: str) -> list[Any]:
        raw = self._data[element.start : element.stop]
        if vr in TEXT_VRS:
            return self._texts(vr, self._decoder.text(vr, raw))
        if vr == "AT":
            return [
                f"{group:04X}{number:04X}"
                for group, number in Struct(self._order + "HH").iter_unpack(_whole(raw, 4))
            ]
        code = _NUMBER_CODES.get(vr)
        if code is None:
            return []
        unpacker = Struct(self._order + code)
        return [value for (value,) in unpacker.iter_unpack(_whole(raw, unpacker.size))]

    def _texts(self, vr: str, text: str) -> list[Any]:
        if vr == "UI":
            text = text.rstrip("\0")
        elif vr in ("DS", "IS"):
            text = text.rstrip("\0 ")
        else:
            text = text.rstrip(" ")
        if not text:
            return [None] if vr in SINGLE_TEXT_VRS else []
        if vr in SINGLE_TEXT_VRS:
            return [text]
        parts = text.split("\\")
        if vr in _CONVERTED:
            return _CONVERTED[vr](parts)
        return [part or None for part in parts]


def _whole(raw: bytes, size: int) -> bytes:
    return raw[: len(raw) // size * size]


def _unordered(elements: list[Element]) -> bool:
    last = -1
    for element in elements:
        if element.tag <= last:
            return True
        last = element.tag
    return False


def _numbers(parse: Callable[[str], int | float | None]) -> Callable[[list[str]], list[Any]]:
    """All values become numbers, or, when one does not parse, all stay text (META-015)."""

    def convert(parts: list[str]) -> list[Any]:
        numbers = [parse(part.strip(" ")) if part.strip(" ") else None for part in parts]
        readable = all(
            number is not None or not part.strip(" ") for number, part in zip(numbers, parts, strict=True)
        )
        return numbers if readable else [part or None for part in parts]

    return convert


def _integer(text: str) -> int | None:
    if not _INTEGER.fullmatch(text):
        return None
    value = int(text.partition(".")[0])
    return value if -(2**31) <= value < 2**31 else None


def _decimal(text: str) -> int | float | None:
    if not _DECIMAL.fullmatch(text):
        return None
    if "." not in text and "e" not in text and "E" not in text and len(text) < 16:
        return int(text)
    return float(text)


_CONVERTED: dict[str, Callable[[list[str]], list[Any]]] = {
    "IS": _numbers(_integer),
    "DS": _numbers(_decimal),
    "PN": lambda parts: [person_name(part) for part in parts],
}
