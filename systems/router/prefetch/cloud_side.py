"""What the cloud holds of a patient. A lookup that fails is an error, never an empty list (ROUTER-142)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from pydicom import Dataset

from systems.router.bridge.cloud import CloudGarbled, CloudReader, JsonDataset
from systems.router.bridge.instances import resolve
from systems.router.bridge.keys import Search
from systems.router.bridge.retrieved import InstanceReference
from systems.router.bridge.search import SearchLimits, all_matches
from systems.router.dimse.uids import STUDY_ROOT_MOVE
from systems.router.prefetch.priors import CloudStudy
from systems.router.prefetch.trigger import Patient, significant

_STUDY_FIELDS: Final = (
    "0020000D", "00100020", "00100010", "00080020", "00080030", "00080050", "00080061", "00081030", "00201208",
)  # fmt: skip
_ISSUER: Final = "00100021"
_SERIES_FIELDS: Final = ("0020000E", "00180015", "00201209")


@dataclass(frozen=True, slots=True)
class CloudSeries:
    """A series; `instances` is None where the service does not count."""

    series_instance_uid: str
    body_part: str
    instances: int | None


class CloudSide:
    """Searches of the prefetch. They are never fuzzy (ROUTER-063); who is meant is decided by `priors.of_patient`.

    Every method raises `CloudError` or `TooManyMatches` when the answer is not complete.
    """

    def __init__(self, reader: CloudReader, limits: SearchLimits) -> None:
        self._reader = reader
        self._limits = limits

    async def studies(self, patient: Patient) -> list[CloudStudy]:
        """Every study the service finds under the ID, which may be more than the patient's."""
        identifier = significant(patient.patient_id)
        # The service takes no less-than sign in a value: then all studies are read and judged here (ROUTER-062).
        keys = () if "<" in identifier else (("PatientID", identifier),)
        found = [
            study
            async for match in self._matches("/studies", keys, _STUDY_FIELDS)
            if significant((study := _study(match)).patient_id) == identifier
        ]
        if not patient.issuers:
            return found
        return [replace(study, issuer=await self._issuer(study.study_instance_uid)) for study in found]

    async def _issuer(self, study: str) -> str:
        """Of one instance: the index of the service does not hold it for studies."""
        search = Search(f"/studies/{study}/instances", (("includefield", _ISSUER),))
        found = await self._reader.search(search.resource, search.params, limit=1, offset=0)
        return significant(_text(found[0], _ISSUER)) if found else ""

    async def series(self, study: str) -> list[CloudSeries]:
        """Every series of a study."""
        return [
            CloudSeries(uid, _text(match, "00180015"), _count(match, "00201209"))
            async for match in self._matches(f"/studies/{study}/series", (), _SERIES_FIELDS)
            if (uid := _text(match, "0020000E"))
        ]

    async def instances(self, study: str, series: str = "") -> list[InstanceReference]:
        """The instances that a C-MOVE of the study, or of one of its series, would send."""
        identifier = Dataset()
        identifier.QueryRetrieveLevel = "SERIES" if series else "STUDY"
        identifier.StudyInstanceUID = study
        if series:
            identifier.SeriesInstanceUID = series
        references = resolve(
            self._reader,
            identifier,
            STUDY_ROOT_MOVE,
            relational=False,
            limits=self._limits,
            cancelled=asyncio.Event(),
        )
        async with aclosing(cast("Any", references)) as found:
            return sorted([one async for one in found], key=lambda one: (one.series_instance_uid, one.number))

    async def _matches(
        self, resource: str, keys: tuple[tuple[str, str], ...], fields: tuple[str, ...]
    ) -> AsyncIterator[JsonDataset]:
        search = Search(resource, (*keys, *(("includefield", tag) for tag in fields)))
        async with aclosing(
            cast("Any", all_matches(self._reader, search, self._limits, asyncio.Event()))
        ) as pages:
            async for page in pages:
                for match in page:
                    yield match


def _study(match: JsonDataset) -> CloudStudy:
    uid = _text(match, "0020000D")
    if not uid:
        message = "a matching study lacks its UID"
        raise CloudGarbled(message)
    return CloudStudy(
        study_instance_uid=uid,
        patient_id=_text(match, "00100020"),
        name=_name(match),
        study_date=_text(match, "00080020"),
        study_time=_text(match, "00080030"),
        accession_number=_text(match, "00080050"),
        description=_text(match, "00081030"),
        modalities=tuple(str(value) for value in _values(match, "00080061")),
    )


def _values(match: JsonDataset, tag: str) -> list[Any]:
    try:
        return list(match.get(tag, {}).get("Value") or [])
    except (AttributeError, TypeError) as error:
        message = "a match is not readable as DICOM JSON"
        raise CloudGarbled(message) from error


def _text(match: JsonDataset, tag: str) -> str:
    values = _values(match, tag)
    return str(values[0]) if values and values[0] is not None else ""


def _name(match: JsonDataset) -> str:
    values = _values(match, "00100010")
    groups = values[0] if values and isinstance(values[0], dict) else {}
    return "=".join(str(groups.get(group, "")) for group in ("Alphabetic", "Ideographic", "Phonetic")).rstrip(
        "="
    )


def _count(match: JsonDataset, tag: str) -> int | None:
    text = _text(match, tag)
    return int(text) if text.isdigit() else None
