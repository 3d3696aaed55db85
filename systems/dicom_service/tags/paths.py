"""Paths of tags: a keyword or eight hex digits (TAG-010, TAG-011, TAG-042)."""

import re

from systems.dicom_service.dicom import dictionary
from systems.dicom_service.web.problems import BadRequest

_HEX = re.compile(r"[0-9A-Fa-f]{8}")


def parse_path(path: str) -> int:
    """Return the tag a path names; raises a 400 when it names none or one inside a sequence."""
    text = path.strip()
    if "." in text:
        raise BadRequest(
            f"The extended query tag path '{path[:64]}' is invalid: sequential tags are currently not supported."
        )
    tag = int(text, 16) if _HEX.fullmatch(text) else dictionary.tag_of(text)
    if tag is None or not (dictionary.entry(tag) is not None or is_private(tag)):
        raise BadRequest(
            f"The extended query tag path '{path[:64]}' is invalid: it cannot be parsed into a valid Dicom Tag."
        )
    return tag


def is_private(tag: int) -> bool:
    """Return whether a tag can be a private element or the reservation of a block of them (PS3.5 section 7.8)."""
    group, element = tag >> 16, tag & 0xFFFF
    return bool(group & 1) and 8 < group < 0xFFFF and (element > 0x0FFF or is_reservation(tag))


def is_reservation(tag: int) -> bool:
    """Return whether a tag holds a private creator: (gggg,0010-00FF) of an odd group."""
    return bool((tag >> 16) & 1) and 0x10 <= (tag & 0xFFFF) <= 0xFF
