"""What one instance has for the extended query tags."""

from collections.abc import Container, Iterable
from dataclasses import dataclass, field

from systems.dicom_service.dicom.elements import DataSet
from systems.dicom_service.dicom.text import Decoder
from systems.dicom_service.tags.definitions import ExtendedTag
from systems.dicom_service.tags.index import Entry
from systems.dicom_service.tags.values import value_of


@dataclass(slots=True)
class Found:
    """Values for the index, faulty tags with their causes, and whether a tag has several values."""

    entries: list[Entry] = field(default_factory=list)
    faults: list[tuple[ExtendedTag, str]] = field(default_factory=list)
    several: bool = False


def found_in(
    data_set: DataSet, decoder: Decoder, tags: Iterable[ExtendedTag], dropped: Container[int] = ()
) -> Found:
    """Return what a data set has for `tags`; `dropped` names what metadata leaves out."""
    found = Found()
    for tag in tags:
        value = value_of(tag, data_set, decoder, dropped)
        found.several = found.several or value.several
        if value.problem is not None:
            found.faults.append((tag, value.problem))
        elif value.key is not None:
            found.entries.append(Entry(tag.id, tag.level, value.key))
    return found
