"""The search for priors, narrowed by every field that the PACS's query page offers (CLAIM-PRIORS-02)."""

from collections.abc import Sequence

import pytest

from fixtures.clients import link
from fixtures.data import Study
from fixtures.traceability import needs, requirement
from fixtures.world import World, rules
from fixtures.world.core import REGISTERED_AE
from suites.demo.answers import is_failure
from suites.demo.matching import Question, date_questions, expected, text_questions, value_of

pytestmark = pytest.mark.demo

_FIELDS = ("PatientID", "PatientName", "AccessionNumber", "StudyDescription")
_SPECIAL = {
    "PatientID": "O'N<E>,\"I&L^L",
    "AccessionNumber": 'A"1<2,3&4^5',
    "StudyDescription": 'Knee "left", <a> & b^c',
}
_SEARCHES = "/(studies|series|instances)"
_UNSEARCHABLE = {"PatientComments": "no such comment", "SOPClassesInStudy": "1.2.840.10008.5.1.4.1.1.4"}
"""Keys that the cloud cannot search for, with values that the study does not have."""
_AS_THE_PAGE_SENDS_IT = "a part in capitals, as the page sends it"
"""ROUTER-064: the demo's search, which the PACS itself answers otherwise."""


def _corpus(world: World) -> list[Study]:
    """Studies that differ by one field each, two of them only by case, one with every awkward character."""
    plan = [
        (1, "CT", "20110602", {"StudyDescription": "CT chest, contrast"}),
        (1, "MR", "19940223", {"StudyDescription": "MR head", "AccessionNumber": "Acc-0815"}),
        (1, "CR", "20220101", {"StudyDescription": "ct chest, contrast", "AccessionNumber": "ACC-0815"}),
        (5, "DX", "20120411", {"StudyDescription": "Thorax pa"}),
        (6, "CR", "19691116", {"StudyDescription": "Thorax lat"}),
        (4, "US", "20151231", {}),
    ]
    studies = [
        world.with_attributes(_small(world, person, modality, date), **values)
        for person, modality, date, values in plan
    ]
    mine = studies[0].patient.patient_id
    other_case = world.with_attributes(_small(world, 2, "CT", "20110603"), PatientID=mine.lower())
    prefix = mine.rpartition("-")[0]
    special = {**_SPECIAL, "PatientID": f"{prefix}-{_SPECIAL['PatientID']}"}
    return [*studies, other_case, world.with_attributes(_small(world, 3, "MR", "20190102"), **special)]


def _small(world: World, person: int, modality: str, date: str) -> Study:
    patient = world.cast.patient(person)
    return world.series(instances=1, matrix=16, modality=modality, study_date=date, patient=patient)


def _questions(studies: Sequence[Study]) -> list[Question]:
    first, second, _, latin, unicode, *_, special = studies
    asked = [
        *(q for field in _FIELDS for q in text_questions(field, value_of(first, field))),
        Question(
            "AccessionNumber", value_of(second, "AccessionNumber"), "the same in other case is stored, too"
        ),
        *date_questions([study.study_date for study in studies]),
        Question("ModalitiesInStudy", "CT", "one modality"),
        Question("ModalitiesInStudy", "CT\\MR", "two modalities"),
        Question("ModalitiesInStudy", "XA", "a modality that nobody has"),
        Question(
            "PatientName", value_of(first, "PatientName").split("^")[:2][-1].upper(), _AS_THE_PAGE_SENDS_IT
        ),
    ]
    for study in (latin, unicode):
        family = value_of(study, "PatientName").split("^")[0]
        asked += [Question("PatientName", f"{family}*", "a name beyond ASCII")]
    return asked + [
        Question(field, value_of(special, field), "quote, less-than, comma, ampersand, caret")
        for field in _SPECIAL
    ]


def _keys(question: Question) -> dict[str, str]:
    keys = {"StudyInstanceUID": "", question.keyword: question.value}
    if "ü" in question.value:
        keys["SpecificCharacterSet"] = "ISO_IR 100"
    return keys


@requirement("CLAIM-PRIORS-02")
def test_every_field_narrows_the_search(world: World) -> None:
    """Each field finds, by value, prefix, wildcard, range or list, exactly the studies that DICOM says it finds.

    CLAIM-PRIORS-02. What was made is the expectation; the PACS, which holds the same studies, is asked as a witness.
    """
    studies = _corpus(world)
    world.arrange_all(studies, "pacs")
    world.store_in_cloud(studies)
    pacs_asks = world.workstation_as(REGISTERED_AE)
    wrong: list[str] = []
    asked, otherwise = 0, []
    for question in _questions(studies):
        wanted = expected(studies, question)
        found = world.workstation.find(world.bridge, "STUDY", _keys(question))
        seen = set(found.values("StudyInstanceUID")) & world.made
        if found.status != 0x0000 or set(found.pending) - {0xFF00} or seen != wanted:
            wrong.append(
                f"{question.keyword}={question.value!r} ({question.why}): {len(seen & wanted)} of {len(wanted)}, "
                f"{len(seen - wanted)} others; {found.describe()}"
            )
        witness = pacs_asks.find(world.deployment.pacs.dicom, "STUDY", _keys(question))
        asked += 1
        if (
            set(witness.values("StudyInstanceUID")) & world.made != wanted
            and question.why != _AS_THE_PAGE_SENDS_IT
        ):
            otherwise.append(f"{question.keyword} by {question.why}")
    assert not wrong, "CLAIM-PRIORS-02: " + "\n".join(wrong)
    assert not otherwise, f"CLAIM-PRIORS-02: not as in the PACS itself: {otherwise}"
    world.evidence.note(
        f"{asked} searches by six fields found exactly what was made; the PACS itself finds the same, but for the part of "
        "a name in capitals, which only the router looks for at the beginning of every part."
    )


@requirement("CLAIM-PRIORS-02")
@needs("http-interposer")
def test_key_that_cannot_be_applied_is_signalled(world: World) -> None:
    """A key that the cloud cannot search for is FF01 or applied, never ignored; one that it refuses is a failure.

    CLAIM-PRIORS-02: a refused value must not look like an empty list.
    """
    study = _small(world, 1, "CT", "20110602")
    world.store_in_cloud([study])
    own = {"StudyInstanceUID": study.study_instance_uid}
    for keyword, value in _UNSEARCHABLE.items():
        strange = world.workstation.find(world.bridge, "STUDY", {**own, keyword: value})
        assert strange.status == 0x0000, f"{keyword}: {strange.describe()}"
        assert not strange.matches or set(strange.pending) == {0xFF01}, (
            f"CLAIM-PRIORS-02: {keyword} was ignored: {[f'{status:04X}' for status in strange.pending]}"
        )
    refusal = rules.reads("the key is refused", link.respond(400, "bad request"), _SEARCHES)
    with world.cloud_answers(refusal) as applied:
        refused = world.workstation.find(world.bridge, "STUDY", own)
        assert applied.hits.rule_hits() > 0, "no search met the rule"
    assert is_failure(refused), f"CLAIM-PRIORS-02: a refused key ended with {refused.describe()}"
    assert world.workstation.find(world.bridge, "STUDY", own).values("StudyInstanceUID") == [
        study.study_instance_uid
    ]
