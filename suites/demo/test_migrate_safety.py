"""A migration interrupted, what it leaves alone, and what it writes down (CLAIM-MIGRATE-06, 07, 09)."""

import hashlib
import json
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from fixtures.clients import link
from fixtures.clients.answers import NoAnswer, UnexpectedStatus
from fixtures.data import Study
from fixtures.evidence.fingerprint import encoded_dataset_of, fingerprint
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World, rules

pytestmark = pytest.mark.demo

SEED = 20221122
"""The moments at which the migration is interrupted are drawn from it; the message of a failure names it."""


@requirement("CLAIM-MIGRATE-06")
@needs("migration", "wipe", "control", "link", "http-interposer")
@pytest.mark.lasting(12)
def test_interrupted_migration_ends_as_an_uninterrupted_one(world: World) -> None:
    """Router killed, cloud cut and PACS restarted at random moments, resumed each time: all in the cloud, once, none in the PACS.

    CLAIM-MIGRATE-06: after every interruption each study is complete in at least one place.
    """
    kept = world.series(instances=2, matrix=16)
    world.arrange(kept, "pacs")
    chance = random.Random(SEED)  # noqa: S311 - a choice that can be repeated
    migrated: list[Study] = []
    jobs = 0
    for interrupt in (_kill_router, _cut_cloud, _restart_pacs):
        studies = world.dated_studies(["19850615", "19900101"], instances=4, matrix=16)
        world.arrange_all(studies, "pacs")
        jobs += _migrate_interrupted(world, studies, interrupt, uploads=chance.randrange(1, 7))
        migrated += studies

    world.expect("cloud", migrated)
    world.expect_created_once(migrated)
    assert not world.held("pacs", migrated), "a study is still in the PACS"
    world.expect("pacs", [kept])
    world.evidence.note(
        f"Interrupted by a killed router, a cut cloud and a restarted PACS, the migration of {len(migrated)} studies ended as a "
        f"clean one, in {jobs} jobs: every instance in the cloud, created once, and deleted from the PACS once."
    )


def _migrate_interrupted(
    world: World, studies: Sequence[Study], interrupt: Callable[[World], None], *, uploads: int
) -> int:
    """Migrate, interrupt after so many uploads, resume until it is done; how many jobs that took."""
    select, moment = {"studies": sorted(world.uids(studies))}, f"{interrupt.__name__} after {uploads} uploads"
    manifests: list[dict[str, Any]] = []
    with world.cloud_answers(rules.stores_delayed(0.05)):
        mark = world.link_mark()
        job = world.router.start_migration(select, delete=True)
        _wait_for_uploads(world, mark, uploads)
        interrupt(world)
        _nothing_is_lost(world, studies, f"{moment} (seed {SEED})")
    manifests.append(_ended(world, job))
    while manifests[-1]["state"] != "done":
        assert len(manifests) < 4, f"{moment}: still {manifests[-1]['state']}: {manifests[-1]['error']}"
        _nothing_is_lost(world, studies, f"the end of job {len(manifests)} after {moment}")
        left = [s.study_instance_uid for s in studies if world.held("pacs", [s])]
        manifests.append(_ended(world, world.router.start_migration({"studies": left}, delete=True)))
    rows = [row for manifest in manifests for row in manifest["manifest"] if row["outcome"] == "deleted"]
    deleted = sorted(row["sop_instance_uid"] for row in rows)
    assert deleted == sorted(world.sop_uids(studies)), (
        f"{moment}: the manifests do not have each instance once"
    )
    return len(manifests)


def _wait_for_uploads(world: World, mark: int, number: int) -> None:
    def uploaded() -> bool:
        return sum(1 for e in world.link_since(mark) if e.method == "POST") >= number

    eventually(uploaded, within=world.bounds.settle, every=0.01, because=f"{number} uploads of the migration")


def _kill_router(world: World) -> None:
    world.kill("router")
    world.start("router")


def _cut_cloud(world: World) -> None:
    with world.cut("reset"):
        world.pause(0.3)


def _restart_pacs(world: World) -> None:
    world.kill("pacs")
    world.start("pacs")


def _nothing_is_lost(world: World, studies: Sequence[Study], moment: str) -> None:
    for study in studies:
        wanted = world.sop_uids([study])
        there = {side: world.held(side, [study]) for side in ("pacs", "cloud")}
        assert wanted in there.values(), (
            f"{moment}: a study of {len(wanted)} instances is complete nowhere: "
            f"{ {side: len(held) for side, held in there.items()} }"
        )


def _ended(world: World, job: str) -> dict[str, Any]:
    """The job when it has ended, well or not; the router may be starting."""

    def look() -> dict[str, Any]:
        try:
            state = world.router.migration(job)
        except (NoAnswer, UnexpectedStatus) as error:
            raise AssertionError(str(error)) from error
        assert state["state"] != "running", "it still runs"
        return state

    return eventually(look, within=60, because=f"migration {job} to end")


@requirement("CLAIM-MIGRATE-07", "CLAIM-DUAL-13")
@needs("migration", "wipe", "http-interposer")
def test_recent_studies_and_late_images_are_not_touched(world: World) -> None:
    """The patient's new study and those of others stay as they are; an image that arrives during the migration is not lost.

    CLAIM-MIGRATE-07; CLAIM-DUAL-13: the late image comes when all others are copied and are being verified.
    """
    patient = world.dated_studies(["20221122"])[0].patient
    old, new = (
        world.series(instances=4, matrix=16, study_date=date, patient=patient)
        for date in ("19850615", "20221122")
    )
    other = world.series(instances=2, matrix=16)
    early, late = world.part_of(old, 3), replace(old, make=lambda: old.instances[3:])
    world.arrange_all([early, new, other], "pacs")
    before = world.pacs_file_bytes([new, other])

    with world.cloud_answers(rules.reads("slow verification", link.delay(0.5), rules.ONE_INSTANCE)) as slow:
        job = world.router.start_migration({"before": "20000101"}, delete=True)
        slow.wait_for_hit()
        assert world.send([late], "intake").all_success
        migration = world.finish_migration(job)

    world.router.drained(within=world.bounds.settle)
    world.expect("pacs", [new, other])
    assert world.pacs_file_bytes([new, other]) == before
    assert world.cloud_study_uids() == {old.study_instance_uid}, "a study outside the selection was copied"
    world.expect("cloud", [old])
    left = world.held("pacs", [old])
    gone = {row["sop_instance_uid"] for row in migration.raw["manifest"] if row["outcome"] == "deleted"}
    assert gone | left == world.sop_uids([old]), f"{migration.describe()}; left in the PACS: {sorted(left)}"
    assert not gone & left, "recorded as deleted and still there"
    world.evidence.note(
        "Beside a migrated study of 1985 the same patient's new study and another patient's stayed byte for byte; an image that "
        f"arrived during the verification is in the cloud, and {'still' if left else 'no longer'} in the PACS."
    )


@requirement("CLAIM-MIGRATE-09")
@needs("migration", "wipe", "http-interposer")
def test_manifest_says_what_happened_to_every_instance(world: World) -> None:
    """Of a migrated and a failed study each instance has a row whose outcome, digests and times agree with both sides.

    CLAIM-MIGRATE-09: recomputed from what PACS and cloud held; no row is ahead of what has happened.
    """
    good, bad = world.dated_studies(["19850615", "19900101"], instances=3, matrix=16)
    undated = world.dated_studies([""], matrix=16)[0]
    world.arrange_all([good, bad, undated], "pacs")
    in_pacs = _digests(world.pacs_truth.files([good.study_instance_uid, bad.study_instance_uid]))
    lost = bad.instances[1].fingerprint
    slow = rules.reads("slow verification", link.delay(0.4), rules.ONE_INSTANCE)
    began = time.time()
    with world.cloud_answers(rules.store_pretended(lost), slow) as applied:
        job = world.router.start_migration({"oldest": 3}, delete=True)
        applied.wait_for_hit()
        early = [row["outcome"] for row in world.router.migration(job)["manifest"]]
        read_back = world.rule_hits()
        assert early.count("verified") <= read_back, f"written before it happened: {early}"
        assert "deleted" not in early, f"written before it happened: {early}"
        migration = world.finish_migration(job)
    finished = time.time()

    rows = {row["sop_instance_uid"]: row for row in migration.raw["manifest"]}
    assert len(rows) == len(migration.raw["manifest"]), "an instance has two rows"
    assert rows.keys() == world.sop_uids([good, bad]), "rows are not the selected instances"
    in_cloud = _digests(world.cloud_truth.files(sorted(world.cloud_study_uids())))
    still_in_pacs = world.held("pacs", [good, bad])
    wrong = [
        fault
        for uid, row in rows.items()
        for fault in _faults(row, in_pacs[uid], in_cloud.get(uid), in_pacs=uid in still_in_pacs)
    ]
    assert not wrong, wrong
    assert rows[lost.sop_instance_uid]["outcome"] == "failed", "the lost instance is not said to have failed"
    assert still_in_pacs == world.sop_uids([bad])
    for row in rows.values():
        times = [row[name] for name in ("copied_at", "verified_at", "deleted_at") if row[name] is not None]
        assert began <= min(times, default=began) <= max(times, default=finished) <= finished
        assert times == sorted(times), row
    counted: dict[str, int] = {}
    for row in rows.values():
        counted[row["outcome"]] = counted.get(row["outcome"], 0) + 1
    assert migration.raw["totals"] == counted
    assert migration.unusable == (undated.study_instance_uid,)
    people = {text for s in (good, bad) for text in (s.patient.patient_id, s.patient.name.split("^")[0])}
    named = [text for text in people if text in json.dumps(migration.raw)]
    assert not named, f"the manifest names patients: {named}"
    world.evidence.note(
        f"{len(rows)} rows for {len(rows)} instances, {counted}; digests, outcomes and times agree with both sides."
    )


def _faults(row: dict[str, Any], original: str, copy: str | None, *, in_pacs: bool) -> list[str]:
    """Where a row disagrees with what both sides hold; digests are of the data sets in their encoding."""
    uid, outcome = row["sop_instance_uid"], row["outcome"]
    if outcome not in ("verified", "deleted", "failed", "copied"):
        return [f"{uid}: unknown outcome {outcome!r}"]
    faults = []
    if row["pacs_digest"] not in (original, "") or (outcome != "failed" and row["pacs_digest"] != original):
        faults.append(f"{uid}: the PACS's digest is {row['pacs_digest']!r}, not {original}")
    if outcome in ("verified", "deleted") and not row["cloud_digest"] == copy == original:
        faults.append(f"{uid}: {outcome} with {row['cloud_digest']!r}, the cloud holds {copy}")
    if (outcome == "deleted") is in_pacs:
        faults.append(f"{uid}: {outcome}, and {'still' if in_pacs else 'not'} in the PACS")
    if outcome == "failed" and not row["reason"]:
        faults.append(f"{uid}: failed without a reason")
    return faults


def _digests(files: Iterable[bytes]) -> dict[str, str]:
    """SHA-256 of each file's data set as it is encoded, by SOP Instance UID."""
    return {
        fingerprint(part10).sop_instance_uid: hashlib.sha256(encoded_dataset_of(part10)).hexdigest()
        for part10 in files
    }
