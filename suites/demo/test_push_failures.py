"""Sending from the PACS when the cloud refuses, fails in part, or is too slow (CLAIM-PUSH-*)."""

import re
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from fixtures.clients import link
from fixtures.clients.link import Match, Rule
from fixtures.clients.orthanc import Job
from fixtures.data import Instance, Study
from fixtures.data.encode import part10
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World, rules
from fixtures.world.router_file import with_keys
from suites.demo import causes

pytestmark = pytest.mark.demo

VALIDATION_FAILED, UID_MISMATCH, PROCESSING_FAILURE, IN_PROGRESS = 43264, 43265, 272, 45071
STATUSES: Mapping[int, int] = {
    VALIDATION_FAILED: 0xA900,
    UID_MISMATCH: 0xA900,
    PROCESSING_FAILURE: 0xA700,
    IN_PROGRESS: 0xA700,
}
"""What the own SCU must see for each Failure Reason (ROUTER-043)."""
SLOW, PACS_TIMER, RAISED_TIMER = 15.0, 10.0, 60
"""Seconds that one upload takes, and the PACS's timer: the demo's default and a raised one."""


def _with(study: Study, **values: str) -> Study:
    """The study with other values in every instance."""

    def changed(instance: Instance) -> Instance:
        dataset = instance.dataset()
        for keyword, value in values.items():
            setattr(dataset, keyword, value)
        return Instance(part10(dataset), f"{instance.description} with another {', '.join(values)}")

    return replace(study, make=lambda: [changed(instance) for instance in study.instances])


def _told(job: Job) -> str:
    """All that a job of the PACS says of its end."""
    return f"{job.error} {job.details} {job.content or ''}"


@requirement("CLAIM-PUSH-04")
@needs("router-admin", "control")
def test_object_the_cloud_refuses_is_a_failed_send(world: World) -> None:
    """A Patient ID of 65 characters is refused: A900 to the sender, a failed job at the PACS, absent from the cloud.

    CLAIM-PUSH-04: an object with an invalid optional attribute is stored and answered B007.
    """
    began = causes.now()
    good = world.series(instances=1)
    refused = _with(world.series(instances=1), PatientID="X" * 65)
    warned = _with(world.series(instances=1), PatientBirthDate="not-a-date")
    world.arrange_all([good, refused], "pacs")

    assert world.push_from_pacs(good).state == "Success"
    job = world.push_from_pacs(refused)
    (own,) = world.send([refused], "bridge").outcomes
    (other,) = world.send([warned], "bridge").outcomes

    assert job.state == "Failure", f"the job is {job.state}, and the cloud has refused the object"
    assert own.status == 0xA900, f"the own SCU saw {own.status}"
    assert str(VALIDATION_FAILED) in own.comment, own.comment
    assert other.status == 0xB007, f"an invalid optional attribute was answered {other.status}"
    lines = causes.naming(causes.told_since(world, began), own.sop_instance_uid, str(VALIDATION_FAILED))
    assert len(lines) == 2, f"two refusals, in the log are {lines}"
    assert world.held("cloud", [refused]) == set()
    world.expect("cloud", [good, warned])
    world.evidence.attach_text("what the PACS's job says", _told(job))
    world.evidence.note(
        f"The refused object failed the PACS's job ({_status_in(job)}), and the own SCU saw A900: {own.comment}."
    )


def _status_in(job: Job) -> str:
    """The DIMSE status that the job's details name, as four digits; they must name one."""
    details = _told(job)
    named = [code for code in ("A900", "A700", "0124", "C000") if code.lower() in details.lower()]
    assert named, f"the job's details name no status: {details}"
    return named[0]


@requirement("CLAIM-PUSH-04")
@needs("http-interposer", "router-admin", "control")
@pytest.mark.lasting(10)
def test_each_reason_of_a_refusal_has_its_own_answer(world: World) -> None:
    """Four Failure Reasons held for good: A900, A900, A700, A700 with their codes, and each job of the PACS fails.

    CLAIM-PUSH-04.
    """
    began = causes.now()
    studies = {reason: world.series(instances=1) for reason in STATUSES}
    world.arrange_all(list(studies.values()), "pacs")
    forced = [rules.stored_with_failure(reason, s.instances[0].fingerprint) for reason, s in studies.items()]
    with world.cloud_answers(*forced):
        jobs = {reason: world.start_push(study) for reason, study in studies.items()}
        with ThreadPoolExecutor(len(studies)) as pool:
            ends = dict(zip(jobs, pool.map(world.finish, jobs.values()), strict=True))
            sent = dict(
                zip(studies, pool.map(lambda s: world.send([s], "bridge"), studies.values()), strict=True)
            )
    comments = {reason: one.outcomes[0].comment for reason, one in sent.items()}
    assert {reason: one.statuses for reason, one in sent.items()} == {r: [s] for r, s in STATUSES.items()}
    assert {job.state for job in ends.values()} == {"Failure"}, {r: job.state for r, job in ends.items()}
    assert {r: _status_in(job) for r, job in ends.items()} == {r: f"{s:04X}" for r, s in STATUSES.items()}
    assert len(set(comments.values())) == len(STATUSES), f"not told apart: {comments}"
    log = causes.told_since(world, began)
    for reason, study in studies.items():
        assert causes.naming(log, study.instances[0].sop_instance_uid, re.escape(comments[reason])), (
            f"{reason}: no record"
        )
    assert world.held("cloud", list(studies.values())) == set()
    world.evidence.note(f"Refused for good: {', '.join(comments.values())}; each failed the PACS's job.")


@requirement("CLAIM-PUSH-05")
@needs("http-interposer", "router-admin", "control")
@pytest.mark.parametrize("failure", ["503", "43264"])
@pytest.mark.lasting(6)
def test_partial_failure_is_named_and_the_repeat_completes_the_study(world: World, failure: str) -> None:
    """Five of fifty fail: the others are stored, the five are named, and after the cause is gone a repeat adds them once.

    CLAIM-PUSH-05: the last instance succeeds; the PACS's own job stops or goes on as it was told.
    """
    study = world.series(instances=50, matrix=16)
    world.arrange(study, "pacs")
    failing = [study.instances[n].fingerprint for n in (3, 11, 12, 30, 48)]
    uids = {each.sop_instance_uid for each in failing}
    broken = [
        rules.store_answered(503, each)
        if failure == "503"
        else rules.stored_with_failure(VALIDATION_FAILED, each)
        for each in failing
    ]
    began = causes.now()
    with world.cloud_answers(*broken):
        strict = world.finish(world.start_push(study, permissive=False))
        first = world.held("cloud", [study])
        assert strict.state == "Failure", f"the job is {strict.state}, though instances were refused"
        assert not first & uids
        assert first < world.sop_uids([study]), "the job did not stop at the first failure"
        permissive = world.finish(world.start_push(study, permissive=True))
        world.expect("cloud", [study], without=uids)
        sent = world.send([study], "bridge")
        assert sent.acknowledged == world.sop_uids([study]) - uids
        refused = {outcome.status for outcome in sent.outcomes if outcome.sop_instance_uid in uids}
        assert refused == {0xA700 if failure == "503" else 0xA900}, f"the refused were answered {refused}"
    named = {uid for uid in uids if causes.naming(causes.told_since(world, began), uid, failure)}
    assert named == uids, f"the log does not name {sorted(uids - named)}"
    assert permissive.content is not None, "the permissive job ended without a word"

    assert world.push_from_pacs(study).state == "Success"
    world.expect("cloud", [study])
    world.expect_created_once([study])
    world.evidence.note(
        f"With {failure} for 5 of 50: {len(first)} stored before the strict job stopped, 45 by the permissive one, 50 after the repeat."
    )


@requirement("CLAIM-PUSH-09")
@needs("http-interposer", "router-admin", "control")
@pytest.mark.lasting(35)
def test_bridge_answers_before_the_pacs_gives_up(world: World) -> None:
    """An upload of 15 s is answered A700 within the bound and not lost; with the PACS's timer at 60 s it succeeds.

    CLAIM-PUSH-09: the repeat is 0000, one create, and no association is cut by the PACS.
    """
    stalled, throttled, patient = (world.series(instances=1) for _ in range(3))
    world.arrange_all([stalled, throttled, patient], "pacs")
    slow = [_slow(stalled, "after"), _slow(throttled, "before")]
    with world.cloud_answers(*slow), ThreadPoolExecutor(2) as pool:
        began = time.monotonic()
        own = pool.submit(world.send, [stalled], "bridge")
        job = world.push_from_pacs(throttled)
        took = time.monotonic() - began
        answer = own.result().outcomes[0]
        assert answer.status == 0xA700, f"the own SCU saw {answer.status} {answer.comment}"
        assert job.state == "Failure", f"the job is {job.state} while the upload hangs"
        assert _status_in(job) == "A700", "the PACS cut the association before it was answered"
        assert took < PACS_TIMER, f"answered after {took:.1f} s, the PACS waits {PACS_TIMER:g} s"
        eventually(
            lambda: all(
                world.router.instance(uid).status == 200 for uid in world.sop_uids([stalled, throttled])
            ),
            within=2 * SLOW,
            because="the late uploads to be recorded as delivered",
        )
    mark = world.link_mark()
    assert world.push_from_pacs(throttled).state == "Success"
    assert world.send([stalled], "bridge").all_success
    assert world.uploaded_uids(mark) == set(), "an upload that had finished was taken for lost"

    with world.router_settings(_patient), world.cloud_answers(_slow(patient, "after")):
        raised = world.finish(world.start_push(patient, timeout=RAISED_TIMER))
    assert raised.state == "Success", f"with a timer of {RAISED_TIMER} s: {raised.error}"
    studies = [stalled, throttled, patient]
    world.expect("cloud", studies)
    world.expect_created_once(studies)
    world.evidence.note(
        f"Uploads of {SLOW:g} s were answered A700 after {took:.1f} s, recorded when they ended, and repeated with 0000."
    )


def _slow(study: Study, when: str) -> Rule:
    uid = study.instances[0].sop_instance_uid
    return Rule(
        f"slow {when} {uid}", link.delay(SLOW, when), Match(method="POST", body_contains=uid, times=1)
    )


def _patient(text: str) -> str:
    """The PACS's row of the router's table, with the raised timer and a bound below it."""
    assert "timer_seconds = 10\nbound_seconds = 6\n" in text
    raised = f"timer_seconds = {RAISED_TIMER}\nbound_seconds = {RAISED_TIMER - 10}\n"
    return with_keys(text, {}).replace("timer_seconds = 10\nbound_seconds = 6\n", raised)


@requirement("CLAIM-PUSH-06")
def test_sending_leaves_the_pacs_as_it_was(world: World) -> None:
    """After a send every file, every count and the change log of the PACS are what they were.

    CLAIM-PUSH-06: of the changes only those of a send, no new, modified or deleted resource.
    """
    studies = world.preloaded(patients=(1, 2, 6))
    before = [*world.fingerprints("pacs", studies)]
    counts, changes = _counted(world), world.pacs.last_change()

    for study in studies:
        assert world.push_from_pacs(study).state == "Success"
    world.expect("cloud", studies)

    after = [*world.fingerprints("pacs", studies)]
    order = [each.sop_instance_uid for each in before]
    assert sorted(after, key=lambda f: order.index(f.sop_instance_uid)) == before, "a file changed"
    assert _counted(world) == counts
    harmful = [c for c in world.pacs.changes(changes) if c["ChangeType"] not in HARMLESS]
    assert not harmful, f"the PACS's change log has {harmful[:5]}"
    world.expect("pacs", studies)
    world.evidence.note(
        f"{len(before)} files of the PACS, its counts and its change log unchanged by the send."
    )


def _counted(world: World) -> dict[str, object]:
    """The PACS's numbers of patients, studies, series and instances, and the size of its files."""
    numbers = world.pacs.statistics()
    return {name: numbers[name] for name in numbers if name.startswith("Count") or name == "TotalDiskSize"}


HARMLESS = frozenset({"StablePatient", "StableStudy", "StableSeries"})
"""What Orthanc notes when nothing has arrived for a while."""
