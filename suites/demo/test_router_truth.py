"""What the router shows of its work: numbers that add up, and causes a person can read (CLAIM-ROUTER-*)."""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest

from fixtures.clients import link
from fixtures.data import Study
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World, rules
from suites.demo import causes
from suites.demo.answers import is_failure

pytestmark = pytest.mark.demo

SERIES, REFUSED, SAMPLES = 361, 3, 20
VALIDATION_FAILED = 43264
INSTANCE_NUMBER = "00200013"
PARTS = ("delivered", "waiting", "in_progress", "dead_lettered", "duplicates")
Counts = Mapping[str, Mapping[str, int]]


def _snapshot(world: World) -> Counts:
    """The counters of each destination in one answer of the router, which must add up."""
    rows = world.router.status()["destinations"]
    for row in rows:
        total = sum(int(row[part]) for part in PARTS)
        assert row["accepted"] == total, f"{row['name']}: {row['accepted']} accepted, {total} accounted for"
    return {row["name"]: {part: int(row[part]) for part in ("accepted", *PARTS)} for row in rows}


def _grown(before: Counts, after: Counts) -> dict[str, dict[str, int]]:
    """What was added to each counter, without those that stand still."""
    added = {
        name: {part: after[name][part] - counts[part] for part in counts} for name, counts in before.items()
    }
    return {name: {part: n for part, n in counts.items() if n} for name, counts in added.items()}


def _grew(samples: Sequence[Counts], part: str) -> None:
    """Every destination accepted the whole series and counted it as `part`, and nothing else changed."""
    for name, counts in _grown(samples[0], samples[-1]).items():
        assert counts == {"accepted": SERIES, part: SERIES}, f"{name}: {counts}"


def _watched(world: World, study: Study) -> list[Counts]:
    """Snapshots from before the study is sent until it is delivered."""
    samples = [_snapshot(world)]
    with world.sending([study], "intake") as sending:
        while len(samples) <= SAMPLES or len(sending.acknowledged) < sending.total:
            samples.append(_snapshot(world))
            world.pause(0.02)
    assert sending.result().all_success, sending.result().describe()
    world.router.drained(within=world.bounds.settle)
    return [*samples, _snapshot(world)]


def _numbers_in_cloud(world: World, study: Study) -> list[int]:
    """The Instance Numbers that the cloud lists of a study, in order."""
    listed = world.cloud.search_pages(
        "instances", study=study.study_instance_uid, includefield=INSTANCE_NUMBER
    )
    return sorted(int(row[INSTANCE_NUMBER]["Value"][0]) for row in listed)


@requirement("CLAIM-ROUTER-08")
@needs("router-admin", "change-feed")
@pytest.mark.lasting(12)
def test_status_counts_instances_that_are_really_there(world: World) -> None:
    """361 instances, then the same again: the counters add up in every snapshot and equal what the cloud got.

    CLAIM-ROUTER-08: delivered equals the cloud's new instances, and the repeat is 361 duplicates.
    """
    study = world.series(instances=SERIES, matrix=8)

    samples = _watched(world, study)

    _grew(samples, "delivered")
    for name in samples[0]:
        accepted = [sample[name]["accepted"] for sample in samples]
        assert accepted == sorted(accepted), f"{name}: accepted fell"
    for side in ("cloud", "pacs"):
        lacking = sorted(world.sop_uids([study]) - world.held(side, [study]))
        assert not lacking, f"counted as delivered, and not in the {side}: {lacking[:5]}"
    assert _numbers_in_cloud(world, study) == list(range(1, SERIES + 1))
    world.expect_created_once([study])
    mark = world.link_mark()
    again = _watched(world, study)
    _grew(again, "duplicates")
    assert world.uploaded_uids(mark) == set(), "a duplicate was uploaded again"
    world.evidence.note(
        f"{len(samples) + len(again)} snapshots added up; {SERIES} delivered and in the cloud, {SERIES} duplicates."
    )


def _listed(world: World, study: Study) -> dict[str, str]:
    """The dead letters of a study, each with its reason."""
    letters = world.dead_letters()
    return {
        row.sop_instance_uid: row.reason for row in letters if row.sop_instance_uid in world.sop_uids([study])
    }


@requirement("CLAIM-ROUTER-08")
@needs("router-admin", "http-interposer")
def test_refused_instances_stay_listed_until_they_are_delivered(world: World) -> None:
    """Three of eight instances are refused: counted and listed with reasons, also after a retry that failed again.

    CLAIM-ROUTER-08.
    """
    study = world.series(instances=8, matrix=8)
    refused = [instance.fingerprint for instance in study.instances[:REFUSED]]
    uids = {each.sop_instance_uid for each in refused}
    before = _snapshot(world)
    with world.cloud_answers(*rules.stored_with_failures(VALIDATION_FAILED, refused)):
        for attempt in ("the delivery", "a retry that fails"):
            mark = world.link_mark()
            if attempt == "the delivery":
                assert world.send([study], "intake").all_success
            else:
                _retry_all(world, uids)
            eventually(
                lambda since=mark: uids <= world.uploaded_uids(since),  # type: ignore[misc]
                within=world.bounds.settle,
                because=f"{attempt} to reach the cloud",
            )
            world.router.drained(within=world.bounds.settle)
            listed = _listed(world, study)
            assert listed.keys() == uids, f"after {attempt} the errors listed are {sorted(listed)}"
            assert all(str(VALIDATION_FAILED) in reason for reason in listed.values()), listed
            counted = _grown(before, _snapshot(world))["cloud"]
            assert counted == {"accepted": 8, "delivered": 8 - REFUSED, "dead_lettered": REFUSED}, (
                f"after {attempt} the status counts {counted}"
            )
        world.expect("cloud", [study], without=uids)
    _retry_all(world, uids)
    world.expect_both([study])
    world.router.drained(within=world.bounds.settle)
    assert _listed(world, study) == {}
    assert _grown(before, _snapshot(world))["cloud"] == {"accepted": 8, "delivered": 8}
    world.evidence.note(
        f"{REFUSED} refused instances stayed listed with reason {VALIDATION_FAILED} until a retry delivered them."
    )


def _retry_all(world: World, uids: set[str]) -> None:
    for row in world.router.dead_letters():
        if row["sop_instance_uid"] in uids:
            world.router.retry(row["id"])


def _words(study: Study) -> list[str]:
    """What would tell in a log of whom it speaks."""
    patient = study.patient
    names = [part for part in patient.name.replace("=", "^").split("^") if part]
    return [patient.patient_id, study.accession_number, *names]


@requirement("CLAIM-ROUTER-10")
@needs("router-admin", "http-interposer", "control")
@pytest.mark.lasting(8)
def test_every_failed_cloud_operation_reaches_a_human(world: World) -> None:
    """Each way in which a store, a search or a retrieval fails is told once to the sender and once in the log, with cause.

    CLAIM-ROUTER-10: the log names no patient, though the cloud's answers do.
    """
    began = causes.now()
    refused = int(world.router.path("cloud-bridge")["refused"])
    study = world.series(instances=2)
    world.store_in_cloud([study])
    words = _words(study)
    stores = _failed_stores(world, began)
    finds = _failed_finds(world, study, " ".join(words))
    moves = _failed_moves(world, study, " ".join(words))

    assert int(world.router.path("cloud-bridge")["refused"]) == refused + stores
    log = " ".join(line.message for line in causes.told_since(world, began))
    assert not [word for word in words if word in log], "the log names the patient"
    world.evidence.note(
        f"{stores} stores, {finds} searches and {moves} retrievals failed on purpose: each told to the sender and logged."
    )


def _failed_stores(world: World, began: dt.datetime) -> int:
    outcomes = [outcome for outcome in world.cloud_outcomes() if outcome.name in causes.STORES]
    assert {outcome.name for outcome in outcomes} == set(causes.STORES)
    with world.cloud_answers(*(rule for outcome in outcomes for rule in outcome.rules)):
        sent = {outcome.name: world.send([outcome.study], "bridge").outcomes[0] for outcome in outcomes}
    metrics = world.router.metrics()
    log = causes.told_since(world, began)
    for outcome in outcomes:
        told = sent[outcome.name]
        assert told.status in outcome.allowed, f"{outcome.name}: the sender is told {told.status}"
        assert told.comment, f"{outcome.name}: the sender is told no cause"
        lines = causes.naming(log, outcome.sop_instance_uid, causes.STORES[outcome.name])
        assert len(lines) == 1, f"{outcome.name}: {len(lines)} lines in the log name it"
        assert f'operation="C-STORE",status="{told.status:04X}"' in metrics, f"{outcome.name}: no metric"
    assert not world.cloud_study_uids() & {outcome.study.study_instance_uid for outcome in outcomes}
    return len(outcomes)


def _failed_finds(world: World, study: Study, body: str) -> int:
    faults = causes.reads(body)
    for fault in faults:
        began = causes.now()
        with world.cloud_answers(rules.reads(fault.name, fault.action, fault.path)):
            found = world.find_through_bridge("STUDY", study)
        assert is_failure(found), f"search, {fault.name}: {found.describe()}"
        assert not found.matches
        lines = causes.naming(causes.told_since(world, began), "find for", fault.named)
        assert len(lines) == 1, f"search, {fault.name}: {lines} in the log"
    assert world.found_through_bridge("STUDY", study) == {study.study_instance_uid}
    return len(faults)


def _failed_moves(world: World, study: Study, body: str) -> int:
    one = study.instances[0].fingerprint
    listings = causes.reads(body)
    single = causes.Cause(
        "404", link.respond(404, body), "answered 404", rf"/instances/{one.sop_instance_uid}"
    )
    for fault in (*listings, single):
        began = causes.now()
        with world.cloud_answers(rules.reads(fault.name, fault.action, fault.path)):
            result = world.move_through_bridge("STUDY", study)
        assert is_failure(result), f"retrieval, {fault.name}: {result.describe()}"
        about = one.sop_instance_uid if fault is single else "list of instances"
        lines = causes.naming(causes.told_since(world, began), about, fault.named)
        assert len(lines) == 1, f"retrieval, {fault.name}: {lines} in the log"
        if fault is single:
            assert result.failed_uids == (one.sop_instance_uid,), result.describe()
    assert world.move_through_bridge("STUDY", study).status == 0x0000
    return len(listings) + 1


@requirement("CLAIM-ROUTER-10")
@needs("router-admin", "http-interposer")
def test_queued_object_that_fails_for_a_while_is_recorded_with_its_cause(world: World) -> None:
    """An intake's object that the cloud answers 503 once: accepted, recorded as failed with the code, then delivered.

    CLAIM-ROUTER-10.
    """
    study = world.series(instances=1)
    uid = study.instances[0].sop_instance_uid
    mark = max((int(row["seq"]) for row in world.router.audit()), default=0)
    with world.cloud_answers(rules.store_answered(503, study.instances[0].fingerprint, times=1)):
        assert world.send([study], "intake").all_success
        world.expect("cloud", [study])
        eventually(
            lambda: [row for row in _audited(world, mark, uid) if row["event"] == "delivered"],
            within=world.bounds.settle,
            because="the delivery to be in the audit trail",
        )
    rows = _audited(world, mark, uid)
    assert Counter(row["event"] for row in rows) == {"failed": 1, "delivered": 1}, rows
    (failed,) = [row for row in rows if row["event"] == "failed"]
    assert "503" in f"{failed['status']} {failed['reason']}", failed
    world.expect_both([study])


def _audited(world: World, mark: int, uid: str) -> list[dict[str, str]]:
    return [
        row
        for row in world.router.audit(mark)
        if row.get("sop_instance_uid") == uid and row.get("destination") == "cloud"
    ]
