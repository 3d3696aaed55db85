"""C-FIND answered by QIDO-RS (ROUTER-060 to ROUTER-069, ROUTER-193)."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final, cast

from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.tag import Tag

from systems.router.bridge import keys
from systems.router.bridge.cloud import (
    CloudError,
    CloudGarbled,
    CloudReader,
    CloudRefused,
    CloudUnauthorised,
    CloudUnreachable,
)
from systems.router.bridge.json_model import character_set_for, to_dataset
from systems.router.bridge.keys import BadIdentifier, Plan, Search
from systems.router.bridge.matching import matches, values_of
from systems.router.bridge.search import Cancelled, SearchLimits, TooManyMatches, all_matches
from systems.router.dimse.service import FindRequest, FindResponse
from systems.router.dimse.status import (
    CANCELLED,
    DATA_SET_MISMATCH,
    OK,
    OUT_OF_RESOURCES,
    PENDING,
    PENDING_WITH_WARNING,
    Status,
)

_LOG: Final = logging.getLogger("router.bridge")
_REFUSED: Final = 0xC001
_UNREACHABLE: Final = 0xC101
_UNAUTHORISED: Final = 0xC102
_GARBLED: Final = 0xC103

_LEVEL_UID: Final = {"STUDY": keys.STUDY_UID, "SERIES": keys.SERIES_UID, "IMAGE": keys.SOP_UID}
_FROM_SERIES: Final = frozenset({keys.STUDY_SERIES, keys.MODALITIES_IN_STUDY})


def _never(_: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class QuerySettings:
    """How queries are answered.

    `retrieve_ae` is what the matches name as Retrieve AE Title; `lenient` says for which calling AE titles queries
    without parent UIDs are answered although not negotiated (ROUTER-060); `bound` gives the seconds within which a
    calling AE title must hear something, less than its own timer (ROUTER-048, ROUTER-172).
    """

    retrieve_ae: str
    lenient: Callable[[str], bool] = _never
    bound: Callable[[str], float] | None = None
    limits: SearchLimits = field(default_factory=SearchLimits)

    def bound_for(self, calling_ae: str) -> float:
        """Seconds within which a calling AE title must hear something; the bound of one page without a rule."""
        return self.bound(calling_ae) if self.bound is not None else self.limits.answer


def failure_status(error: CloudError) -> Status:
    """The C-FIND status of a failed search (ROUTER-068); an outage is never an empty list (ROUTER-069)."""
    if isinstance(error, CloudUnauthorised):
        return Status(_UNAUTHORISED, "the cloud refuses the router's authorisation")
    if isinstance(error, CloudGarbled):
        return Status(_GARBLED, "the cloud's answer could not be read")
    if isinstance(error, CloudRefused):
        if error.is_transient:
            return Status(OUT_OF_RESOURCES, f"the cloud answered {error.status}")
        return Status(_REFUSED, f"the cloud refused the search ({error.status})")
    return Status(_UNREACHABLE, "cloud unreachable")


class QueryBridge:
    """Answers C-FIND from a DICOMweb service."""

    def __init__(self, cloud: CloudReader, settings: QuerySettings) -> None:
        self._cloud = cloud
        self._settings = settings

    async def find(self, request: FindRequest) -> AsyncIterator[FindResponse]:
        """Yield a pending response for each match and one final status."""
        relational = request.relational or self._settings.lenient(request.peer.calling_ae)
        sent = 0
        final = Status(CANCELLED)
        try:
            plan = keys.plan(request.identifier, request.sop_class_uid, relational=relational)
            status = Status(PENDING_WITH_WARNING if plan.unsupported else PENDING)
            bound = self._settings.bound_for(request.peer.calling_ae)
            async with _closing(_within(bound, self._answers(plan, request))) as found:
                async for match in found:
                    if request.cancelled.is_set():
                        break
                    yield FindResponse(status, match)
                    sent += 1
                else:
                    final = OK
        except BadIdentifier as error:
            final = Status(DATA_SET_MISMATCH, str(error), (error.tag,))
        except TooManyMatches:
            final = Status(OUT_OF_RESOURCES, "too many matches, narrow the query")
        except Cancelled:
            pass
        except CloudError as error:
            final = failure_status(error)
            if isinstance(error, CloudRefused) and error.status == 400:
                final = Status(DATA_SET_MISMATCH, "the cloud refused a key of the identifier")
            _LOG.warning(
                "find for %s failed with %s after %d matches: %s", request.peer.calling_ae, final, sent, error
            )
        yield FindResponse(final)

    async def _answers(self, plan: Plan, request: FindRequest) -> AsyncIterator[Dataset]:
        async with _closing(self._matches(plan, request)) as found:
            async for match in found:
                yield await self._response(match, plan, request)

    async def _matches(self, plan: Plan, request: FindRequest) -> AsyncIterator[Dataset]:
        """Every match once, already checked by DICOM's rules."""
        if plan.level == "PATIENT":
            for patient in await self._patients(plan, request):
                yield patient
            return
        uid_tag = _LEVEL_UID[plan.level]
        seen: set[str] = set()
        async with _closing(self._results(plan, request)) as results:
            async for result in results:
                uid = str(result.get(uid_tag).value) if uid_tag in result else ""
                if not uid:
                    message = f"a match without {keys.tag_name(uid_tag)}"
                    raise CloudGarbled(message)
                if uid not in seen:
                    seen.add(uid)
                    yield result

    async def _results(self, plan: Plan, request: FindRequest) -> AsyncIterator[Dataset]:
        for search in plan.searches:
            pages = all_matches(self._cloud, search, self._settings.limits, request.cancelled)
            async with _closing(pages) as each:
                async for page in each:
                    for json in page:
                        result = to_dataset(json)
                        _add_path(result, search)
                        if _satisfies(result, plan):
                            yield result

    async def _patients(self, plan: Plan, request: FindRequest) -> list[Dataset]:
        """Studies grouped by Patient ID and its issuer (ROUTER-060)."""
        patients: dict[tuple[str, str], Dataset] = {}
        counts: dict[tuple[str, str], list[int]] = {}
        seen: set[str] = set()
        async with _closing(self._results(plan, request)) as results:
            async for study in results:
                uid = str(study.get("StudyInstanceUID", ""))
                if uid in seen:
                    continue
                seen.add(uid)
                who = (str(study.get("PatientID", "")), str(study.get("IssuerOfPatientID", "")))
                patients.setdefault(who, study)
                count = counts.setdefault(who, [0, 0])
                count[0] += 1
                count[1] += int(study.get("NumberOfStudyRelatedInstances") or 0)
        for who, patient in patients.items():
            patient.NumberOfPatientRelatedStudies, patient.NumberOfPatientRelatedInstances = counts[who]
        return list(patients.values())

    async def _response(self, match: Dataset, plan: Plan, request: FindRequest) -> Dataset:
        """The return keys, the unique keys and what is said about retrieval (ROUTER-066)."""
        await self._derive(match, plan, request)
        response = Dataset()
        wanted = [
            element.tag for element in request.identifier if element.tag.group > 7 and element.tag.element
        ]
        for tag in {*wanted, *map(Tag, keys.UNIQUE_KEYS[plan.level])} - set(map(Tag, keys.NOT_KEYS)):
            if tag in match:
                response[tag] = match[tag]
            else:
                own = request.identifier.get(tag)
                response.add_new(tag, own.VR if own is not None else dictionary_VR(tag), None)
        response.QueryRetrieveLevel = plan.level
        response.RetrieveAETitle = self._settings.retrieve_ae
        response.InstanceAvailability = "ONLINE"
        asked = values_of(request.identifier.get(keys.CHARACTER_SET))
        response.SpecificCharacterSet = character_set_for(response, str(asked[0]) if len(asked) == 1 else "")
        return response

    async def _derive(self, match: Dataset, plan: Plan, request: FindRequest) -> None:
        """Counts the service does not return are taken from the list of series (ROUTER-067)."""
        missing = [tag for tag in _FROM_SERIES if tag in request.identifier and tag not in match]
        if plan.level != "STUDY" or not missing:
            return
        search = Search(f"/studies/{match.StudyInstanceUID}/series", ())
        series, modalities = set(), set()
        async with _closing(
            all_matches(self._cloud, search, self._settings.limits, request.cancelled)
        ) as pages:
            async for page in pages:
                for one in map(to_dataset, page):
                    series.add(str(one.get("SeriesInstanceUID", "")))
                    modalities.add(str(one.get("Modality", "")))
        if keys.STUDY_SERIES in missing:
            match.NumberOfStudyRelatedSeries = len(series)
        if keys.MODALITIES_IN_STUDY in missing:
            match.ModalitiesInStudy = sorted(modalities - {""})


def _closing(generator: AsyncIterator[Any]) -> Any:
    return aclosing(cast("Any", generator))


async def _within(bound: float, found: AsyncIterator[Dataset]) -> AsyncIterator[Dataset]:
    """Bound the time to the next match, however many searches it takes to find one."""
    async with _closing(found):
        while True:
            try:
                async with asyncio.timeout(bound):
                    match = await anext(found)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                message = f"no result from the cloud within {bound:g} s"
                raise CloudUnreachable(message) from error
            yield match


def _add_path(result: Dataset, search: Search) -> None:
    """Results below a study may leave out the UIDs that are in the path."""
    parts = search.resource.split("/")
    for name, keyword in (("studies", "StudyInstanceUID"), ("series", "SeriesInstanceUID")):
        if name in parts[:-1] and keyword not in result:
            setattr(result, keyword, parts[parts.index(name) + 1])


def _satisfies(result: Dataset, plan: Plan) -> bool:
    """Check every key again, because the cloud ignores case (ROUTER-062).

    A key the cloud has searched for but does not return cannot be checked, and need not be.
    """
    return all(
        matches(key, result.get(key.tag))
        for key in plan.local
        if key.tag in result or int(key.tag) not in plan.sent
    )
