"""The local searches of the demo and what the ledger says they must find."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fixtures.data import Study


@dataclass(frozen=True)
class Search:
    """One study-level search: its matching keys and the Study Instance UIDs that match among the studies of the test."""

    name: str
    keys: Mapping[str, str]
    expected: frozenset[str]


def local_searches(studies: Sequence[Study]) -> list[Search]:
    """Searches by each key of CLAIM-ONPREM-05; each leaves at least one study out, and two find nothing."""
    first = studies[0]
    family = first.patient.name.split("^")[0]
    dates = sorted(study.study_date for study in studies)
    middle = dates[len(dates) // 2]
    return [
        _search(
            "patient ID",
            {"PatientID": first.patient.patient_id},
            studies,
            lambda s: s.patient == first.patient,
        ),
        _search(
            "name prefix",
            {"PatientName": f"{family[:6]}*"},
            studies,
            lambda s: s.patient.name.startswith(family[:6]),
        ),
        _search(
            "accession number",
            {"AccessionNumber": first.accession_number},
            studies,
            lambda s: s.accession_number == first.accession_number,
        ),
        _search(
            "study date range",
            {"StudyDate": f"{dates[0]}-{middle}", "PatientID": _common_prefix(studies) + "*"},
            studies,
            lambda s: dates[0] <= s.study_date <= middle,
        ),
        _search(
            "absent patient ID", {"PatientID": f"{first.patient.patient_id}-absent"}, studies, lambda _: False
        ),
        _search("empty date range", {"StudyDate": "18500101-18501231"}, studies, lambda _: False),
    ]


def _search(
    name: str, keys: Mapping[str, str], studies: Sequence[Study], matches: Callable[[Study], bool]
) -> Search:
    return Search(name, keys, frozenset(s.study_instance_uid for s in studies if matches(s)))


def _common_prefix(studies: Sequence[Study]) -> str:
    ids = [study.patient.patient_id for study in studies]
    shortest = min(ids, key=len)
    length = next((n for n, letter in enumerate(shortest) if any(i[n] != letter for i in ids)), len(shortest))
    return shortest[:length]
