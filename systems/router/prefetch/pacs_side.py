"""What the PACS holds, asked by C-FIND. A lookup that fails is an error, never "it has nothing" (ROUTER-142)."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, cast

from pydicom import Dataset

from systems.router.dimse.errors import DimseError
from systems.router.dimse.pool import AssociationPool, Destination
from systems.router.dimse.settings import ProposedContext
from systems.router.dimse.uids import STUDY_ROOT_FIND
from systems.router.errors import RouterError
from systems.router.prefetch.trigger import significant


class PacsLookupError(RouterError):
    """The PACS gave no complete answer."""


@dataclass(frozen=True, slots=True)
class PacsStudy:
    """A study the PACS holds, and under which patient IDs."""

    patient_ids: frozenset[str] = field(repr=False)


class PacsSide:
    """Queries by UID only, so that no patient ID is ever taken for a pattern. Methods raise `PacsLookupError`."""

    def __init__(self, pool: AssociationPool, destination: Destination) -> None:
        self._pool = pool
        self._destination = destination

    async def study(self, uid: str) -> PacsStudy | None:
        """The study of that UID, or None where the PACS says that it has none."""
        keys = _keys("STUDY", StudyInstanceUID=uid)
        keys.PatientID = ""
        found = [one async for one in self._find(keys) if str(one.get("StudyInstanceUID", "")) == uid]
        if not found:
            return None
        return PacsStudy(frozenset(significant(str(one.get("PatientID", "") or "")) for one in found))

    async def series(self, study: str) -> dict[str, int | None]:
        """The series of a study with their numbers of instances, None where the PACS does not count."""
        keys = _keys("SERIES", StudyInstanceUID=study, SeriesInstanceUID="")
        keys.NumberOfSeriesRelatedInstances = None
        found: dict[str, int | None] = {}
        async for one in self._find(keys):
            count = str(one.get("NumberOfSeriesRelatedInstances", "") or "")
            found[str(one.get("SeriesInstanceUID", ""))] = int(count) if count.isdigit() else None
        return found

    async def instances(self, study: str, series: str) -> set[str]:
        """The SOP Instance UIDs of a series."""
        keys = _keys("IMAGE", StudyInstanceUID=study, SeriesInstanceUID=series, SOPInstanceUID="")
        return {str(one.get("SOPInstanceUID", "")) async for one in self._find(keys)}

    async def _find(self, keys: Dataset) -> AsyncIterator[Dataset]:
        final = None
        try:
            async with self._pool.association(
                self._destination, [ProposedContext(STUDY_ROOT_FIND)]
            ) as association:
                responses: Any = association.c_find(STUDY_ROOT_FIND, keys)
                async with aclosing(cast("Any", responses)) as answers:
                    async for status, match in answers:
                        final = status
                        if match is not None:
                            yield match
        except DimseError as error:
            raise PacsLookupError(f"the PACS could not be asked: {error}") from error
        if final is None or not final.is_success:
            raise PacsLookupError(f"the PACS ended the query with {final or 'no status'}")


def _keys(level: str, **uids: str) -> Dataset:
    keys = Dataset()
    keys.QueryRetrieveLevel = level
    for keyword, uid in uids.items():
        setattr(keys, keyword, uid)
    return keys
