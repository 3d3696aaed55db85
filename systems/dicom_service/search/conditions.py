"""Filters of a search as SQL conditions (QIDO-051 to QIDO-075)."""

from dataclasses import dataclass

from systems.dicom_service.dicom.attributes import MODALITIES_IN_STUDY, SEARCHABLE, Indexed, Level
from systems.dicom_service.dicom.rules_v1 import is_date
from systems.dicom_service.storage.jobs import key_of
from systems.dicom_service.storage.keys import name_key, text_key, words
from systems.dicom_service.web.problems import BadRequest

_TABLES = {Level.STUDY: "study", Level.SERIES: "series", Level.INSTANCE: "instance"}


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter: the attribute, its SQL and the bound values."""

    tag: int
    sql: str
    values: tuple[str | int | float, ...]


def condition(tag: int, value: str, *, fuzzy: bool) -> Condition:
    """Return the condition of a filter on a searchable attribute; raises the 400 of a malformed value."""
    if tag == MODALITIES_IN_STUDY:
        sql = "EXISTS (SELECT 1 FROM series AS other WHERE other.study = study.id AND other.modality_key = ?)"
        return Condition(tag, sql, (text_key(value),))
    attribute = SEARCHABLE[tag]
    column = f"{_TABLES[attribute.level]}.{attribute.column}"
    if attribute.vr == "UI":
        return Condition(tag, f"{column} = ?", (value.rstrip(" \0"),))
    if attribute.vr == "DA":
        return _date(attribute, column, value)
    if attribute.vr == "PN" and fuzzy:
        if '"' in value:
            raise BadRequest(
                f"Invalid query: the character '\"' is not supported in a fuzzy value of '{attribute.keyword}'."
            )
        return _fuzzy(tag, attribute.column, name_key(value))
    return Condition(tag, f"{column}_key = ?", (key_of(attribute, value),))


def _fuzzy(tag: int, column: str, phrase: str) -> Condition:
    """Ask each study once, not each of its instances, and only those in whose name the longest word occurs."""
    longest = max(words(phrase), key=len, default="")
    names = f"SELECT id FROM study WHERE instr({column}_key, ?) > 0 AND has_phrase({column}_key, ?)"  # noqa: S608 - own names only
    return Condition(tag, f"study.id IN ({names})", (longest, phrase))


def _date(attribute: Indexed, column: str, value: str) -> Condition:
    start, hyphen, end = value.partition("-")
    if not hyphen or "-" in end:
        return Condition(attribute.tag, f"{column} = ?", (_checked(attribute, value),))
    start, end = start.strip(), end.strip()
    if not start and not end:
        raise BadRequest(
            f"Invalid query: both parts of the range cannot be empty in '{value}' for attribute '{attribute.keyword}'."
        )
    bounds = [f"{column} >= ?" if start else "", f"{column} <= ?" if end else ""]
    values = tuple(_checked(attribute, part) for part in (start, end) if part)
    if len(values) == 2 and values[0] > values[1]:
        raise BadRequest(
            f"Invalid query: the range '{value}' of attribute '{attribute.keyword}' is invalid: its start is after its end."
        )
    return Condition(attribute.tag, " AND ".join(filter(None, bounds)), values)


def _checked(attribute: Indexed, value: str) -> str:
    if not is_date(value):
        raise BadRequest(
            f"Invalid query: specified Date value '{value}' is invalid for attribute '{attribute.keyword}'. "
            "Date should be valid and formatted as yyyyMMdd."
        )
    return value
