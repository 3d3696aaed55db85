"""Private extended query tags of one test module, and instances that hold values for them."""

import struct
from dataclasses import dataclass

from suites.azure.data import Made, Maker, Raw
from suites.azure.tags import CREATOR, Element, Tags, element, private_path

_BINARY = {"US": "<H", "SS": "<h", "UL": "<I", "SL": "<i", "FL": "<f", "FD": "<d"}


@dataclass(frozen=True)
class Own:
    """One private tag: its path, VR and level."""

    path: str
    vr: str
    level: str

    @property
    def element(self) -> Element:
        """What an add request says of it."""
        return element(self.path, self.level, self.vr, CREATOR)

    def raw(self, value: str | float) -> Raw:
        """The elements that give an instance this value, its private creator included."""
        tag = int(self.path, 16)
        reservation = (tag & 0xFFFF0000) | (tag & 0xFF00) >> 8
        content = struct.pack(_BINARY[self.vr], value) if self.vr in _BINARY else str(value)
        return {reservation: ("LO", CREATOR), tag: (self.vr, content)}


def own(vr: str, level: str = "instance") -> Own:
    """A private tag nobody else uses."""
    return Own(private_path(), vr, level)


def add(tags: Tags, *wanted: Own) -> None:
    """Add tags and wait until searches can use them."""
    tags.add(*(one.element for one in wanted))


def holding(make: Maker, values: dict[Own, str | float], like: Made | None = None) -> Made:
    """An instance with these values."""
    raw: dict[int, tuple[str, bytes | str]] = {}
    for tag, value in values.items():
        raw |= tag.raw(value)
    return make(like=like, raw=raw)
