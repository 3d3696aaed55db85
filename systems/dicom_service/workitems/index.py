"""Which values of a work item searches can find, and in what form they compare (UPS-059 to UPS-063)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from systems.dicom_service.storage.keys import name_key, text_key
from systems.dicom_service.workitems.items import Item, members, text
from systems.dicom_service.workitems.tags import tag_of

_MOMENT = re.compile(r"\d{4}(\d{2}(\d{2}(\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?)?)?)?", re.ASCII)
_FIRST = "00000101000000"
_LONGEST = {"PN": 200, "DT": 64}


@dataclass(frozen=True, slots=True)
class Indexed:
    """A searchable attribute: one tag, or a sequence and a tag of its items."""

    tags: tuple[int, ...]
    vr: str

    @property
    def path(self) -> str:
        """Its name in the index."""
        return ".".join(f"{tag:08X}" for tag in self.tags)

    def values(self, item: Item) -> Iterator[str]:
        """Yield the values of a work item as it was sent, empty ones left out."""
        *parents, last = (f"{tag:08X}" for tag in self.tags)
        holders = members(item, parents[0]) if parents else [item]
        yield from filter(None, (text(holder, last) for holder in holders))

    def comparable(self, value: str) -> str | None:
        """Return the form in which values compare, None for a date-time that cannot be read."""
        if self.vr == "PN":
            return name_key(value)
        if self.vr == "DT":
            return moment(re.sub(r"[+-]\d{4}$", "", value.strip()))
        return value.rstrip(" \0") if self.vr == "UI" else text_key(value)


def _of(vr: str, *keywords: str) -> Indexed:
    return Indexed(tuple(tag_of(keyword) for keyword in keywords), vr)


SEARCHABLE = {
    attribute.tags: attribute
    for attribute in (
        _of("PN", "PatientName"),
        _of("LO", "PatientID"),
        _of("UI", "StudyInstanceUID"),
        _of("CS", "ProcedureStepState"),
        _of("DT", "ScheduledProcedureStepStartDateTime"),
        _of("SH", "ReferencedRequestSequence", "AccessionNumber"),
        _of("SH", "ReferencedRequestSequence", "RequestedProcedureID"),
        _of("SH", "ScheduledStationNameCodeSequence", "CodeValue"),
        _of("SH", "ScheduledStationClassCodeSequence", "CodeValue"),
        _of("SH", "ScheduledStationGeographicLocationCodeSequence", "CodeValue"),
    )
}


def moment(value: str) -> str | None:
    """Return a date-time of yyyy to yyyyMMddHHmmss.FFFFFF in one length, None when it is none; gaps are first moments."""
    if not _MOMENT.fullmatch(value):
        return None
    whole, _, fraction = value.partition(".")
    whole += _FIRST[len(whole) :]
    try:
        datetime.strptime(whole, "%Y%m%d%H%M%S")  # noqa: DTZ007 - only asks whether there is such a moment
    except ValueError:
        return None
    return f"{whole}.{fraction.ljust(6, '0')}"


def too_long(item: Item) -> str | None:
    """Return the path of a searchable value that no index takes, None when all fit (UPS-078)."""
    for attribute in SEARCHABLE.values():
        if any(len(value) > _LONGEST.get(attribute.vr, 64) for value in attribute.values(item)):
            return attribute.path
    return None


def entries(item: Item) -> list[tuple[str, str]]:
    """Return path and comparable value of everything that can be found."""
    return [
        (attribute.path, key)
        for attribute in SEARCHABLE.values()
        for key in map(attribute.comparable, attribute.values(item))
        if key is not None
    ]
