"""Attribute matching as the standard says it (PS3.4 section C.2.2.2), worked out from what was made: the oracle of queries."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fixtures.data import Study

_NAMES = frozenset({"PatientName"})
_DATES = frozenset({"StudyDate"})


@dataclass(frozen=True)
class Question:
    """One key of a query with its value, and what it shows when it is answered wrongly."""

    keyword: str
    value: str
    why: str


def expected(studies: Iterable[Study], question: Question) -> set[str]:
    """Study Instance UIDs of the studies that match by what was made."""
    return {
        study.study_instance_uid
        for study in studies
        if matches(question.keyword, question.value, value_of(study, question.keyword))
    }


def value_of(study: Study, keyword: str) -> str:
    """What a study was made with."""
    dataset = study.instances[0].dataset()
    return str(dataset.get("Modality" if keyword == "ModalitiesInStudy" else keyword, ""))


def matches(keyword: str, key: str, value: str) -> bool:
    """Whether a stored value matches a key: ranges of dates, lists of modalities, wildcards; only names in any case.

    A name without wildcards also matches where a part begins with it (ROUTER-064).
    """
    if keyword in _DATES:
        return _in_range(key, value)
    if keyword == "ModalitiesInStudy":
        return value in key.split("\\")
    if keyword not in _NAMES:
        return _pattern(key, re.NOFLAG).fullmatch(value) is not None
    groups = [value, *value.split("=")]
    if any(_pattern(key, re.IGNORECASE).fullmatch(group) for group in groups):
        return True
    parts = re.split(r"[\^= ]", value.casefold())
    return not set("*?^=") & set(key) and any(part.startswith(key.casefold()) for part in parts)


def _in_range(key: str, value: str) -> bool:
    first, dash, last = key.partition("-")
    return (first or "00000000") <= value <= (last or "99999999") if dash else value == key


def _pattern(key: str, flags: re.RegexFlag) -> re.Pattern[str]:
    wild = {"*": ".*", "?": "."}
    return re.compile("".join(wild.get(letter, re.escape(letter)) for letter in key), flags)


def text_questions(keyword: str, value: str) -> Sequence[Question]:
    """Every way in which a text is asked for, made from a stored value."""
    half = max(1, 2 * len(value) // 3)
    return (
        Question(keyword, value, "exact"),
        Question(keyword, value.swapcase(), "other case"),
        Question(keyword, f"{value[:half]}*", "prefix"),
        Question(keyword, f"*{value[half - 2 : half + 2]}*", "inner wildcard"),
        Question(keyword, f"{value[:-1]}?", "single-character wildcard"),
    )


def date_questions(dates: Sequence[str]) -> Sequence[Question]:
    """A day, and ranges that are closed, open at either end, and empty."""
    ordered = sorted(dates)
    middle = ordered[len(ordered) // 2]
    values = (
        (middle, "exact"),
        (f"{ordered[1]}-{middle}", "range"),
        (f"-{middle}", "range without a beginning"),
        (f"{middle}-", "range without an end"),
        ("18500101-18501231", "empty range"),
    )
    return tuple(Question("StudyDate", value, why) for value, why in values)
