"""C-FIND from QIDO-RS: what is asked, what is checked here, what is answered."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from systems.router.dimse.uids import PATIENT_ROOT_FIND, STUDY_ROOT_FIND
from tests.router_bridge.asking import JULE, MUELLER, OTHER, find, request, uids
from tests.router_bridge.fake_cloud import FakeCloud, study


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, ["1.2.1", "1.2.2", "1.2.3"]),
        ({"PatientName": "JULE"}, ["1.2.1"]),
        ({"PatientName": "J*"}, ["1.2.1"]),
        ({"PatientName": "*JANE"}, ["1.2.2"]),
        ({"PatientName": "Müller^Jürgen"}, ["1.2.3"]),
        ({"PatientID": "a"}, ["1.2.1"]),
        ({"PatientID": "*"}, ["1.2.1", "1.2.2", "1.2.3"]),
        ({"PatientID": "?"}, ["1.2.1", "1.2.2", "1.2.3"]),
        ({"PatientID": "<a"}, []),
        ({"AccessionNumber": "a1"}, ["1.2.2"]),
        ({"StudyDate": "20220101-"}, ["1.2.2", "1.2.3"]),
        ({"StudyDate": "-20111231"}, ["1.2.1"]),
        ({"StudyInstanceUID": ["1.2.1", "1.2.3", "1.2.9"]}, ["1.2.1", "1.2.3"]),
        ({"ModalitiesInStudy": ["MR", "PT"]}, ["1.2.2"]),
        ({"ModalitiesInStudy": ["CT", "MR"]}, ["1.2.1", "1.2.2", "1.2.3"]),
        ({"StudyDescription": "C*t"}, ["1.2.3"]),
        ({"StudyDescription": 'say "hi"'}, []),
        ({"PatientSex": "F"}, []),
    ],
)
def test_study_queries_follow_dicom_matching(keys: dict[str, Any], expected: list[str]) -> None:
    found, statuses, final = find(FakeCloud(JULE, OTHER, MUELLER), request("STUDY", **keys))

    assert uids(found) == expected
    assert set(statuses) <= {0xFF00}
    assert final.code == 0


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.text(alphabet="abAB", min_size=1, max_size=3), min_size=1, max_size=8),
    st.text(alphabet="abAB*?", max_size=4),
)
def test_the_result_is_what_matching_all_of_the_content_would_give(ids: list[str], key: str) -> None:
    cloud = FakeCloud(*(study(f"1.2.{n}", "N", one) for n, one in enumerate(ids)))
    simple = key.strip("*") == ""

    found, _, final = find(cloud, request("STUDY", PatientID=key))

    pattern = "".join({"*": ".*", "?": "."}.get(c, c) for c in key)
    expected = [f"1.2.{n}" for n, one in enumerate(ids) if simple or re.fullmatch(pattern, one)]
    assert (uids(found), final.code) == (sorted(expected), 0)


@pytest.mark.parametrize(
    ("level", "keys", "relational", "resource"),
    [
        ("STUDY", {}, False, "/studies"),
        ("SERIES", {"StudyInstanceUID": "1.2.1"}, False, "/studies/1.2.1/series"),
        ("SERIES", {}, True, "/series"),
        ("IMAGE", {"StudyInstanceUID": "1.2.1", "SeriesInstanceUID": "1.2.1.1"}, False,
         "/studies/1.2.1/series/1.2.1.1/instances"),
        ("IMAGE", {"StudyInstanceUID": "1.2.1"}, True, "/studies/1.2.1/instances"),
        ("IMAGE", {}, True, "/instances"),
    ],
)  # fmt: skip
def test_levels_select_the_resource(
    level: str, keys: dict[str, Any], relational: bool, resource: str
) -> None:
    cloud = FakeCloud(JULE, OTHER)

    found, _, final = find(cloud, request(level, relational=relational, **keys))

    assert {path for path, _ in cloud.searches} == {resource}
    assert final.code == 0
    assert len(found) == (1 if keys else 2)
    expected = {"STUDY": 1, "SERIES": 2, "IMAGE": 3}[level]
    assert all(len([k for k in one if k.VR == "UI" and k.value]) == expected for one in found)


def test_study_keys_below_a_study_are_not_sent_but_checked() -> None:
    cloud = FakeCloud(JULE)
    keys: dict[str, Any] = {
        "StudyInstanceUID": "1.2.1",
        "PatientID": "a",
        "Modality": "CT",
        "AccessionNumber": "A1",
    }

    assert len(find(cloud, request("SERIES", **keys))[0]) == 1
    assert cloud.searches == [("/studies/1.2.1/series", {"Modality": "CT"})]
    assert find(cloud, request("SERIES", **{**keys, "PatientID": "A"}))[0] == []


@pytest.mark.parametrize(
    ("level", "root", "keys"),
    [
        ("SERIES", STUDY_ROOT_FIND, {}),
        ("IMAGE", STUDY_ROOT_FIND, {"StudyInstanceUID": "1.2"}),
        ("PATIENT", STUDY_ROOT_FIND, {}),
        ("NONSENSE", STUDY_ROOT_FIND, {}),
        ("SERIES", STUDY_ROOT_FIND, {"StudyInstanceUID": "1.2/../3"}),
    ],
)
def test_identifiers_that_cannot_be_answered_get_a900(level: str, root: str, keys: dict[str, Any]) -> None:
    cloud = FakeCloud(JULE)

    found, _, final = find(cloud, request(level, root, **keys))

    assert (found, final.code, cloud.searches) == ([], 0xA900, [])
    assert final.comment


def test_lenient_peers_may_ask_relational_queries() -> None:
    found, _, final = find(FakeCloud(JULE), request("SERIES"), lenient=lambda ae: ae == "ORTHANC")

    assert (len(found), final.code) == (1, 0)


def test_patients_are_grouped() -> None:
    again = study("1.2.4", "Jule420^Schmeler639", "a")

    found, _, _ = find(
        FakeCloud(JULE, OTHER, again),
        request("PATIENT", PATIENT_ROOT_FIND, PatientName="", NumberOfPatientRelatedStudies=""),
    )

    assert sorted((one.PatientID, one.NumberOfPatientRelatedStudies) for one in found) == [("A", 1), ("a", 2)]


def test_answers_carry_what_was_asked_and_who_to_ask_for_more() -> None:
    asked = request(
        "STUDY",
        PatientName="JULE",
        PatientSex="",
        NumberOfStudyRelatedSeries="",
        NumberOfStudyRelatedInstances="",
    )

    (found,), _, _ = find(FakeCloud(JULE), asked)

    assert (found.QueryRetrieveLevel, found.RetrieveAETitle, found.InstanceAvailability) == (
        "STUDY",
        "QIETOAZURE",
        "ONLINE",
    )
    assert (found.NumberOfStudyRelatedInstances, found.NumberOfStudyRelatedSeries) == (1, 1)
    assert "PatientSex" in found
    assert not found.PatientSex
    assert "AccessionNumber" not in found


@pytest.mark.parametrize(
    ("name", "asked", "expected"),
    [
        ("Jule^A", "", "ISO_IR 100"),
        ("Müller^A", "ISO_IR 100", "ISO_IR 100"),
        ("Иванов^A", "ISO_IR 144", "ISO_IR 144"),
        ("Иванов^A", "ISO_IR 100", "ISO_IR 192"),
        ("Yamada=山田", "", "ISO_IR 192"),
    ],
)
def test_the_character_set_holds_the_answer(name: str, asked: str, expected: str) -> None:
    query = request("STUDY", PatientName="")
    if asked:
        query.identifier.SpecificCharacterSet = asked

    (found,), _, _ = find(FakeCloud(study("1.2", name, "P")), query)

    assert found.SpecificCharacterSet == expected
    assert str(found.PatientName) == name


def test_keys_that_cannot_be_checked_make_the_matches_ff01() -> None:
    _, statuses, final = find(
        FakeCloud(JULE), request("SERIES", StudyInstanceUID="1.2.1", ModalitiesInStudy="CT")
    )

    assert (statuses, final.code) == ([0xFF01], 0)
