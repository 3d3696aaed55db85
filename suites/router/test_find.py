"""C-FIND answered from the cloud (ROUTER-060 to 069, 172, 193)."""

import re
import time
from collections.abc import Mapping

import pytest
from pydicom import Dataset

from fixtures.actors.results import FindResult
from fixtures.clients import link
from fixtures.data import Study
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World, rules
from suites.router.clients import shown, study_keys, witness
from suites.router.conftest import VariantWorld, WitnessBy
from suites.router.settings import STRICT

pytestmark = pytest.mark.router

LISTS = "/(studies|series|instances)"
RESOURCES = {
    ("STUDY", ()): r"/studies",
    ("SERIES", ("StudyInstanceUID",)): r"/studies/[0-9.]+/series",
    ("IMAGE", ("StudyInstanceUID", "SeriesInstanceUID")): r"/studies/[0-9.]+/series/[0-9.]+/instances",
    ("IMAGE", ("StudyInstanceUID",)): r"/studies/[0-9.]+/instances",
}
"""Level and parent keys of a C-FIND and the resource it is asked of (table of ROUTER-060)."""


def _uids(study: Study) -> dict[str, str]:
    first = study.instances[0].fingerprint
    return {
        "StudyInstanceUID": first.study_instance_uid,
        "SeriesInstanceUID": first.series_instance_uid,
        "SOPInstanceUID": first.sop_instance_uid,
    }


def _resource_of(world: World, mark: int) -> list[str]:
    """The paths of the searches since a mark, without version and query."""
    return [re.sub(r"^/v[12]", "", e.path).partition("?")[0] for e in world.searches_since(mark)]


def _ended_well(found: FindResult, because: str) -> FindResult:
    assert found.status == 0x0000, f"{because}: {found.describe()}"
    return found


@requirement("ROUTER-060", "ROUTER-061")
@needs("http-interposer")
@pytest.mark.parametrize(("level", "parents"), RESOURCES, ids=str)
def test_level_selects_the_resource(
    world: World, by: WitnessBy, level: str, parents: tuple[str, ...]
) -> None:
    """Level and parent keys select the QIDO resource, and the answers are of that level with its unique key."""
    study = world.series(instances=2)
    world.store_in_cloud([study])
    uids, unique = (
        _uids(study),
        {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}[level],
    )
    keys = {unique: "", **{parent: uids[parent] for parent in parents}, "PatientID": study.patient.patient_id}
    if parents:
        del keys["PatientID"]
    mark = world.link_mark()
    # The PACS's peer entry allows relational queries, which an IMAGE query without its series is.
    found = _ended_well(by("ORTHANC").find(world.bridge, level, keys), f"ROUTER-060 {level} {parents}")
    wanted = RESOURCES[level, parents]
    assert any(re.fullmatch(wanted, path) for path in _resource_of(world, mark)), (
        f"ROUTER-060: {level} with {parents} was asked of {_resource_of(world, mark)}, not of {wanted}"
    )
    expected = {"STUDY": {uids[unique]}, "SERIES": {uids[unique]}, "IMAGE": world.sop_uids([study])}[level]
    assert (
        set(found.values(unique)) >= expected if level == "STUDY" else set(found.values(unique)) == expected
    )
    assert {str(match.QueryRetrieveLevel) for match in found.matches} == {level}, "ROUTER-061, ROUTER-066"


@requirement("ROUTER-060")
def test_relational_query_needs_the_switch(world: World, by: WitnessBy) -> None:
    """IMAGE without its series is A900 for a peer without the switch, and answered for the PACS, which has it."""
    study = world.series(instances=2)
    world.store_in_cloud([study])
    keys = study_keys(study, SOPInstanceUID="")
    refused = by("GDCM").find(world.bridge, "IMAGE", keys)
    assert refused.status == 0xA900, f"ROUTER-060: {refused.describe()}"
    allowed = _ended_well(by("ORTHANC").find(world.bridge, "IMAGE", keys), "ROUTER-060, lenient")
    assert set(allowed.values("SOPInstanceUID")) == world.sop_uids([study])


@requirement("ROUTER-025", "ROUTER-060", "ROUTER-067")
def test_patient_root_groups_by_patient(world: World, by: WitnessBy) -> None:
    """PATIENT level of the Patient Root model answers one match a patient."""
    first, second = world.dated_studies(["20200101", "20210202"])
    more = world.series(instances=1, patient=first.patient)
    world.store_in_cloud([first, second, more])
    keys = {"PatientID": first.patient.patient_id, "PatientName": ""}
    found = _ended_well(by().find(world.bridge, "PATIENT", keys, "patient"), "ROUTER-060 PATIENT")
    assert found.values("PatientID") == [first.patient.patient_id], (
        f"two studies, one patient: {found.describe()}"
    )
    study = {**keys, "StudyInstanceUID": ""}
    under = _ended_well(by().find(world.bridge, "STUDY", study, "patient"), "ROUTER-025 Patient Root STUDY")
    assert set(under.values("StudyInstanceUID")) == world.uids([first, more])


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
    _ended_well(found, f"ROUTER-062 StudyDate={dates}")
    assert (study.study_instance_uid in found.values("StudyInstanceUID")) is matches, found.describe()


@requirement("ROUTER-062")
def test_matching_is_case_sensitive_except_for_names(world: World, by: WitnessBy) -> None:
    """The cloud ignores case; the router checks again: a Patient ID in other case does not match, a name does (PS3.4 C.2.2.2.1)."""
    study = world.cast.study(1, "prior")
    world.store_in_cloud([study])
    patient = study.patient
    swapped = patient.patient_id.swapcase()
    assert swapped != patient.patient_id, f"the Patient ID {patient.patient_id} has no letters"
    other = _ended_well(by().find(world.bridge, "STUDY", study_keys(study, PatientID=swapped)), "ROUTER-062")
    assert list(other.matches) == [], f"ROUTER-062: Patient ID {swapped} matched {patient.patient_id}"
    name = str(study.instances[0].dataset().PatientName)
    found = _ended_well(
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
    listed = _ended_well(by().find(world.bridge, "STUDY", {"StudyInstanceUID": both}), "ROUTER-062 list")
    assert sorted(listed.values("StudyInstanceUID")) == sorted(world.uids([ct, mr]))
    only = _ended_well(
        by().find(world.bridge, "STUDY", {"StudyInstanceUID": both, "ModalitiesInStudy": "MR"}), "ROUTER-062"
    )
    assert only.values("StudyInstanceUID") == [mr.study_instance_uid], only.describe()
    union = {"StudyInstanceUID": both, "ModalitiesInStudy": "CT\\MR"}
    found = _ended_well(by().find(world.bridge, "STUDY", union), "ROUTER-062, union without duplicates")
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


@requirement("ROUTER-065")
@needs("http-interposer")
def test_all_pages_are_followed(world: World, by: WitnessBy) -> None:
    """205 instances are 205 matches, each once, although the cloud gives at most 200 at a time."""
    study = world.series(instances=205, matrix=8)
    world.store_in_cloud([study])
    keys = {**study_keys(study), "SeriesInstanceUID": _uids(study)["SeriesInstanceUID"], "SOPInstanceUID": ""}
    mark = world.link_mark()
    found = _ended_well(by().find(world.bridge, "IMAGE", keys), "ROUTER-065")
    uids = found.values("SOPInstanceUID")
    assert len(uids) == len(set(uids)) == 205, f"ROUTER-065: {len(uids)} matches, {len(set(uids))} different"
    searches = [e.path for e in world.searches_since(mark)]
    assert len(searches) >= 2, searches
    limits = [int(said[1]) for path in searches if (said := re.search(r"limit=(\d+)", path))]
    assert limits, f"ROUTER-065: no limit in {searches}"
    assert max(limits) <= 200, f"ROUTER-065: limit {max(limits)}, the cloud takes at most 200"


@requirement("ROUTER-065", "ROUTER-068", "ROUTER-084")
@needs("control")
def test_ceiling_ends_with_a_failure_not_with_a_cut_list(variant_world: VariantWorld) -> None:
    """Above the ceiling C-FIND ends with A700 and C-MOVE with A701; at the ceiling all matches come with 0000."""
    with variant_world(STRICT) as world:
        at, above = world.series(instances=3), world.series(instances=4)
        world.store_in_cloud([at, above])
        for study, status, move in ((at, 0x0000, 0x0000), (above, 0xA700, 0xA701)):
            keys = {
                **study_keys(study),
                "SeriesInstanceUID": _uids(study)["SeriesInstanceUID"],
                "SOPInstanceUID": "",
            }
            found = witness(world, "dcmtk").find(world.bridge, "IMAGE", keys)
            assert found.status == status, f"ROUTER-065, {len(study.instances)} matches: {found.describe()}"
            if status == 0x0000:
                assert len(found.matches) == 3
            moved = world.move_through_bridge("STUDY", study)
            assert moved.status == move, f"ROUTER-084: {moved.describe()}"


@requirement("ROUTER-066", "ROUTER-067")
def test_return_keys(world: World, by: WitnessBy) -> None:
    """Every return key comes back, zero length when unknown, with level, Retrieve AE Title, availability and counts."""
    study = world.cast.study(1, "prior")
    world.store_in_cloud([study])
    asked = [
        "PatientName",
        "PatientID",
        "PatientSex",
        "StudyDate",
        "StudyTime",
        "AccessionNumber",
        "StudyDescription",
        "NumberOfStudyRelatedInstances",
        "NumberOfStudyRelatedSeries",
        "ModalitiesInStudy",
        "PatientComments",
    ]
    found = _ended_well(
        by().find(world.bridge, "STUDY", study_keys(study, **dict.fromkeys(asked, ""))), "ROUTER-066"
    )
    (match,) = found.matches
    missing = [keyword for keyword in asked if keyword not in match]
    assert not missing, f"ROUTER-066: not returned: {missing}"
    assert match.QueryRetrieveLevel == "STUDY"
    assert match.RetrieveAETitle == "QIETOAZURE", "ROUTER-066"
    assert match.InstanceAvailability == "ONLINE", "ROUTER-066"
    assert match.PatientComments in ("", None), "ROUTER-066: unknown is zero length"
    sent = study.instances[0].dataset()
    for keyword in ("PatientID", "PatientSex", "StudyDate", "AccessionNumber", "StudyDescription"):
        assert str(match.get(keyword, "")) == str(sent.get(keyword, "")), f"ROUTER-066: {keyword}"
    series = {i.fingerprint.series_instance_uid for i in study.instances}
    assert int(match.NumberOfStudyRelatedInstances) == len(study.instances), "ROUTER-067"
    assert int(match.NumberOfStudyRelatedSeries) == len(series), "ROUTER-067"
    modalities = {str(i.dataset().Modality) for i in study.instances}
    shown_modalities = match.ModalitiesInStudy
    assert ({shown_modalities} if isinstance(shown_modalities, str) else set(shown_modalities)) == modalities


@requirement("ROUTER-193", "ROUTER-066")
def test_names_in_every_character_set(world: World, by: WitnessBy) -> None:
    """The names of the cast, in whatever character set they are stored, come back with all component groups."""
    studies = [world.part_of(study, 1) for study in world.studies("prior", patients=(1, 2, 3))]
    world.store_in_cloud(studies)
    for study in studies:
        found = _ended_well(by().find(world.bridge, "STUDY", study_keys(study, PatientName="")), "ROUTER-193")
        (match,) = found.matches
        stored = str(study.instances[0].dataset().PatientName).rstrip("=")
        assert str(match.PatientName).rstrip("=") == stored, (
            f"ROUTER-193: {match.get('SpecificCharacterSet')}"
        )


QIDO_FAILURES = {
    "400": (link.respond(400, "bad request"), {0xA900, 0xC001}),
    "401": (link.respond(401, ""), {0xC102}),
    "403": (link.respond(403, "Authorization failed."), {0xC102}),
    "424": (link.respond(424, "dependency"), {0xA700}),
    "429": (link.respond(429, "busy"), {0xA700}),
    "500": (link.respond(500, "error"), {0xA700}),
    "503 with HTML": (link.respond(503, "<html>", {"Content-Type": "text/html"}), {0xA700}),
    "no JSON": (link.replace_body("<html>ok</html>"), {0xC103}),
    "cut body": (link.truncate_body(20), {0xC101, 0xC103}),
    "reset": (link.reset("before"), {0xC101}),
}


@requirement("ROUTER-068", "ROUTER-069", "ROUTER-160")
@needs("http-interposer")
@pytest.mark.parametrize("outcome", QIDO_FAILURES)
def test_failed_search_has_its_status(world: World, outcome: str) -> None:
    """Each failure of the search ends with the status of the table and a cause, never with an empty success."""
    study = world.series(instances=1)
    world.store_in_cloud([study])
    action, allowed = QIDO_FAILURES[outcome]
    dcmtk = witness(world, "dcmtk")
    with world.cloud_answers(rules.reads(outcome, action, LISTS)):
        found = dcmtk.find(world.bridge, "STUDY", study_keys(study))
    assert found.status in allowed, (
        f"ROUTER-068, {outcome}: {shown(found.status)}, the table says {sorted(map(shown, allowed))}"
    )
    assert found.comment, f"ROUTER-160: no cause with {shown(found.status)}"
    again = _ended_well(dcmtk.find(world.bridge, "STUDY", study_keys(study)), "the positive twin")
    assert len(again.matches) == 1


@requirement("ROUTER-068")
@needs("http-interposer")
def test_no_match_is_success_without_a_pending_response(world: World, by: WitnessBy) -> None:
    """204 of the cloud, and an empty list, are 0000 with no match."""
    nobody = {"StudyInstanceUID": world.run.uid(world.scene, 88, 8)}
    found = by().find(world.bridge, "STUDY", nobody)
    assert (found.status, list(found.matches)) == (0x0000, []), found.describe()
    with world.cloud_answers(
        rules.reads("empty list", link.respond(200, "[]", {"Content-Type": "application/dicom+json"}), LISTS)
    ):
        found = by().find(world.bridge, "STUDY", nobody)
    assert (found.status, list(found.matches)) == (0x0000, []), found.describe()


@requirement("ROUTER-069")
@needs("http-interposer")
def test_failure_after_the_first_page_is_a_failure(world: World, by: WitnessBy) -> None:
    """When a later page cannot be had, the query ends with a failure although matches were sent already."""
    study = world.series(instances=203, matrix=8)
    world.store_in_cloud([study])
    keys = {**study_keys(study), "SeriesInstanceUID": _uids(study)["SeriesInstanceUID"], "SOPInstanceUID": ""}
    with world.cloud_answers(rules.reads("second page", link.respond(503, "busy"), "offset=200")):
        found = by().find(world.bridge, "IMAGE", keys)
    assert found.status == 0xA700, f"ROUTER-069: {found.describe()}"


@requirement("ROUTER-172", "ROUTER-069", "ROUTER-048")
@needs("link")
@pytest.mark.parametrize(("kind", "bound"), [("refuse", 5.0), ("blackhole", 8.0), ("unanswered", 8.0)])
def test_find_and_move_fail_within_their_bound(world: World, kind: str, bound: float) -> None:
    """Refused within 5 s, silent within 8 s: C101 with a comment; half a minute after the cut both work again."""
    study = world.series(instances=1)
    world.store_in_cloud([study])
    dcmtk = witness(world, "dcmtk")
    with world.cut(kind):
        began = time.monotonic()
        found = dcmtk.find(world.bridge, "STUDY", study_keys(study))
        took = time.monotonic() - began
        assert found.status == 0xC101, f"ROUTER-068: {found.describe()}"
        assert took < bound + 1, f"ROUTER-172: {took:.1f} s with the link {kind}, at most {bound} s"
        moved = dcmtk.move(world.bridge, "STUDY", study_keys(study), world.deployment.workstation.ae_title)
        assert moved.status == 0xC101, f"ROUTER-084: {moved.describe()}"
    eventually(
        lambda: dcmtk.find(world.bridge, "STUDY", study_keys(study)).status == 0x0000,
        within=30,
        because="queries to work again (ROUTER-172)",
    )
