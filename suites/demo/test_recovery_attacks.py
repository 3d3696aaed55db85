"""An attacker on premises and the cloud copy (CLAIM-RECOVERY-04, CLAIM-RECOVERY-08)."""

import pytest

from fixtures.data import Study
from fixtures.evidence.fingerprint import fingerprint, same
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World
from fixtures.world.orders import order_for
from fixtures.world.orders import run as run_order
from fixtures.world.outcomes import DOES_NOT_MATCH
from fixtures.world.router_file import with_keys
from suites.azure.tags import ended
from suites.azure.updates import ask, files, model
from suites.demo.attacks import attacks, attempt, damage_spool, encrypt_pacs_files

pytestmark = pytest.mark.demo


@requirement("CLAIM-RECOVERY-04")
@needs("control", "wipe", "router-admin")
def test_what_happens_on_premises_changes_nothing_in_the_cloud(world: World) -> None:
    """Encrypted files and a deleted study in the PACS, and altered objects sent by both paths, leave the cloud copy as it was.

    CLAIM-RECOVERY-04.
    """
    studies = world.sized_studies(count=3, instances=2, matrix=16)
    straight = world.series(instances=2, matrix=16)
    assert world.send(studies, "intake").all_success
    world.store_in_cloud([straight])
    world.expect_both(studies)
    feed, conflicts = world.feed_mark(), int(world.router.status()["conflicts"])

    encrypted = encrypt_pacs_files(world)
    spoilt = list(world.pacs_truth.files([studies[0].study_instance_uid]))
    assert not {i.part10 for i in studies[0].instances} & set(spoilt), "the files are as they were"
    world.pacs.delete_study(studies[1].study_instance_uid)
    sent = [
        *(world.send_unrecorded(world.altered(study), path) for study in studies for path in PATHS),
        world.send_unrecorded(world.altered(straight), "bridge"),
    ]

    statuses = [status for one in sent for status in one.statuses]
    assert set(statuses) == {DOES_NOT_MATCH}, [f"{s or 0:04X}" for s in statuses]
    status = world.router.status()
    assert status["conflicts"] > conflicts, "conflicts are not counted"
    assert any("other content" in alarm for alarm in status["alarms"]), f"no alarm: {status['alarms']}"
    world.settle_router()
    world.expect("cloud", [*studies, straight])
    assert world.feed_since(feed) == [], "the cloud was changed"
    world.evidence.note(
        f"{encrypted} files of the PACS encrypted, a study deleted there, {len(statuses)} altered objects sent: all answered A900 "
        "with an alarm, the cloud copy is unchanged and its change feed has no entry."
    )


PATHS = ("intake", "bridge")


@requirement("CLAIM-RECOVERY-04")
@needs("control", "wipe", "link", "router-admin")
def test_damaged_spool_is_delivered_nowhere(world: World) -> None:
    """Objects whose spooled bytes were flipped or cut are dead letters for both sides; the intact one arrives.

    CLAIM-RECOVERY-04. Sent again, the same objects arrive as well.
    """
    flipped, cut, intact = studies = world.sized_studies(count=3, instances=1, matrix=32)
    # Each object in a file of its own.
    with world.router_settings(lambda text: with_keys(text, {"spool.memory_object_bytes": "512"})):
        with world.cut("refuse"):
            world.link.set_fault("pacs", "refuse")
            assert world.send(studies, "intake").all_success
            assert world.held("pacs", studies) == set()
            world.stop("router")
            damage_spool(world, [flipped, cut])
            world.start("router")
        world.link.heal("pacs")
        world.expect("cloud", [flipped, cut, intact], without=world.sop_uids([flipped, cut]))
        world.expect("pacs", [flipped, cut, intact], without=world.sop_uids([flipped, cut]))
        eventually(
            lambda: len(world.dead_letters()) == 4,
            within=world.bounds.settle,
            because="the damaged objects to be dead letters for both sides",
        )
        assert {x.sop_instance_uid for x in world.dead_letters()} == world.sop_uids([flipped, cut])
        assert {row["status"] for row in _letters(world)} == {"damaged"}, _letters(world)
        alarms = world.router.status()["alarms"]
        assert sum("dead letters" in alarm for alarm in alarms) == 2, alarms
        assert world.held("cloud", [flipped, cut]) == world.held("pacs", [flipped, cut]) == set()
        assert world.send([flipped, cut], "intake").all_success
        world.expect_both(studies)
    assert world.dead_letters() == []
    world.expect_created_once(studies)
    world.evidence.note(
        "Of three objects in the spool one was flipped, one cut short: both were dead letters for PACS and cloud and delivered "
        "nowhere, the third arrived; sent again, all arrived."
    )


def _letters(world: World) -> list[dict[str, object]]:
    mine = world.ledger.attempted
    return [row for row in world.router.dead_letters() if row["sop_instance_uid"] in mine]


@requirement("CLAIM-RECOVERY-08")
@needs("identity-admin", "http-interposer", "migration", "router-admin")
def test_router_with_read_and_store_rights_works_and_its_secret_destroys_nothing(world: World) -> None:
    """With a role that may neither delete nor update, all router functions work; with its secret each attack is refused.

    CLAIM-RECOVERY-08.
    """
    sent, pushed, moved, prior = world.sized_studies(count=4, instances=2, matrix=16)
    ordered = world.cast.study(3, "prior")
    world.store_in_cloud([prior, ordered])
    mark = world.link_mark()
    with world.roles_of("router", "DICOM Data Writer"):
        assert not [w for w in world.router.status()["warnings"] if "delete" in w]
        assert world.send([sent], "intake").all_success
        world.expect_both([sent])
        world.arrange_all([pushed, moved], "pacs")
        assert world.push_from_pacs(pushed).succeeded
        assert world.found_through_bridge("STUDY", prior) == {prior.study_instance_uid}
        world.move_and_compare(prior)
        fetched = run_order(world, order_for(ordered.patient))
        assert fetched["state"] == "done", fetched
        migrated = world.migrate(select={"studies": [moved.study_instance_uid]}, delete=True)
        assert migrated.state == "done", migrated.describe()
        world.expect("pacs", [sent, pushed, ordered])
        copies = [sent, pushed, moved, prior, ordered]
        world.expect("cloud", copies)
        assert {e.method for e in world.link_since(mark)} <= {"GET", "POST"}
        assert 403 not in {e.status for e in world.link_since(mark)}, (
            "a function needs more than the role gives"
        )

        feed, stolen = world.feed_mark(), world.fresh_token("router")
        for attack in attacks(world, sent):
            if attack.call.name == BULK_UPDATE:
                continue
            status = attempt(world, stolen, attack)
            assert status in attack.refusals, f"{attack.call.name} with the router's secret: {status}"
        world.expect("cloud", copies)
        assert world.feed_since(feed) == [], "an attack changed the cloud"
    world.evidence.note(
        "Dual delivery, push, query, retrieval, prefetch and migration with deletion in the PACS work with the right to read and "
        "store only; with the router's own secret delete at three levels and tag deletion were 403, altered objects 409."
    )


@requirement("CLAIM-RECOVERY-08")
@needs("identity-admin", "http-interposer", "change-feed", "router-admin")
def test_bulk_update_with_the_stolen_secret_destroys_nothing(world: World) -> None:
    """A bulk update is refused or, as the right to store covers it (AUTH-022), leaves each original retrievable, with a trace.

    CLAIM-RECOVERY-08: what is taken is printed as exposed.
    """
    study = world.series(instances=2, matrix=16)
    world.store_in_cloud([study])
    feed = world.feed_mark()
    with world.roles_of("router", "DICOM Data Writer"):
        stolen = world.fresh_token("router")
        answer = ask(world.cloud_as(lambda: stolen), [study.study_instance_uid], model(PatientName="Changed"))
    if answer.status == 403:
        world.evidence.note("Bulk update with the router's secret is refused (403).")
        world.expect("cloud", [study])
        return
    assert answer.status == 202, answer.describe()
    ended(world.cloud, answer.json()["id"])
    kept = {f.sop_instance_uid: f for f in map(fingerprint, _originals(world, study))}
    lost = [i.sop_instance_uid for i in study.instances if not same(i.fingerprint, kept[i.sop_instance_uid])]
    assert not lost, f"originals that cannot be had any more: {lost}"
    actions = [entry["action"].lower() for entry in world.feed_since(feed)]
    assert actions == ["update"] * len(study.instances), f"the change feed has {actions}"
    world.evidence.note(
        "EXPOSED: with the right to store goes the right to update metadata in bulk (AUTH-022); every original stays retrievable, "
        "unchanged, and the change feed names each changed instance."
    )


BULK_UPDATE = "bulk update"


def _originals(world: World, study: Study) -> list[bytes]:
    return files(world.cloud, f"/studies/{study.study_instance_uid}", original="true")


@requirement("CLAIM-RECOVERY-08")
@needs("identity-admin", "http-interposer", "router-admin")
def test_what_the_demos_own_role_exposes_is_said(world: World) -> None:
    """The same attacks with the demo's Data Owner role, on a study of no worth: what they could do is in the report.

    CLAIM-RECOVERY-08: this is an exposure to print, not a pass of the role.
    """
    victim = world.series(instances=1, matrix=16)
    world.store_in_cloud([victim])
    with world.roles_of("router", "DICOM Data Owner"):
        assert [w for w in world.router.status()["warnings"] if "delete" in w], "the router does not warn"
        stolen = world.fresh_token("router")
        exposed = [
            f"{attack.call.name} ({status})"
            for attack in attacks(world, victim)
            if (status := attempt(world, stolen, attack)) not in attack.refusals
        ]
    now = {f.sop_instance_uid: f for f in world.fingerprints("cloud", [victim])}
    own = victim.instances[0].fingerprint
    intact = own.sop_instance_uid in now and same(own, now[own.sop_instance_uid])
    assert exposed, "an owner may do everything, and nothing of it was possible"
    assert not intact, f"possible were {exposed}, and the original is still there"
    world.evidence.note(
        "EXPOSED with the demo's role DICOM Data Owner, by whoever has the router's secret: "
        f"{', '.join(exposed)}. The original is gone{', an altered object stands in its place' if now else ''}."
    )
