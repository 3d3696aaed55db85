"""One run for one patient: look at both sides, decide, fetch what is missing (ROUTER-138 to ROUTER-142)."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final, Protocol

from systems.router.bridge.retrieved import InstanceReference
from systems.router.config.prefetch import PriorRules
from systems.router.errors import RouterError
from systems.router.prefetch.cloud_side import CloudSeries, CloudSide
from systems.router.prefetch.fetching import Fetched
from systems.router.prefetch.ledger import StudyOutcome
from systems.router.prefetch.pacs_side import PacsStudy
from systems.router.prefetch.priors import Choice, CloudStudy, choose, disagreeing, of_patient
from systems.router.prefetch.trigger import Trigger

_AUDITED_AT_ONCE: Final = 200


class StoppedError(RouterError):
    """The names disagree and strict_name is on: nothing is fetched."""


class IncompleteError(RouterError):
    """Some instances were not taken; `because_of_a_side` when the cloud or the PACS was lost."""

    def __init__(self, message: str, *, because_of_a_side: bool) -> None:
        super().__init__(message)
        self.because_of_a_side = because_of_a_side


class Holdings(Protocol):
    """What the PACS holds; see `pacs_side.PacsSide`, whose methods raise `PacsLookupError`."""

    async def study(self, uid: str) -> PacsStudy | None:
        """The study of that UID, or None."""
        ...

    async def series(self, study: str) -> dict[str, int | None]:
        """The series of a study with their numbers of instances."""
        ...

    async def instances(self, study: str, series: str) -> set[str]:
        """The SOP Instance UIDs of a series."""
        ...


class Fetches(Protocol):
    """Moves instances into the PACS."""

    async def __call__(self, references: Sequence[InstanceReference]) -> Fetched:
        """Move them and say what became of each."""
        ...


class Books(Protocol):
    """Where a run writes what it finds and does."""

    async def studies(self, outcomes: Sequence[StudyOutcome]) -> None:
        """Record what became of studies."""
        ...

    async def disagreement(self, studies: Sequence[str]) -> None:
        """The cloud knows the patient of these studies by another name than the trigger."""
        ...

    async def audit(self, event: str, **facts: Any) -> None:
        """Add to the audit trail."""
        ...


@dataclass(frozen=True, slots=True)
class Sides:
    """The two archives; `on_their_way` gives the instances of studies that this router is about to deliver to the PACS."""

    cloud: CloudSide
    pacs: Holdings
    on_their_way: Callable[[Sequence[str]], Awaitable[frozenset[str]]]


@dataclass(frozen=True, slots=True)
class _Missing:
    """A part of a study that the PACS lacks: all of it, a series, or only some instances of a series.

    `note` is what a person may want to know about the choice of the study.
    """

    study: str
    series: str = ""
    only: frozenset[str] = frozenset()
    note: str = ""


@dataclass(slots=True)
class _Plan:
    missing: list[_Missing] = field(default_factory=list)
    outcomes: list[StudyOutcome] = field(default_factory=list)
    on_their_way: frozenset[str] = frozenset()


class Run:
    """Does it once. `strict` stops at a name that disagrees."""

    def __init__(
        self, sides: Sides, fetch: Fetches, books: Books, rules: PriorRules, *, strict: bool
    ) -> None:
        self._sides = sides
        self._fetch = fetch
        self._books = books
        self._rules = rules
        self._strict = strict

    async def __call__(self, trigger: Trigger, today: date) -> None:
        """Fetch what is missing.

        Raises:
            CloudError, TooManyMatches, BadIdentifier, PacsLookupError: a lookup failed; nothing was fetched for it.
            StoppedError: the names disagree.
            IncompleteError: not everything could be fetched.

        """
        choices = await self._choices(trigger, today)
        plan = await self._plan(choices, trigger)
        await self._books.studies(plan.outcomes)
        problems: list[IncompleteError] = []
        for missing in plan.missing:
            try:
                await self._complete(missing, plan.on_their_way)
            except IncompleteError as error:
                problems.append(error)
                if error.because_of_a_side:
                    break
        if problems:
            raise problems[-1]

    async def _choices(self, trigger: Trigger, today: date) -> list[Choice]:
        studies = of_patient(await self._sides.cloud.studies(trigger.patient), trigger.patient)
        other_name = disagreeing(studies, trigger.patient)
        if other_name:
            await self._books.disagreement(other_name)
            if self._strict:
                raise StoppedError(
                    "the patient's name in the trigger and in the cloud disagree, and strict_name is on"
                )
        if self._rules.body_parts or self._rules.same_body_part:
            studies = [await self._with_body_parts(study) for study in studies]
        return choose(studies, trigger, self._rules, today)

    async def _with_body_parts(self, study: CloudStudy) -> CloudStudy:
        series = await self._sides.cloud.series(study.study_instance_uid)
        return replace(study, body_parts=tuple({one.body_part for one in series if one.body_part}))

    async def _plan(self, choices: Sequence[Choice], trigger: Trigger) -> _Plan:
        """Everything is looked up before anything is fetched: half a picture would fetch too much."""
        # Asked before the PACS: what is delivered in between is then found there.
        plan = _Plan(
            on_their_way=await self._sides.on_their_way(
                [choice.study.study_instance_uid for choice in choices]
            )
        )
        for choice in choices:
            uid = choice.study.study_instance_uid
            if choice.left_out:
                plan.outcomes.append(StudyOutcome(uid, "left out", choice.left_out))
            elif trigger.source == "arrival" and uid == trigger.study_instance_uid:
                plan.outcomes.append(StudyOutcome(uid, "left out", "it is the arriving study"))
            else:
                await self._compare(choice, trigger, plan)
        return plan

    async def _compare(self, choice: Choice, trigger: Trigger, plan: _Plan) -> None:
        uid = choice.study.study_instance_uid
        here = await self._sides.pacs.study(uid)
        if here is None:
            plan.missing.append(_Missing(uid, note=choice.note))
            plan.outcomes.append(StudyOutcome(uid, "wanted", choice.note))
            return
        if here.patient_ids != {trigger.patient.patient_id}:
            plan.outcomes.append(
                StudyOutcome(uid, "other patient", "the PACS holds this study under another patient ID")
            )
            await self._books.audit("prefetch other patient", study_instance_uid=uid)
            return
        missing = await self._missing_parts(uid)
        plan.missing += [replace(part, note=choice.note) for part in missing]
        plan.outcomes.append(StudyOutcome(uid, "wanted" if missing else "present", choice.note))

    async def _missing_parts(self, study: str) -> list[_Missing]:
        there = await self._sides.cloud.series(study)
        here = await self._sides.pacs.series(study)
        missing: list[_Missing] = []
        for series in there:
            uid = series.series_instance_uid
            if uid not in here:
                missing.append(_Missing(study, uid))
            elif _may_differ(series, here[uid]):
                missing += await self._missing_instances(study, uid)
        return missing

    async def _missing_instances(self, study: str, series: str) -> list[_Missing]:
        there = {one.sop_instance_uid for one in await self._sides.cloud.instances(study, series)}
        lacking = there - await self._sides.pacs.instances(study, series)
        return [_Missing(study, series, frozenset(lacking))] if lacking else []

    async def _complete(self, missing: _Missing, on_their_way: frozenset[str]) -> None:
        listed = await self._sides.cloud.instances(missing.study, missing.series)
        wanted = [one for one in listed if not missing.only or one.sop_instance_uid in missing.only]
        references = [one for one in wanted if one.sop_instance_uid not in on_their_way]
        if not references:
            reason = (
                "this router is delivering it to the PACS" if wanted else "the cloud lists no instances of it"
            )
            await self._books.studies([StudyOutcome(missing.study, "present", reason)])
            return
        fetched = await self._fetch(references)
        await self._record(missing, fetched)
        if fetched.failed:
            why = str(fetched.ended_by or "the PACS or the cloud refused them; see the log")
            raise IncompleteError(
                f"{len(fetched.failed)} instances of study {missing.study} were not moved: {why}",
                because_of_a_side=fetched.ended_by is not None,
            )

    async def _record(self, missing: _Missing, fetched: Fetched) -> None:
        for start in range(0, len(fetched.moved), _AUDITED_AT_ONCE):
            await self._books.audit(
                "prefetched",
                study_instance_uid=missing.study,
                series_instance_uid=missing.series,
                sop_instance_uids=list(fetched.moved[start : start + _AUDITED_AT_ONCE]),
            )
        outcome, reason = "completed" if missing.series else "fetched", missing.note
        if fetched.failed:
            outcome, reason = "failed", f"{len(fetched.failed)} instances were not moved"
        await self._books.studies([StudyOutcome(missing.study, outcome, reason, len(fetched.moved))])


def _may_differ(there: CloudSeries, here: int | None) -> bool:
    """Counts that are equal are taken for equal content; one that is unknown is not."""
    return there.instances is None or here is None or there.instances != here
