import pytest
from pydicom import Dataset
from pynetdicom import AE, evt

from fixtures.actors.association import Timeouts, no_delay
from fixtures.actors.modality import Modality
from fixtures.actors.workstation import Workstation
from fixtures.data import Run, make_series
from fixtures.deployment.endpoints import DimseAddress
from fixtures.deployment.ports import free_ports
from fixtures.evidence.exchange import DimseOperation, Recorder
from fixtures.waiting import eventually
from tests.actors.orthanc_peer import OrthancPeer

STUDY_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
QUICK = Timeouts(connect=1, associate=1, response=1, idle=5)


def test_find_returns_matches_and_every_status(peer: OrthancPeer, recorder: Recorder, run: Run) -> None:
    series, other = make_series(run, 1, 2), make_series(run, 2, 1)
    Modality(recorder=recorder).send([*series.instances, *other.instances], peer.dicom, via="pacs")
    workstation = Workstation(recorder=recorder)

    keys = {"PatientID": series.patient.patient_id, "StudyInstanceUID": "", "PatientName": ""}
    found = workstation.find(peer.dicom, "STUDY", keys)
    nothing = workstation.find(peer.dicom, "STUDY", {"PatientID": "NOBODY", "StudyInstanceUID": ""})

    assert found.values("StudyInstanceUID") == [series.study_instance_uid]
    assert (found.association, found.status, found.pending) == ("accepted", 0x0000, (0xFF00,))
    assert (nothing.status, list(nothing.matches)) == (0x0000, [])
    operation = recorder.exchanges[-2]
    assert isinstance(operation, DimseOperation)
    assert operation.statuses == (0xFF00, 0x0000)
    assert ("PatientID", series.patient.patient_id) in operation.keys


def test_move_brings_the_study_to_the_receiver(peer: OrthancPeer, recorder: Recorder, run: Run) -> None:
    series = make_series(run, 1, 3)
    Modality(recorder=recorder).send(series.instances, peer.dicom, via="pacs")
    workstation = Workstation(recorder=recorder)

    with workstation.receiving(DimseAddress("WORKSTATION", "127.0.0.1", peer.workstation_port)) as receiver:
        moved = workstation.move(
            peer.dicom, "STUDY", {"StudyInstanceUID": series.study_instance_uid}, "WORKSTATION"
        )

    assert moved.status == 0x0000
    assert (moved.completed, moved.failed) == (3, 0)
    assert {each.sop_instance_uid for each in receiver.received} == series.sop_instance_uids
    assert {each.originator_ae_title for each in receiver.requests} == {"WORKSTATION"}


def test_move_to_an_unknown_destination_fails_with_a_status(
    peer: OrthancPeer, recorder: Recorder, run: Run
) -> None:
    series = make_series(run, 1, 1)
    Modality(recorder=recorder).send(series.instances, peer.dicom, via="pacs")

    moved = Workstation(recorder=recorder).move(
        peer.dicom, "STUDY", {"StudyInstanceUID": series.study_instance_uid}, "NOWHERE"
    )

    assert moved.association == "accepted"
    assert moved.status is not None
    assert moved.status >> 12 in (0xA, 0xC)


def test_move_is_no_success_when_the_receiver_refuses(
    peer: OrthancPeer, recorder: Recorder, run: Run
) -> None:
    series = make_series(run, 1, 2)
    Modality(recorder=recorder).send(series.instances, peer.dicom, via="pacs")
    workstation = Workstation(recorder=recorder)
    at = DimseAddress("WORKSTATION", "127.0.0.1", peer.workstation_port)
    refused = series.instances[0].sop_instance_uid

    with workstation.receiving(at, statuses={refused: 0xA700}) as receiver:
        moved = workstation.move(
            peer.dicom, "STUDY", {"StudyInstanceUID": series.study_instance_uid}, "WORKSTATION"
        )

    # Orthanc ends such a move with C000 and counts nothing as failed.
    assert moved.status == 0xC000
    assert refused not in {each.sop_instance_uid for each in receiver.received}


def test_get_brings_the_study_on_the_same_association(
    peer: OrthancPeer, recorder: Recorder, run: Run
) -> None:
    series = make_series(run, 1, 3)
    Modality(recorder=recorder).send(series.instances, peer.dicom, via="pacs")

    result, shelf = Workstation(recorder=recorder).get(
        peer.dicom, "STUDY", {"StudyInstanceUID": series.study_instance_uid}
    )

    assert (result.association, result.status, result.completed) == ("accepted", 0x0000, 3)
    assert {each.sop_instance_uid for each in shelf.received} == series.sop_instance_uids


def match(number: int) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.StudyInstanceUID = f"2.25.{number}"
    return identifier


def test_cancel_ends_a_long_find_with_its_status(recorder: Recorder) -> None:
    def on_find(event: evt.Event) -> object:
        for number in range(1, 6):
            yield 0xFF00, match(number)
        eventually(lambda: event.is_cancelled, within=10, because="the C-CANCEL to arrive")
        yield 0xFE00, None

    entity = AE(ae_title="PEER")
    entity.add_supported_context(STUDY_FIND)
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, on_find), (evt.EVT_CONN_OPEN, no_delay)]
    )
    try:
        address = DimseAddress("PEER", "127.0.0.1", server.server_address[1])
        result = Workstation(recorder=recorder).find(
            address, "STUDY", {"StudyInstanceUID": ""}, cancel_after=3
        )
    finally:
        server.shutdown()

    assert result.status == 0xFE00
    assert len(result.matches) == 5


def test_cancel_of_a_move_waits_for_its_moment(recorder: Recorder, run: Run) -> None:
    series = make_series(run, 1, 6)
    (port,) = free_ports(1)

    def on_move(event: evt.Event) -> object:
        yield "127.0.0.1", port
        yield len(series.instances)
        for instance in series.instances[:4]:
            yield 0xFF00, instance.dataset()
        eventually(lambda: event.is_cancelled, within=10, because="the C-CANCEL to arrive")
        yield 0xFE00, None

    entity = AE(ae_title="PEER")
    entity.add_supported_context(STUDY_MOVE)
    entity.add_requested_context(series.instances[0].fingerprint.sop_class_uid)
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_MOVE, on_move), (evt.EVT_CONN_OPEN, no_delay)]
    )
    workstation = Workstation(recorder=recorder)
    try:
        with workstation.receiving(DimseAddress("WORKSTATION", "127.0.0.1", port)) as receiver:
            moved = workstation.move(
                DimseAddress("PEER", "127.0.0.1", server.server_address[1]),
                "STUDY",
                {"StudyInstanceUID": series.study_instance_uid},
                "WORKSTATION",
                cancel_when=lambda: len(receiver.requests) >= 2,
            )
    finally:
        server.shutdown()

    assert moved.status == 0xFE00
    assert moved.cancelled is not None
    assert moved.cancelled >= moved.moments[2], "cancelled at the first report, when one instance had come"
    assert len(receiver.requests) == 4


def test_find_that_never_ends_is_no_success(recorder: Recorder) -> None:
    def on_find(event: evt.Event) -> object:
        yield 0xFF00, match(1)
        event.assoc.abort()
        yield 0x0000, None

    entity = AE(ae_title="PEER")
    entity.add_supported_context(STUDY_FIND)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, on_find)])
    try:
        address = DimseAddress("PEER", "127.0.0.1", server.server_address[1])
        result = Workstation(recorder=recorder, timeouts=QUICK).find(
            address, "STUDY", {"StudyInstanceUID": ""}
        )
    finally:
        server.shutdown()

    assert result.status is None
    assert len(result.matches) == 1
    assert "A-ABORT" in result.comment or "closed" in result.comment


def test_peer_without_the_service_is_accepted_without_status(recorder: Recorder) -> None:
    entity = AE(ae_title="PEER")
    entity.add_supported_context(STUDY_MOVE)
    server = entity.start_server(("127.0.0.1", 0), block=False)
    try:
        address = DimseAddress("PEER", "127.0.0.1", server.server_address[1])
        result = Workstation(recorder=recorder, timeouts=QUICK).find(
            address, "STUDY", {"StudyInstanceUID": ""}
        )
    finally:
        server.shutdown()

    assert (result.association, result.status) == ("accepted", None)
    assert "none of the presentation contexts" in result.comment


def test_find_at_nobody_is_refused(recorder: Recorder) -> None:
    nobody = DimseAddress("PEER", "127.0.0.1", free_ports(1)[0])
    result = Workstation(recorder=recorder, timeouts=QUICK).find(nobody, "STUDY", {"StudyInstanceUID": ""})

    assert (result.association, result.status) == ("refused", None)


def test_unknown_keyword_and_root_are_errors_of_the_test(recorder: Recorder) -> None:
    workstation = Workstation(recorder=recorder)
    nobody = DimseAddress("PEER", "127.0.0.1", free_ports(1)[0])

    with pytest.raises(ValueError, match="StudyUID"):
        workstation.find(nobody, "STUDY", {"StudyUID": ""})
    with pytest.raises(ValueError, match="root is 'series'"):
        workstation.find(nobody, "STUDY", {"StudyInstanceUID": ""}, root="series")
