"""What the queues know of each object: balance, duplicates, conflicts, audit trail (ROUTER-103 to 105, 155, 158)."""

import hashlib
import json
from itertools import pairwise
from typing import Any

import pytest

from fixtures.evidence.audit import is_digest_of
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World, rules
from suites.router.clients import shown
from suites.router.conftest import WitnessBy

pytestmark = pytest.mark.router


def balance(status: dict[str, Any]) -> list[str]:
    """Destinations whose counters do not balance (ROUTER-155)."""
    parts = ("delivered", "waiting", "in_progress", "dead_lettered", "duplicates")
    return [
        f"{row['name']}: accepted {row['accepted']}, { ({part: row[part] for part in parts}) }"
        for row in status["destinations"]
        if row["accepted"] != sum(row[part] for part in parts)
    ]


@requirement("ROUTER-103", "ROUTER-155")
@needs("http-interposer")
def test_every_object_is_accounted_for(world: World) -> None:
    """In every snapshot taken while objects are delivered, refused and repeated, the counters of each destination balance."""
    good, bad = world.series(instances=20), world.series(instances=1)
    before = {row["name"]: row for row in world.router.status()["destinations"]}
    with world.cloud_answers(rules.stored_with_failure(43264, bad.instances[0].fingerprint)):
        with world.sending([good, bad, good], "intake") as sending:
            wrong = []
            while sending._thread is not None and sending._thread.is_alive():  # noqa: SLF001 - until it has ended
                wrong += balance(world.router.status())
        assert not wrong, f"ROUTER-155: {wrong[:3]}"
        world.expect("cloud", [good])
        eventually(
            lambda: [d for d in world.dead_letters() if d.destination == "cloud"],
            within=world.bounds.settle,
            because="the refused object to be a dead letter (ROUTER-103)",
        )
    status = world.router.drained(within=world.bounds.settle)
    assert balance(status) == []
    for name, row in ((row["name"], row) for row in status["destinations"] if row["name"] in before):
        grown = {key: row[key] - before[name][key] for key in ("accepted", "delivered", "duplicates")}
        assert grown["accepted"] == 41, f"ROUTER-155: {name} {grown}"
        assert grown["duplicates"] == 20, f"ROUTER-104: {name} {grown}"


@requirement("ROUTER-104")
def test_duplicate_arrival_has_no_second_effect(world: World, by: WitnessBy) -> None:
    """The same object sent again is acknowledged 0000 and causes no second upload and no second entry in the change feed."""
    study = world.series(instances=2)
    world.register([study])
    assert len(by().send(study.instances, world.intake, via="intake").acknowledged) == 2
    world.expect_both([study])
    mark = world.link_mark()
    again = by().send(study.instances, world.intake, via="intake")
    assert [outcome.status for outcome in again.outcomes] == [0, 0], f"ROUTER-104: {again.describe()}"
    world.router.drained(within=world.bounds.settle)
    assert world.uploads_since(mark, study) == [], "ROUTER-104: a second delivery"
    world.expect_both([study])
    world.expect_created_once([study])


@requirement("ROUTER-105")
def test_same_uid_with_other_content_is_kept_apart(world: World) -> None:
    """It is answered A900, raised as an alarm, and delivered nowhere over the first one."""
    study = world.series(instances=1)
    assert world.send([study], "intake").all_success
    world.expect_both([study])
    before = world.router.status()["conflicts"]
    answer = world.send_unrecorded(world.altered(study), "intake").outcomes[0]
    assert answer.status == 0xA900, f"ROUTER-105: {shown(answer.status)} {answer.comment}"
    status = world.router.status()
    assert status["conflicts"] == before + 1, "ROUTER-105: not counted as kept apart"
    assert any("other content" in alarm for alarm in status["alarms"]), (
        f"ROUTER-105: no alarm: {status['alarms']}"
    )
    world.expect_both([study])


@requirement("ROUTER-158", "ROUTER-155")
def test_audit_trail_proves_where_each_instance_went(world: World) -> None:
    """Each instance has lines for its reception and each delivery, with AE titles, digest and time, in an unbroken chain."""
    study = world.series(instances=2)
    sent = {instance.sop_instance_uid: instance.encoded_dataset for instance in study.instances}
    mark = max((int(line["seq"]) for line in world.router.audit()), default=0)
    assert world.send([study], "intake").all_success
    world.expect_both([study])
    world.router.drained(within=world.bounds.settle)
    lines = eventually(
        lambda: _complete(world.router.audit(mark), world.sop_uids([study])),
        within=10,
        because="the audit lines of both instances (ROUTER-158)",
    )
    for line in lines:
        if line["event"] == "received":
            assert line["calling_ae"] == "GDCM", f"ROUTER-158: AE titles: {line}"
            assert is_digest_of(line["digest"], sent[line["sop_instance_uid"]]), f"ROUTER-158: {line}"
    for before, after in pairwise(lines):
        assert after["previous"] == before["hash"], "ROUTER-158: the chain is broken"
    for line in lines:
        plain = {key: value for key, value in line.items() if key != "hash"}
        digest = hashlib.sha256(
            json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        ).hexdigest()
        assert digest == line["hash"], f"docs/router.md: the hash of line {line['seq']}"
    names = {str(i.dataset().PatientName) for i in study.instances} | {study.patient.patient_id}
    assert not [name for name in names if name in json.dumps(lines)], (
        "ROUTER-158: patient data in the audit trail"
    )


def _complete(lines: list[dict[str, Any]], uids: set[str]) -> list[dict[str, Any]]:
    seen = {(line["event"], line.get("sop_instance_uid"), line.get("destination")) for line in lines}
    wanted: set[tuple[Any, ...]] = {("received", uid, None) for uid in uids}
    wanted |= {("delivered", uid, name) for uid in uids for name in ("ORTHANC", "cloud")}
    assert wanted <= seen, f"missing: {sorted(map(str, wanted - seen))}"
    return lines
