"""C-MOVE from the cloud: what arrives, in which encoding, and where (ROUTER-005, 006, 023, 024, 068, 080, 081, 083, 084, 086, 171)."""

import time

import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless

from fixtures.data import Instance
from fixtures.traceability import needs, requirement
from fixtures.world import World
from suites.router.clients import study_keys
from suites.router.conftest import VariantWorld, WitnessBy
from suites.router.moving import CT, MR, counted, moved
from suites.router.peers import ChoosyPeer
from suites.router.settings import STRICT

pytestmark = pytest.mark.router


@requirement("ROUTER-080", "ROUTER-083", "ROUTER-084")
@pytest.mark.parametrize("level", ["PATIENT", "STUDY", "SERIES", "IMAGE", "IMAGE list"])
def test_each_level_brings_exactly_its_instances(world: World, by: WitnessBy, level: str) -> None:
    """Patient, study, series, image and a list of images: exactly those arrive, as stored, in the mover's name."""
    study, other = world.dated_studies(["20200101", "20200102"], instances=3)
    world.store_in_cloud([study, other])
    first = study.instances[0].fingerprint
    keys, wanted, root = study_keys(study), world.sop_uids([study]), "study"
    if level == "PATIENT":
        keys, root = {"PatientID": study.patient.patient_id}, "patient"
    if level == "SERIES":
        keys["SeriesInstanceUID"] = first.series_instance_uid
    if level.startswith("IMAGE"):
        few = [i.sop_instance_uid for i in study.instances[: 2 if level == "IMAGE list" else 1]]
        keys |= {"SeriesInstanceUID": first.series_instance_uid, "SOPInstanceUID": "\\".join(few)}
        wanted = set(few)
    title = world.deployment.workstation.ae_title
    with world.workstation.receiving(world.deployment.workstation_bind) as shelf:
        result = by("ORTHANC").move(world.bridge, level.split(maxsplit=1)[0], keys, title, root)
        received, requests = shelf.received, shelf.requests
    assert result.status == 0x0000, f"ROUTER-080 {level}: {result.describe()}"
    assert counted(result) == (len(wanted), 0, 0), f"ROUTER-083: {result.describe()}"
    assert result.remaining is None, "ROUTER-083: Remaining only with FE00"
    assert sorted(f.sop_instance_uid for f in received) == sorted(wanted)
    digests = {i.sop_instance_uid: i.fingerprint.dataset_digest for i in study.instances}
    assert all(digests[f.sop_instance_uid] == f.dataset_digest for f in received), "ROUTER-081"
    assert {r.originator_ae_title for r in requests} == {"ORTHANC"}, "ROUTER-080: MoveOriginatorAETitle"
    assert {r.calling_ae_title for r in requests} == {"QIETOAZURE"}, "ROUTER-006"


@requirement("ROUTER-081", "ROUTER-023")
@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless],
    ids=["implicit", "jpeg-2000", "jpeg-ls"],
)
def test_stored_encoding_is_sent_on(world: World, syntax: str) -> None:
    """What was stored compressed arrives compressed, byte for byte; nothing is converted on the way."""
    study = world.series(instances=2, transfer_syntax=syntax)
    world.store_in_cloud([study])
    with world.workstation.receiving(world.deployment.workstation_bind) as shelf:
        result = moved(world, study)
        assert result.status == 0x0000, result.describe()
        assert {r.transfer_syntax_uid for r in shelf.requests} == {str(syntax)}, "ROUTER-081: converted"
        for instance in study.instances:
            arrived = Instance(shelf.part10(instance.sop_instance_uid), "arrived")
            assert bytes(arrived.encoded_dataset) == bytes(instance.encoded_dataset), "ROUTER-023"


@requirement("ROUTER-023", "ROUTER-024", "ROUTER-084", "ROUTER-086")
def test_encoding_that_the_destination_refuses_fails_by_name(world: World) -> None:
    """A destination without JPEG 2000 gets what it takes; the rest is failed and listed, never sent in another encoding."""
    plain = world.series(instances=1, modality="MR")
    packed = world.series(instances=2, transfer_syntax=JPEG2000Lossless)
    world.store_in_cloud([plain, packed])
    bind = world.deployment.workstation_bind
    title = world.deployment.workstation.ae_title
    both = {"StudyInstanceUID": f"{plain.study_instance_uid}\\{packed.study_instance_uid}"}
    with ChoosyPeer(bind, (CT, MR), (ExplicitVRLittleEndian, ImplicitVRLittleEndian)) as peer:
        result = world.workstation.move(world.bridge, "STUDY", both, title)
    assert result.status == 0xB000, f"ROUTER-084 (some failed): {result.describe()}"
    assert counted(result) == (1, 2, 0), result.describe()
    assert set(result.failed_uids) == world.sop_uids([packed]), "ROUTER-084: every failed instance is listed"
    assert [a.request.sop_instance_uid for a in peer.arrived] == list(world.sop_uids([plain])), "ROUTER-023"


@requirement("ROUTER-024")
def test_contexts_proposed_to_a_destination(world: World) -> None:
    """For each SOP class its stored transfer syntax in a context of its own, and the uncompressed defaults besides."""
    packed = world.series(instances=1, transfer_syntax=JPEG2000Lossless)
    world.store_in_cloud([packed])
    syntaxes = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless)
    with ChoosyPeer(world.deployment.workstation_bind, (CT,), syntaxes) as peer:
        result = moved(world, packed)
    assert result.status == 0x0000, result.describe()
    for contexts in peer.proposed:
        assert len(contexts) <= 128, "ROUTER-024: more than 128 contexts are split over several associations"
    proposed = {entry for contexts in peer.proposed for entry in contexts if entry[0] == CT}
    assert (CT, (str(JPEG2000Lossless),)) in proposed, f"ROUTER-024: no context of its own: {proposed}"
    others = {syntax for _, every in proposed for syntax in every}
    assert str(ExplicitVRLittleEndian) in others, f"ROUTER-024: no uncompressed default: {proposed}"


@requirement("ROUTER-005", "ROUTER-084")
@needs("http-interposer")
def test_unknown_destination_is_refused_before_any_retrieval(world: World, by: WitnessBy) -> None:
    """An AE title that is not in the table gets A801, and the cloud is not asked."""
    study = world.series(instances=1)
    world.store_in_cloud([study])
    mark = world.link_mark()
    result = by().move(world.bridge, "STUDY", study_keys(study), "NOBODY")
    assert result.status == 0xA801, f"ROUTER-084 (destination unknown): {result.describe()}"
    assert world.retrievals_since(mark) == [], "ROUTER-084: before any retrieval"


@requirement("ROUTER-084", "ROUTER-171")
def test_destination_that_does_not_answer(world: World, by: WitnessBy) -> None:
    """A destination of the table at which nobody listens: A702, every instance counted as failed."""
    study = world.series(instances=3)
    world.store_in_cloud([study])
    result = by().move(world.bridge, "STUDY", study_keys(study), world.deployment.workstation.ae_title)
    assert result.status == 0xA702, f"ROUTER-084 (not reachable): {result.describe()}"
    assert (result.completed, result.failed) == (0, 3), result.describe()
    assert result.comment, "ROUTER-160: no cause"


@requirement("ROUTER-084", "ROUTER-068")
def test_nothing_to_move_is_success_at_once(world: World, by: WitnessBy) -> None:
    """No match is 0000 with zero counts within the time of a query."""
    began = time.monotonic()
    keys = {"StudyInstanceUID": world.run.uid(world.scene, 88, 9)}
    result = by().move(world.bridge, "STUDY", keys, world.deployment.workstation.ae_title)
    assert (result.status, *counted(result)) == (0x0000, 0, 0, 0), (
        f"ROUTER-084 (no match): {result.describe()}"
    )
    assert time.monotonic() - began < 8, "ROUTER-084: within the query time"


@requirement("ROUTER-084")
def test_invalid_identifier_is_refused(world: World, by: WitnessBy) -> None:
    """A move without its unique key is A900, the same one with it is not."""
    result = by().move(world.bridge, "STUDY", {"PatientID": "X"}, world.deployment.workstation.ae_title)
    assert result.status == 0xA900, f"ROUTER-084 (identifier invalid): {result.describe()}"


@requirement("ROUTER-006")
@needs("control")
@pytest.mark.parametrize("keeps", [True, False], ids=["kept", "configured"])
def test_calling_ae_title_towards_the_pacs(world: World, variant_world: VariantWorld, keeps: bool) -> None:
    """By default the PACS sees the modality's AE title; otherwise the configured one."""
    if keeps:
        assert _seen_by_pacs(world) == "ALLOWED", "ROUTER-006: the demo keeps the modality's AE title"
    else:
        with variant_world(STRICT) as strict:
            assert _seen_by_pacs(strict) == "QIETOAZURE", "ROUTER-006: the configured one"


def _seen_by_pacs(world: World) -> str:
    study = world.series(instances=1)
    assert world.send([study], "intake", ae="ALLOWED").all_success
    world.expect("pacs", [study])
    study_id = world.pacs.lookup_study(study.study_instance_uid)
    assert study_id is not None
    (instance,) = world.pacs.study_instances(study_id)
    answer = world.pacs.http.request("GET", f"/instances/{instance['ID']}/metadata/RemoteAET")
    assert answer.status == 200, answer.describe()
    return answer.body.decode()
