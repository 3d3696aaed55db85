"""Which studies are the patient's, and which of those are wanted: pure rules (ROUTER-138, ROUTER-139)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from systems.router.config.prefetch import PriorRules
from systems.router.prefetch.trigger import Patient, Trigger, plain_name, significant


@dataclass(frozen=True, slots=True)
class CloudStudy:
    """What the cloud says about a study. `patient_id`, `issuer` and `name` are a patient's: never logged."""

    study_instance_uid: str
    patient_id: str = field(repr=False)
    issuer: str = field(default="", repr=False)
    name: str = field(default="", repr=False)
    study_date: str = ""
    study_time: str = ""
    accession_number: str = field(default="", repr=False)
    description: str = ""
    modalities: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """A study and why it is left out; empty when it is wanted. `note` is what a person may want to know."""

    study: CloudStudy
    left_out: str = ""
    note: str = ""


def of_patient(found: Iterable[CloudStudy], patient: Patient) -> list[CloudStudy]:
    """The studies of exactly this patient: the ID compared with case, the issuer where both sides name one."""
    return [
        study
        for study in found
        if significant(study.patient_id) == significant(patient.patient_id)
        and (not patient.issuers or not study.issuer or study.issuer in patient.issuers)
    ]


def disagreeing(studies: Iterable[CloudStudy], patient: Patient) -> list[str]:
    """Study Instance UIDs whose patient's name is another one; a side without a name disagrees with nobody."""
    wanted = {plain_name(*name) for name in patient.names}
    if not wanted:
        return []
    return [
        study.study_instance_uid
        for study in studies
        if (names := _names(study.name))
        and not any(_same_person(one, other) for one in names for other in wanted)
    ]


def _same_person(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Equal, as far as both are known."""
    return one[0] == other[0] and (one[1] == other[1] or not one[1] or not other[1])


def _names(person_name: str) -> set[tuple[str, str]]:
    """Family and given name of each component group of a PN value (PS3.5 section 6.2.1)."""
    groups = [[*group.split("^"), ""] for group in person_name.split("=")]
    return {plain_name(group[0], group[1]) for group in groups if any(part.strip() for part in group[:2])}


def choose(studies: Sequence[CloudStudy], trigger: Trigger, rules: PriorRules, today: date) -> list[Choice]:
    """Every study with what the rules say, newest first; the count is of all wanted ones, here or not.

    A limit that cannot be applied because the study or the order lacks the value keeps the study, with a note.
    """
    newest = sorted(
        studies, key=lambda one: (one.study_date, one.study_time, one.study_instance_uid), reverse=True
    )
    choices = [_judged(study, trigger, rules, today) for study in newest]
    if not rules.max_count:
        return choices
    wanted = 0
    counted: list[Choice] = []
    for choice in choices:
        wanted += not choice.left_out
        above = not choice.left_out and wanted > rules.max_count
        counted.append(replace(choice, left_out="above max_count") if above else choice)
    return counted


def _judged(study: CloudStudy, trigger: Trigger, rules: PriorRules, today: date) -> Choice:
    if rules.exclude_ordered and _is_ordered(study, trigger):
        return Choice(study, "it is the ordered study")
    notes: list[str] = []
    for reason, verdict in (
        ("older than max_age_days", _young_enough(study, rules, today)),
        ("modality not in modalities", _one_of(study.modalities, rules.modalities)),
        (
            "modality is not the order's",
            _as_ordered(study.modalities, trigger.modality, wanted=rules.same_modality),
        ),
        ("body part not in body_parts", _one_of(study.body_parts, rules.body_parts)),
        (
            "body part is not the order's",
            _as_ordered(study.body_parts, trigger.body_part, wanted=rules.same_body_part),
        ),
        ("description matches none of descriptions", _described(study.description, rules.descriptions)),
    ):
        if verdict is False:
            return Choice(study, reason)
        if verdict is None:
            notes.append(f"unknown whether {reason}")
    return Choice(study, note="; ".join(notes))


def _is_ordered(study: CloudStudy, trigger: Trigger) -> bool:
    return study.study_instance_uid == trigger.study_instance_uid or (
        bool(trigger.accession_number) and significant(study.accession_number) == trigger.accession_number
    )


def _young_enough(study: CloudStudy, rules: PriorRules, today: date) -> bool | None:
    if not rules.max_age_days:
        return True
    try:
        taken = date.fromisoformat(study.study_date)
    except ValueError:
        return None
    return taken >= today - timedelta(days=rules.max_age_days)


def _one_of(values: Sequence[str], allowed: Sequence[str]) -> bool | None:
    """Whether some value is allowed; None when there is no value to judge by."""
    if not allowed:
        return True
    if not values:
        return None
    return bool({value.upper() for value in values} & {value.upper() for value in allowed})


def _as_ordered(values: Sequence[str], ordered: str, *, wanted: bool) -> bool | None:
    if not wanted:
        return True
    return _one_of(values, [ordered]) if ordered else None


def _described(description: str, wanted: Sequence[str]) -> bool | None:
    if not wanted:
        return True
    if not description:
        return None
    return any(text.casefold() in description.casefold() for text in wanted)
