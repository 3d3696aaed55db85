"""For every object it can be shown where it went (CLAIM-INTEGRITY-10)."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from fixtures.data import Study
from fixtures.evidence.audit import broken_at, digest, is_digest_of, told_by
from fixtures.traceability import blocked, needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World, rules
from fixtures.world.orders import order_for, run

pytestmark = pytest.mark.demo

PACS, CLOUD = "ORTHANC", "cloud"
OPERATED = (
    *("operator path stop", "operator path start", "operator pause", "operator resume"),
    *("operator retry", "operator migration"),
)
_VALIDATION_FAILED = 43264
_HELD_UP_SECONDS = 2.0
Line = dict[str, Any]


@dataclass(frozen=True)
class Done:
    """A mixed run that has ended: the studies by what became of them, and the instance that was refused at first."""

    routed: Study
    refused: Study
    pushed: Study
    prefetched: Study
    retrieved: Study
    migrated: Study
    victim: str
    started: float

    @property
    def studies(self) -> list[Study]:
        """All of them."""
        return [
            *(self.routed, self.refused, self.pushed, self.prefetched, self.retrieved, self.migrated),
        ]


@requirement("CLAIM-INTEGRITY-10")
@needs("router-admin", "http-interposer", "migration", "wipe")
@pytest.mark.lasting(8)
def test_the_audit_alone_tells_where_everything_is(world: World) -> None:
    """After deliveries, refusals, repeats, an operator's actions, prefetch and migration the audit gives both places' contents.

    CLAIM-INTEGRITY-10: who sent each object, with digest and time; every failure and action has its own line, the chain
    holds, a changed, missing or moved line is noticed, and no patient is named.
    """
    anchor = world.router.audit()[-1:]
    mark = int(anchor[0]["seq"]) if anchor else 0
    done = _mixed_run(world)
    newest = world.router.audit(mark)[-1]
    lines = eventually(
        lambda: _complete(world.router.audit(mark), newest), within=10, because="the audit to be written"
    )
    _assert_sets(world, done, lines)
    _assert_who_and_when(done, lines)
    _assert_failures_stay(done, lines)
    events = [line["event"] for line in lines]
    missing = [action for action in OPERATED if action not in events]
    assert not missing, f"actions of the operator without a line: {missing}"
    _assert_tampering_is_noticed(lines, anchor[0] if anchor else None)
    names = {study.patient.patient_id for study in done.studies}
    names |= {part for s in done.studies for part in s.patient.name.split("^") if len(part) > 3}
    named = [name for name in names if name in str(lines)]
    assert not named, f"the audit names patients: {named}"
    world.evidence.note(
        f"{len(lines)} audit lines of a mixed run give exactly what PACS and cloud hold; every change, removal and "
        "exchange of lines that was tried is noticed; no patient is named."
    )


def _complete(lines: list[Line], newest: Line) -> list[Line]:
    assert lines[-1]["seq"] >= newest["seq"]
    return lines


def _mixed_run(world: World) -> Done:
    started = time.time()
    routed, refused, pushed = world.dated_studies(["20221122"] * 3)
    prefetched, retrieved, migrated = world.dated_studies(["19940223", "20040831", "20120202"])
    victim = refused.instances[0].fingerprint
    _delivered_only_when_confirmed(world, routed)
    with world.path_stopped("pacs-bridge"):
        world.router.pause(CLOUD)
        assert world.send([routed], "intake").all_success
        world.router.resume(CLOUD)
    with world.cloud_answers(rules.stored_with_failure(_VALIDATION_FAILED, victim)):
        assert world.send([refused], "intake").all_success
        (letter,) = eventually(
            lambda: _letters(world, victim.sop_instance_uid),
            within=world.bounds.settle,
            because="the refused instance to be a dead letter",
        )
    told = told_by(world.router.audit(), pacs=PACS, cloud=CLOUD)
    assert victim.sop_instance_uid in told.given_up[CLOUD], "the dead letter has no line"
    world.router.retry(letter["id"])
    world.arrange_all([pushed, migrated], "pacs")
    assert world.push_from_pacs(pushed).succeeded
    assert world.send([prefetched, retrieved], "bridge").all_success
    assert run(world, order_for(prefetched.patient))["state"] == "done"
    assert world.retrieve_to_pacs(retrieved).succeeded
    migration = world.migrate(select={"studies": [migrated.study_instance_uid]}, delete=True)
    assert migration.state == "done", migration.describe()
    world.settle_router()
    return Done(routed, refused, pushed, prefetched, retrieved, migrated, victim.sop_instance_uid, started)


def _delivered_only_when_confirmed(world: World, study: Study) -> None:
    """While the cloud has the objects and its answer is held up, they are not called delivered."""
    with world.cloud_answers(rules.stores_delayed(_HELD_UP_SECONDS, "after")):
        assert world.send([study], "intake").all_success
        eventually(
            lambda: world.held("cloud", [study]), within=world.bounds.settle, because="the cloud to have it"
        )
        early = [line for line in _of(world.router.audit(), study) if line.get("destination") == CLOUD]
        if world.rule_hits():
            blocked("the cloud's answer had arrived before the audit was read")
        assert "delivered" not in [line["event"] for line in early], (
            "the audit says delivered before the cloud has answered"
        )


def _letters(world: World, uid: str) -> list[Line]:
    return [row for row in world.router.dead_letters() if row["sop_instance_uid"] == uid]


def _of(lines: Sequence[Line], study: Study) -> list[Line]:
    return [line for line in lines if line.get("sop_instance_uid") in study.sop_instance_uids]


def _assert_sets(world: World, done: Done, lines: Sequence[Line]) -> None:
    """What both places hold is what the trail says, and what was put into the PACS past the router."""
    told = told_by(lines, pacs=PACS, cloud=CLOUD)
    in_cloud = world.held("cloud", done.studies)
    assert told.at(CLOUD) == in_cloud, (
        f"the audit and the cloud differ in {sorted(told.at(CLOUD) ^ in_cloud)[:5]}"
    )
    past_the_router = world.sop_uids([done.pushed])
    in_pacs = world.held("pacs", done.studies)
    assert told.at(PACS) | past_the_router == in_pacs, (
        f"the audit and the PACS differ in {sorted((told.at(PACS) | past_the_router) ^ in_pacs)[:5]}"
    )
    removed = {
        uid for line in lines if line["event"] == "removed from the PACS" for uid in line["sop_instance_uids"]
    }
    assert removed == world.sop_uids([done.migrated]), "what the migration removed from the PACS has no line"
    assert not told.given_up.get(CLOUD), f"given up: {told.given_up}"


def _assert_who_and_when(done: Done, lines: Sequence[Line]) -> None:
    senders = {"GDCM": [done.routed, done.refused, done.prefetched, done.retrieved], "ORTHANC": [done.pushed]}
    for sender, studies in senders.items():
        for instance in (one for study in studies for one in study.instances):
            own = [line for line in lines if line.get("sop_instance_uid") == instance.sop_instance_uid]
            first = own[0]
            assert first["calling_ae"] == sender, f"sent by {sender}: {first}"
            assert done.started - 1 <= first["time"] <= time.time() + 1, f"not the time it was sent: {first}"
            wrong = [
                line
                for line in own
                if "digest" in line and not is_digest_of(line["digest"], instance.encoded_dataset)
            ]
            assert sender != "GDCM" or not wrong, f"another digest than what was sent: {wrong[:1]}"


def _assert_failures_stay(done: Done, lines: Sequence[Line]) -> None:
    at_cloud = [
        line["event"]
        for line in lines
        if line.get("sop_instance_uid") == done.victim and line.get("destination") == CLOUD
    ]
    assert at_cloud[-3:] == ["dead-lettered", "operator retry", "delivered"], (
        f"the lines of the refused instance: {at_cloud}"
    )
    assert "duplicate" in [line["event"] for line in _of(lines, done.routed)], "a repeat has no line"


def _assert_tampering_is_noticed(lines: list[Line], before: Line | None) -> None:
    assert broken_at(lines, after=before, upto=lines[-1]) == "", "the trail as it was exported does not hold"
    place = len(lines) // 2
    event = {**lines[place], "event": "delivered elsewhere"}
    tampered = {
        "a changed line": [*lines[:place], event, *lines[place + 1 :]],
        "a changed line with a new hash": [
            *lines[:place],
            {**event, "hash": digest(event)},
            *lines[place + 1 :],
        ],
        "a removed line": [*lines[:place], *lines[place + 1 :]],
        "two lines exchanged": [*lines[:place], lines[place + 1], lines[place], *lines[place + 2 :]],
        "the end cut off": lines[:-1],
    }
    unnoticed = [name for name, rest in tampered.items() if not broken_at(rest, after=before, upto=lines[-1])]
    assert not unnoticed, f"not noticed: {unnoticed}"
