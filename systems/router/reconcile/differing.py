"""What two copies of an instance say differently, element by element: for the person who has to decide which is right."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

_MOST: Final = 20
_LONGEST: Final = 64
_PADDING: Final = 0xFFFCFFFC


def described(received: Path, copy: Path) -> str:
    """The elements that differ, each with its value in the copy and as it was received; empty where none can be named.

    Values are patient data: they belong into the findings that an operator asked for, into no log and not into the audit trail.
    """
    try:
        found = list(_between(pydicom.dcmread(received), pydicom.dcmread(copy)))
    except (pydicom.errors.InvalidDicomError, ValueError, KeyError, TypeError, EOFError, NotImplementedError):
        return ""
    more = [f"{len(found) - _MOST} more"] if len(found) > _MOST else []
    return "; ".join(found[:_MOST] + more)


def _between(received: Dataset, copy: Dataset) -> Iterator[str]:
    for tag in sorted({*received.keys(), *copy.keys()}):
        if tag.element == 0 or tag == _PADDING:
            continue
        was, now = received.get(tag), copy.get(tag)
        if was != now:
            name = pydicom.datadict.keyword_for_tag(tag) or "private"
            yield f"{name} {tag} is {_shown(now)}, received was {_shown(was)}"


def _shown(element: DataElement | None) -> str:
    if element is None:
        return "absent"
    if element.VR == "SQ":
        return f"{len(element.value)} items"
    if isinstance(element.value, bytes):
        return f"{len(element.value)} bytes"
    text = str(element.value)
    return f"'{text[:_LONGEST]}...'" if len(text) > _LONGEST else f"'{text}'"
