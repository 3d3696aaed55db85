"""Query parameters of a search, checked in the order of QIDO-123."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from systems.dicom_service.dicom import dictionary
from systems.dicom_service.dicom.attributes import MODALITIES_IN_STUDY, SEARCHABLE, Level
from systems.dicom_service.search.attributes import defaults, everything
from systems.dicom_service.search.conditions import Condition, condition
from systems.dicom_service.tags.definitions import READY, ExtendedTag, TagSet
from systems.dicom_service.tags.filters import tag_filter
from systems.dicom_service.web.problems import BadRequest, bad_parameter
from systems.dicom_service.web.request import Request

_CONTROLS = frozenset({"limit", "offset", "fuzzymatching", "includefield"})
_DEFAULT_LIMIT = 100
_MOST = 200


@dataclass(frozen=True, slots=True)
class Target:
    """What is searched: the level of the results and the UIDs the path gives."""

    level: Level
    study_uid: str | None
    series_uid: str | None
    partition: int = 1

    @property
    def levels(self) -> frozenset[Level]:
        """The levels whose attributes can be searched and are shown: those from the path's end down to the results."""
        top = 0 if self.study_uid is None else (1 if self.series_uid is None else 2)
        return frozenset(level for level in Level if top <= level.value <= self.level.value)


@dataclass(frozen=True, slots=True)
class Paging:
    """Which part of the result and how names compare."""

    limit: int
    offset: int
    fuzzy: bool


@dataclass(frozen=True, slots=True)
class Query:
    """A checked search."""

    target: Target
    paging: Paging
    conditions: tuple[Condition, ...]
    returned: frozenset[int]


def paging(request: Request) -> Paging:
    """Return the control parameters; raises the 400s of QIDO-016 to QIDO-024 and QIDO-125."""
    return Paging(
        limit=_number(request, "Limit", _DEFAULT_LIMIT, 1, _MOST, 2**31 - 1),
        offset=_number(request, "Offset", 0, 0, 2**63 - 1, 2**63 - 1),
        fuzzy=_flag(request, "FuzzyMatching"),
    )


def _number(request: Request, name: str, default: int, least: int, most: int, largest: int) -> int:
    text = request.control(name)
    if text is None:
        return default
    if not re.fullmatch(r"\s*[+-]?[0-9]{1,20}\s*", text) or abs(int(text)) > largest:
        raise bad_parameter(name, f"The value '{text[:64]}' is not a number.")
    if not least <= int(text) <= most:
        raise bad_parameter(name, f"The field {name} must be between {least} and {most}.")
    return int(text)


def _flag(request: Request, name: str) -> bool:
    text = request.control(name)
    if text is None:
        return False
    if text.strip().lower() not in ("true", "false"):
        raise bad_parameter(name, f"The value '{text[:64]}' is not true or false.")
    return text.strip().lower() == "true"


def filters(request: Request) -> list[tuple[str, str]]:
    """Return the attribute filters as sent; raises the 400 of an attribute given twice (QIDO-031)."""
    found: dict[str, str] = {}
    for name, value in request.query():
        attribute = name.strip()
        if attribute.lower() in _CONTROLS:
            continue
        if attribute in found:
            raise BadRequest(
                f"Invalid query: Duplicate AttributeId '{attribute}'. Each attribute is only allowed once."
            )
        found[attribute] = value.strip()
    return list(found.items())


def query(
    request: Request, target: Target, control: Paging, wanted: Sequence[tuple[str, str]], tags: TagSet
) -> Query:
    """Return the checked search; raises the 400s of QIDO-025 to QIDO-092."""
    conditions: list[Condition] = []
    seen: set[int] = set()
    for name, value in wanted:
        tag = attribute_tag(name)
        if tag is None:
            raise BadRequest(f"Invalid query: unknown query parameter '{name}'.")
        extended = _extended(tag, target, tags)
        if extended is None and not _searchable(tag, target):
            raise BadRequest(
                f"Invalid query: AttributeId {name} is not queryable. If it is an extended query tag, add it first."
            )
        if extended is not None and not extended.enabled:
            raise BadRequest(f"Invalid query: query is disabled on specified attribute '{name}'.")
        if not value:
            raise BadRequest(f"Invalid query: empty string value is not supported for attribute '{name}'.")
        if extended is not None:
            made = _extended_condition(extended, value, control)
        else:
            made = condition(tag, value, fuzzy=control.fuzzy)
        if tag in seen:
            raise BadRequest(
                f"Invalid query: attribute '{name}' was specified more than once using different ID formats."
            )
        seen.add(tag)
        conditions.append(made)
    returned = _returned(request, target) | seen | _path_uids(target)
    return Query(target, control, tuple(conditions), frozenset(returned))


def attribute_tag(name: str) -> int | None:
    """Return the tag a keyword or eight hex digits name, None when they name none (QIDO-025 to QIDO-028)."""
    if re.fullmatch(r"[0-9A-Fa-f]{8}", name):
        tag = int(name, 16)
        private = tag >> 16 & 1
        return tag if private or dictionary.entry(tag) is not None else None
    return dictionary.tag_of(name)


def _extended(tag: int, target: Target, tags: TagSet) -> ExtendedTag | None:
    """Return the extended query tag that may be searched here (QIDO-114, QIDO-116)."""
    extended = tags.by_number.get(tag)
    usable = extended is not None and extended.status == READY and extended.level in target.levels
    return extended if usable else None


def _extended_condition(tag: ExtendedTag, value: str, control: Paging) -> Condition:
    made = tag_filter(tag, value, fuzzy=control.fuzzy)
    return Condition(tag.number, made.sql, made.values)


def _searchable(tag: int, target: Target) -> bool:
    if tag == MODALITIES_IN_STUDY:
        return Level.STUDY in target.levels
    attribute = SEARCHABLE.get(tag)
    return attribute is not None and attribute.level in target.levels


def _returned(request: Request, target: Target) -> set[int]:
    texts = [value for name, value in request.query() if name.strip().lower() == "includefield"]
    fields = [field.strip() for text in texts for field in text.split(",")]
    if not fields:
        return set(defaults(request.version, target.levels))
    if any(field.lower() == "all" for field in fields):
        if any(field.lower() != "all" for field in fields):
            raise BadRequest("Invalid query: included fields cannot be combined with 'all'.")
        return set(everything(target.levels))
    included = set(defaults(request.version, target.levels))
    for field in fields:
        tag = attribute_tag(field)
        if tag is None:
            raise BadRequest(f"Invalid query: IncludeField has unknown attribute '{field}'.")
        included.add(tag)
    return included


def _path_uids(target: Target) -> set[int]:
    uids = {0x0020000D} if target.study_uid is not None else set()
    return uids | {0x0020000E} if target.series_uid is not None else uids
