"""C-FIND answered from the cloud: the resource that is asked, and what comes back (ROUTER-025, 060, 061, 066, 067, 193)."""

import re

import pytest

from fixtures.traceability import needs, requirement
from fixtures.world import World
from suites.router.clients import study_keys
from suites.router.conftest import WitnessBy
from suites.router.finding import ended_well, uids_of

pytestmark = pytest.mark.router
RESOURCES = {
    ("STUDY", ()): r"/studies",
    ("SERIES", ("StudyInstanceUID",)): r"/studies/[0-9.]+/series",
    ("IMAGE", ("StudyInstanceUID", "SeriesInstanceUID")): r"/studies/[0-9.]+/series/[0-9.]+/instances",
    ("IMAGE", ("StudyInstanceUID",)): r"/studies/[0-9.]+/instances",
}
"""Level and parent keys of a C-FIND and the resource it is asked of (table of ROUTER-060)."""


def _resource_of(world: World, mark: int) -> list[str]:
    """The paths of the searches since a mark, without version and query."""
    return [re.sub(r"^/v[12]", "", e.path).partition("?")[0] for e in world.searches_since(mark)]


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
        uids_of(study),
        {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}[level],
    )
    keys = {unique: "", **{parent: uids[parent] for parent in parents}, "PatientID": study.patient.patient_id}
    if parents:
        del keys["PatientID"]
    mark = world.link_mark()
    # The PACS's peer entry allows relational queries, which an IMAGE query without its series is.
    found = ended_well(by("ORTHANC").find(world.bridge, level, keys), f"ROUTER-060 {level} {parents}")
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
    allowed = ended_well(by("ORTHANC").find(world.bridge, "IMAGE", keys), "ROUTER-060, lenient")
    assert set(allowed.values("SOPInstanceUID")) == world.sop_uids([study])


@requirement("ROUTER-025", "ROUTER-060", "ROUTER-067")
def test_patient_root_groups_by_patient(world: World, by: WitnessBy) -> None:
    """PATIENT level of the Patient Root model answers one match a patient."""
    first, second = world.dated_studies(["20200101", "20210202"])
    more = world.series(instances=1, patient=first.patient)
    world.store_in_cloud([first, second, more])
    keys = {"PatientID": first.patient.patient_id, "PatientName": ""}
    found = ended_well(by().find(world.bridge, "PATIENT", keys, "patient"), "ROUTER-060 PATIENT")
    assert found.values("PatientID") == [first.patient.patient_id], (
        f"two studies, one patient: {found.describe()}"
    )
    study = {**keys, "StudyInstanceUID": ""}
    under = ended_well(by().find(world.bridge, "STUDY", study, "patient"), "ROUTER-025 Patient Root STUDY")
    assert set(under.values("StudyInstanceUID")) == world.uids([first, more])


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
    found = ended_well(
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
        found = ended_well(by().find(world.bridge, "STUDY", study_keys(study, PatientName="")), "ROUTER-193")
        (match,) = found.matches
        stored = str(study.instances[0].dataset().PatientName).rstrip("=")
        assert str(match.PatientName).rstrip("=") == stored, (
            f"ROUTER-193: {match.get('SpecificCharacterSet')}"
        )
