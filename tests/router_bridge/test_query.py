"""C-FIND from QIDO-RS: what is asked, what is checked here, what is answered, and how failures end."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset

from systems.router.bridge.cloud import (
    CloudError,
    CloudGarbled,
    CloudRefused,
    CloudUnauthorised,
    CloudUnreachable,
)
from systems.router.bridge.query import QueryBridge, QuerySettings
from systems.router.bridge.search import SearchLimits
from systems.router.dimse.service import FindRequest, Peer
from systems.router.dimse.status import Status
from systems.router.dimse.uids import PATIENT_ROOT_FIND, STUDY_ROOT_FIND
from tests.router_bridge.fake_cloud import FakeCloud, study
from tests.router_dimse.support import run

JULE = study("1.2.1", "Jule420^Schmeler639", "a", AccessionNumber="A1", StudyDate="20110602")
OTHER = study("1.2.2", "Other^Jane", "A", AccessionNumber="a1", StudyDate="20220101", Modality="MR")
MUELLER = study("1.2.3", "Müller^Jürgen", "c", StudyDescription="Chest", StudyDate="20220102")
LIMITS = SearchLimits(answer=1, attempts=3)


def request(level: str, root: str = STUDY_ROOT_FIND, *, relational: bool = False, **keys: Any) -> FindRequest:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    return FindRequest(Peer(1, "ORTHANC", "QIETOAZURE", "127.0.0.1", 1), 1, root, identifier, relational)


def find(cloud: FakeCloud, asked: FindRequest, **settings: Any) -> tuple[list[Dataset], list[int], Status]:
    """The matches, their statuses and the final status."""

    async def story() -> tuple[list[Dataset], list[int], Status]:
        bridge = QueryBridge(cloud, QuerySettings("QIETOAZURE", **{"limits": LIMITS, **settings}))
        responses = [response async for response in bridge.find(asked)]
        final = responses.pop()
        assert not final.status.is_pending
        assert final.identifier is None
        return (
            [r.identifier or Dataset() for r in responses],
            [r.status.code for r in responses],
            final.status,
        )

    return run(story())


def uids(found: list[Dataset]) -> list[str]:
    return sorted(one.StudyInstanceUID for one in found)


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


def test_all_pages_are_followed_and_repeated_matches_are_given_once() -> None:
    many = [study(f"1.2.{n}", "N", "P") for n in range(450)]
    cloud = FakeCloud(*many)
    plain = cloud.search

    async def shifting(
        resource: str, params: Sequence[tuple[str, str]], *, limit: int, offset: int
    ) -> list[dict[str, Any]]:
        return await plain(resource, params, limit=limit, offset=max(0, offset - 3))

    cloud.search = shifting  # type: ignore[method-assign]

    found, _, final = find(cloud, request("STUDY"))

    assert len(uids(found)) == len(set(uids(found))) == 450
    assert (len(cloud.searches), final.code) == (3, 0)


def test_more_matches_than_the_ceiling_are_a_failure() -> None:
    cloud = FakeCloud(*(study(f"1.2.{n}", "N", "P") for n in range(30)))

    assert find(cloud, request("STUDY"), limits=SearchLimits(1, 3, 20))[2].code == 0xA700


@pytest.mark.parametrize(
    ("error", "code", "attempts"),
    [
        (CloudUnreachable("x"), 0xC101, 1),
        (CloudUnauthorised("x"), 0xC102, 1),
        (CloudGarbled("x"), 0xC103, 1),
        (CloudRefused(400), 0xA900, 1),
        (CloudRefused(404), 0xC001, 1),
        (CloudRefused(503), 0xA700, 3),
        (CloudRefused(429, retry_after=60), 0xA700, 1),
    ],
)
def test_failures_end_with_their_status_never_with_an_empty_list(
    error: CloudError, code: int, attempts: int
) -> None:
    cloud = FakeCloud(JULE)
    cloud.failure = lambda _: error

    found, _, final = find(cloud, request("STUDY"))

    assert (found, final.code, len(cloud.searches)) == ([], code, attempts)


def test_a_failure_after_some_pages_is_still_a_failure() -> None:
    cloud = FakeCloud(*(study(f"1.2.{n}", "N", "P") for n in range(300)))
    cloud.failure = lambda call: CloudUnreachable("gone") if call > 1 else None

    found, _, final = find(cloud, request("STUDY"))

    assert (len(found), final.code) == (200, 0xC101)


def test_a_transient_refusal_is_asked_again() -> None:
    cloud = FakeCloud(JULE)
    cloud.failure = lambda call: CloudRefused(503) if call == 1 else None

    found, _, final = find(cloud, request("STUDY"))

    assert (len(found), final.code) == (1, 0)


def test_silence_ends_within_the_bound() -> None:
    cloud = FakeCloud(JULE)

    async def silent(*_: Any, **__: Any) -> list[dict[str, Any]]:
        await asyncio.Event().wait()
        return []

    cloud.search = silent  # type: ignore[method-assign]

    assert find(cloud, request("STUDY"), bound=lambda _: 0.1)[2].code == 0xC101


def test_cancel_ends_with_fe00() -> None:
    asked = request("STUDY")
    asked.cancelled.set()

    assert find(FakeCloud(JULE), asked)[2].code == 0xFE00
