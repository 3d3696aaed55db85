"""Searches for work items (UPS-058 to UPS-068, UPS-076)."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from systems.dicom_service.search.parameters import Paging, attribute_tag
from systems.dicom_service.storage.keys import name_key
from systems.dicom_service.web.problems import BadRequest
from systems.dicom_service.web.request import Request
from systems.dicom_service.workitems import tags
from systems.dicom_service.workitems.index import SEARCHABLE, Indexed, moment
from systems.dicom_service.workitems.items import Item

_KEYWORDS = (
    "SpecificCharacterSet SOPClassUID SOPInstanceUID ScheduledProcedureStepPriority ProcedureStepLabel "
    "WorklistLabel ScheduledProcessingParametersSequence ScheduledStationNameCodeSequence "
    "ScheduledStationClassCodeSequence ScheduledStationGeographicLocationCodeSequence "
    "ScheduledHumanPerformersSequence ScheduledProcedureStepStartDateTime ScheduledWorkitemCodeSequence "
    "InputReadinessState InputInformationSequence StudyInstanceUID PatientName PatientID IssuerOfPatientID "
    "IssuerOfPatientIDQualifiersSequence OtherPatientIDsSequence PatientBirthDate PatientSex AdmissionID "
    "IssuerOfAdmissionIDSequence AdmittingDiagnosesDescription AdmittingDiagnosesCodeSequence "
    "ReferencedRequestSequence MedicalAlerts PregnancyStatus SpecialNeeds ProcedureStepState "
    "ProcedureStepProgressInformationSequence"
)
_RETURNED = frozenset(tags.key(keyword) for keyword in _KEYWORDS.split())
"""What a match shows unless more is asked for (UPS-066)."""


@dataclass(frozen=True, slots=True)
class Condition:
    """SQL on the column `value` of one path of the index, with its bound values."""

    path: str
    sql: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """A checked search; `returned` is None when everything is shown."""

    partition: int
    paging: Paging
    conditions: tuple[Condition, ...]
    returned: frozenset[str] | None


def query(request: Request, paging: Paging, wanted: Sequence[tuple[str, str]]) -> Query:
    """Return the checked search; raises the 400s of UPS-060 to UPS-062, UPS-067 and UPS-076."""
    conditions: dict[str, Condition] = {}
    for name, value in wanted:
        attribute = _attribute(name)
        if not value:
            raise BadRequest(f"Invalid query: empty string value is not supported for attribute '{name}'.")
        if attribute.path in conditions:
            raise BadRequest(
                f"Invalid query: attribute '{name}' was specified more than once using different ID formats."
            )
        conditions[attribute.path] = _condition(attribute, name, value, fuzzy=paging.fuzzy)
    return Query(request.partition.key, paging, tuple(conditions.values()), _returned(request))


def run(connection: sqlite3.Connection, search: Query) -> list[Item]:
    """Return one page of matches, newest first."""
    sql = "SELECT document FROM workitem WHERE partition = ?"
    bound: list[str | int] = [search.partition]
    for condition in search.conditions:
        sql += f" AND id IN (SELECT workitem FROM workitem_value WHERE path = ? AND {condition.sql})"  # noqa: S608 - values are bound
        bound += [condition.path, *condition.values]
    rows = connection.execute(
        f"{sql} ORDER BY id DESC LIMIT ? OFFSET ?", [*bound, search.paging.limit, search.paging.offset]
    )
    return [_shown(orjson.loads(document), search.returned) for (document,) in rows]


def _shown(item: Item, returned: frozenset[str] | None) -> Item:
    return {
        key: entry
        for key, entry in item.items()
        if key != tags.TRANSACTION_UID and (returned is None or key in returned)
    }


def _attribute(name: str) -> Indexed:
    parts = name.split(".")
    if len(parts) > 2:
        raise BadRequest(f"Invalid query: '{name}' nests too deep; name a sequence and one attribute of it.")
    found = SEARCHABLE.get(tuple(tag for part in parts if (tag := attribute_tag(part)) is not None))
    if found is None or len(found.tags) != len(parts):
        raise BadRequest(f"Invalid query: AttributeId {name} is not queryable.")
    return found


def _condition(attribute: Indexed, name: str, value: str, *, fuzzy: bool) -> Condition:
    if attribute.vr == "DT":
        return _moments(attribute, name, value)
    if attribute.vr == "PN" and fuzzy:
        if '"' in value:
            raise BadRequest(
                f"Invalid query: the character '\"' is not supported in a fuzzy value of '{name}'."
            )
        return Condition(attribute.path, "has_phrase(value, ?)", (name_key(value),))
    return Condition(attribute.path, "value = ?", (attribute.comparable(value) or "",))


def _moments(attribute: Indexed, name: str, value: str) -> Condition:
    start, hyphen, end = value.partition("-")
    if not hyphen:
        return Condition(attribute.path, "value = ?", (_checked(name, value),))
    start, end = start.strip(), end.strip()
    if not start and not end:
        raise BadRequest(f"Invalid query: both parts of the range of '{name}' cannot be empty.")
    bounds = ["value >= ?" if start else "", "value <= ?" if end else ""]
    values = tuple(_checked(name, part) for part in (start, end) if part)
    if len(values) == 2 and values[0] > values[1]:
        raise BadRequest(
            f"Invalid query: the range '{value}' of '{name}' is invalid: its start is after its end."
        )
    return Condition(attribute.path, " AND ".join(filter(None, bounds)), values)


def _checked(name: str, value: str) -> str:
    found = moment(value)
    if found is None:
        raise BadRequest(
            f"Invalid query: the DateTime value '{value[:64]}' is invalid for '{name}'; write yyyy to "
            "yyyyMMddHHmmss.FFFFFF without an offset."
        )
    return found


def _returned(request: Request) -> frozenset[str] | None:
    texts = [value for name, value in request.query() if name.strip().lower() == "includefield"]
    fields = [field.strip() for text in texts for field in text.split(",")]
    if any(field.lower() == "all" for field in fields):
        if any(field.lower() != "all" for field in fields):
            raise BadRequest("Invalid query: included fields cannot be combined with 'all'.")
        return None
    included = set(_RETURNED)
    for field in fields:
        tag = attribute_tag(field)
        if tag is None:
            raise BadRequest(f"Invalid query: IncludeField has unknown attribute '{field[:64]}'.")
        included.add(f"{tag:08X}")
    return frozenset(included)
