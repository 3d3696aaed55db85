"""The rules of matching in plain Python: what is stored after a history, and what a search of it has to find."""

import re
import unicodedata
from dataclasses import dataclass, field

from systems.dicom_service.dicom.attributes import (
    MODALITIES_IN_STUDY,
    SEARCHABLE,
    SERIES_ATTRIBUTES,
    STUDY_ATTRIBUTES,
    Level,
)

Values = dict[int, str | None]
DATES = {item.tag for item in SEARCHABLE.values() if item.vr == "DA"}
NAMES = {item.tag for item in SEARCHABLE.values() if item.vr == "PN"}
STUDY_TAGS = [item.tag for item in STUDY_ATTRIBUTES]
SERIES_TAGS = [item.tag for item in SERIES_ATTRIBUTES]


@dataclass
class Entity:
    """A study or series of the oracle: when it was made, and the latest value of each attribute."""

    made: int
    values: Values = field(default_factory=dict)

    def learn(self, values: Values) -> None:
        """Take over what a new instance says (QIDO-099)."""
        self.values |= {tag: value for tag, value in values.items() if value}


@dataclass
class Oracle:
    """What is stored, as plain data."""

    studies: dict[int, Entity] = field(default_factory=dict)
    series: dict[tuple[int, int], Entity] = field(default_factory=dict)
    instances: dict[tuple[int, int, int], int] = field(default_factory=dict)
    clock: int = 0

    def store(self, uids: tuple[int, int, int], values: Values) -> bool:
        """Store an instance; returns False when it is there already."""
        if uids in self.instances:
            return False
        self.clock += 1
        self.instances[uids] = self.clock
        self.studies.setdefault(uids[0], Entity(self.clock)).learn({tag: values[tag] for tag in STUDY_TAGS})
        self.series.setdefault(uids[:2], Entity(self.clock)).learn({tag: values[tag] for tag in SERIES_TAGS})
        return True

    def delete(self, uids: tuple[int, int, int]) -> None:
        """Delete an instance and what becomes empty above it; the index keeps its values (QIDO-106)."""
        self.instances.pop(uids, None)
        if not any(one[:2] == uids[:2] for one in self.instances):
            self.series.pop(uids[:2], None)
        if not any(one[0] == uids[0] for one in self.instances):
            self.studies.pop(uids[0], None)

    def holds(self, tag: int, sent: str, uids: tuple[int, ...], *, fuzzy: bool) -> bool:
        """Whether a filter matches what has these UIDs: a study, a series or an instance."""
        study = uids[0]
        if tag == MODALITIES_IN_STUDY:
            modality = SERIES_ATTRIBUTES[0].tag
            below = [one for key, one in self.series.items() if key[0] == study]
            return any(_equal(one.values.get(modality), sent) for one in below)
        entity = self.studies[study] if tag in STUDY_TAGS else self.series[study, uids[1]]
        value = entity.values.get(tag)
        if tag in DATES:
            return _in_range(value, sent)
        if tag in NAMES:
            return _begins(value, sent) if fuzzy else _equal(value and plain(value), plain(sent))
        return _equal(value, sent)

    def search(self, level: Level, filters: dict[int, str], *, fuzzy: bool) -> list[tuple[int, ...]]:
        """The matches, newest first (QIDO-103)."""
        found: list[tuple[tuple[int, ...], int]]
        if level is Level.STUDY:
            found = [((study,), one.made) for study, one in self.studies.items()]
        elif level is Level.SERIES:
            found = [(key, one.made) for key, one in self.series.items()]
        else:
            found = [*self.instances.items()]
        kept = [
            (made, uids)
            for uids, made in found
            if all(self.holds(tag, sent, uids, fuzzy=fuzzy) for tag, sent in filters.items())
        ]
        return [uids for _, uids in sorted(kept, reverse=True)]


def _equal(value: str | None, sent: str) -> bool:
    return value is not None and value.strip("\0").lower().replace("ß", "ss") == sent.strip(
        "\0"
    ).lower().replace("ß", "ss")


def plain(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text) if unicodedata.category(c) != "Mn").lower()


def _begins(value: str | None, sent: str) -> bool:
    words = re.findall(r"[^ ^=]+", plain(value or ""))
    wanted = re.findall(r"[^ ^=]+", plain(sent))
    return any(
        len(words) - at >= len(wanted) and all(words[at + n].startswith(w) for n, w in enumerate(wanted))
        for at in range(len(words))
    )


def _in_range(value: str | None, sent: str) -> bool:
    if not value:
        return False
    start, hyphen, end = sent.partition("-")
    return value == start if not hyphen else (start or value) <= value <= (end or value)
