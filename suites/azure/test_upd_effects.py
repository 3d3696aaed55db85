"""What a bulk update does to a study, and that what was first stored stays."""

from typing import Any

import pytest

from fixtures.clients.dicomweb import ONE_AS_STORED, DicomWeb
from fixtures.traceability import needs, requirement
from suites.azure.data import Made, Maker
from suites.azure.stow import stored
from suites.azure.tags import element, ended, tags_of
from suites.azure.updates import (
    ORIGINAL,
    ask,
    files,
    finds,
    metadata,
    opened,
    update,
    values,
)

pytestmark = pytest.mark.azure


def study_of_three(v2: DicomWeb, make: Maker, **attributes: Any) -> list[Made]:
    """Two instances of one series and one of another, stored."""
    first, second = make.series(2, **attributes)
    made = [
        first,
        second,
        make(StudyInstanceUID=first.study, PatientID=first.dataset.PatientID, **attributes),
    ]
    assert stored(v2, *made).status == 200
    return made


@requirement("UPD-013", "UPD-016", "UPD-017", "UPD-018", "UPD-027", "UPD-028")
def test_all_instances(v2: DicomWeb, make: Maker) -> None:
    """Metadata and files of every instance have the new values, the pixels are as they were (UPD-013 to UPD-018)."""
    made = study_of_three(v2, make)
    bystander = make()
    assert stored(v2, bystander).status == 200
    results = update(v2, made[0].study, PatientName="After^Update", Occupation="PAINTER")
    assert results == {"studyProcessed": 1, "studyUpdated": 1, "studyFailed": 0, "instanceUpdated": 3}, (
        results
    )
    after = metadata(v2, made[0].path("study"))
    assert values(after, "PatientName") == [{"Alphabetic": "After^Update"}] * 3
    assert values(after, "Occupation") == ["PAINTER"] * 3, (
        "an attribute that was not there is added (UPD-018)"
    )
    assert {one["00080018"]["Value"][0] for one in after} == {one.instance for one in made}, "UPD-028"
    for one in made:
        (content,) = files(v2, one.path())
        found = opened(content)
        assert (found.PatientName, found.Occupation) == ("After^Update", "PAINTER")
        assert found.PixelData == one.dataset.PixelData, "pixels are as they were (UPD-017)"
        assert (found.StudyInstanceUID, found.SeriesInstanceUID, found.SOPInstanceUID) == one.uids, "UPD-028"
        assert found.StudyDate == one.dataset.StudyDate, "what was not asked for stays"
        assert found.file_meta.ImplementationClassUID == "1.3.6.1.4.1.311.129", "UPD-027"
        assert found.file_meta.ImplementationVersionName not in (
            "",
            opened(one.part10).file_meta.ImplementationVersionName,
        )
    assert v2.retrieve(*bystander.uids) == [bystander.part10], "another study is not touched"


@requirement("UPD-019", "UPD-021")
def test_original_kept(v2: DicomWeb, make: Maker) -> None:
    """The version first stored is kept byte for byte over two updates, the one between is not (UPD-019, UPD-021)."""
    made = study_of_three(v2, make, PatientName="First^Version")
    update(v2, made[0].study, PatientName="Second^Version", Occupation="PAINTER")
    update(v2, made[0].study, PatientName="Third^Version")
    first = made[0]
    for level, own in (("study", made), ("series", made[:2]), ("instance", made[:1])):
        sent = sorted(one.part10 for one in own)
        for value in ("true", "True", "TRUE"):
            assert sorted(files(v2, first.path(level), original=value)) == sent, f"{level}, {value}"
        originals = metadata(v2, first.path(level), original="true")
        assert values(originals, "PatientName") == [{"Alphabetic": "First^Version"}] * len(own), level
        for other in (None, "false", "", "1"):
            latest = metadata(v2, first.path(level), original=other)
            assert values(latest, "PatientName") == [{"Alphabetic": "Third^Version"}] * len(own), (
                f"{level}, {other}"
            )
            assert values(latest, "Occupation") == ["PAINTER"] * len(own), (
                "the second update builds on the first"
            )
            names = {
                str(opened(content).PatientName) for content in files(v2, first.path(level), original=other)
            }
            assert names == {"Third^Version"}, f"{level}, {other}: {names}"


@requirement("UPD-020")
def test_never_updated(v2: DicomWeb, make: Maker) -> None:
    """The original of an instance that was never updated is the instance (UPD-020)."""
    made = make()
    assert stored(v2, made).status == 200
    assert files(v2, made.path(), original="true") == [made.part10]
    assert metadata(v2, made.path(), original="true") == metadata(v2, made.path())


@requirement("UPD-008")
def test_empty_change(v2: DicomWeb, make: Maker) -> None:
    """An empty change data set is taken and changes no attribute (UPD-008)."""
    made = make()
    assert stored(v2, made).status == 200
    before = metadata(v2, made.path())
    answer = ask(v2, [made.study], {})
    assert answer.status == 202, answer.describe()
    assert ended(v2, answer.json()["id"]).json()["results"]["studyProcessed"] == 1
    assert metadata(v2, made.path()) == before
    assert files(v2, made.path(), original="true") == [made.part10]


@requirement("UPD-013", "UPD-014")
def test_unknown_study(v2: DicomWeb, make: Maker) -> None:
    """A study that does not exist is counted, not an error, also beside one that does (UPD-013, UPD-014)."""
    nothing = {"studyProcessed": 1, "studyUpdated": 0, "studyFailed": 0, "instanceUpdated": 0}
    assert update(v2, make.uid(), PatientID="X") == nothing
    made = make()
    assert stored(v2, made).status == 200
    results = update(v2, make.uid(), made.study, PatientID="X")
    assert results == {"studyProcessed": 2, "studyUpdated": 1, "studyFailed": 0, "instanceUpdated": 1}


@requirement("UPD-022")
def test_searches_follow(v2: DicomWeb, make: Maker) -> None:
    """Searches find the new values and no longer the old ones (UPD-022)."""
    before: dict[str, Any] = {
        "PatientName": "Old^Name", "PatientBirthDate": "19700101", "ReferringPhysicianName": "Old^Doctor",
        "StudyDescription": "Old description", "AccessionNumber": "OLD-ACC",
    }  # fmt: skip
    after = {
        "PatientName": "New^Name", "PatientBirthDate": "19800202", "ReferringPhysicianName": "New^Doctor",
        "StudyDescription": "New description", "AccessionNumber": "NEW-ACC", "PatientID": make.patient_id(),
    }  # fmt: skip
    made = make(**before)
    before["PatientID"] = str(made.dataset.PatientID)
    assert stored(v2, made).status == 200
    for keyword, value in before.items():
        assert finds(v2, made, **{keyword: value}), keyword
    update(v2, made.study, **after)
    for keyword, value in after.items():
        assert finds(v2, made, **{keyword: value}), f"{keyword}={value}"
        assert not finds(v2, made, **{keyword: before[keyword]}), f"{keyword}={before[keyword]}"


@requirement("UPD-025")
def test_emptied(v2: DicomWeb, make: Maker) -> None:
    """The index keeps the old value of an attribute that is emptied (UPD-025)."""
    made = make(AccessionNumber="KEPT")
    assert stored(v2, made).status == 200
    update(v2, made.study, AccessionNumber=[])
    assert finds(v2, made, AccessionNumber="KEPT")
    update(v2, made.study, AccessionNumber="OTHER")
    assert not finds(v2, made, AccessionNumber="KEPT")


@requirement("UPD-023", "UPD-024")
@needs("extended-query-tags")
def test_extended_tags(v2: DicomWeb, make: Maker) -> None:
    """Study-level extended tags follow an update, those of series and instances do not (UPD-023, UPD-024)."""
    made = make(EthnicGroup="OLD", Occupation="OLD", MilitaryRank="OLD")
    assert stored(v2, made).status == 200
    levels = {"EthnicGroup": "study", "MilitaryRank": "series", "Occupation": "instance"}
    with tags_of(v2) as tags:
        tags.add(*(element(keyword, level) for keyword, level in levels.items()))
        update(v2, made.study, EthnicGroup="NEW", MilitaryRank="NEW", Occupation="NEW")
        for keyword, level in levels.items():
            statuses = [
                v2.search("instances", study=made.study, series=made.series, **{keyword: value}).status
                if level == "instance"
                else v2.search("instances", StudyInstanceUID=made.study, **{keyword: value}).status
                for value in ("OLD", "NEW")
            ]
            expected = [204, 200] if level == "study" else [200, 204]
            assert statuses == expected, f"{keyword}, {level} level"


@requirement("UPD-026")
def test_deleted(v2: DicomWeb, make: Maker) -> None:
    """Deleting an updated study removes both versions (UPD-026)."""
    made = make()
    assert stored(v2, made).status == 200
    update(v2, made.study, PatientName="After^Update")
    assert v2.delete(made.study).status == 204
    for headers in ([], [(ORIGINAL, "true")]):
        answer = v2.request("GET", made.path(), headers=[("Accept", ONE_AS_STORED), *headers])
        assert answer.status == 404, answer.describe()
    assert stored(v2, made).status == 200, "it can be stored again, as new"
    assert files(v2, made.path(), original="true") == [made.part10]
    assert files(v2, made.path()) == [made.part10]
