"""Which instances a C-MOVE or C-GET identifier means (ROUTER-080)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, cast

from pydicom import Dataset

from systems.router.bridge import keys
from systems.router.bridge.cloud import CloudGarbled, CloudReader, JsonDataset
from systems.router.bridge.keys import BadIdentifier, Search
from systems.router.bridge.matching import values_of
from systems.router.bridge.retrieved import InstanceReference
from systems.router.bridge.search import SearchLimits, all_matches

_INCLUDED = tuple(
    ("includefield", f"{tag:08X}")
    for tag in (keys.SOP_UID, 0x00080016, keys.STUDY_UID, keys.SERIES_UID, 0x00200013, keys.PATIENT_ID)
)
_LONGEST_LIST = 8


def searches(identifier: Dataset, sop_class_uid: str, *, relational: bool) -> list[Search]:
    """The searches whose union holds every instance meant.

    Raises:
        BadIdentifier: when a unique key of the level, or without relational retrieval of a level above, is missing.

    """
    level = keys.level_of(identifier, sop_class_uid)
    if level == "PATIENT":
        return [Search("/instances", (("PatientID", one), *_INCLUDED)) for one in _patient_ids(identifier)]
    wanted = {"STUDY": keys.STUDY_UID, "SERIES": keys.SERIES_UID, "IMAGE": keys.SOP_UID}[level]
    found = keys.uids(identifier, wanted)
    if not found:
        message = f"{keys.tag_name(wanted)} is needed to retrieve at this level"
        raise BadIdentifier(message, wanted)
    if level == "STUDY":
        return [Search(f"/studies/{uid}/instances", _INCLUDED) for uid in found]
    if level == "SERIES":
        studies = keys.uids(identifier, keys.STUDY_UID)
        _require(studies, keys.STUDY_UID, relational=relational)
        if not studies:
            return [Search("/instances", (("SeriesInstanceUID", uid), *_INCLUDED)) for uid in found]
        return [Search(f"/studies/{s}/series/{uid}/instances", _INCLUDED) for s in studies for uid in found]
    paths, _ = keys.resources("IMAGE", identifier, relational=relational)
    if len(found) > _LONGEST_LIST and paths != ["/instances"]:
        return [Search(path, _INCLUDED) for path in paths]
    return [Search(path, (("SOPInstanceUID", uid), *_INCLUDED)) for path in paths for uid in found]


def _require(uids: list[str], tag: int, *, relational: bool) -> None:
    if not uids and not relational:
        message = f"{keys.tag_name(tag)} is needed (no relational retrieval)"
        raise BadIdentifier(message, tag)


def _patient_ids(identifier: Dataset) -> list[str]:
    found = [str(value).strip() for value in values_of(identifier.get(keys.PATIENT_ID))]
    if not found or any(not value or "*" in value or "?" in value or "<" in value for value in found):
        message = "PatientID is needed to retrieve at this level"
        raise BadIdentifier(message, keys.PATIENT_ID)
    return found


async def resolve(
    cloud: CloudReader,
    identifier: Dataset,
    sop_class_uid: str,
    *,
    relational: bool,
    limits: SearchLimits,
    cancelled: asyncio.Event,
) -> AsyncIterator[InstanceReference]:
    """Every instance meant, once.

    Raises:
        BadIdentifier: see `searches`.
        CloudError, TooManyMatches, Cancelled: see `search.all_matches`.

    """
    level = keys.level_of(identifier, sop_class_uid)
    patients = frozenset(_patient_ids(identifier)) if level == "PATIENT" else frozenset()
    wanted = frozenset(keys.uids(identifier, keys.SOP_UID)) if level == "IMAGE" else frozenset()
    seen: set[str] = set()
    for search in searches(identifier, sop_class_uid, relational=relational):
        async with aclosing(cast("Any", all_matches(cloud, search, limits, cancelled))) as pages:
            async for page in pages:
                for json in page:
                    reference = _reference(json, search)
                    if reference.sop_instance_uid in seen or (
                        wanted and reference.sop_instance_uid not in wanted
                    ):
                        continue
                    # The cloud ignores case; another patient's instances must never be sent (ROUTER-062).
                    if patients and _text(json, "00100020") not in patients:
                        continue
                    seen.add(reference.sop_instance_uid)
                    yield reference


def _text(json: JsonDataset, tag: str) -> str:
    """The first value of an attribute of a match; empty without one."""
    try:
        values = json.get(tag, {}).get("Value") or [""]
        return str(values[0]).strip()
    except (AttributeError, TypeError, IndexError, KeyError) as error:
        message = "a match is not readable as DICOM JSON"
        raise CloudGarbled(message) from error


def _reference(json: JsonDataset, search: Search) -> InstanceReference:
    parts = search.resource.split("/")
    study = _text(json, "0020000D") or (parts[2] if len(parts) > 3 else "")
    series = _text(json, "0020000E") or (parts[4] if len(parts) > 5 else "")
    instance = _text(json, "00080018")
    if not (study and series and instance):
        message = "a matching instance lacks one of its UIDs"
        raise CloudGarbled(message)
    number = _text(json, "00200013")
    return InstanceReference(
        study, series, instance, _text(json, "00080016"), int(number) if number.lstrip("-").isdecimal() else 0
    )
