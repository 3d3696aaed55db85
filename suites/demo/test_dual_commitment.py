"""Storage commitment tells the truth or is not offered (CLAIM-DUAL-14)."""

import queue

import pytest
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import StorageCommitmentPushModel

from fixtures.actors.association import VERIFICATION, Timeouts, opened
from fixtures.actors.commitment import (
    ALL_HELD,
    NO_SUCH_INSTANCE,
    PROCESSING_FAILURE,
    SOME_FAILED,
    Report,
    asked,
    references,
    taking_reports,
)
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World, rules
from fixtures.world.router_file import with_keys

pytestmark = pytest.mark.demo

ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
_ONE_REPORT_ONLY_SECONDS = 0.3
_TOO_EARLY_SECONDS = 1.5


def _only(world: World, reports: "queue.Queue[Report]", transaction_uid: str) -> Report:
    """The report of a request, of which there must be exactly one."""
    try:
        report = reports.get(timeout=world.bounds.settle)
    except queue.Empty:
        raise AssertionError("N-ACTION was accepted and no report came") from None
    assert report.transaction_uid == transaction_uid, "the report of another transaction"
    # Its answer has to leave before the association ends, and a second report would come at once.
    world.pause(_ONE_REPORT_ONLY_SECONDS)
    assert reports.empty(), "more than one report"
    return report


@requirement("CLAIM-DUAL-14", "ROUTER-028")
@needs("http-interposer")
def test_only_what_both_sides_hold_is_committed(world: World) -> None:
    """Delivered, dead-lettered and unknown instances in one request: held, 0110 and 0112; the same when it is repeated.

    CLAIM-DUAL-14, reported on the association of the request.
    """
    delivered, dead, unknown = world.sized_studies(count=3, instances=1, matrix=16)
    with world.cloud_answers(rules.stored_with_failure(43264, dead.instances[0].fingerprint)):
        assert world.send([delivered, dead], "intake").all_success
        world.expect_both([delivered])
        eventually(world.dead_letters, within=world.bounds.settle, because="the dead letter")
    expected = {
        dead.instances[0].sop_instance_uid: PROCESSING_FAILURE,
        unknown.instances[0].sop_instance_uid: NO_SUCH_INSTANCE,
    }
    all_three, repeated = references([delivered, dead, unknown]), world.run.uid(world.scene, 55, 1)
    for _ in range(2):
        with asked("GDCM", world.intake, repeated, all_three) as request:
            assert request.status == 0x0000
            report = _only(world, request.reports, repeated)
        assert (report.event_type, dict(report.failed)) == (SOME_FAILED, expected)
        assert report.held == world.sop_uids([delivered])

    good = world.run.uid(world.scene, 55, 2)
    with asked("GDCM", world.intake, good, references([delivered])) as request:
        report = _only(world, request.reports, good)
    assert report.event_type == ALL_HELD
    assert report.held == world.sop_uids([delivered])

    assert not world.delete_from_cloud(delivered.study_instance_uid)
    lost = world.run.uid(world.scene, 55, 3)
    with asked("GDCM", world.intake, lost, references([delivered])) as request:
        report = _only(world, request.reports, lost)
    assert report.event_type == SOME_FAILED, "success is reported while a destination lost the instance"
    assert set(report.failed.values()) == {NO_SUCH_INSTANCE}
    world.evidence.note(
        "Of three instances the delivered one was committed, the refused one failed with 0110, the unknown one with 0112; "
        "lost in the cloud, the first was no longer committed."
    )


@requirement("CLAIM-DUAL-14", "ROUTER-028")
@needs("link")
def test_queued_instances_are_committed_after_their_delivery(world: World) -> None:
    """With the cloud away a request is taken and not reported; the report comes on a new association once both hold all.

    CLAIM-DUAL-14: delivered before and queued instances in one request.
    """
    before, queued = world.sized_studies(count=2, instances=1, matrix=16)
    assert world.send([before], "intake").all_success
    world.expect_both([before])
    transaction = world.run.uid(world.scene, 55, 4)
    workstation = world.deployment.workstation_bind
    with taking_reports(workstation) as reports:
        with world.cut("refuse"):
            assert world.send([queued], "intake").all_success
            with asked(
                workstation.ae_title, world.intake, transaction, references([before, queued])
            ) as request:
                assert request.status == 0x0000
            world.expect("pacs", [queued])
            # A report that is wrong would come once the PACS is known to hold all, which is a moment later.
            world.pause(_TOO_EARLY_SECONDS)
            assert request.reports.empty(), "committed while the cloud's copy was still queued"
            assert reports.empty(), "committed while the cloud's copy was still queued"
            assert world.router.status()["commitments_pending"] == 1
        report = _only(world, reports, transaction)
        held = world.held("cloud", [before, queued])
    assert report.event_type == ALL_HELD
    assert report.held == world.sop_uids([before, queued])
    assert report.held <= held, "committed before the cloud held it"
    world.expect_both([before, queued])
    world.evidence.note("A request made while the cloud was away was reported after the delivery, once.")


@requirement("CLAIM-DUAL-14")
@needs("control")
def test_commitment_that_is_not_offered_is_refused_in_negotiation(world: World) -> None:
    """Switched off, the class is answered with context result 3, and everything else is negotiated as before.

    CLAIM-DUAL-14.
    """
    contexts = [build_context(VERIFICATION), build_context(StorageCommitmentPushModel)]
    with (
        world.router_settings(lambda text: with_keys(text, {"commitment.enabled": "false"})),
        opened("GDCM", world.intake, contexts, Timeouts()) as state,
    ):
        assert state.association is not None, state.comment
        accepted = [context.abstract_syntax for context in state.association.accepted_contexts]
        results = {c.abstract_syntax: c.result for c in state.association.rejected_contexts}
    assert accepted == [VERIFICATION]
    assert results == {StorageCommitmentPushModel: ABSTRACT_SYNTAX_NOT_SUPPORTED}
