"""Which studies are the patient's and which are wanted: pure rules."""

from datetime import date
from typing import Any

import pytest

from systems.router.config.prefetch import PriorRules
from systems.router.prefetch.priors import CloudStudy, choose, disagreeing, of_patient
from systems.router.prefetch.trigger import Patient, Trigger

TODAY = date(2022, 11, 22)


def study(uid: str, **values: Any) -> CloudStudy:
    return CloudStudy(**{"study_instance_uid": uid, "patient_id": "42", "name": "Doe^Jane", **values})


def trigger(**values: Any) -> Trigger:
    patient = Patient("42", names=(("DOE", "JANE"),))
    return Trigger("hl7", "MSG", "ORM^O01", **{"patient": patient, **values})


def rules(**values: Any) -> PriorRules:
    off: dict[str, Any] = {
        "max_count": 0, "max_age_days": 0, "modalities": (), "same_modality": False, "body_parts": (),
        "same_body_part": False, "descriptions": (), "exclude_ordered": False,
    }  # fmt: skip
    return PriorRules(**{**off, **values})


def wanted(studies: list[CloudStudy], of: PriorRules, by: Trigger | None = None) -> list[str]:
    choices = choose(studies, by or trigger(), of, TODAY)
    return [choice.study.study_instance_uid for choice in choices if not choice.left_out]


@pytest.mark.parametrize("other", ["42 0", "042", "4", "420", "42*", "42a", ""])
def test_other_identifiers_are_other_patients(other: str) -> None:
    """ROUTER-138: exactly the ID."""
    assert of_patient([study("1", patient_id=other)], Patient("42")) == []


def test_identifiers_are_compared_with_case_and_without_padding() -> None:
    """ROUTER-138: spaces around an LO value mean nothing in DICOM, case does."""
    assert of_patient([study("1", patient_id="abc")], Patient("ABC")) == []
    assert len(of_patient([study("1", patient_id="42 ")], Patient("42"))) == 1


def test_issuer_separates_patients_where_both_sides_name_one() -> None:
    """ROUTER-138: the same ID of another issuer is another patient."""
    found = [study("1", issuer="A"), study("2", issuer="B"), study("3")]
    of = [one.study_instance_uid for one in of_patient(found, Patient("42", ("A", "1.2")))]
    assert of == ["1", "3"]
    assert len(of_patient(found, Patient("42"))) == 3


@pytest.mark.parametrize(
    ("name", "agrees"),
    [
        ("Doe^Jane", True), ("Doe", True), ("DOE^JANE^M", True), ("doe ^jane", True), ("Doe^John", False), ("Do^Jane", False),
        ("", True), ("Yamada^Tarou=\u5c71\u7530^\u592a\u90ce=", False), ("X^Y=Doe^Jane", True),
    ],
)  # fmt: skip
def test_name_is_compared_for_plausibility(name: str, agrees: bool) -> None:
    """ROUTER-138: family and given name in any component group, without case."""
    found = disagreeing([study("1", name=name)], Patient("42", names=(("Doe", "Jane"),)))
    assert (found == []) is agrees
    assert disagreeing([study("1", name=name)], Patient("42")) == []


def test_by_default_every_study_is_wanted_newest_first() -> None:
    """ROUTER-139: no limit by age, modality, body part or number."""
    studies = [study(str(n), study_date=f"{1950 + n}0101", modalities=("CT",)) for n in range(30)]
    studies.append(study("undated"))
    assert wanted(studies, rules()) == [*(str(n) for n in range(29, -1, -1)), "undated"]


def test_each_limit_is_obeyed() -> None:
    """ROUTER-139: the optional filters."""
    studies = [
        study(
            "new",
            study_date="20221001",
            modalities=("CT", "SR"),
            body_parts=("CHEST",),
            description="CT Thorax",
        ),
        study("mid", study_date="20200101", modalities=("MR",), body_parts=("HEAD",), accession_number="ACC"),
        study(
            "old", study_date="19900101", modalities=("CR",), body_parts=("CHEST",), description="thorax p.a."
        ),
    ]
    assert wanted(studies, rules(max_count=2)) == ["new", "mid"]
    assert wanted(studies, rules(max_age_days=365)) == ["new"]
    assert wanted(studies, rules(modalities=("mr", "cr"))) == ["mid", "old"]
    assert wanted(studies, rules(same_modality=True), trigger(modality="CT")) == ["new"]
    assert wanted(studies, rules(body_parts=("CHEST",))) == ["new", "old"]
    assert wanted(studies, rules(same_body_part=True), trigger(body_part="HEAD")) == ["mid"]
    assert wanted(studies, rules(descriptions=("thorax",))) == ["new", "mid", "old"]
    assert wanted(studies, rules(descriptions=("skull",))) == ["mid"]
    assert wanted(studies, rules(exclude_ordered=True), trigger(study_instance_uid="new")) == ["mid", "old"]
    assert wanted(studies, rules(exclude_ordered=True), trigger(accession_number="ACC")) == ["new", "old"]
    assert wanted(studies, rules(max_count=1, body_parts=("HEAD",))) == ["mid"]


def test_what_cannot_be_judged_is_kept_with_a_note() -> None:
    """ROUTER-139: a study without a body part is not dropped silently."""
    (choice,) = choose([study("1")], trigger(), rules(body_parts=("CHEST",), max_age_days=1), TODAY)
    assert choice.left_out == ""
    assert "body part not in body_parts" in choice.note
    assert "older than max_age_days" in choice.note
    (unknown,) = choose([study("1", modalities=("CT",))], trigger(), rules(same_modality=True), TODAY)
    assert (unknown.left_out, unknown.note) == ("", "unknown whether modality is not the order's")
