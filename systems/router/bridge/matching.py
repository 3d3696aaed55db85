"""DICOM attribute matching (PS3.4 section C.2.2.2), pure: what a C-FIND key says about a value.

Differences from the letter, both wanted: person names are compared without case (ROUTER-062), and a person name
key of plain words also matches when each word begins a part of the name (ROUTER-064).
"""

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final

from pydicom import DataElement, Dataset
from pydicom.multival import MultiValue

_RANGE_VRS: Final = frozenset({"DA", "TM", "DT"})
_WILDCARD_VRS: Final = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_NUMBER_VRS: Final = frozenset({"DS", "IS", "FL", "FD", "SL", "SS", "SV", "UL", "US", "UV"})
_NOT_COMPARED: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_SEPARATORS: Final = re.compile(r"[\^= ]+")


def values_of(element: DataElement | None) -> list[Any]:
    """The values of an element as a list; empty for an absent or zero-length one."""
    if element is None or element.value is None or element.is_empty:
        return []
    if isinstance(element.value, MultiValue | list | tuple):
        return list(element.value)
    return [element.value]


def is_universal(key: DataElement) -> bool:
    """Whether a key asks for the attribute without restricting it (C.2.2.2.3, ROUTER-063)."""
    if key.VR == "SQ":
        return all(is_universal(inner) for item in key.value or () for inner in item)
    return all(not str(value).strip() or set(str(value).strip()) == {"*"} for value in values_of(key))


def matches(key: DataElement, found: DataElement | None) -> bool:
    """Whether an attribute satisfies a key. An absent or empty attribute satisfies only a universal key."""
    if is_universal(key):
        return True
    if key.VR == "SQ":
        return _sequence(key.value, found.value if found is not None and found.VR == "SQ" else ())
    values = values_of(found)
    return any(_value(key.VR, wanted, value) for wanted in values_of(key) for value in values)


def matches_all(keys: Iterable[DataElement], candidate: Dataset) -> bool:
    """Whether a data set satisfies every key."""
    return all(matches(key, candidate.get(key.tag)) for key in keys)


def _sequence(wanted: Sequence[Dataset], items: Sequence[Dataset]) -> bool:
    """Each item of the key must be satisfied by some item of the sequence (C.2.2.2.6)."""
    return all(any(matches_all(item, candidate) for candidate in items) for item in wanted)


def _value(vr: str, wanted: Any, value: Any) -> bool:
    text, key = _text(value), _text(wanted)
    if vr in _RANGE_VRS:
        return _in_range(vr, key, text)
    if vr == "PN":
        return person_name_matches(key, text)
    if vr in _NUMBER_VRS:
        return _same_number(key, text)
    if vr in _WILDCARD_VRS:
        return bool(_pattern(key, ignore_case=False).fullmatch(text))
    return vr not in _NOT_COMPARED and key == text


def _text(value: Any) -> str:
    # Leading and trailing spaces are not significant for the string VRs matched here (PS3.5 section 6.2).
    return str(value).strip(" \0")


@lru_cache(maxsize=256)
def _pattern(key: str, *, ignore_case: bool) -> re.Pattern[str]:
    """A wildcard key as a regular expression: * any sequence of characters, ? any single one (C.2.2.2.4)."""
    expression = "".join(
        ".*" if c == "*" else "." if c == "?" else re.escape(c) for c in re.sub(r"\*+", "*", key)
    )
    return re.compile(expression, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def person_name_matches(key: str, name: str) -> bool:
    """Whether a person name satisfies a key.

    The key is compared with the whole value and with each component group; trailing empty components count as absent.
    """
    wanted = _trimmed(key)
    candidates = [_trimmed(name), *(_trimmed(group) for group in name.split("="))]
    pattern = _pattern(wanted.casefold(), ignore_case=True)
    if any(pattern.fullmatch(candidate.casefold()) for candidate in candidates if candidate):
        return True
    return _begins_parts(wanted, name)


def _begins_parts(key: str, name: str) -> bool:
    if any(c in key for c in "*?^="):
        return False
    words = key.casefold().split()
    parts = _SEPARATORS.split(name.casefold())
    return bool(words) and all(any(part.startswith(word) for part in parts) for word in words)


def _trimmed(name: str) -> str:
    return "=".join(group.strip().rstrip("^").strip() for group in name.split("=")).rstrip("=")


def _same_number(key: str, text: str) -> bool:
    try:
        return Decimal(key) == Decimal(text)
    except InvalidOperation:
        return key == text


def _in_range(vr: str, key: str, text: str) -> bool:
    """Single value or range matching (C.2.2.2.1, C.2.2.2.5); both ends of a range are included."""
    normal = {"DA": _date, "TM": _time, "DT": _datetime}[vr]
    value = normal(text, False)
    if value is None:
        return key == text
    first, dash, last = _range(vr, key)
    if not dash:
        return normal(first, False) == value
    low, high = normal(first, False), normal(last, True)
    if (first and low is None) or (last and high is None) or not (first or last):
        return False
    return (low is None or low <= value) and (high is None or value <= high)


def _range(vr: str, key: str) -> tuple[str, str, str]:
    if vr != "DT":
        first, dash, last = key.partition("-")
        return first.strip(), dash, last.strip()
    # A hyphen followed by exactly four digits and an end may be the offset from UTC rather than a range.
    match = re.fullmatch(r"(\d[\d.]*(?:[+-]\d{4}(?!\d))?)?(-)?(\d[\d.]*(?:[+-]\d{4})?)?", key)
    if match is None:
        return key, "", ""
    return match[1] or "", match[2] or "", match[3] or ""


def _date(text: str, _: bool) -> str | None:
    digits = text.replace(".", "") if re.fullmatch(r"\d{4}\.\d{2}\.\d{2}", text) else text
    return digits if re.fullmatch(r"\d{8}", digits) else None


def _time(text: str, latest: bool) -> str | None:
    match = re.fullmatch(r"(\d{2})(\d{2})?(\d{2})?(?:\.(\d{1,6}))?", text.replace(":", ""))
    if match is None or (match[4] and not match[3]):
        return None
    fill = ("00", "59", "59") if latest else ("00", "00", "00")
    fraction = (match[4] or "").ljust(6, "9" if latest else "0")
    return match[1] + (match[2] or fill[1]) + (match[3] or fill[2]) + "." + fraction


def _datetime(text: str, latest: bool) -> str | None:
    # Offsets from UTC are left aside: a PACS query and the stored value nearly always lack both.
    local = re.sub(r"[+-]\d{4}$", "", text)
    match = re.fullmatch(r"(\d{4})(\d{2})?(\d{2})?(\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?)?", local)
    if match is None:
        return None
    time = _time(match[4], latest) if match[4] else "235959.999999" if latest else "000000.000000"
    return (
        match[1]
        + (match[2] or ("12" if latest else "01"))
        + (match[3] or ("31" if latest else "01"))
        + (time or "")
    )
