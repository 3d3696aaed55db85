"""From a C-FIND identifier to QIDO-RS searches: the tables of ROUTER-060, ROUTER-062 and ROUTER-063."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Final

from pydicom import DataElement, Dataset
from pydicom.datadict import keyword_for_tag
from pydicom.tag import Tag

from systems.router.bridge.matching import is_universal, values_of
from systems.router.dimse.uids import PATIENT_ROOT_CLASSES

STUDY_UID: Final = 0x0020000D
SERIES_UID: Final = 0x0020000E
SOP_UID: Final = 0x00080018
PATIENT_ID: Final = 0x00100020
MODALITIES_IN_STUDY: Final = 0x00080061
STUDY_INSTANCES: Final = 0x00201208
STUDY_SERIES: Final = 0x00201206
SERIES_INSTANCES: Final = 0x00201209
PATIENT_STUDIES: Final = 0x00201200
PATIENT_INSTANCES: Final = 0x00201204

CHARACTER_SET: Final = 0x00080005
LEVEL: Final = 0x00080052
RETRIEVE_AE: Final = 0x00080054
AVAILABILITY: Final = 0x00080056
_TIMEZONE: Final = 0x00080201

NOT_KEYS: Final = frozenset({CHARACTER_SET, LEVEL, RETRIEVE_AE, AVAILABILITY, _TIMEZONE})

_STUDY_KEYS: Final = frozenset({
    STUDY_UID, 0x00100010, PATIENT_ID, 0x00100030, 0x00080050, 0x00080090, 0x00080020, 0x00081030,
})  # fmt: skip
_SERIES_KEYS: Final = frozenset({SERIES_UID, 0x00080060, 0x00400244, 0x00081090})
UNIQUE_KEYS: Final = {
    "PATIENT": (PATIENT_ID,),
    "STUDY": (STUDY_UID,),
    "SERIES": (STUDY_UID, SERIES_UID),
    "IMAGE": (STUDY_UID, SERIES_UID, SOP_UID),
}
# The service computes these; no search returns them, or not at that level.
_COMPUTED: Final = {
    MODALITIES_IN_STUDY: {"STUDY"},
    0x00080062: set(),
    STUDY_SERIES: {"STUDY"},
    STUDY_INSTANCES: {"STUDY"},
    SERIES_INSTANCES: {"SERIES"},
    PATIENT_STUDIES: {"PATIENT"},
    0x00201202: set(),
    PATIENT_INSTANCES: {"PATIENT"},
}
_DATE: Final = re.compile(r"\d{8}")
_LONGEST_LIST: Final = 8
_MOST_SEARCHES: Final = 500


class BadIdentifier(ValueError):  # noqa: N818 - named for what it is
    """The identifier cannot be answered: C-FIND status A900."""

    def __init__(self, message: str, tag: int = LEVEL) -> None:
        super().__init__(message)
        self.tag = tag


@dataclass(frozen=True, slots=True)
class Search:
    """A QIDO-RS search: path below the service and query parameters."""

    resource: str
    params: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The searches whose union holds every match, and what remains to be checked here.

    `local` keys restrict the result; `unsupported` ones cannot be checked at this level and make the matches FF01.
    """

    level: str
    searches: tuple[Search, ...]
    local: tuple[DataElement, ...]
    sent: frozenset[int]
    unsupported: frozenset[int]


def level_of(identifier: Dataset, sop_class_uid: str) -> str:
    """The query level.

    Raises:
        BadIdentifier: when it is missing or not one of the information model.

    """
    level = str(identifier.get("QueryRetrieveLevel", "")).strip().upper()
    levels = ["PATIENT"] if sop_class_uid in PATIENT_ROOT_CLASSES else []
    levels += ["STUDY", "SERIES", "IMAGE"]
    if level not in levels:
        message = f"level must be one of {', '.join(levels)}"
        raise BadIdentifier(message)
    return level


def uids(identifier: Dataset, tag: int) -> list[str]:
    """The UIDs of a key; empty for a universal one.

    Raises:
        BadIdentifier: when a value is no UID.

    """
    element = identifier.get(tag)
    if element is None or is_universal(element):
        return []
    found = [str(value).strip() for value in values_of(element)]
    if not all(re.fullmatch(r"[0-9.]{1,64}", uid) for uid in found):
        message = f"{keyword_for_tag(tag)} is not a UID"
        raise BadIdentifier(message, tag)
    return list(dict.fromkeys(found))


def resources(level: str, identifier: Dataset, *, relational: bool) -> tuple[list[str], frozenset[int]]:
    """The resources to search and the keys that are in their paths (ROUTER-060).

    Raises:
        BadIdentifier: when a parent UID is missing and the query may not be relational.

    """
    if level in {"PATIENT", "STUDY"}:
        return ["/studies"], frozenset()
    what = "series" if level == "SERIES" else "instances"
    studies = uids(identifier, STUDY_UID)
    series = uids(identifier, SERIES_UID) if level == "IMAGE" else []
    if not relational:
        if not studies:
            message = "StudyInstanceUID is needed at this level (no relational queries)"
            raise BadIdentifier(message, STUDY_UID)
        if level == "IMAGE" and not series:
            message = "SeriesInstanceUID is needed at this level (no relational queries)"
            raise BadIdentifier(message, SERIES_UID)
    if not studies:
        return [f"/{what}"], frozenset()
    if series:
        paths = [f"/studies/{study}/series/{one}/{what}" for study in studies for one in series]
        return paths, frozenset({STUDY_UID, SERIES_UID})
    return [f"/studies/{study}/{what}" for study in studies], frozenset({STUDY_UID})


def _searchable(resource: str, level: str) -> frozenset[int]:
    """The keys the service takes on a resource."""
    keys: frozenset[int] = frozenset()
    if not resource.startswith("/studies/"):
        keys |= _STUDY_KEYS
        if level in {"PATIENT", "STUDY"}:
            return keys | {MODALITIES_IN_STUDY}
    if "/series/" not in resource:
        keys |= _SERIES_KEYS
    return keys | {SOP_UID} if level == "IMAGE" else keys


def plan(identifier: Dataset, sop_class_uid: str, *, relational: bool) -> Plan:
    """Translate an identifier.

    Raises:
        BadIdentifier: when it cannot be answered.

    """
    level = level_of(identifier, sop_class_uid)
    paths, in_path = resources(level, identifier, relational=relational)
    keys = [
        element
        for element in identifier
        if element.tag not in NOT_KEYS
        and element.tag.group > 7
        and not is_universal(element)
        and element.tag.element
    ]
    unsupported = frozenset(int(key.tag) for key in keys if level not in _COMPUTED.get(int(key.tag), {level}))
    searchable = _searchable(paths[0], level) - in_path
    choices: dict[int, list[tuple[tuple[str, str], ...]]] = {}
    for key in keys:
        if key.tag in searchable and (values := list(_sendable(key, in_path=bool(in_path)))):
            choices[int(key.tag)] = values
    included = tuple(("includefield", f"{tag:08X}") for tag in _included(identifier, level))
    combinations = list(product(paths, product(*choices.values())))
    if len(combinations) > _MOST_SEARCHES:
        message = "too many combinations of listed values"
        raise BadIdentifier(message, next(iter(choices), LEVEL))
    searches = tuple(
        Search(path, (*_once(pair for pairs in chosen for pair in pairs), *included))
        for path, chosen in combinations
    )
    local = tuple(key for key in keys if int(key.tag) not in unsupported | in_path)
    return Plan(level, searches, local, frozenset(choices), unsupported)


def _once(pairs: Iterator[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(dict.fromkeys(pairs))


def _included(identifier: Dataset, level: str) -> list[int]:
    """Everything asked for, what identifies a match, and a count that makes the service answer from its index.

    Without the count, study and series values come from the newest instance and may contradict the index that
    the service searched (QIDO-100, QIDO-101).
    """
    wanted = {int(e.tag) for e in identifier if e.tag.group > 7 and e.tag not in NOT_KEYS and e.tag.element}
    wanted.update(UNIQUE_KEYS[level])
    if level in {"PATIENT", "STUDY"}:
        wanted.add(STUDY_INSTANCES)
        wanted.add(STUDY_UID)
    if level == "SERIES":
        wanted.add(SERIES_INSTANCES)
    return sorted(tag for tag in wanted if level in _COMPUTED.get(tag, {level}) or tag == STUDY_INSTANCES)


def _sendable(key: DataElement, *, in_path: bool) -> Iterator[tuple[tuple[str, str], ...]]:
    """The alternatives a key can be sent as, each a few parameters; none when it must be checked here only."""
    keyword = keyword_for_tag(key.tag)
    values = [str(value).strip() for value in values_of(key)]
    if any("<" in value or not value for value in values):
        return
    if key.VR == "UI":
        # A long list below a known study is cheaper to filter than to ask one by one.
        if len(values) <= _LONGEST_LIST or not in_path:
            yield from (((keyword, value),) for value in dict.fromkeys(values))
    elif key.tag == MODALITIES_IN_STUDY:
        if not any(_wild(value) for value in values):
            yield from (((keyword, value),) for value in dict.fromkeys(values))
    elif len(values) == 1:
        yield from _single(key.VR, keyword, values[0])


def _single(vr: str, keyword: str, value: str) -> Iterator[tuple[tuple[str, str], ...]]:
    if vr == "DA":
        if _is_date_key(value):
            yield ((keyword, value),)
    elif vr == "PN":
        word = re.match(r"[^\W_]+", value)
        # "AB?" says nothing about a prefix longer than "AB"; a word before * or ? is a prefix all the same.
        if word is not None:
            yield ((keyword, word.group()), ("fuzzymatching", "true"))
    elif not _wild(value) and '"' not in value:
        yield ((keyword, value),)


def _wild(value: str) -> bool:
    return "*" in value or "?" in value


def _is_date_key(value: str) -> bool:
    first, dash, last = value.partition("-")
    ends = [end for end in (first, last) if end]
    return bool(ends) and all(map(_is_date, ends)) and not (dash and first and last and first > last)


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    try:
        datetime.strptime(text, "%Y%m%d")  # noqa: DTZ007 - a calendar check, not a moment
    except ValueError:
        return False
    return True


def tag_name(tag: int) -> str:
    """A tag as people read it, without any value."""
    return keyword_for_tag(tag) or str(Tag(tag))
