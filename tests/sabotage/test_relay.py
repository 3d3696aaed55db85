"""The relay: carries everything unchanged but for what its conduct says."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydicom import Dataset
from pynetdicom import evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from fixtures.actors.modality import Modality
from fixtures.actors.part10 import part10_of
from fixtures.actors.scp import Incoming, StorageScp
from fixtures.actors.workstation import Workstation
from fixtures.data import Run, Study, make_series
from fixtures.deployment.endpoints import DimseAddress
from fixtures.deployment.spec import Address
from fixtures.evidence.exchange import Recorder
from fixtures.evidence.fingerprint import fingerprint, same
from fixtures.faults.defects import AnswerWith, Corrupt, Drop
from fixtures.sabotage.messages import FIND_RSP, PENDING, STORE_RSP, cut_up, encoded, fragments
from fixtures.sabotage.relay import Conduct, DimseRelay

MATCHES = 4


@pytest.fixture(scope="module")
def study() -> Study:
    return make_series(Run("relay"), 1, 4, rows=128, columns=128)


class Archive:
    """A real peer: keeps what it gets, and finds four studies or fails."""

    def __init__(self) -> None:
        self.got: list[Incoming] = []
        self.find_ends_with = 0x0000
        self.scp = StorageScp(
            DimseAddress("ARCHIVE", "127.0.0.1", 0),
            self._take,
            more=[(evt.EVT_C_FIND, self._find)],
            more_sop_classes=[str(StudyRootQueryRetrieveInformationModelFind)],
        )

    def _take(self, incoming: Incoming) -> int:
        self.got.append(incoming)
        return 0x0000

    def _find(self, _event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        if self.find_ends_with == 0x0000:
            for number in range(MATCHES):
                match = Dataset()
                match.QueryRetrieveLevel = "STUDY"
                match.StudyInstanceUID = f"2.25.{number}"
                yield 0xFF00, match
        yield self.find_ends_with, None

    @property
    def uids(self) -> list[str]:
        return [incoming.request.sop_instance_uid for incoming in self.got]

    @contextmanager
    def behind(self, conduct: Conduct) -> Iterator[DimseAddress]:
        with (
            self.scp,
            DimseRelay(
                Address("127.0.0.1", 0), Address("127.0.0.1", self.scp.address.port), conduct
            ) as relay,
        ):
            yield DimseAddress("ARCHIVE", relay.address.host, relay.address.port)


@pytest.fixture
def archive() -> Archive:
    return Archive()


def modality() -> Modality:
    return Modality("GDCM", recorder=Recorder())


def statuses(study: Study, to: DimseAddress) -> list[int | None]:
    return [outcome.status for outcome in modality().send(study.instances, to, via="test").outcomes]


def test_without_conduct_everything_passes_unchanged(archive: Archive, study: Study) -> None:
    with archive.behind(Conduct()) as at:
        assert statuses(study, at) == [0] * 4
        assert modality().echo(at).succeeded
    for incoming, original in zip(archive.got, study.instances, strict=True):
        request = incoming.request
        assert bytes(request.dataset) == original.encoded_dataset
        assert incoming.calling_ae_title == "GDCM"


def test_dropped_instance_is_acknowledged_and_not_passed_on(archive: Archive, study: Study) -> None:
    with archive.behind(Conduct(defects=(Drop(3),))) as at:
        assert statuses(study, at) == [0] * 4
    sent = [instance.sop_instance_uid for instance in study.instances]
    assert archive.uids == [sent[0], sent[1], sent[3]]


def test_defects_spare_what_does_not_concern_them(archive: Archive, study: Study) -> None:
    retrieved = Conduct(defects=(Drop(1),), concerns=lambda command: "MoveOriginatorMessageID" in command)
    with archive.behind(retrieved) as at:
        assert statuses(study, at) == [0] * 4
    assert len(archive.got) == 4


def test_corrupted_picture_arrives_otherwise_and_whole(archive: Archive, study: Study) -> None:
    with archive.behind(Conduct(defects=(Corrupt(1),))) as at:
        assert statuses(study, at) == [0] * 4
    for incoming, original in zip(archive.got, study.instances, strict=True):
        request = incoming.request
        seen = fingerprint(
            part10_of(
                request.sop_class_uid,
                request.sop_instance_uid,
                request.transfer_syntax_uid,
                bytes(request.dataset),
            )
        )
        assert not same(original.fingerprint, seen)
        assert len(request.dataset) == len(original.encoded_dataset)


def test_status_is_overruled_although_the_peer_has_it(archive: Archive, study: Study) -> None:
    with archive.behind(Conduct(defects=(AnswerWith(0xA700, 2),))) as at:
        assert statuses(study, at) == [0, 0xA700, 0, 0xA700]
    assert len(archive.got) == 4


def test_responses_are_changed_and_matches_swallowed(archive: Archive) -> None:
    def answer(command: Dataset) -> Dataset | None:
        if command.CommandField != FIND_RSP:
            return command
        if command.Status in PENDING:
            return None
        command.Status = 0x0000
        return command

    workstation = Workstation("WORKSTATION", recorder=Recorder())
    with archive.behind(Conduct()) as at:
        assert len(workstation.find(at, "STUDY", {"StudyInstanceUID": ""}).matches) == MATCHES
    with archive.behind(Conduct(answer=answer)) as at:
        found = workstation.find(at, "STUDY", {"StudyInstanceUID": ""})
        assert (found.status, len(found.matches)) == (0x0000, 0)
        archive.find_ends_with = 0xC101
        assert workstation.find(at, "STUDY", {"StudyInstanceUID": ""}).status == 0x0000


def test_connection_that_is_not_admitted_gets_no_association(archive: Archive, study: Study) -> None:
    with archive.behind(Conduct(admits=lambda: False)) as at:
        result = modality().send(study.instances, at, via="test")
    assert result.association in ("aborted", "refused", "no-answer")
    assert not archive.got


def test_store_waits_for_what_must_come_before(archive: Archive, study: Study) -> None:
    asked: list[str] = []
    with archive.behind(Conduct(before_store=asked.append)) as at:
        statuses(study, at)
    assert asked == archive.uids


def test_command_set_survives_coding_and_cutting() -> None:
    command = Dataset()
    command.CommandField = STORE_RSP
    command.Status = 0xB000
    command.ErrorComment = "x" * 60
    pieces = [piece for f in cut_up(3, encoded(command), is_command=True) for piece in fragments(f.pdu())]
    assert [(p.context_id, p.is_command, p.is_last) for p in pieces] == [(3, True, True)]
    long = list(cut_up(5, bytes(40_000), is_command=False))
    assert [len(p.data) for p in long] == [16_000, 16_000, 8_000]
    assert [p.is_last for p in long] == [False, False, True]
