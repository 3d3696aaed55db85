"""Worklist, storage commitment, completion by quiet and DICOM TLS (ROUTER-027, 028, 107, 126)."""

import queue
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from pydicom import Dataset
from pynetdicom import evt
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import (
    ModalityWorklistInformationFind,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from fixtures.actors.association import Timeouts, application_entity, opened
from fixtures.actors.dcmtk import find_dcmtk
from fixtures.data import Study
from fixtures.deployment.endpoints import DimseAddress
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World
from suites.router.clients import shown
from suites.router.conftest import VariantWorld
from suites.router.settings import STRICT, Variant

pytestmark = pytest.mark.router

_AUTHORITY = trustme.CA()
_ISSUED = _AUTHORITY.issue_cert("127.0.0.1", "localhost", "router")
PATIENTS = tuple(f"Worklist^{number}" for number in range(7))


def _with_tls() -> Variant:
    return Variant(
        "tls",
        keys={
            "paths.cloud-bridge.tls_cert_file": '"listener.pem"',
            "paths.cloud-bridge.tls_key_file": '"listener.key"',
        },
        files={
            "listener.pem": b"".join(blob.bytes() for blob in _ISSUED.cert_chain_pems),
            "listener.key": _ISSUED.private_key_pem.bytes(),
        },
        ready_without_bridge=True,
    )


@contextmanager
def _worklist(at: DimseAddress) -> Iterator[list[Dataset]]:
    """A worklist server at the workstation's address; what it was asked."""
    asked: list[Dataset] = []

    def answer(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        asked.append(event.identifier)
        for name in PATIENTS:
            match = Dataset()
            match.PatientName = name
            yield 0xFF00, match

    entity = application_entity(at.ae_title, Timeouts())
    entity.add_supported_context(ModalityWorklistInformationFind)
    server = entity.start_server((at.host, at.port), block=False, evt_handlers=[(evt.EVT_C_FIND, answer)])
    try:
        yield asked
    finally:
        server.shutdown()


@requirement("ROUTER-027")
@needs("control", "http-interposer")
def test_worklist_is_relayed_in_order_and_never_posted(variant_world: VariantWorld) -> None:
    """A worklist query on QIEROUTER reaches the worklist server, every response comes back in order, the cloud hears nothing."""
    with variant_world(STRICT) as world, _worklist(world.deployment.workstation_bind) as asked:
        mark = world.link_mark()
        query = Dataset()
        query.PatientName = ""
        query.PatientID = "WL-1"
        with opened(
            "GDCM", world.intake, [build_context(ModalityWorklistInformationFind)], Timeouts()
        ) as state:
            assert state.association is not None, f"ROUTER-027: {state.comment}"
            state.park()
            answers = list(state.association.send_c_find(query, ModalityWorklistInformationFind))
        names = [str(match.PatientName) for status, match in answers if status.Status == 0xFF00]
        assert names == list(PATIENTS), f"ROUTER-027: every response in order, got {names}"
        assert answers[-1][0].Status == 0x0000
        assert [str(identifier.PatientID) for identifier in asked] == ["WL-1"], "ROUTER-027: relayed once"
        assert world.link_since(mark) == [], "ROUTER-027: never posted to the cloud"


@requirement("ROUTER-027")
@needs("control")
def test_worklist_server_that_is_away_is_a_failure(variant_world: VariantWorld) -> None:
    """With nobody at the worklist server's address the query ends with a failure, not with an empty list."""
    with (
        variant_world(STRICT) as world,
        opened("GDCM", world.intake, [build_context(ModalityWorklistInformationFind)], Timeouts()) as state,
    ):
        assert state.association is not None, state.comment
        state.park()
        query = Dataset()
        query.PatientName = ""
        answers = list(state.association.send_c_find(query, ModalityWorklistInformationFind))
        status = answers[-1][0].get("Status")
        assert status not in (0x0000, 0xFF00, None), f"ROUTER-027, ROUTER-069: {shown(status)}"


Reports = "queue.Queue[tuple[int, Dataset]]"


def _commit(world: World, to: DimseAddress, references: list[tuple[str, str]]) -> tuple[int, Dataset]:
    """N-ACTION on a new association that stays open; the event type and information of the report (PS3.4 annex J)."""
    reports: queue.Queue[tuple[int, Dataset]] = queue.Queue()

    def take(event: evt.Event) -> tuple[int, None]:
        reports.put((event.event_type, event.event_information))
        return 0x0000, None

    request = Dataset()
    request.TransactionUID = world.run.uid(world.scene, 55, len(references), hash(references[0][1]) % 9999)
    request.ReferencedSOPSequence = [_item(*reference) for reference in references]
    contexts = [build_context(StorageCommitmentPushModel)]
    entity = application_entity("GDCM", Timeouts())
    association = entity.associate(
        to.host, to.port, contexts, ae_title=to.ae_title, evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)]
    )
    assert association.is_established, "ROUTER-028: storage commitment is not accepted"
    try:
        status, _ = association.send_n_action(
            request, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        assert status.get("Status") == 0x0000, f"ROUTER-028: N-ACTION {shown(status.get('Status'))}"
        kind, information = reports.get(timeout=world.bounds.settle)
        # Its answer has to leave before the release.
        world.pause(0.1)
    finally:
        association.release()
    assert information.TransactionUID == request.TransactionUID, "ROUTER-028: another transaction's report"
    return kind, information


def _item(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, sop_instance_uid
    return item


def _references(study: Study) -> list[tuple[str, str]]:
    return [(i.fingerprint.sop_class_uid, i.sop_instance_uid) for i in study.instances]


@requirement("ROUTER-028")
def test_commitment_of_what_both_sides_hold(world: World) -> None:
    """Delivered everywhere: event type 1 with every instance as held."""
    study = world.series(instances=2)
    assert world.send([study], "intake").all_success
    world.expect_both([study])
    kind, information = _commit(world, world.intake, _references(study))
    assert kind == 1, f"ROUTER-028: event type {kind} for what PACS and cloud hold"
    held = {str(item.ReferencedSOPInstanceUID) for item in information.ReferencedSOPSequence}
    assert held == world.sop_uids([study])
    assert not information.get("FailedSOPSequence")


@requirement("ROUTER-028")
def test_commitment_of_what_is_not_there(world: World) -> None:
    """Of two instances one was never sent: event type 2, the other held, the missing one failed with 0112 (no such object)."""
    study = world.series(instances=2)
    sent = world.part_of(study, 1)
    assert world.send([sent], "intake").all_success
    world.expect_both([sent])
    kind, information = _commit(world, world.intake, _references(study))
    assert kind == 2, f"ROUTER-028: event type {kind} though an instance is nowhere"
    failed = {str(i.ReferencedSOPInstanceUID): int(i.FailureReason) for i in information.FailedSOPSequence}
    assert failed == {study.instances[1].sop_instance_uid: 0x0112}, f"ROUTER-028: {failed}"
    held = [str(item.ReferencedSOPInstanceUID) for item in information.ReferencedSOPSequence]
    assert held == [study.instances[0].sop_instance_uid]


@requirement("ROUTER-028")
def test_commitment_waits_for_every_mandatory_destination(world: World) -> None:
    """While the cloud's queue is paused nothing is committed; deleted at a side, it is not held either."""
    study = world.series(instances=1)
    assert world.send([study], "intake").all_success
    world.expect_both([study])
    world.router.drained(within=world.bounds.settle)
    assert world.cloud.delete(study.study_instance_uid).status == 204
    kind, information = _commit(world, world.intake, _references(study))
    assert kind == 2, "ROUTER-028: committed although the cloud does not hold it any more"
    assert [int(item.FailureReason) for item in information.FailedSOPSequence] == [0x0112]


@requirement("ROUTER-107")
@needs("control")
def test_quiet_marks_a_study_complete(variant_world: VariantWorld) -> None:
    """After the quiet period the study is complete; another instance makes it incomplete again; delivery did not wait."""
    with variant_world(STRICT) as world:
        study = world.series(instances=3)
        assert world.send([world.part_of(study, 2)], "intake").all_success
        path = f"/studies/{study.study_instance_uid}"
        assert world.router.http.request("GET", path).json()["instances"] == 2
        world.expect("cloud", [world.part_of(study, 2)])
        eventually(
            lambda: world.router.http.request("GET", path).json()["complete"],
            within=8,
            because="the quiet period of 1 s to end (ROUTER-107)",
        )
        assert world.send([study], "intake").all_success
        now = world.router.http.request("GET", path).json()
        assert (now["complete"], now["instances"]) == (False, 3), f"ROUTER-107: {now}"


@requirement("ROUTER-126")
@needs("control")
def test_listener_with_tls(variant_world: VariantWorld, tmp_path: Path) -> None:
    """A listener with a certificate answers dcmtk's echoscu over TLS, and nobody in plain text."""
    with variant_world(_with_tls()) as world:
        ca_file = tmp_path / "ca.pem"
        _AUTHORITY.cert_pem.write_to_path(str(ca_file))
        program = find_dcmtk("echoscu")
        bridge = world.bridge
        peer = ["-aec", bridge.ae_title, "127.0.0.1", str(bridge.port)]
        done = subprocess.run(
            [program, "-v", "-ta", "10", "+tla", "+cf", str(ca_file), *peer],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Received Echo Response (Success)" in done.stdout + done.stderr, (
            f"ROUTER-126: echoscu over TLS: {(done.stdout + done.stderr)[-600:]}"
        )
        assert not world.modality().echo(bridge).succeeded, "ROUTER-126: plain text is answered, too"
        assert world.modality().echo(world.intake).succeeded, "the other listener is as it was"
