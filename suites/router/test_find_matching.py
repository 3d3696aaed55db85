"""C-FIND: which keys match what (ROUTER-062 to 064; PS3.4 section C.2.2.2)."""

from collections.abc import Mapping

import pytest
from pydicom import Dataset

from fixtures.traceability import needs, requirement
from fixtures.world import World
from suites.router.clients import shown, study_keys
from suites.router.conftest import WitnessBy
from suites.router.finding import ended_well

pytestmark = pytest.mark.router


def _keys_of(dataset: Dataset) -> list[tuple[str, Mapping[str, str], str]]:
    """Level, a matching key and the same one spoilt: a row for each key of ROUTER-062 that the data set has."""
    rows: list[tuple[str, Mapping[str, str], str]] = []
    studies = (
        "PatientID",
        "PatientBirthDate",
        "AccessionNumber",
        "StudyDate",
        "StudyDescription",
        "ReferringPhysicianName",
    )
    series = ("Modality", "ManufacturerModelName", "PerformedProcedureStepStartDate")
    for level, keywords in (("STUDY", studies), ("SERIES", series)):
        for keyword in keywords:
            value = str(dataset.get(keyword, ""))
            if value:
                spoilt = (
                    "19000101" if keyword.endswith("Date") else "NOSUCH" if keyword != "Modality" else "XA"
                )
                rows.append((level, {keyword: value}, spoilt))
    return rows


@requirement("ROUTER-062")
def test_each_key_of_the_table_selects(world: World, by: WitnessBy) -> None:
    """Every matching key of the table finds the study by its own value and does not find it by another one."""
    study = world.cast.study(1, "prior")
    world.store_in_cloud([study])
    dataset = study.instances[0].dataset()
    rows = _keys_of(dataset)
    assert len(rows) >= 6, f"the cast's study has only {rows}"
    wrong = []
    for level, key, spoilt in rows:
        unique = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID"}[level]
        wanted = str(dataset[unique].value)
        base = study_keys(study, **({unique: ""} if level == "SERIES" else {}))
        right = by().find(world.bridge, level, {**base, **key})
        if right.status != 0x0000 or wanted not in right.values(unique):
            wrong.append(f"{level} {key}: {right.describe()}")
        keyword = next(iter(key))
        other = by().find(world.bridge, level, {**base, keyword: spoilt})
        if other.status != 0x0000 or wanted in other.values(unique):
            wrong.append(f"{level} {keyword}={spoilt} must not match: {other.describe()}")
    assert not wrong, "ROUTER-062:\n" + "\n".join(wrong)


@requirement("ROUTER-062")
@pytest.mark.parametrize(
    ("dates", "matches"),
    [
        ("20200101-20201231", True),
        ("-20201231", True),
        ("20200101-", True),
        ("20210101-20211231", False),
        ("-20191231", False),
    ],
)
def test_date_ranges(world: World, by: WitnessBy, dates: str, matches: bool) -> None:
    """A range of Study Date with both ends, or open at one (PS3.4 section C.2.2.2.5)."""
    (study,) = world.dated_studies(["20200615"], instances=1)
    world.store_in_cloud([study])
    found = by().find(world.bridge, "STUDY", study_keys(study, StudyDate=dates))
    ended_well(found, f"ROUTER-062 StudyDate={dates}")
    assert (study.study_instance_uid in found.values("StudyInstanceUID")) is matches, found.describe()


@requirement("ROUTER-062")
def test_matching_is_case_sensitive_except_for_names(world: World, by: WitnessBy) -> None:
    """The cloud ignores case; the router checks again: a Patient ID in other case does not match, a name does (PS3.4 C.2.2.2.1)."""
    study = world.cast.study(1, "prior")
    world.store_in_cloud([study])
    patient = study.patient
    swapped = patient.patient_id.swapcase()
    assert swapped != patient.patient_id, f"the Patient ID {patient.patient_id} has no letters"
    other = ended_well(by().find(world.bridge, "STUDY", study_keys(study, PatientID=swapped)), "ROUTER-062")
    assert list(other.matches) == [], f"ROUTER-062: Patient ID {swapped} matched {patient.patient_id}"
    name = str(study.instances[0].dataset().PatientName)
    found = ended_well(
        by().find(world.bridge, "STUDY", study_keys(study, PatientName=name.swapcase())), "ROUTER-062"
    )
    assert found.values("StudyInstanceUID") == [study.study_instance_uid], (
        "ROUTER-062: PN matches in any case"
    )


@requirement("ROUTER-062")
def test_list_of_uids_and_modalities(world: World, by: WitnessBy) -> None:
    """A list of Study Instance UIDs finds each of them once (PS3.4 section C.2.2.2.2); ModalitiesInStudy finds by any of its values."""
    ct, mr = world.series(instances=1), world.series(instances=1, modality="MR")
    world.store_in_cloud([ct, mr])
    both = f"{ct.study_instance_uid}\\{mr.study_instance_uid}"
    listed = ended_well(by().find(world.bridge, "STUDY", {"StudyInstanceUID": both}), "ROUTER-062 list")
    assert sorted(listed.values("StudyInstanceUID")) == sorted(world.uids([ct, mr]))
    only = ended_well(
        by().find(world.bridge, "STUDY", {"StudyInstanceUID": both, "ModalitiesInStudy": "MR"}), "ROUTER-062"
    )
    assert only.values("StudyInstanceUID") == [mr.study_instance_uid], only.describe()
    union = {"StudyInstanceUID": both, "ModalitiesInStudy": "CT\\MR"}
    found = ended_well(by().find(world.bridge, "STUDY", union), "ROUTER-062, union without duplicates")
    assert sorted(found.values("StudyInstanceUID")) == sorted(world.uids([ct, mr]))


@requirement("ROUTER-062")
@needs("http-interposer")
def test_key_outside_the_table_is_never_ignored_silently(world: World, by: WitnessBy) -> None:
    """It is not sent to the cloud; it filters what comes back, or the matches are FF01 with the key left empty."""
    study = world.series(instances=1)
    world.store_in_cloud([study])
    mark = world.link_mark()
    found = by().find(world.bridge, "STUDY", study_keys(study, PatientComments="no such comment"))
    assert found.status == 0x0000, (
        f"ROUTER-062: the cloud answers 400 to keys it does not know: {found.describe()}"
    )
    sent = [e.path for e in world.searches_since(mark)]
    assert not [path for path in sent if "PatientComments=" in path or "00104000=" in path], sent
    assert not found.matches or set(found.pending) == {0xFF01}, (
        f"ROUTER-062: ignored with {[shown(status) for status in found.pending]}"
    )


@requirement("ROUTER-063", "ROUTER-064")
def test_wildcards_and_names(world: World, by: WitnessBy) -> None:
    """Star, question mark, prefix and universal keys match as DICOM says; what does not match stays out (PS3.4 C.2.2.2.4)."""
    study = world.cast.study(1, "prior")
    world.store_in_cloud([study])
    dataset = study.instances[0].dataset()
    family = str(dataset.PatientName.family_name)
    patient_id = study.patient.patient_id
    matching = {
        "universal star": {"PatientName": "*"},
        "prefix": {"PatientName": f"{family[:3]}*"},
        "prefix in other case": {"PatientName": f"{family[:3].swapcase()}*"},
        "infix": {"PatientName": f"*{family[1:4]}*"},
        "question mark": {"PatientID": f"{patient_id[:-1]}?"},
        "star in an ID": {"PatientID": f"{patient_id[:-2]}*"},
        "name part in capitals (ROUTER-064)": {"PatientName": family.upper()},
    }
    missing = {
        "wrong prefix": {"PatientName": "Qqqq*"},
        "question mark too few": {"PatientID": f"{patient_id}?"},
        "name part that is not at the beginning": {"PatientName": family[1:]},
        "other case in an ID": {"PatientID": f"{patient_id[:-1].swapcase()}?"},
    }
    wrong = []
    for expected, rows in ((True, matching), (False, missing)):
        for name, keys in rows.items():
            found = by().find(world.bridge, "STUDY", study_keys(study, **keys))
            there = study.study_instance_uid in found.values("StudyInstanceUID")
            if found.status != 0x0000 or there is not expected:
                wrong.append(
                    f"{name} {keys}: expected {'a match' if expected else 'none'}: {found.describe()}"
                )
    assert not wrong, "ROUTER-063:\n" + "\n".join(wrong)
