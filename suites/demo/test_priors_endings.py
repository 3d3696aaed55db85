"""Retrievals that end otherwise than well say so: in part, refused, cancelled (CLAIM-PRIORS-08, 09, 10)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from fixtures.actors.receiver import Receiver
from fixtures.actors.results import FindResult, MoveResult
from fixtures.clients import link
from fixtures.clients.link import Match, Rule
from fixtures.data import Study
from fixtures.evidence.fingerprint import same
from fixtures.evidence.ratio import timed
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World, rules

pytestmark = pytest.mark.demo

_PROMPT_SECONDS = 5.0
_HELD_SECONDS = 0.3
_CANCEL_SECONDS = 5.0
_MANY = 1000


def _move(world: World, study: Study, destination: str | None = None) -> MoveResult:
    keys = {"StudyInstanceUID": study.study_instance_uid}
    return world.workstation.move(
        world.bridge, "STUDY", keys, destination or world.deployment.workstation.ae_title
    )


def _expect_kept(shelf: Receiver, study: Study, uids: set[str]) -> None:
    """What the destination took is exactly this, and equal to what was made."""
    originals = {i.sop_instance_uid: i.fingerprint for i in study.instances}
    kept = shelf.received
    assert sorted(copy.sop_instance_uid for copy in kept) == sorted(uids), f"{len(kept)} kept of {len(uids)}"
    altered = [copy.sop_instance_uid for copy in kept if not same(originals[copy.sop_instance_uid], copy)]
    assert not altered, f"CLAIM-PRIORS-08: altered on the way: {altered}"


def _counted(result: MoveResult) -> tuple[int | None, ...]:
    return result.completed, result.failed, result.warning


@requirement("CLAIM-PRIORS-08")
@needs("http-interposer")
@pytest.mark.lasting(6)
def test_partial_retrieval_counts_and_lists_every_failure(world: World) -> None:
    """Five instances that the cloud does not give rightly and two that the destination refuses are counted and listed.

    CLAIM-PRIORS-08. The others arrive equal to the originals, the one with a warning is counted as such.
    """
    study, other = world.series(instances=12, matrix=16), world.series(instances=1, matrix=16)
    world.store_in_cloud([study, other])
    at_cloud, at_destination = study.instances[:5], study.instances[5:8]
    faults = {
        "404": link.respond(404),
        "406": link.respond(406),
        "500": link.respond(500),
        "cut": link.truncate_body(600),
        "another instance": link.replace_body(other.instances[0].part10.decode("latin-1")),
    }
    bad = [
        rules.reads_of(name, action, instance.fingerprint)
        for (name, action), instance in zip(faults.items(), at_cloud, strict=True)
    ]
    full, mismatch, warned = (instance.sop_instance_uid for instance in at_destination)
    statuses = {full: 0xA700, mismatch: 0xA900, warned: 0xB007}
    with (
        world.workstation.receiving(world.deployment.workstation_bind, statuses=statuses) as shelf,
        world.cloud_answers(*bad),
    ):
        result = _move(world, study)
    failed = {instance.sop_instance_uid for instance in at_cloud} | {full, mismatch}
    assert result.status == 0xB000, f"CLAIM-PRIORS-08: {result.describe()}"
    assert _counted(result) == (4, 7, 1), f"CLAIM-PRIORS-08: {result.describe()}"
    assert sorted(result.failed_uids) == sorted(failed), (
        f"CLAIM-PRIORS-08: not listed {sorted(failed - set(result.failed_uids))}"
    )
    _expect_kept(shelf, study, world.sop_uids([study]) - failed)
    world.evidence.note(
        "Of 12 instances 7 could not be fetched or stored: the retrieval ended with a warning that lists exactly these 7."
    )


@requirement("CLAIM-PRIORS-08")
@needs("http-interposer")
def test_retrieval_of_which_nothing_came_is_a_failure(world: World) -> None:
    """When no instance could be had, the status is A702 and all are listed; without the fault all come.

    CLAIM-PRIORS-08.
    """
    study = world.series(instances=3, matrix=16)
    world.store_in_cloud([study])
    with world.workstation.receiving(world.deployment.workstation_bind) as shelf:
        with world.cloud_answers(rules.reads("404", link.respond(404), rules.ONE_INSTANCE)):
            result = _move(world, study)
        assert result.status == 0xA702, f"CLAIM-PRIORS-08: {result.describe()}"
        assert _counted(result) == (0, 3, 0), result.describe()
        assert sorted(result.failed_uids) == sorted(world.sop_uids([study]))
        assert shelf.requests == []
    assert _counted(world.move_and_compare(study)) == (3, 0, 0)


@requirement("CLAIM-PRIORS-08")
@needs("http-interposer")
def test_destination_that_closes_in_the_middle(world: World) -> None:
    """A workstation that goes away in the middle has got what is counted as completed; the rest is failed and listed.

    CLAIM-PRIORS-08.
    """
    study = world.series(instances=12, matrix=16)
    world.store_in_cloud([study])
    slow = Rule("slow", link.delay(0.6), Match(method="GET", path_regex=rules.ONE_INSTANCE, skip=4))
    with (
        world.workstation.receiving(world.deployment.workstation_bind) as shelf,
        world.cloud_answers(slow),
    ):
        moving = world.moving(study)
        eventually(lambda: len(shelf.requests) >= 4, within=20, because="the first instances", every=0.01)
        shelf.stop()
        result = moving.result()
    kept = {copy.sop_instance_uid for copy in shelf.received}
    listed = set(result.failed_uids)
    assert result.status == 0xB000, f"CLAIM-PRIORS-08: {result.describe()}"
    assert (result.completed or 0) + (result.failed or 0) == 12, result.describe()
    assert len(result.failed_uids) == result.failed, "CLAIM-PRIORS-08: not every failed instance is listed"
    # An answer may be lost with the association: what arrived then is listed as failed, never the other way round.
    assert listed >= world.sop_uids([study]) - kept, "CLAIM-PRIORS-08: lost and not listed"
    _expect_kept(shelf, study, kept)


@requirement("CLAIM-PRIORS-08")
@needs("http-interposer", "pacs-rest")
@pytest.mark.parametrize("bad", [1, 3], ids=["some", "all"])
def test_job_of_the_pacs_fails_when_the_retrieval_is_not_complete(world: World, bad: int) -> None:
    """With one or all of three instances cut on the way the PACS's job ends in Failure, and no damaged file is stored.

    CLAIM-PRIORS-08: B000 and A702 are no success for the PACS.
    """
    study = world.series(instances=3, matrix=16)
    world.store_in_cloud([study])
    spoilt = study.instances[:bad]
    cut = [rules.reads_of("cut", link.truncate_body(600), instance.fingerprint) for instance in spoilt]
    with world.cloud_answers(*cut):
        job = world.retrieve_to_pacs(study)
    assert job.state == "Failure", f"CLAIM-PRIORS-08: the job ended with {job.state}"
    lacking = {instance.sop_instance_uid for instance in spoilt}
    world.expect("pacs", [study] if bad < 3 else [], without=lacking if bad < 3 else None)
    assert world.held("pacs", [study]) == world.sop_uids([study]) - lacking
    assert world.retrieve_to_pacs(study).succeeded
    world.expect("pacs", [study])


@dataclass(frozen=True)
class Wrong:
    """A wrong request and its right answer."""

    name: str
    ask: Callable[[World, Study], FindResult | MoveResult]
    status: int
    counts: tuple[int, ...] | None = None


def _asked(
    level: str, keys: Mapping[str, str], destination: str = ""
) -> Callable[[World, Study], MoveResult]:
    return lambda world, _: world.workstation.move(
        world.bridge, level, keys, destination or world.deployment.workstation.ae_title
    )


_WRONG = (
    Wrong("unknown destination", lambda world, study: _move(world, study, "NOBODY"), 0xA801),
    Wrong("unknown study", _asked("STUDY", {"StudyInstanceUID": "2.25.4711"}), 0x0000, (0, 0, 0)),
    Wrong("nonsense level", _asked("NONSENSE", {"StudyInstanceUID": "2.25.4711"}), 0xA900),
    Wrong("no UID", _asked("STUDY", {"PatientID": "X"}), 0xA900),
    Wrong("no UID of the level", _asked("IMAGE", {"StudyInstanceUID": "2.25.4711"}), 0xA900),
    Wrong("no level", lambda world, _: world.workstation.find(world.bridge, "", {"PatientID": "X"}), 0xA900),
)


@requirement("CLAIM-PRIORS-09")
@needs("http-interposer")
def test_wrong_requests_are_answered_at_once(world: World) -> None:
    """Unknown destination, unknown study and bad identifiers get their status within 5 s, and no image is fetched for them.

    CLAIM-PRIORS-09. The right request succeeds before and after; who is late beside other tests is asked again alone.
    """
    study = world.series(instances=1, matrix=16)
    world.store_in_cloud([study])
    assert _counted(world.move_and_compare(study)) == (1, 0, 0)
    mark = world.link_mark()
    slowest = 0.0
    with world.workstation.receiving(world.deployment.workstation_bind) as shelf:
        for wrong in _WRONG:
            answers: list[FindResult | MoveResult] = []
            took = timed(lambda wrong=wrong, answers=answers: answers.append(wrong.ask(world, study)))  # type: ignore[misc]
            (answer,) = answers
            assert answer.status == wrong.status, f"CLAIM-PRIORS-09, {wrong.name}: {answer.describe()}"
            if wrong.counts is not None and isinstance(answer, MoveResult):
                assert _counted(answer) == wrong.counts, f"CLAIM-PRIORS-09, {wrong.name}: {answer.describe()}"
            if took > _PROMPT_SECONDS:
                with world.alone():
                    took = timed(lambda wrong=wrong: wrong.ask(world, study))  # type: ignore[misc]
            assert took <= _PROMPT_SECONDS, f"CLAIM-PRIORS-09, {wrong.name}: answered after {took:.1f} s"
            slowest = max(slowest, took)
        assert shelf.requests == []
    assert world.retrievals_since(mark) == [], "CLAIM-PRIORS-09: images were fetched for a request that fails"
    assert _counted(world.move_and_compare(study)) == (1, 0, 0)
    world.evidence.note(
        f"{len(_WRONG)} wrong requests were refused with their own status, the slowest after {slowest:.2f} s."
    )


@requirement("CLAIM-PRIORS-10")
@needs("http-interposer")
@pytest.mark.lasting(18)
def test_query_and_retrieval_can_be_cancelled(world: World) -> None:
    """C-CANCEL after the first pending response ends a query of 1000 matches and a retrieval of as many, truthfully.

    CLAIM-PRIORS-10. The link holds every page and every image for 0.3 s; the retrieval is cancelled when images come.
    """
    study = world.series(instances=_MANY, matrix=8)
    world.store_in_cloud([study])
    title = world.deployment.workstation.ae_title
    keys = {"StudyInstanceUID": study.study_instance_uid}
    images = {**keys, "SeriesInstanceUID": study.series_instance_uids[0], "SOPInstanceUID": ""}
    held = (
        rules.reads("page", link.delay(_HELD_SECONDS), "offset="),
        rules.reads("image", link.delay(_HELD_SECONDS), rules.ONE_INSTANCE),
    )
    with (
        world.cloud_answers(*held),
        world.workstation.receiving(world.deployment.workstation_bind) as shelf,
    ):
        found = world.workstation.find(world.bridge, "IMAGE", images, cancel_after=1)
        assert found.status == 0xFE00, f"CLAIM-PRIORS-10: {found.describe()}"
        assert len(found.matches) < _MANY / 2, (
            f"CLAIM-PRIORS-10: {len(found.matches)} matches came all the same"
        )
        # A cloud that lists slowly lets the first report come before there is anything to count.
        moved = world.workstation.move(
            world.bridge, "STUDY", keys, title, cancel_when=lambda: bool(shelf.requests)
        )
        arrived = len(shelf.requests)
        world.pause(_CANCEL_SECONDS)
        late = len(shelf.requests) - arrived
    assert moved.status == 0xFE00, f"CLAIM-PRIORS-10: {moved.describe()}"
    assert moved.cancelled is not None, (
        f"CLAIM-PRIORS-10: no report came while images did: {moved.describe()}"
    )
    took = moved.moments[-1] - moved.cancelled
    assert took <= _CANCEL_SECONDS, f"CLAIM-PRIORS-10: FE00 came {took:.1f} s after the cancel"
    assert late == 0, f"CLAIM-PRIORS-10: {late} images came after the final response"
    assert moved.completed == arrived, f"CLAIM-PRIORS-10: {arrived} arrived; {moved.describe()}"
    assert moved.remaining == _MANY - arrived - (moved.failed or 0), moved.describe()
    assert 0 < arrived < _MANY / 2, f"CLAIM-PRIORS-10: {arrived} of {_MANY} images were sent"
    world.evidence.note(
        f"Cancelled after the first report: the query ended with {len(found.matches)} of {_MANY} matches, the retrieval "
        f"{took:.1f} s later with {arrived} images, all of them at the workstation."
    )
