"""What a v1 store checks: the indexed attributes only, each by the rule of its VR (STOW-080 to STOW-090)."""

import re
import unicodedata
from calendar import monthrange
from collections.abc import Callable

from systems.dicom_service.dicom import dictionary
from systems.dicom_service.dicom.attributes import shown
from systems.dicom_service.dicom.uids import is_uid

_LONGEST = {"AE": 16, "CS": 16, "SH": 16, "LO": 64}
_TIME = re.compile(r"([01][0-9]|2[0-3])([0-5][0-9](([0-5][0-9]|60)(\.[0-9]{1,6})?)?)?")
_DATE_TIME = re.compile(
    r"[0-9]{4}((0[1-9]|1[0-2])((0[1-9]|[12][0-9]|3[01])"
    r"(([01][0-9]|2[0-3])([0-5][0-9](([0-5][0-9]|60)(\.[0-9]{1,6})?)?)?)?)?)?([+-][0-9]{4})?"
)
_INTEGER = re.compile(r" *[+-]?[0-9]+ *")


def reason(tag: int, vr: str, cause: str) -> str:
    """Return the reason text for a value that breaks its VR's rule (STOW-089)."""
    return f"DICOM100: {shown(tag)} - Dicom element '{dictionary.keyword(tag)}' failed validation for VR '{vr}': {cause}"


def check(vr: str, value: str) -> str | None:
    """Return what is wrong with the first value of an indexed attribute, None when nothing is."""
    if vr in _LONGEST and len(value) > _LONGEST[vr]:
        return f"Value length exceeds maximum length of {_LONGEST[vr]}."
    if vr == "LO":
        return "Value contains invalid character." if has_control(value) else None
    if vr == "PN":
        return check_name(value)
    return _check_pattern(vr, value)


def _check_pattern(vr: str, value: str) -> str | None:
    rule = _PATTERNS.get(vr)
    return None if rule is None or rule[0](value) else rule[1]


def _is_integer(value: str) -> bool:
    return _INTEGER.fullmatch(value) is not None and -(2**31) <= int(value) < 2**31


def check_name(value: str) -> str | None:
    """Return what is wrong with a person name (STOW-085, STOW-086)."""
    groups = value.split("=")
    if len(groups) > 3:
        return "Value contains too many groups."
    if any(len(group) > 64 for group in groups):
        return "Value length exceeds maximum length of 64."
    if has_control(value):
        return "Value contains invalid character."
    if any(group.count("^") > 4 for group in groups):
        return "Value contains too many components."
    return None


def has_control(value: str) -> bool:
    """Return whether the text has a control character other than ESC."""
    if value.isprintable():
        return False
    return any(unicodedata.category(letter) == "Cc" and letter != "\x1b" for letter in value)


def is_date(value: str) -> bool:
    """Return whether the value is a real calendar date in the form yyyyMMdd."""
    if len(value) != 8 or not (value.isascii() and value.isdigit()):
        return False
    year, month, day = int(value[:4]), int(value[4:6]), int(value[6:])
    return year > 0 and 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]


_PATTERNS: dict[str, tuple[Callable[[str], bool], str]] = {
    "AS": (lambda value: len(value) == 4, "Value length is not 4."),
    "DA": (is_date, "Value cannot be parsed as a valid date."),
    "DT": (
        lambda value: _DATE_TIME.fullmatch(value) is not None,
        "Value cannot be parsed as a valid DateTime.",
    ),
    "IS": (_is_integer, "Value cannot be parsed as a valid integer string."),
    "TM": (lambda value: _TIME.fullmatch(value) is not None, "Value cannot be parsed as a valid Time."),
    "UI": (lambda value: is_uid(value.rstrip(" \0")), "Value is not a valid UID."),
}
