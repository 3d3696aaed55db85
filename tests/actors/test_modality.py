import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pynetdicom.association import Association

from fixtures.actors.association import Timeouts
from fixtures.actors.modality import Modality
from fixtures.actors.receiver import Receiver
from fixtures.actors.scp import Incoming, StorageScp
from fixtures.data import Run, make_series
from fixtures.deployment.endpoints import DimseAddress
from fixtures.deployment.ports import free_ports
from fixtures.evidence.exchange import DimseOperation, Recorder
from fixtures.evidence.ledger import Ledger, judge
from tests.actors.orthanc_peer import OrthancPeer

LOCAL = DimseAddress("PEER", "127.0.0.1", 0)
QUICK = Timeouts(connect=1, associate=1, response=1, idle=5)


@contextmanager
def scripted(answer: bytes | None, *, close: bool = False) -> Iterator[DimseAddress]:
    """A TCP peer that reads the A-ASSOCIATE-RQ and answers with fixed bytes, or not at all."""
    listener = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def serve() -> None:
        connection, _ = listener.accept()
        held.append(connection)
        connection.recv(65536)
        if answer is not None:
            connection.sendall(answer)
        if close:
            connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield DimseAddress("PEER", "127.0.0.1", listener.getsockname()[1])
    finally:
        thread.join(5)
        listener.close()
        for connection in held:
            connection.close()


def test_instances_arrive_byte_for_byte(recorder: Recorder, run: Run) -> None:
    series = make_series(run, 1, 3)
    ledger = Ledger()
    with Receiver(LOCAL) as receiver:
        result = Modality(recorder=recorder, ledger=ledger).send(
            series.instances, receiver.address, via="direct"
        )

    assert result.association == "accepted"
    assert set(result.acknowledged) == series.sop_instance_uids
    assert [each.status for each in result.outcomes] == [0, 0, 0]
    sent = {each.sop_instance_uid: bytes(each.encoded_dataset) for each in series.instances}
    for uid, dataset in sent.items():
        assert receiver.part10(uid).endswith(dataset)
    assert judge(ledger, "peer", receiver.received).valid is True
    operations = [each for each in recorder.exchanges if isinstance(each, DimseOperation)]
    assert [each.service for each in operations] == ["C-STORE"] * 3


@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.80"]
)
def test_each_transfer_syntax_keeps_its_own_context(syntax: str, recorder: Recorder, run: Run) -> None:
    mixed = [*make_series(run, 1, 1).instances, *make_series(run, 2, 1, transfer_syntax=syntax).instances]
    with Receiver(LOCAL) as receiver:
        result = Modality(recorder=recorder).send(mixed, receiver.address, via="direct")

    assert len(result.acknowledged) == 2
    assert [each.transfer_syntax_uid for each in receiver.requests] == ["1.2.840.10008.1.2.1", syntax]


def test_many_instances_over_several_associations_all_arrive(recorder: Recorder, run: Run) -> None:
    series = make_series(run, 1, 60)
    with Receiver(LOCAL) as receiver:
        result = Modality(recorder=recorder).send(
            series.instances, receiver.address, via="direct", associations=4
        )

    assert set(result.acknowledged) == series.sop_instance_uids
    assert len({each.sop_instance_uid for each in receiver.requests}) == 60


def test_nagle_is_off_on_both_sides(recorder: Recorder, run: Run) -> None:
    seen: list[int] = []

    def look(incoming: Incoming) -> int:
        for thread in threading.enumerate():
            if isinstance(thread, Association) and thread.dul.socket and thread.dul.socket.socket:
                connection = thread.dul.socket.socket
                seen.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        return 0 if incoming.request.dataset else 0xA700

    with StorageScp(LOCAL, look) as scp:
        result = Modality(recorder=recorder).send(make_series(run, 1, 1).instances, scp.address, via="direct")

    assert len(result.acknowledged) == 1
    assert len(seen) >= 2
    assert all(seen)


def test_statuses_are_told_apart(recorder: Recorder, run: Run) -> None:
    series = make_series(run, 1, 4)
    good, warned, failed, aborted = (each.sop_instance_uid for each in series.instances)
    ledger = Ledger()
    with Receiver(LOCAL, statuses={warned: 0xB000, failed: 0xA700, aborted: None}) as receiver:
        result = Modality(recorder=recorder, ledger=ledger).send(
            series.instances, receiver.address, via="direct"
        )

    assert result.acknowledged == (good, warned)
    assert result.refused == (failed,)
    assert result.unknown == (aborted,)
    assert {each.sop_instance_uid for each in receiver.received} == {good, warned}
    assert ledger.outcome_unknown() == {aborted}


def test_after_an_abort_the_rest_is_not_transmitted_and_no_attempt(recorder: Recorder, run: Run) -> None:
    first, second = make_series(run, 1, 2).instances
    ledger = Ledger()
    with Receiver(LOCAL, statuses={first.sop_instance_uid: None}) as receiver:
        result = Modality(recorder=recorder, ledger=ledger).send(
            [first, second], receiver.address, via="direct"
        )

    assert result.unknown == (first.sop_instance_uid,)
    assert result.refused == (second.sop_instance_uid,)
    assert result.outcomes[1].transmitted is False
    assert ledger.attempted == {first.sop_instance_uid}


def test_no_listener_is_refused(recorder: Recorder, run: Run) -> None:
    nobody = DimseAddress("PEER", "127.0.0.1", free_ports(1)[0])
    result = Modality(recorder=recorder, timeouts=QUICK).send(
        make_series(run, 1, 1).instances, nobody, via="direct"
    )

    assert result.association == "refused"
    assert len(result.refused) == 1


def test_unknown_host_is_refused_with_the_name(recorder: Recorder) -> None:
    result = Modality(recorder=recorder, timeouts=QUICK).echo(DimseAddress("PEER", "nowhere.invalid", 104))

    assert result.association == "refused"
    assert "nowhere.invalid" in result.comment


def test_rejection_carries_result_source_and_reason(recorder: Recorder) -> None:
    # A-ASSOCIATE-RJ (PS3.8 table 9-21): rejected permanent, service user, called AE title not recognised.
    with scripted(struct.pack(">BBIBBBB", 3, 0, 4, 0, 1, 1, 7)) as address:
        result = Modality(recorder=recorder, timeouts=QUICK).echo(address)

    assert result.association == "rejected"
    assert result.comment.startswith("result 1, source 1, reason 7")
    assert result.status is None


def test_abort_during_negotiation_is_aborted(recorder: Recorder) -> None:
    with scripted(struct.pack(">BBIBBBB", 7, 0, 4, 0, 0, 2, 0)) as address:
        result = Modality(recorder=recorder, timeouts=QUICK).echo(address)

    assert result.association == "aborted"
    assert "A-ABORT, source 2" in result.comment


def test_connection_closed_during_negotiation_is_aborted(recorder: Recorder) -> None:
    with scripted(None, close=True) as address:
        result = Modality(recorder=recorder, timeouts=QUICK).echo(address)

    assert result.association == "aborted"


def test_silence_is_no_answer_within_the_bound(recorder: Recorder) -> None:
    with scripted(None) as address:
        began = time.monotonic()
        result = Modality(recorder=recorder, timeouts=QUICK).echo(address)

    assert result.association == "no-answer"
    assert time.monotonic() - began < 5


def test_abort_within_an_object_leaves_nothing_and_an_unknown_outcome(recorder: Recorder, run: Run) -> None:
    instance = make_series(run, 1, 1, rows=256, columns=256).instances[0]
    ledger = Ledger()
    with Receiver(LOCAL) as receiver:
        modality = Modality(recorder=recorder, ledger=ledger)
        result = modality.abort_within(instance, receiver.address, via="direct", after_bytes=20000)
        assert modality.echo(receiver.address).succeeded

    assert result.unknown == (instance.sop_instance_uid,)
    assert receiver.received == []
    assert ledger.outcome_unknown() == {instance.sop_instance_uid}


def test_abort_within_a_small_object_sends_less_than_all(recorder: Recorder, run: Run) -> None:
    instance = make_series(run, 1, 1, rows=8, columns=8).instances[0]
    with Receiver(LOCAL) as receiver:
        Modality(recorder=recorder).abort_within(instance, receiver.address, via="direct", after_bytes=10**9)

    assert receiver.requests == []


def test_orthanc_takes_what_is_sent(peer: OrthancPeer, recorder: Recorder, run: Run) -> None:
    modality, orthanc = Modality(recorder=recorder), peer.orthanc(recorder)
    series = make_series(run, 1, 5)

    assert modality.echo(peer.dicom).succeeded
    result = modality.send(series.instances, peer.dicom, via="pacs")

    assert set(result.acknowledged) == series.sop_instance_uids
    assert orthanc.lookup_study(series.study_instance_uid) is not None
    assert orthanc.delete_study(series.study_instance_uid)
    assert not orthanc.delete_study(series.study_instance_uid)
