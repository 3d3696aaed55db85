"""Filters of a search on extended query tags (QIDO-066 to QIDO-070, QIDO-114 to QIDO-117, QIDO-126)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct

from systems.dicom_service.dicom import rules_v1
from systems.dicom_service.dicom.attributes import Level
from systems.dicom_service.storage.keys import name_key, text_key
from systems.dicom_service.tags.definitions import ExtendedTag
from systems.dicom_service.tags.values import Key, date_time, time_of_day
from systems.dicom_service.web.problems import BadRequest

_OWNERS = {Level.STUDY: "study.id", Level.SERIES: "series.id", Level.INSTANCE: "instance.watermark"}
_LARGEST_SINGLE = 3.4e38


@dataclass(frozen=True, slots=True)
class TagFilter:
    """The SQL of a filter and its bound values."""

    sql: str
    values: tuple[Key, ...]


def tag_filter(tag: ExtendedTag, value: str, *, fuzzy: bool) -> TagFilter:
    """Return the filter of a tag; raises the 400 of a malformed value."""
    if tag.vr in _PARSERS:
        return _ranged(tag, value)
    if tag.vr == "PN" and fuzzy:
        if '"' in value:
            raise BadRequest(
                f"Invalid query: the character '\"' is not supported in a fuzzy value of '{tag.path}'."
            )
        return _among(tag, "has_phrase(key, ?)", name_key(value))
    return _among(tag, "key = ?", _key(tag, value))


def _among(tag: ExtendedTag, test: str, *values: Key) -> TagFilter:
    owners = f"SELECT owner FROM extended_tag_value WHERE tag = ? AND {test}"  # noqa: S608 - own texts, bound values
    return TagFilter(f"{_OWNERS[tag.level]} IN ({owners})", (tag.id, *values))


def _key(tag: ExtendedTag, value: str) -> Key:
    if tag.vr in ("IS", "SL", "SS", "UL", "US"):
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", value):
            raise _malformed(tag, value, "an integer is expected")
        return int(value)
    if tag.vr in ("FL", "FD"):
        if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", value):
            raise _malformed(tag, value, "a decimal number is expected")
        # A stored FL is the nearest number of 32 bits, and so has to be what is looked for.
        return _nearest_single(float(value)) if tag.vr == "FL" else float(value)
    if tag.vr == "UI":
        return value.rstrip(" \0")
    return name_key(value) if tag.vr == "PN" else text_key(value)


def _nearest_single(value: float) -> float:
    if abs(value) >= _LARGEST_SINGLE:
        return value
    single: float = Struct("<f").unpack(Struct("<f").pack(value))[0]
    return single


def _ranged(tag: ExtendedTag, value: str) -> TagFilter:
    start, hyphen, end = (part.strip() for part in value.partition("-"))
    if not hyphen or "-" in end:
        return _among(tag, "key = ?", _moment(tag, value))
    if not start and not end:
        raise _malformed(tag, value, "both parts of the range are empty")
    bounds = [(test, _moment(tag, text)) for test, text in (("key >= ?", start), ("key <= ?", end)) if text]
    values = [moment for _, moment in bounds]
    if len(values) == 2 and _reversed(values[0], values[1]):
        raise _malformed(tag, value, "the start of the range is after its end")
    return _among(tag, " AND ".join(test for test, _ in bounds), *values)


def _reversed(start: Key, end: Key) -> bool:
    return str(start) > str(end) if isinstance(start, str) else float(start) > float(end)


def _moment(tag: ExtendedTag, text: str) -> Key:
    found = _PARSERS[tag.vr](text)
    if found is None:
        if tag.vr == "DT" and re.search(r" [0-9]{4}$", text):
            raise _malformed(tag, text, "a time zone offset is not supported")
        raise _malformed(tag, text, f"it is no valid value of VR {tag.vr}")
    return found


def _malformed(tag: ExtendedTag, value: str, cause: str) -> BadRequest:
    return BadRequest(
        f"Invalid query: specified value '{value[:64]}' is invalid for attribute '{tag.path}': {cause}."
    )


def _date(text: str) -> Key | None:
    return text if rules_v1.is_date(text) else None


_PARSERS: dict[str, Callable[[str], Key | None]] = {"DA": _date, "DT": date_time, "TM": time_of_day}
