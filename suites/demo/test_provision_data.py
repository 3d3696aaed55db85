"""The demo's data set is what its scripts name (CLAIM-PROVISION-06)."""

from collections import Counter
from typing import Any

import pytest

from fixtures.data import Study
from fixtures.traceability import requirement
from fixtures.world import World

pytestmark = pytest.mark.demo

SCRIPTS: dict[int, tuple[str, str, str]] = {
    1: ("20110602", "20221122", "19940223"),
    2: ("20121030", "20221122", "20040831"),
    3: ("19760721", "20221122", "19691116"),
    4: ("20120411", "20221122", "20120202"),
    5: ("20110927", "20221122", "19900304"),
    6: ("19821029", "20221122", "19760525"),
    7: ("19770205", "20221122", "19700306"),
    8: ("19891215", "20221122", "19831220"),
}
"""Dates of the recent, new and prior study by patient: StevenBorg/RSNA-2022-Demo@998252a, uploads/1 to 5."""


@requirement("CLAIM-PROVISION-06")
def test_demo_data_set_is_complete_and_as_documented(world: World) -> None:
    """Eight patients with a recent, a new and a prior study each, of the scripts' dates; no UID twice, no Patient ID split.

    CLAIM-PROVISION-06: read from the files that are sent, before anything is sent.
    """
    studies = {
        (patient.number, kind): world.cast.study(patient.number, kind)
        for patient in world.cast.patients
        for kind in ("recent", "new", "prior")
    }
    wrong = [fault for (number, kind), study in studies.items() for fault in _faults(study, number, kind)]
    assert not wrong, wrong
    instances = [i.fingerprint for study in studies.values() for i in study.instances]
    repeated = [uid for uid, count in Counter(f.sop_instance_uid for f in instances).items() if count > 1]
    assert not repeated, f"SOP Instance UIDs that stand for several instances: {repeated}"
    assert len({f.study_instance_uid for f in instances}) == len(studies)
    series = {(f.series_instance_uid, f.study_instance_uid) for f in instances}
    assert len(series) == len({uid for uid, _ in series}), "a series belongs to two studies"

    if world.demo_data:
        assert {(number, study.study_date) for (number, _), study in studies.items()} == {
            (number, date) for number, dates in SCRIPTS.items() for date in dates
        }
        assert len(studies) == 24
        name = str(studies[1, "prior"].instances[0].dataset().PatientName)
        assert "Jule" in name, f"patient 1 is {name}, not the Jule of the instructions"
    world.evidence.note(
        f"{len(studies)} studies of {len(world.cast.patients)} patients, {len(instances)} instances in "
        f"{len(series)} series: dates, patients and UIDs are as the demo's scripts have them."
    )


def _faults(study: Study, number: int, kind: Any) -> list[str]:
    """Where the files of a study are not what its place in the demo says."""
    if not study.instances:
        return [f"{study}: there is no file; a step would silently send nothing"]
    shown = {
        "Patient IDs": {str(i.dataset().PatientID) for i in study.instances},
        "study dates": {str(i.dataset().get("StudyDate", "")) for i in study.instances},
        "Study Instance UIDs": {i.fingerprint.study_instance_uid for i in study.instances},
    }
    expected = {
        "Patient IDs": {study.patient.patient_id},
        "study dates": {study.study_date},
        "Study Instance UIDs": {study.study_instance_uid},
    }
    faults = [
        f"{study}: {what} {shown[what]}, expected {expected[what]}"
        for what in shown
        if shown[what] != expected[what]
    ]
    if (study.patient.number, study.kind) != (number, kind):
        faults.append(f"{study} stands where the {kind} study of patient {number} belongs")
    return faults
