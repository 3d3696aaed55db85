"""The oracle of the demo's searches, by literal values (PS3.4 section C.2.2.2)."""

import pytest

from suites.demo.matching import date_questions, matches, text_questions


@pytest.mark.parametrize(
    ("keyword", "key", "value", "matching"),
    [
        ("PatientID", "ABC", "ABC", True),
        ("PatientID", "abc", "ABC", False),
        ("PatientID", "A*", "ABC", True),
        ("PatientID", "A?", "ABC", False),
        ("PatientID", "AB?", "ABC", True),
        ("PatientID", "A.C", "ABC", False),
        ("PatientName", "doe^jane", "Doe^Jane", True),
        ("PatientName", "JANE", "Doe^Jane", True),
        ("PatientName", "ANE", "Doe^Jane", False),
        ("PatientName", "*ane", "Doe^Jane", True),
        ("PatientName", "山田*", "Yamada^Tarou=山田^太郎", True),
        ("StudyDate", "20200101", "20200101", True),
        ("StudyDate", "20200101-20201231", "20200615", True),
        ("StudyDate", "-20200614", "20200615", False),
        ("StudyDate", "20200615-", "20200615", True),
        ("ModalitiesInStudy", "CT\\MR", "MR", True),
        ("ModalitiesInStudy", "CT\\MR", "CR", False),
    ],
)
def test_value_matches_or_not(keyword: str, key: str, value: str, matching: bool) -> None:
    assert matches(keyword, key, value) is matching


def test_questions_differ_and_cover_every_way() -> None:
    texts = text_questions("StudyDescription", "CT chest")
    assert [q.value for q in texts] == ["CT chest", "ct CHEST", "CT ch*", texts[3].value, "CT ches?"]
    assert texts[3].value.strip("*") in "CT chest"
    dates = date_questions(["20200101", "20190101", "20210101"])
    assert [q.value for q in dates][:4] == ["20200101", "20200101-20200101", "-20200101", "20200101-"]
