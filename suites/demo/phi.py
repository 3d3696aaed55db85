"""Patient data that can be found again: marker strings in identifying attributes, and every way that takes them through."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from fixtures.data import Instance, Patient, Study
from fixtures.data.encode import part10
from fixtures.waiting import eventually
from fixtures.world import World, rules
from fixtures.world.orders import ended, newest, order_for, place, run
from fixtures.world.reconciling import reconciled

_VALIDATION_FAILED = 43264


@dataclass(frozen=True)
class Marked:
    """A patient whose every identifying attribute holds the marker, letters and digits that stand nowhere else."""

    world: World
    marker: str

    @property
    def patient(self) -> Patient:
        """Name and ID hold the marker."""
        given = self.world.cast.patients[0]
        return replace(given, patient_id=f"{self.marker}-ID", name=f"{self.marker}^GIVEN")

    def study(self) -> Study:
        """A new small study of the patient."""
        plain = self.world.series(instances=2, matrix=16, patient=self.patient)
        return replace(plain, make=lambda: [self._with_marker(one) for one in plain.instances])

    def _with_marker(self, instance: Instance) -> Instance:
        dataset = instance.dataset()
        for keyword in ("PatientAddress", "PatientComments", "StudyDescription", "OtherPatientIDs"):
            setattr(dataset, keyword, f"{self.marker} {keyword}")
        dataset.ReferringPhysicianName = f"{self.marker}^REFERRER"
        dataset.AccessionNumber = f"{self.marker}A"
        return Instance(part10(dataset), f"marked {instance.description}")


def marked(world: World) -> Marked:
    """A patient of a new marker."""
    return Marked(world, f"ZQX{secrets.token_hex(5).upper()}")


@dataclass(frozen=True)
class Walked:
    """What a walk left to look at: what the router was asked for besides, and what it said."""

    everywhere: tuple[Study, ...]
    refused: str
    """SOP Instance UID of the dead letter."""
    paths: tuple[str, ...]
    said: tuple[str, ...]


@contextmanager
def walked_every_way(own: Marked) -> Iterator[Walked]:
    """Take studies every way through all systems, failures included; one instance stays a dead letter until the end."""
    world = own.world
    routed, archived, pushed, prior, migrated = (own.study() for _ in range(5))
    assert world.send([routed], "intake").all_success
    assert world.send([archived], "bridge").all_success
    world.arrange_all([pushed, migrated], "pacs")
    assert world.push_from_pacs(pushed).succeeded
    world.store_in_cloud([prior])
    said = [*_asked(own, archived), *_ordered(own)]
    job = world.router.start_migration({"studies": [migrated.study_instance_uid]}, delete=True)
    assert world.finish_migration(job).state == "done"
    _troubled(own, routed)
    refused = _refused(own)
    letter = next(row for row in world.router.dead_letters() if row["sop_instance_uid"] == refused)
    number = reconciled(world, [routed, archived], deep=True).report["id"]
    try:
        yield Walked(
            (routed, pushed),
            refused,
            (f"/migrations/{job}", f"/reconciliations/{number}", f"/reconciliations/{number}/findings"),
            tuple(said),
        )
    finally:
        world.router.retry(letter["id"])
        world.settle_router()


def _asked(own: Marked, study: Study) -> list[str]:
    """Queries by name and ID, at the bridge and from the PACS, and retrievals; a query that must fail, too."""
    world, patient = own.world, own.patient
    keys = {"PatientName": f"{own.marker}*", "PatientID": patient.patient_id, "StudyInstanceUID": ""}
    found = world.workstation.find(world.bridge, "STUDY", keys)
    assert study.study_instance_uid in found.values("StudyInstanceUID"), found.describe()
    assert world.query_from_pacs({"PatientName": own.marker}).http_status == 200
    world.move_and_compare(study)
    assert world.retrieve_to_pacs(study).succeeded
    with world.cut("refuse"):
        failed = world.workstation.find(world.bridge, "STUDY", keys)
        assert failed.status != 0x0000, "a query during an outage ended in success"
    return [failed.describe()]


def _ordered(own: Marked) -> list[str]:
    """An order that brings priors, and one that has to be refused."""
    world = own.world
    assert run(world, order_for(own.patient))["state"] == "done"
    refused = place(world, order_for(own.patient, kind="ORU^R01"))
    assert refused.code in ("AE", "AR"), f"an unusable order was answered {refused.code}"
    nameless = place(world, order_for(own.patient, identifiers=""))
    assert nameless.code == "AE", f"an order without Patient ID was answered {nameless.code}"
    ended(world, newest(world))
    return [refused.text + refused.error, nameless.text + nameless.error]


def _troubled(own: Marked, known: Study) -> None:
    """An outage, an abort, other content under known UIDs."""
    world, during = own.world, own.study()
    with world.cut("refuse"):
        assert world.send([during], "intake").all_success
    world.abort_in_mid_object(own.study(), "intake")
    changed = world.send_unrecorded(world.altered(known), "intake")
    assert set(changed.statuses) == {0xA900}, changed.describe()
    world.expect("cloud", [during], second_look=False)


def _refused(own: Marked) -> str:
    """An instance that the cloud refuses for good, with an answer that names the patient: it becomes a dead letter."""
    world, study = own.world, own.study()
    first, second = (instance.fingerprint for instance in study.instances)
    body = f"the value {own.marker}^GIVEN of PatientName cannot be used"
    refusals = (
        rules.stored_with_failure(_VALIDATION_FAILED, first),
        rules.store_answered(400, second, body=body, times=1),
    )
    with world.cloud_answers(*refusals):
        assert world.send([study], "intake").all_success
        bridged = own.study()
        answered = rules.store_answered(400, bridged.instances[0].fingerprint, body=body)
        eventually(
            lambda: [d for d in world.dead_letters() if d.sop_instance_uid == first.sop_instance_uid],
            within=world.bounds.settle,
            because="the refused instance to be a dead letter",
        )
    with world.cloud_answers(answered):
        world.send_unrecorded(world.part_of(bridged, 1), "bridge")
    return first.sop_instance_uid
