"""C-MOVE answered from the cloud (ROUTER-005, 006, 023, 024, 080 to 091)."""

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless
from pynetdicom.presentation import build_context

from fixtures.actors.association import Timeouts, opened
from fixtures.actors.queries import MODELS, identifier_of
from fixtures.actors.results import MoveResult
from fixtures.actors.workstation import Workstation
from fixtures.clients import link
from fixtures.clients.link import Match, Rule
from fixtures.data import Instance, Study
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World, rules
from suites.router.clients import study_keys, witness
from suites.router.conftest import VariantWorld, WitnessBy
from suites.router.peers import ChoosyPeer
from suites.router.settings import NARROW, STRICT

pytestmark = pytest.mark.router

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
CANCEL_SECONDS = 2.0


def _counts(result: MoveResult) -> tuple[int | None, ...]:
    return result.completed, result.failed, result.warning


def _moved(world: World, study: Study, **more: str) -> MoveResult:
    """C-MOVE of a study, or of a part of it, to the workstation, which is listening already."""
    level = "IMAGE" if "SOPInstanceUID" in more else "SERIES" if "SeriesInstanceUID" in more else "STUDY"
    return world.workstation.move(
        world.bridge, level, study_keys(study, **more), world.deployment.workstation.ae_title
    )


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
    assert _counts(result) == (len(wanted), 0, 0), f"ROUTER-083: {result.describe()}"
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
        result = _moved(world, study)
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
    assert _counts(result) == (1, 2, 0), result.describe()
    assert set(result.failed_uids) == world.sop_uids([packed]), "ROUTER-084: every failed instance is listed"
    assert [a.request.sop_instance_uid for a in peer.arrived] == list(world.sop_uids([plain])), "ROUTER-023"


@requirement("ROUTER-024")
def test_contexts_proposed_to_a_destination(world: World) -> None:
    """For each SOP class its stored transfer syntax in a context of its own, and the uncompressed defaults besides."""
    packed = world.series(instances=1, transfer_syntax=JPEG2000Lossless)
    world.store_in_cloud([packed])
    syntaxes = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless)
    with ChoosyPeer(world.deployment.workstation_bind, (CT,), syntaxes) as peer:
        result = _moved(world, packed)
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
    assert (result.status, *_counts(result)) == (0x0000, 0, 0, 0), (
        f"ROUTER-084 (no match): {result.describe()}"
    )
    assert time.monotonic() - began < 8, "ROUTER-084: within the query time"


@requirement("ROUTER-084")
def test_invalid_identifier_is_refused(world: World, by: WitnessBy) -> None:
    """A move without its unique key is A900, the same one with it is not."""
    result = by().move(world.bridge, "STUDY", {"PatientID": "X"}, world.deployment.workstation.ae_title)
    assert result.status == 0xA900, f"ROUTER-084 (identifier invalid): {result.describe()}"


@requirement("ROUTER-084")
@needs("http-interposer")
@pytest.mark.parametrize(("code", "status"), [(503, 0xA701), (424, 0xA701), (401, 0x0124), (403, 0x0124)])
def test_cloud_that_cannot_list_the_instances(world: World, code: int, status: int) -> None:
    """A list that is not complete is A701, a refused authorisation 0124; afterwards the move succeeds."""
    study = world.series(instances=1)
    world.store_in_cloud([study])
    with world.workstation.receiving(world.deployment.workstation_bind):
        with world.cloud_answers(
            rules.reads(str(code), link.respond(code, ""), "/(studies|series|instances)")
        ):
            result = witness(world, "dcmtk").move(
                world.bridge, "STUDY", study_keys(study), world.deployment.workstation.ae_title
            )
        assert result.status == status, f"ROUTER-084, HTTP {code}: {result.describe()}"
        assert _moved(world, study).status == 0x0000


RETRIEVALS = {
    "404": link.respond(404, ""),
    "no DICOM": link.replace_body("this is no Part 10 file"),
    "cut in the middle": link.truncate_body(700),
    "reset": link.reset("before"),
}


@requirement("ROUTER-082", "ROUTER-084", "ROUTER-086")
@needs("http-interposer")
@pytest.mark.parametrize("fault", RETRIEVALS)
def test_bad_instance_fails_alone_and_is_listed(world: World, fault: str) -> None:
    """One retrieval that is refused, garbled or cut fails that instance; the others arrive, and it is listed."""
    study = world.series(instances=4)
    world.store_in_cloud([study])
    bad = study.instances[1].fingerprint
    with world.workstation.receiving(world.deployment.workstation_bind) as shelf:
        with world.cloud_answers(rules.reads_of(fault, RETRIEVALS[fault], bad)):
            result = _moved(world, study)
        arrived = {r.sop_instance_uid for r in shelf.requests}
        assert result.status == 0xB000, f"ROUTER-084 (some failed): {result.describe()}"
        assert _counts(result) == (3, 1, 0), f"ROUTER-086: {result.describe()}"
        assert result.failed_uids == (bad.sop_instance_uid,), f"ROUTER-084: listed {result.failed_uids}"
        assert arrived == world.sop_uids([study]) - {bad.sop_instance_uid}, "ROUTER-082"
        assert _moved(world, study).status == 0x0000, "the positive twin"


@requirement("ROUTER-082")
@needs("http-interposer")
def test_wrong_instance_is_not_sent_on(world: World) -> None:
    """A retrieval that brings another instance than was asked for is a failed sub-operation, and nothing is sent."""
    study = world.series(instances=1)
    other = world.series(instances=1)
    world.store_in_cloud([study])
    own, another = study.instances[0].fingerprint, other.instances[0]
    # As text: the rule's body goes through JSON; UIDs of a small file of our own are ASCII, so are its other values.
    body = another.part10.decode("latin-1")
    with world.workstation.receiving(world.deployment.workstation_bind) as shelf:
        with world.cloud_answers(rules.reads_of("another", link.replace_body(body), own)):
            result = _moved(world, study)
        assert result.status == 0xA702, f"ROUTER-084 (all failed): {result.describe()}"
        assert shelf.requests == [], "ROUTER-082: sent on what was not asked for"


@requirement("ROUTER-087")
@pytest.mark.parametrize(
    ("answer", "counts", "final"),
    [
        (0xB000, (2, 0, 1), 0xB000),
        (0xB007, (2, 0, 1), 0xB000),
        (0xC123, (2, 1, 0), 0xB000),
        (0xA900, (2, 1, 0), 0xB000),
    ],
    ids=["B000", "B007", "C123", "A900"],
)
def test_answers_of_the_destination_are_counted(
    world: World, answer: int, counts: tuple[int, int, int], final: int
) -> None:
    """A warning counts as Warning and the object is kept; a failure counts as Failed and is listed."""
    study = world.series(instances=3)
    world.store_in_cloud([study])
    special = study.instances[0].sop_instance_uid
    bind = world.deployment.workstation_bind
    with world.workstation.receiving(bind, statuses={special: answer}):
        result = _moved(world, study)
    assert (result.status, _counts(result)) == (final, counts), (
        f"ROUTER-087: {answer:04X}: {result.describe()}"
    )
    assert result.failed_uids == ((special,) if counts[1] else ()), result.failed_uids


@requirement("ROUTER-087")
def test_out_of_resources_is_tried_again(world: World) -> None:
    """A destination that answers A700 once and then 0000 has got the instance: Completed."""
    study = world.series(instances=2)
    world.store_in_cloud([study])
    special, asked = study.instances[0].sop_instance_uid, []

    def answer(uid: str) -> int:
        asked.append(uid)
        return 0xA700 if uid == special and asked.count(uid) == 1 else 0x0000

    with world.workstation.receiving(world.deployment.workstation_bind, statuses=answer):
        result = _moved(world, study)
    assert (result.status, _counts(result)) == (0x0000, (2, 0, 0)), f"ROUTER-087: {result.describe()}"
    assert asked.count(special) == 2


@requirement("ROUTER-083", "ROUTER-176")
@needs("http-interposer")
def test_long_move_reports_within_seven_seconds(world: World) -> None:
    """While retrievals are slow, pending responses come at least every 7 s, and their counts add up to the total."""
    study = world.series(instances=8)
    world.store_in_cloud([study])
    slow = Rule("slow", link.delay(3.0), Match(method="GET", path_regex=rules.ONE_INSTANCE))
    moments: list[float] = []
    with (
        world.workstation.receiving(world.deployment.workstation_bind),
        world.cloud_answers(slow),
        opened("ORTHANC", world.bridge, [build_context(MODELS["C-MOVE", "study"])], Timeouts()) as state,
    ):
        assert state.association is not None, state.comment
        state.park()
        moments.append(time.monotonic())
        answers = []
        for status, _ in state.association.send_c_move(
            identifier_of("STUDY", study_keys(study)),
            world.deployment.workstation.ae_title,
            MODELS["C-MOVE", "study"],
        ):
            answers.append(status)
            moments.append(time.monotonic())
    longest = max(later - earlier for earlier, later in pairwise(moments))
    assert longest < 7.5, f"ROUTER-083: {longest:.1f} s without a response, at most 7 s"
    pending = [a for a in answers if a.Status == 0xFF00 and "NumberOfRemainingSuboperations" in a]
    assert pending, "ROUTER-083: no pending response in a move of more than 5 s"
    for each in pending:
        total = sum(
            int(each.get(f"NumberOf{name}Suboperations", 0))
            for name in ("Remaining", "Completed", "Failed", "Warning")
        )
        assert total == 8, f"ROUTER-083: the counts add up to {total} of 8"
    assert answers[-1].Status == 0x0000


@requirement("ROUTER-088")
@needs("http-interposer")
def test_cancel_of_a_move(world: World) -> None:
    """C-CANCEL ends a move with FE00 within 2 s and a running sub-operation, with true counters, and nothing more arrives."""
    study = world.series(instances=40, matrix=16)
    world.store_in_cloud([study])
    slow = Rule("slow", link.delay(0.8), Match(method="GET", path_regex=rules.ONE_INSTANCE))
    model = MODELS["C-MOVE", "study"]
    with (
        world.workstation.receiving(world.deployment.workstation_bind) as shelf,
        world.cloud_answers(slow),
        opened("ORTHANC", world.bridge, [build_context(model)], Timeouts()) as state,
        ThreadPoolExecutor(1) as pool,
    ):
        assert state.association is not None, state.comment
        state.park()
        responses = state.association.send_c_move(
            identifier_of("STUDY", study_keys(study)), world.deployment.workstation.ae_title, model, msg_id=7
        )
        final = pool.submit(lambda: list(responses)[-1][0])
        eventually(lambda: len(shelf.requests) >= 2, within=20, because="the move to be under way")
        began = time.monotonic()
        state.association.send_c_cancel(7, query_model=model)
        answer = final.result()
        took = time.monotonic() - began
        arrived = len(shelf.requests)
        world.pause(1.2)
        assert len(shelf.requests) == arrived, "ROUTER-088: sub-operations went on after FE00"
    assert answer.Status == 0xFE00, f"ROUTER-088: {answer.Status:04X}"
    assert took < CANCEL_SECONDS + 1.5, f"ROUTER-088: FE00 after {took:.1f} s"
    assert int(answer.NumberOfCompletedSuboperations) == arrived, "ROUTER-088: true counters"
    assert int(answer.NumberOfRemainingSuboperations) == 40 - arrived, "ROUTER-084: FE00 with Remaining"


@requirement("ROUTER-088", "ROUTER-068")
@needs("http-interposer")
def test_cancel_of_a_find(world: World) -> None:
    """C-CANCEL after the first match ends the query with FE00 before all pages were read."""
    study = world.series(instances=405, matrix=8)
    world.store_in_cloud([study])
    first = study.instances[0].fingerprint
    keys = study_keys(study, SeriesInstanceUID=first.series_instance_uid, SOPInstanceUID="")
    slow = Rule("slow pages", link.delay(1.0), Match(method="GET", path_regex="offset="))
    with world.cloud_answers(slow):
        found = world.workstation.find(world.bridge, "IMAGE", keys, cancel_after=1)
    assert found.status == 0xFE00, f"ROUTER-068 (C-CANCEL received): {found.describe()}"
    assert len(found.matches) < 405, "ROUTER-088: everything was sent all the same"


@requirement("ROUTER-089")
@needs("http-interposer")
def test_requester_that_leaves_ends_the_move(world: World) -> None:
    """When the requester's association is gone the router stops within one reporting interval, and goes on working."""
    study = world.series(instances=60, matrix=16)
    world.store_in_cloud([study])
    slow = Rule("slow", link.delay(0.5), Match(method="GET", path_regex=rules.ONE_INSTANCE))
    impatient = Workstation("ORTHANC", recorder=world.recorder, timeouts=Timeouts(response=2.0))
    with world.workstation.receiving(world.deployment.workstation_bind) as shelf, world.cloud_answers(slow):
        # The first report comes after 5 s; whoever waits 2 s aborts and is gone.
        title = world.deployment.workstation.ae_title
        left = impatient.move(world.bridge, "STUDY", study_keys(study), title)
        assert left.status is None, left.describe()
        world.pause(5.0)
        arrived = len(shelf.requests)
        world.pause(1.2)
        assert len(shelf.requests) == arrived, (
            "ROUTER-089: still sending an interval after the requester left"
        )
        assert 0 < arrived < 60, "ROUTER-089: the move had not begun, or was over before anybody left"
    assert world.move_and_compare(world.part_of(study, 60)).status == 0x0000


@requirement("ROUTER-090")
@needs("control")
def test_one_association_and_instance_order_at_width_one(variant_world: VariantWorld) -> None:
    """With width 1 the instances of a series arrive by Instance Number, over one association."""
    with variant_world(STRICT) as world:
        study = world.series(instances=3)
        world.store_in_cloud([study])
        syntaxes = (ExplicitVRLittleEndian,)
        with ChoosyPeer(world.deployment.workstation_bind, (CT,), syntaxes) as peer:
            result = _moved(world, study)
        assert result.status == 0x0000, result.describe()
        numbers = {i.sop_instance_uid: int(i.dataset().InstanceNumber) for i in study.instances}
        order = [numbers[a.request.sop_instance_uid] for a in peer.arrived]
        assert order == sorted(order), f"ROUTER-090: width 1 sent {order}"
        assert len(peer.proposed) <= 2, f"ROUTER-090: {len(peer.proposed)} associations for one series"


@requirement("ROUTER-090")
@needs("http-interposer")
def test_retrievals_overlap_at_the_default_width(world: World) -> None:
    """With retrievals of one second each, eight instances take less than eight seconds: four at a time."""
    study = world.series(instances=8)
    world.store_in_cloud([study])
    slow = Rule("slow", link.delay(1.0), Match(method="GET", path_regex=rules.ONE_INSTANCE))
    with world.workstation.receiving(world.deployment.workstation_bind), world.cloud_answers(slow):
        began = time.monotonic()
        result = _moved(world, study)
        took = time.monotonic() - began
    assert result.status == 0x0000, result.describe()
    assert took < 6, f"ROUTER-090: {took:.1f} s for 8 retrievals of 1 s each at width 4"


@requirement("ROUTER-091", "ROUTER-084")
@needs("control", "http-interposer")
def test_move_is_bounded(variant_world: VariantWorld) -> None:
    """Beyond its time limit a move ends with C002 and a comment; what was not sent is counted as failed."""
    with variant_world(NARROW) as world:
        study = world.series(instances=8)
        world.store_in_cloud([study])
        slow = Rule("slow", link.delay(0.7), Match(method="GET", path_regex=rules.ONE_INSTANCE))
        with world.workstation.receiving(world.deployment.workstation_bind):
            with world.cloud_answers(slow):
                result = _moved(world, study)
            assert result.status == 0xC002, f"ROUTER-084 (time limit): {result.describe()}"
            assert result.comment, "ROUTER-084: with comment"
            assert (result.completed or 0) + (result.failed or 0) == 8, result.describe()


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
