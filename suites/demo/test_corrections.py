"""A correction in the PACS does not silently split the copies (CLAIM-INTEGRITY-11)."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import pytest

from fixtures.data import Instance, Study
from fixtures.data.encode import part10
from fixtures.deployment.endpoints import DimseAddress
from fixtures.faults.defects import Alter, AnswerWith, Defect
from fixtures.faults.interposer import Interposer
from fixtures.traceability import needs, requirement
from fixtures.world import World
from fixtures.world.orders import alike, audited, last_line, order_for, run
from fixtures.world.reconciling import reconciled

pytestmark = pytest.mark.demo

PACS = "ORTHANC"
COERCED = 0xB000


@requirement("CLAIM-INTEGRITY-11")
@needs("pacs-rest", "router-admin", "wipe")
def test_reconciliation_names_what_was_corrected_in_the_pacs(world: World) -> None:
    """A Patient ID changed under the same UIDs, under new ones, and by a merge: listed by instance, tag and both values.

    CLAIM-INTEGRITY-11.
    """
    kept, renewed, merged, untouched = world.dated_studies(["20221122"] * 4)
    studies = [kept, renewed, merged, untouched]
    assert world.send(studies, "intake").all_success
    world.expect_both(studies)
    world.settle_router()
    before = reconciled(world, studies, deep=True)
    assert before.report["agrees"] is True, f"they differ before anything was changed: {before.findings}"

    new_id = f"{kept.patient.patient_id}-NEW"
    _correct(world, kept, {"PatientID": new_id})
    _correct(world, merged, _identity(untouched))
    world.made.add(_correct(world, renewed, {"PatientID": f"{new_id}-TOO"}, keep_uids=False))

    found = reconciled(world, studies, deep=True)
    at_pacs = {row["sop_instance_uid"]: row for row in found.findings if row["destination"] == PACS}
    assert at_pacs.keys() == world.sop_uids([kept, renewed, merged]), f"not exactly these: {found.findings}"
    assert len(found.findings) == len(at_pacs), f"the cloud's copies were not changed: {found.findings}"
    for uid in world.sop_uids([renewed]):
        assert at_pacs[uid]["kind"] == "missing", at_pacs[uid]
    for study, after in ((kept, new_id), (merged, untouched.patient.patient_id)):
        for uid in world.sop_uids([study]):
            row = at_pacs[uid]
            assert row["kind"] == "differs", row
            for part in ("(0010,0020)", after, study.patient.patient_id):
                assert part in row["reason"].replace("(0010, 0020)", "(0010,0020)"), (
                    f"{part}: {row['reason']}"
                )
    world.expect("cloud", studies)
    world.evidence.note(
        f"Of {len(world.sop_uids(studies))} instances the {len(at_pacs)} that were corrected in the PACS were named, with the "
        "attribute, its value there and as it was received; the cloud's copies are as they came."
    )


@requirement("CLAIM-INTEGRITY-11")
@needs("pacs-rest", "migration", "wipe", "router-admin")
def test_neither_migration_nor_prefetch_mixes_corrected_and_old(world: World) -> None:
    """A study that was corrected in the PACS, then got an image with the old ID: no way deletes it or joins the two.

    CLAIM-INTEGRITY-11: the migration refuses, prefetch by the old ID reports another patient, by the new ID finds nothing.
    """
    (study,) = world.dated_studies(["19850615"])
    assert world.send([study], "intake").all_success
    world.expect_both([study])
    old_id, new_id = study.patient.patient_id, f"{study.patient.patient_id}-NEW"
    _correct(world, study, {"PatientID": new_id})
    corrected = _patients(world, study)
    assert corrected == dict.fromkeys(study.sop_instance_uids, new_id), corrected

    mark, link = last_line(world), world.link_mark()
    by_old = run(world, order_for(study.patient))
    assert [row["outcome"] for row in by_old["studies"]] == ["other patient"], by_old
    by_new = run(world, order_for(alike(study.patient, new_id)))
    assert by_new["studies"] == [], f"an ID that the cloud does not have brought {by_new['studies']}"
    assert world.retrievals_since(link) == [], "instances were fetched under the old identity"
    assert audited(world, "prefetch other patient", mark), "the other patient has no line in the audit"

    late = _one_more(world, study)
    assert world.send([late], "intake").all_success
    world.settle_router()
    both = {**corrected, late.instances[0].sop_instance_uid: old_id}
    assert _patients(world, study) == both, "images of two identities were mixed in the PACS"

    migration = world.migrate(select={"studies": [study.study_instance_uid]}, delete=True)
    assert migration.state == "failed", migration.describe()
    assert study.study_instance_uid in migration.failed, migration.describe()
    assert _patients(world, study) == both, "the migration deleted what differs from the cloud's copy"
    whole = replace(study, make=lambda: [*study.instances, *late.instances])
    world.expect("cloud", [whole])
    world.evidence.note(
        f"{len(corrected)} corrected instances stayed in the PACS: the migration named the study as different from its cloud "
        "copy and deleted nothing, and the prefetch reported another patient and fetched nothing."
    )


@requirement("CLAIM-INTEGRITY-11")
@needs("control", "router-admin", "pacs-rest")
def test_coercion_by_the_pacs_is_a_warning_and_found(world: World) -> None:
    """An instance that the PACS takes with B000 and another Patient ID is delivered, with a warning, and named as different.

    CLAIM-INTEGRITY-11.
    """
    study, sound = world.dated_studies(["20221122"] * 2)
    coerced = f"{study.patient.patient_id}-COERCED"
    mark = last_line(world)
    with _coercing(world, coerced) as between:
        assert world.send([study], "intake").all_success
        world.settle_router()
        assert between.counts.get("received"), "the interposer was passed by"
    assert world.send([sound], "intake").all_success
    world.settle_router()
    lines = [line for line in audited(world, "delivered", mark) if line["destination"] == PACS]
    status = {line["sop_instance_uid"]: str(line["status"]) for line in lines}
    assert {status[uid] for uid in study.sop_instance_uids} == {f"{COERCED:04X}"}, status
    assert f"{COERCED:04X}" not in {status[uid] for uid in sound.sop_instance_uids}, status
    found = reconciled(world, [study, sound], deep=True)
    assert {row["sop_instance_uid"] for row in found.findings} == study.sop_instance_uids, found.findings
    for row in found.findings:
        assert (row["destination"], row["kind"]) == (PACS, "differs"), row
        assert coerced in row["reason"], row
        assert study.patient.patient_id in row["reason"].replace(coerced, ""), row


def _correct(world: World, study: Study, values: Mapping[str, str], *, keep_uids: bool = True) -> str:
    """Change the patient of a study in the PACS as its administrator does; the Study Instance UID it then has."""
    study_id = world.pacs.lookup_study(study.study_instance_uid)
    assert study_id is not None, f"the PACS does not hold {study}"
    patient_id = world.pacs.http.request("GET", f"/studies/{study_id}/patient").json()["ID"]
    keep = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"] if keep_uids else []
    body = {"Replace": dict(values), "Keep": keep, "KeepSource": False, "Force": True, "Synchronous": True}
    answer = world.pacs.http.request(
        "POST",
        f"/patients/{patient_id}/modify",
        headers=[("Content-Type", "application/json")],
        body=json.dumps(body).encode(),
    )
    assert answer.status == 200, f"the correction in the PACS: {answer.describe()}"
    studies = world.pacs.http.request("GET", f"/patients/{answer.json()['ID']}/studies").json()
    uids = {row["MainDicomTags"]["StudyInstanceUID"] for row in studies}
    return str(max(uids - {study.study_instance_uid}, default=study.study_instance_uid))


def _identity(study: Study) -> dict[str, str]:
    """What names the patient of a study: all of it has to agree where a PACS merges two patients."""
    dataset = study.instances[0].dataset()
    keywords = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex")
    return {keyword: str(dataset.get(keyword, "")) for keyword in keywords}


def _patients(world: World, study: Study) -> dict[str, str]:
    """The Patient ID in each file that the PACS has of a study."""
    found = {}
    for study_id in world.pacs.find("Study", {"StudyInstanceUID": study.study_instance_uid}):
        for row in world.pacs.study_instances(study_id):
            dataset = Instance(world.pacs.file(row["ID"]), "in the PACS").dataset()
            found[str(dataset.SOPInstanceUID)] = str(dataset.PatientID)
    return found


def _one_more(world: World, study: Study) -> Study:
    """The study with one new image only, made by a modality that knows of no correction."""
    dataset = study.instances[0].dataset()
    (other,) = world.series(instances=1).instances
    dataset.SOPInstanceUID = other.sop_instance_uid
    made = Instance(part10(dataset), "one more image")
    return replace(study, make=lambda: [made])


@contextmanager
def _coercing(world: World, patient_id: str) -> Iterator[Interposer]:
    """Stand between router and PACS: every instance gets another Patient ID and is answered B000 (coercion)."""
    deployment = world.deployment
    at = DimseAddress(PACS, deployment.workstation_bind.host, deployment.workstation_bind.port)
    defects: list[Defect] = [Alter("PatientID", patient_id), AnswerWith(COERCED)]
    with Interposer(at, deployment.pacs.dicom, defects) as between, world.router_settings(_led_to(world)):
        yield between


def _led_to(world: World) -> Callable[[str], str]:
    """The router's file with the harness in the place of the PACS."""
    here = world.deployment.workstation

    def change(text: str) -> str:
        pattern = rf'(ae_title = "{PACS}"\nhost = )".*"(\nport = )\d+'
        changed, number = re.subn(pattern, rf'\g<1>"{here.host}"\g<2>{here.port}', text)
        assert number == 1, "the router's file does not name the PACS once"
        return changed

    return change
