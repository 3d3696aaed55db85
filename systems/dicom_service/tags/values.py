"""The value of an extended query tag in an instance: whether it may be indexed, and in which form searches compare it."""

import re
from collections.abc import Callable, Container
from dataclasses import dataclass
from datetime import datetime
from struct import Struct

from systems.dicom_service.dicom import rules_v1
from systems.dicom_service.dicom.elements import DataSet, Element
from systems.dicom_service.dicom.text import TEXT_VRS, Decoder
from systems.dicom_service.storage.keys import name_key, text_key
from systems.dicom_service.tags.definitions import ExtendedTag
from systems.dicom_service.tags.paths import is_private, is_reservation

Key = str | int | float
_NUMBERS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d"}
_INDEXED_AS_ZERO = frozenset({"IS", *_NUMBERS})
_UNEXPECTED_VR = "The element has an unexpected VR."
_WRONG_LENGTH = "Value length is not the required one."
_DATE_TIME = re.compile(
    r"([0-9]{4})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:\.([0-9]{1,6}))?)?)?)?)?)?"
)
_TIME = re.compile(r"([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:\.([0-9]{1,6}))?)?)?")
_OFFSET = re.compile(r"[+-][0-9]{4}$")
_EPOCH = datetime(1, 1, 1)  # noqa: DTZ001 - DICOM times without offset are local


@dataclass(frozen=True, slots=True)
class Value:
    """What an instance has for a tag: the form in the index, or what is wrong with it."""

    key: Key | None = None
    problem: str | None = None
    several: bool = False


def value_of(tag: ExtendedTag, data_set: DataSet, decoder: Decoder, dropped: Container[int] = ()) -> Value:
    """Return the value of a tag, judged by the v1 rules of its VR (STOW-082, STOW-136).

    `dropped` names what metadata leaves out: it counts as absent (TAG-045). Numbers that are not there are indexed as
    0, other values are not (QIDO-127, TAG-035).
    """
    element = None if tag.number in dropped else _element(tag, data_set)
    if element is None:
        return Value(0 if tag.vr in _INDEXED_AS_ZERO else None)
    if tag.vr not in element.vr.split(" or "):
        return Value(problem=_UNEXPECTED_VR)
    if tag.vr in _NUMBERS:
        return _number(tag.vr, data_set, element)
    values = _texts(tag.vr, data_set, element, decoder)
    if not values:
        return (
            Value(problem=rules_v1.check(tag.vr, ""))
            if tag.vr == "AS"
            else Value(0 if tag.vr == "IS" else None)
        )
    problem = rules_v1.check(tag.vr, values[0])
    return Value(key_of(tag.vr, values[0]) if problem is None else None, problem, len(values) > 1)


def _element(tag: ExtendedTag, data_set: DataSet) -> Element | None:
    number = tag.number
    element = data_set.by_tag.get(number)
    if element is None or not is_private(number) or is_reservation(number):
        return element
    block = data_set.by_tag.get((number & 0xFFFF0000) | (number & 0xFF00) >> 8)
    creator = data_set.value(block).decode("latin-1").rstrip(" \0") if block is not None else ""
    return element if creator == tag.creator else None


def _number(vr: str, data_set: DataSet, element: Element) -> Value:
    unpacker = Struct(("<" if data_set.little_endian else ">") + _NUMBERS[vr])
    raw = data_set.value(element)
    if len(raw) < unpacker.size:
        return Value(problem=_WRONG_LENGTH)
    return Value(unpacker.unpack(raw[: unpacker.size])[0], None, len(raw) >= 2 * unpacker.size)


def _texts(vr: str, data_set: DataSet, element: Element, decoder: Decoder) -> list[str]:
    text = decoder.text(element.vr if element.vr in TEXT_VRS else vr, data_set.value(element))
    text = text.rstrip("\0 ") if vr == "UI" else text.rstrip(" ")
    return text.split("\\") if text else []


def key_of(vr: str, text: str) -> Key | None:
    """Return a text value in the form of the index, None when it has none."""
    text = text.rstrip(" \0")
    if not text:
        return 0 if vr == "IS" else None
    return _KEYS.get(vr, text_key)(text)


def _integer(text: str) -> int | None:
    text = text.strip(" ")
    return int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else None


def date_time(text: str) -> int | None:
    """Return a DT without offset as microseconds since the year 1, missing parts as their first (QIDO-068)."""
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        return None
    *parts, fraction = match.groups()
    year, month, day, hour, minute, second = (
        int(part) if part is not None else least
        for part, least in zip(parts, (1, 1, 1, 0, 0, 0), strict=True)
    )
    try:
        moment = datetime(year, month, day, hour, minute, min(second, 59))  # noqa: DTZ001 - as _EPOCH
    except ValueError:
        return None
    passed = moment - _EPOCH
    return (passed.days * 86400 + passed.seconds) * 1_000_000 + int((fraction or "").ljust(6, "0"))


def time_of_day(text: str) -> int | None:
    """Return a TM as microseconds of the day, missing parts as 0 (QIDO-069)."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    *parts, fraction = match.groups()
    hour, minute, second = (int(part or 0) for part in parts)
    if hour > 23 or minute > 59 or second > 60:
        return None
    return ((hour * 60 + minute) * 60 + second) * 1_000_000 + int((fraction or "").ljust(6, "0"))


_KEYS: dict[str, Callable[[str], Key | None]] = {
    "PN": name_key,
    "UI": lambda text: text,
    "DA": lambda text: text if rules_v1.is_date(text) else None,
    "DT": lambda text: date_time(_OFFSET.sub("", text)),
    # Midnight is not indexed: the original takes it for a time that cannot be read (QIDO-129).
    "TM": lambda text: time_of_day(text) or None,
    "IS": _integer,
}
