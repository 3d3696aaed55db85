"""What the listeners take and what becomes of its bytes (ROUTER-021 to 026, 040, 041, 047, 192, 193)."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from pydicom import Dataset, dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.uid import UID, JPEG2000Lossless, JPEGBaseline8Bit
from pynetdicom.presentation import AllStoragePresentationContexts, PresentationContext, build_context

from fixtures.actors.association import ACCEPTED, MOST_CONTEXTS, VERIFICATION, Timeouts, opened
from fixtures.actors.scp import TRANSFER_SYNTAXES
from fixtures.actors.storing import StoreRequest, store
from fixtures.data import Instance, Study
from fixtures.data.encode import TRANSFER_SYNTAXES as ENCODABLE
from fixtures.data.encode import part10
from fixtures.deployment.endpoints import DimseAddress
from fixtures.evidence.curl import STORESCU_PROPOSALS
from fixtures.traceability import needs, requirement
from fixtures.world import MODALITY_OF_CLASS, World
from suites.router.clients import shown, study_keys, witness
from suites.router.conftest import VariantWorld, WitnessBy
from suites.router.settings import STRICT

pytestmark = pytest.mark.router

CT = "1.2.840.10008.5.1.4.1.1.2"
PRIVATE_CLASS = "1.3.6.1.4.1.9590.100.1.1.1"
QUERY_CLASSES = {
    "Study Root FIND": "1.2.840.10008.5.1.4.1.2.2.1",
    "Study Root MOVE": "1.2.840.10008.5.1.4.1.2.2.2",
    "Patient Root FIND": "1.2.840.10008.5.1.4.1.2.1.1",
    "Patient Root MOVE": "1.2.840.10008.5.1.4.1.2.1.2",
    "Study Root GET": "1.2.840.10008.5.1.4.1.2.2.3",
}
NOT_OFFERED = {
    "Patient/Study Only FIND": "1.2.840.10008.5.1.4.1.2.3.1",
    "Composite Instance Root GET": "1.2.840.10008.5.1.4.1.2.4.3",
    "Basic Film Session": "1.2.840.10008.5.1.1.1",
    "Modality Performed Procedure Step": "1.2.840.10008.3.1.2.3.3",
}


def _accepted(to: DimseAddress, contexts: Sequence[PresentationContext]) -> list[PresentationContext]:
    """The contexts, of any number, that the listener accepts."""
    found: list[PresentationContext] = []
    step = MOST_CONTEXTS - 1
    for part in (contexts[start : start + step] for start in range(0, len(contexts), step)):
        # Verification is accepted everywhere, so an association without it would hide that nothing else was.
        with opened("GDCM", to, [*part, build_context(VERIFICATION)], Timeouts()) as state:
            assert state.outcome == ACCEPTED, state.comment
            assert state.association is not None, state.comment
            found += state.association.accepted_contexts
    return found


@requirement("ROUTER-021")
@pytest.mark.parametrize("listener", ["bridge", "intake"])
def test_every_standard_storage_class_is_accepted(world: World, listener: str) -> None:
    """Each Storage SOP class of PS3.6 is accepted in negotiation; a class nobody has registered is not."""
    address = getattr(world, listener)
    classes = [context.abstract_syntax for context in AllStoragePresentationContexts]
    accepted = {c.abstract_syntax for c in _accepted(address, [build_context(uid) for uid in classes])}
    missing = sorted(set(classes) - accepted)
    assert not missing, f"ROUTER-021: not accepted at {listener}: {[UID(uid).name for uid in missing]}"
    assert PRIVATE_CLASS not in {
        c.abstract_syntax for c in _accepted(address, [build_context(PRIVATE_CLASS)])
    }


@requirement("ROUTER-021")
@needs("control")
def test_private_storage_class_can_be_configured(variant_world: VariantWorld) -> None:
    """A private SOP class named in the configuration is accepted on that listener."""
    with variant_world(STRICT) as world:
        accepted = _accepted(world.intake, [build_context(PRIVATE_CLASS)])
        assert PRIVATE_CLASS in {context.abstract_syntax for context in accepted}


@requirement("ROUTER-022")
@pytest.mark.parametrize("listener", ["bridge", "intake"])
def test_every_transfer_syntax_is_accepted(world: World, listener: str) -> None:
    """Uncompressed, deflated, JPEG, JPEG-LS, JPEG 2000, HTJ2K, RLE and MPEG: each in a context of its own."""
    contexts = [build_context(CT, syntax) for syntax in TRANSFER_SYNTAXES if UID(syntax).is_transfer_syntax]
    accepted = {
        context.transfer_syntax[0]
        for context in _accepted(getattr(world, listener), contexts)
        if context.abstract_syntax == CT
    }
    wanted = {
        *(f"1.2.840.10008.1.2{suffix}" for suffix in ("", ".1", ".2", ".1.99", ".5")),
        *(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70, 80, 81, 90, 91, 100, 102, 107, 201, 202, 203)),
    }
    missing = sorted(wanted - accepted)
    assert not missing, f"ROUTER-022: not accepted at {listener}: {[UID(uid).name for uid in missing]}"


@requirement("ROUTER-022", "ROUTER-023", "ROUTER-041", "ROUTER-192")
@pytest.mark.parametrize(
    "syntax", sorted(STORESCU_PROPOSALS.keys() & set(ENCODABLE)), ids=lambda uid: UID(uid).keyword
)
def test_data_set_reaches_the_cloud_byte_for_byte(world: World, syntax: str) -> None:
    """Each encoding is taken, also from storescu; the cloud's file has the data set as sent and a group 0002 made of the facts."""
    # Baseline JPEG holds 8 bits a sample.
    modality = "US" if syntax == JPEGBaseline8Bit else "CT"
    study = world.series(instances=1, transfer_syntax=syntax, modality=modality)
    world.register([study])
    (instance,) = study.instances
    own = instance.fingerprint
    for path, address in (("bridge", world.bridge), ("intake", world.intake)):
        sent = witness(world, "pynetdicom").send([instance], address, via=path)
        assert sent.acknowledged, f"ROUTER-022: {UID(syntax).name} at {path}: {sent.describe()}"
    again = witness(world, "dcmtk").send([instance], world.intake, via="dcmtk")
    assert again.acknowledged, f"ROUTER-104: the same content written by dcmtk: {again.describe()}"
    world.expect_both([study])
    stored = world.cloud_truth.part10(
        own.sop_instance_uid, study=own.study_instance_uid, series=own.series_instance_uid
    )
    kept = Instance(stored, "as stored")
    assert bytes(kept.encoded_dataset) == bytes(instance.encoded_dataset), (
        "ROUTER-041: the data set below group 0002 is not byte for byte what was received"
    )
    meta = dcmread(DicomBytesIO(stored), stop_before_pixels=True).file_meta
    assert meta.MediaStorageSOPClassUID == own.sop_class_uid, "ROUTER-041"
    assert meta.MediaStorageSOPInstanceUID == own.sop_instance_uid, "ROUTER-041"
    assert meta.TransferSyntaxUID == syntax, "ROUTER-023: another encoding than was sent"
    assert stored[:128] == bytes(128), "ROUTER-041: the preamble is zeros"
    sent_meta = dcmread(DicomBytesIO(instance.part10), stop_before_pixels=True).file_meta
    assert meta.ImplementationClassUID != sent_meta.get("ImplementationClassUID"), (
        "ROUTER-041: the implementation UID is the router's, not the modality's"
    )


@requirement("ROUTER-021", "ROUTER-192")
@pytest.mark.parametrize("sop_class", MODALITY_OF_CLASS, ids=lambda uid: MODALITY_OF_CLASS[uid])
def test_each_class_of_the_demo_reaches_both_sides(world: World, sop_class: str) -> None:
    """An object of each class of the demo's PACS connection, sent by storescu, arrives; no tag is added, removed or coerced."""
    study = world.of_class(sop_class, instances=1)
    world.register([study])
    sent = witness(world, "dcmtk").send(study.instances, world.intake, via="intake")
    assert sent.acknowledged, sent.describe()
    world.expect_both([study])
    assert world.attribute_differences("cloud", [study]) == [], "ROUTER-192: no content change by default"


@requirement("ROUTER-025", "ROUTER-026")
def test_query_classes_are_offered_and_no_others(world: World) -> None:
    """FIND and MOVE of both roots and Study Root GET are accepted at the bridge; what is not supported is not accepted."""
    contexts = [build_context(uid) for uid in (*QUERY_CLASSES.values(), *NOT_OFFERED.values())]
    accepted = {context.abstract_syntax for context in _accepted(world.bridge, contexts)}
    for name, uid in QUERY_CLASSES.items():
        assert uid in accepted, f"ROUTER-025: {name} is not accepted"
    for name, uid in NOT_OFFERED.items():
        assert uid not in accepted, f"ROUTER-025: {name} is accepted though nobody answers it"


@requirement("ROUTER-026")
@needs("control")
def test_c_get_that_is_switched_off_is_not_accepted(variant_world: VariantWorld) -> None:
    """Switched off, Study Root GET is refused in negotiation and FIND still accepted."""
    with variant_world(STRICT) as world:
        contexts = [build_context(uid) for uid in QUERY_CLASSES.values()]
        accepted = {context.abstract_syntax for context in _accepted(world.bridge, contexts)}
        assert QUERY_CLASSES["Study Root GET"] not in accepted, "ROUTER-026: switched off and accepted"
        assert QUERY_CLASSES["Study Root FIND"] in accepted


@requirement("ROUTER-026", "ROUTER-081")
def test_c_get_brings_the_stored_files(world: World, by: WitnessBy) -> None:
    """C-GET returns the study on its own association, each instance as it is stored."""
    study = world.series(instances=3, modality="MR")
    world.store_in_cloud([study])
    result, received = by().get(world.bridge, "STUDY", study_keys(study))
    assert result.status == 0x0000, f"ROUTER-026: {result.describe()}"
    assert (result.completed, result.failed, result.warning) == (3, 0, 0), result.describe()
    originals = {i.sop_instance_uid: i.fingerprint.dataset_digest for i in study.instances}
    assert {f.sop_instance_uid: f.dataset_digest for f in received} == originals, "ROUTER-081: not as stored"


def _without(study: Study, keyword: str) -> Study:
    dataset = study.instances[0].dataset()
    delattr(dataset, keyword)
    return replace(study, make=lambda: [Instance(part10(dataset), f"without {keyword}")])


@requirement("ROUTER-047")
@pytest.mark.parametrize("listener", ["bridge", "intake"])
@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_object_without_its_uids_is_refused(world: World, listener: str, keyword: str) -> None:
    """An object that lacks a UID gets A900 or C000 and nothing is queued; the whole one gets 0000 (PS3.4 table B.2-1)."""
    whole = world.series(instances=1)
    spoilt = _without(whole, keyword)
    dataset = spoilt.instances[0].dataset()
    before = world.router.status()
    status = _raw_store(getattr(world, listener), dataset, str(dataset.SOPInstanceUID))
    assert status is not None, "ROUTER-048: no answer"
    assert status == 0xA900 or status >> 12 == 0xC, f"ROUTER-047: without {keyword} {shown(status)}"
    name = {"bridge": "cloud-bridge", "intake": "modality-intake"}[listener]
    _assert_only_refused(before, world.router.status(), name)
    assert world.send([whole], listener).all_success, "the positive twin"
    world.expect("cloud", [whole])


@requirement("ROUTER-047")
@pytest.mark.parametrize("listener", ["bridge", "intake"])
def test_command_and_data_set_must_name_the_same_instance(world: World, listener: str) -> None:
    """A C-STORE whose Affected SOP Instance UID is not the data set's gets A900 or C000 and is not kept."""
    study = world.series(instances=1)
    dataset = study.instances[0].dataset()
    other = world.run.uid(world.scene, 77, 1)
    before = world.router.status()
    status = _raw_store(getattr(world, listener), dataset, other)
    assert status is not None, "ROUTER-048: no answer"
    assert status == 0xA900 or status >> 12 == 0xC, f"ROUTER-047: {shown(status)}"
    name = {"bridge": "cloud-bridge", "intake": "modality-intake"}[listener]
    _assert_only_refused(before, world.router.status(), name)
    assert world.router.instance(other).status == 404, "ROUTER-047: something of it was kept"


def _raw_store(to: DimseAddress, dataset: Dataset, sop_instance_uid: str) -> int | None:
    """C-STORE with a command that says `sop_instance_uid`, by hand: our senders take care not to."""
    file = Instance(part10(dataset), "spoilt")
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    with opened("GDCM", to, [build_context(str(dataset.SOPClassUID), syntax)], Timeouts()) as state:
        state.park()
        request = StoreRequest(
            str(dataset.SOPClassUID), sop_instance_uid, syntax, memoryview(bytes(file.encoded_dataset))
        )
        return store(state, request, 1).status


def _assert_only_refused(before: dict, after: dict, name: str) -> None:  # type: ignore[type-arg]
    rows = {row["name"]: row for row in before["paths"]}, {row["name"]: row for row in after["paths"]}
    assert rows[1][name]["refused"] == rows[0][name]["refused"] + 1, (
        "ROUTER-155: refused stores are counted apart"
    )
    accepted = [
        {row["name"]: row["accepted"] for row in status["destinations"]} for status in (before, after)
    ]
    assert accepted[0] == accepted[1], f"ROUTER-047: something was queued: {accepted}"


@requirement("ROUTER-193")
def test_text_in_any_character_set_passes_unchanged(world: World) -> None:
    """The cast's names in Latin, Greek, Japanese and other character sets are in both copies as they were sent."""
    studies = world.studies("new", patients=(4, 5, 6))
    sets = {str(s.instances[0].dataset().get("SpecificCharacterSet", "")) for s in studies}
    assert len(sets) > 1, f"these patients have only {sets}"
    world.register(studies)
    for study in studies:
        for syntax in {i.fingerprint.transfer_syntax_uid for i in study.instances}:
            batch = [i for i in study.instances if i.fingerprint.transfer_syntax_uid == syntax]
            sent = witness(world, "pynetdicom").send(batch, world.intake, via="intake")
            assert len(sent.acknowledged) == len(batch), sent.describe()
    world.expect_both(studies)
    assert world.attribute_differences("pacs", studies) == [], "ROUTER-193"


@requirement("ROUTER-023", "ROUTER-040")
@needs("http-interposer", "control")
@pytest.mark.parametrize("form", ["multipart", "single"])
def test_both_forms_of_the_store_request(world: World, variant_world: VariantWorld, form: str) -> None:
    """Multipart batches by default, one bare application/dicom a request when configured; the copies are equal."""
    if form == "multipart":
        _sent_as(world, form)
    else:
        with variant_world(STRICT) as strict:
            _sent_as(strict, form)


def _sent_as(world: World, form: str) -> None:
    study = world.series(instances=6, transfer_syntax=JPEG2000Lossless)
    mark = world.link_mark()
    world.router.pause("cloud")
    assert world.send([study], "intake").all_success
    world.router.resume("cloud")
    world.expect("cloud", [study])
    uploads = world.uploads_since(mark, study)
    version = "v1" if form == "single" else "v2"
    assert all(e.path.startswith(f"/{version}/studies") for e in uploads), [e.path for e in uploads]
    if form == "single":
        assert [len(e.uids) for e in uploads] == [1] * 6, (
            "ROUTER-040: one object a request in the demo's form"
        )
    else:
        assert max(len(e.uids) for e in uploads) > 1, "ROUTER-040: no batch was sent"
