"""What a v2 store warns about: every value against its VR and multiplicity (STOW-092 to STOW-109, STOW-134, STOW-138).

A value is first held against one expression over its bytes, which nearly every value passes; only what does not pass is
decoded and examined rule by rule, in the order of STOW-138, to name the cause.
"""

import re
from collections.abc import Callable, Iterator

from systems.dicom_service.dicom import dictionary
from systems.dicom_service.dicom.attributes import shown
from systems.dicom_service.dicom.elements import Buffer, DataSet, Element
from systems.dicom_service.dicom.rules_v1 import has_control
from systems.dicom_service.dicom.text import SINGLE_TEXT_VRS, Decoder
from systems.dicom_service.dicom.usual_values import DATE_TIME, USUAL_LISTS

_NUMBER_SIZES = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "AT": 4, "SV": 8, "UV": 8}
_VM_UNCHECKED = frozenset({"UC", "OB", "OW", "OL", "OD", "OF", "OV", "UN", "SQ", "PN"})
_PATIENT_NAME = 0x00100010


def violations(data_set: DataSet, decoder: Decoder) -> dict[int, str]:
    """Return the reason for each tag in violation, the first one found for each, in file order."""
    found: dict[int, str] = {}
    for tag, reason in _violations(data_set, data_set.elements, decoder):
        found.setdefault(tag, reason)
    return found


def root_violations(data_set: DataSet, decoder: Decoder) -> dict[int, str]:
    """Return one reason for each root element with a violation in it, at whatever depth (STOW-129)."""
    found: dict[int, str] = {}
    for element in data_set.elements:
        for _, reason in _violations(data_set, [element], decoder):
            creator = _creator(data_set, data_set.elements, element.tag)
            found[element.tag] = f"DICOM100: {shown(element.tag, creator)} - {reason.partition(' - ')[2]}"
            break
    return found


class _Usual(dict[int, tuple[Callable[[bytes], object], int, float]]):
    """For the tags of one text VR: the expression of a usual value, and least and most values."""

    def __init__(self, vr: str) -> None:
        super().__init__()
        self._vr = vr
        self._match = USUAL_LISTS[vr].fullmatch

    def __missing__(self, tag: int) -> tuple[Callable[[bytes], object], int, float]:
        bounds = (
            None if self._vr in SINGLE_TEXT_VRS or self._vr in _VM_UNCHECKED else dictionary.multiplicity(tag)
        )
        low, high = (bounds[0], bounds[1]) if bounds is not None else (0, None)
        made = self._match, low, float("inf") if high is None else high
        if len(self) < _REMEMBERED_TAGS:
            self[tag] = made
        return made


_REMEMBERED_TAGS = 4096
_USUAL_OF = {vr: _Usual(vr) for vr in USUAL_LISTS}
_JUDGED = _USUAL_OF.keys() | _NUMBER_SIZES.keys()


def _violations(data_set: DataSet, elements: list[Element], decoder: Decoder) -> Iterator[tuple[int, str]]:
    data = data_set.data
    for element in elements:
        tag, vr, start, stop, items = element
        if items is not None:
            for item in items:
                yield from _violations(data_set, item, decoder)
        elif stop > start:
            usual = _USUAL_OF.get(vr)
            if usual is None:
                if vr not in _NUMBER_SIZES or _number_multiplicity_fits(element):
                    continue
                cause: str | None = _multiplicity_cause(tag, vr, (stop - start) // _NUMBER_SIZES[vr])
            else:
                value = data[start:stop]
                matches, low, high = usual[tag]
                if matches(value) and low <= value.count(b"\\") + 1 <= high:
                    continue
                cause = _cause(tag, vr, decoder.text(vr, value))
            if cause is not None:
                yield tag, f"DICOM100: {shown(tag, _creator(data_set, elements, tag))} - {cause}"


def is_usual(tag: int, vr: str, value: bytes) -> bool:
    """Return whether a value violates nothing as can be seen from its bytes alone; one that does not may still be right."""
    usual = _USUAL_OF.get(vr)
    if not value:
        return True
    if usual is None:
        return vr not in _NUMBER_SIZES or _fits(tag, len(value) // _NUMBER_SIZES[vr])
    matches, low, high = usual[tag]
    return matches(value) is not None and low <= value.count(b"\\") + 1 <= high


def are_usual(data: Buffer, elements: list[Element]) -> bool:
    """Return whether `is_usual` holds for all elements and those of their items."""
    return all(
        is_usual(
            element.tag, element.vr, data[element.start : element.stop] if element.vr in _JUDGED else b""
        )
        if element.items is None
        else all(are_usual(data, item) for item in element.items)
        for element in elements
    )


def _creator(data_set: DataSet, elements: list[Element], tag: int) -> str:
    """Return the private creator that reserved the block of a private tag in the same data set (PS3.5 section 7.8)."""
    if not (tag >> 16) & 1:
        return ""
    block = (tag & 0xFFFF0000) | (tag & 0xFF00) >> 8
    for element in elements:
        if element.tag == block:
            return data_set.value(element).decode("ascii", "replace").strip(" \0")
    return ""


def _fits(tag: int, count: int) -> bool:
    bounds = dictionary.multiplicity(tag)
    return bounds is None or (count >= bounds[0] and (bounds[1] is None or count <= bounds[1]))


def _number_multiplicity_fits(element: Element) -> bool:
    return _fits(element.tag, (element.stop - element.start) // _NUMBER_SIZES[element.vr])


def _multiplicity_cause(tag: int, vr: str, count: int) -> str | None:
    """Return the violation of STOW-105, None when `count` values are right or not checked."""
    bounds = dictionary.multiplicity(tag)
    if vr in _VM_UNCHECKED and not (tag == _PATIENT_NAME and count > 3):
        return None
    if bounds is None or (vr != "PN" and _fits(tag, count)):
        return None
    described = f"{shown(tag)} {vr} {dictionary.name(tag)}"
    return (
        f'Content "{described}" does not validate VR {vr}: '
        f"Number of items {count} does not match ValueMultiplicity {bounds[2]}"
    )


def cause_in(tag: int, vr: str, text: str) -> str | None:
    """Return what is wrong with the text of one element, None when nothing is."""
    return _cause(tag, vr, text)


def _cause(tag: int, vr: str, text: str) -> str | None:
    """Return the first thing wrong with a text value, None when it is only unusual."""
    if text.endswith("\0") and vr != "UI":
        # A padded value is looked at as one string, without multiplicity (STOW-134).
        parts = [text.rstrip("\0").rstrip(" ") if vr != "AE" else text.rstrip("\0")]
    else:
        text = text.rstrip("\0 ") if vr == "UI" else text.rstrip(" ")
        parts = [text] if vr in SINGLE_TEXT_VRS else text.split("\\")
        wrong_count = None if vr in SINGLE_TEXT_VRS or not text else _multiplicity_cause(tag, vr, len(parts))
        if wrong_count is not None:
            return wrong_count
    if parts == [""]:
        return None
    for part in parts:
        cause = _RULES[vr](part) if part or vr in ("DS", "AE") else None
        if cause is not None:
            return f'Content "{part}" does not validate VR {vr}: {cause}'
    return None


def _longer(value: str, most: int) -> str | None:
    return f"value exceeds maximum length of {most} characters" if len(value) > most else None


def _check_ae(value: str) -> str | None:
    if len(value) > 16:
        return _longer(value, 16)
    if not value.strip(" "):
        return "value may not consist only of spaces"
    return "value contains invalid control character" if has_control(value) or "\\" in value else None


def _check_as(value: str) -> str | None:
    return None if re.fullmatch(r"[0-9]{3}[DWMY]", value) else "value does not have pattern 000[DWMY]"


def _check_cs(value: str) -> str | None:
    if len(value) > 16:
        return _longer(value, 16)
    if re.fullmatch(r"[A-Z0-9_ ]*", value):
        return None
    return "value contains invalid character. Only uppercase character, digits, space and underscore alre allowed"


def _check_da(value: str) -> str | None:
    ends = value.split("-")
    if len(ends) > 2:
        return "value contains too many range separators '-'"
    for end in ends:
        date = end.strip(" ")
        if not date and len(ends) == 2:
            continue
        if not re.fullmatch(r"[0-9]{8}", date):
            return "one of the date values does not match the pattern YYYYMMDD"
        if int(date[4:6]) > 12:
            return "month component exceeds the value 12"
        if int(date[6:8]) > 31:
            return "day component exceeds the value 31"
    return None


def _check_ds(value: str) -> str | None:
    if len(value) > 16:
        return _longer(value, 16)
    number = r" *[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)? *"
    return None if re.fullmatch(number, value) else "value is no decimal string"


def _check_is(value: str) -> str | None:
    if not re.fullmatch(r" *[+-]?[0-9]+ *", value):
        return "value is not an integer string"
    return None if -(2**31) <= int(value) < 2**31 else "value too large to fit 32 bit integer"


def _check_lo(value: str) -> str | None:
    if len(value) > 64:
        return _longer(value, 64)
    return "value contains invalid character" if has_control(value) or "\\" in value else None


def _check_sh(value: str) -> str | None:
    if has_control(value) or "\\" in value:
        return "value contains invalid character"
    return _longer(value, 16)


def _check_pn(value: str) -> str | None:
    groups = value.split("=")
    if len(groups) > 3:
        return "value contains too many groups"
    for group in groups:
        if len(group) > 64:
            return _longer(group, 64)
        if has_control(group):
            return "value contains invalid control character"
        if group.count("^") > 4:
            return "value contains too many components"
    return None


def _check_tm(value: str) -> str | None:
    for end in value.split("-"):
        match = re.fullmatch(r"([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:\.[0-9]{1,6})?)?)?", end.strip(" "))
        if match is None:
            return "value does not mach pattern HH or HHMM or HHMMSS or HHMMSS.F{1-6}"
        hours, minutes, seconds = (int(part or 0) for part in match.groups())
        if hours > 23:
            return "hour component exceeds 23"
        if minutes > 59:
            return "minutes component exceeds 59"
        if seconds > 60:
            return "seconds component exceeds 60"
    return None


def _check_dt(value: str) -> str | None:
    pattern = f"({DATE_TIME})?(-({DATE_TIME})?)?"
    return (
        None
        if re.fullmatch(pattern, value.strip(" "))
        else "value does not match pattern YYYYMMDDHHMMSS.FFFFFF&ZZXX"
    )


def _check_ui(value: str) -> str | None:
    if len(value) > 64:
        return _longer(value, 64)
    if not re.fullmatch(r"[0-9.]*", value):
        return "value contains invalid characters other than '0'-'9' and '.'"
    parts = value.split(".")
    if any(len(part) > 1 and part.startswith("0") for part in parts) or parts[0] == "0":
        return "components must not have leading zeros"
    return "a component can not be empty" if "" in parts else None


_RULES: dict[str, Callable[[str], str | None]] = {
    "AE": _check_ae,
    "AS": _check_as,
    "CS": _check_cs,
    "DA": _check_da,
    "DS": _check_ds,
    "DT": _check_dt,
    "IS": _check_is,
    "LO": _check_lo,
    "LT": lambda value: _longer(value, 10240),
    "PN": _check_pn,
    "SH": _check_sh,
    "ST": lambda value: _longer(value, 1024),
    "TM": _check_tm,
    "UI": _check_ui,
}
