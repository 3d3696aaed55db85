"""Dual delivery: every new study in the PACS and in the cloud (CLAIM-DUAL-*)."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fixtures.data.odd import odd_datasets
from fixtures.traceability import blocked, needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World, rules
from suites.demo.kills import MOMENTS, Moment, kill_round

pytestmark = pytest.mark.demo

VALIDATION_FAILED = 43264


@requirement("CLAIM-DUAL-01")
def test_new_study_sent_once_appears_in_both_places(world: World) -> None:
    """Three, then two new studies sent once to QIEROUTER: PACS 11 to 14 to 16 studies, cloud 1 to 4 to 6.

    CLAIM-DUAL-01.
    """
    before = [*world.preloaded(), *world.preloaded("new", patients=(1, 2, 3))]
    assert world.push_from_pacs(world.cast.study(1, "recent")).state == "Success"
    assert world.study_counts() == (11, 1)

    for patients, counts in (((4, 5, 6), (14, 4)), ((7, 8), (16, 6))):
        new = world.studies("new", patients=patients)
        sent = world.send(new, "intake")
        assert sent.all_success, sent.describe()
        assert len(sent.outcomes) == sum(len(study.instances) for study in new), (
            "the modality had to send twice"
        )
        world.expect_both(new)
        assert world.study_counts() == counts
    world.expect("pacs", before)
    world.expect_created_once(world.studies("new", patients=(4, 5, 6, 7, 8)))
    assert world.viewer_list() == world.cloud_study_uids(), "the list a viewer asks for"
    world.show_side_by_side(world.cast.study(4, "new"))
    world.evidence.note(
        "Study counts PACS/cloud went 11/1, 14/4, 16/6; both copies of the five new studies equal the original."
    )


@requirement("CLAIM-DUAL-03")
@pytest.mark.parametrize("patients", [(4, 5, 6, 7, 8)], ids=["cast"])
def test_both_copies_of_the_cast_are_identical(world: World, patients: tuple[int, ...]) -> None:
    """Every modality and character set of the cast arrives element by element as sent, transfer syntax unchanged.

    CLAIM-DUAL-03.
    """
    studies = world.studies("new", patients=patients)
    assert world.send(studies, "intake").all_success
    for side in ("pacs", "cloud"):
        report = world.expect(side, studies)
        assert report.transfer_syntaxes == {
            i.fingerprint.transfer_syntax_uid for s in studies for i in s.instances
        }


@requirement("CLAIM-DUAL-03")
@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[
        Phase.generate
    ],  # nothing is shrunk on running systems: the report names the data sets that differ
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_odd_data_sets_are_copied_unchanged(world: World, data: st.DataObject) -> None:
    """Private tags, odd lengths, nested sequences, long texts and escape sequences survive in both copies.

    CLAIM-DUAL-03: the examples collect in one study.
    """
    files = data.draw(st.lists(odd_datasets(world.run, world.scene), min_size=6, max_size=6, unique=True))
    sent = world.send([world.odd_study(files)], "intake")
    assert sent.all_success, sent.describe()
    world.odd_files.update(files)
    world.expect_both([world.odd_study(sorted(world.odd_files))])


@requirement("CLAIM-DUAL-04")
@needs("control")
@pytest.mark.lasting(10)
def test_direct_path_works_with_the_router_dead_or_busy(world: World) -> None:
    """Preload, search and view at the PACS work the same with the router dead and with the router busy.

    CLAIM-DUAL-04.
    """
    assert world.pacs.modalities() == ["QIETOAZURE"], (
        "the PACS configuration differs by more than the registered modality"
    )
    with world.down("router"):
        world.use_the_pacs(world.cast.study(1, "recent"))
    with world.router_busy():
        world.use_the_pacs(world.cast.study(2, "recent"))


@requirement("CLAIM-DUAL-04")
@needs("control")
@pytest.mark.lasting(12)
def test_direct_path_is_as_fast_with_the_router_as_without(world: World) -> None:
    """Store, search and read at the PACS take about as long with the router as without it (ratio rule, limit 1.5).

    CLAIM-DUAL-04.
    """
    ratio = world.measure(world.pacs_rounds_with_router, limit=1.5)
    world.judge(ratio, "PACS routine with router over without")


@requirement("CLAIM-DUAL-06")
@needs("http-interposer")
@pytest.mark.lasting(20)
def test_slow_cloud_does_not_hold_up_the_pacs(world: World) -> None:
    """With 10 s of delay at the cloud the PACS is complete while the cloud still has a backlog; both end complete.

    CLAIM-DUAL-06 A.
    """
    studies = world.sized_studies(count=10, instances=20)
    normal = world.delivery_time("pacs", world.sized_studies(count=10, instances=20))
    with world.cloud_answers(rules.stores_delayed(10.0)):
        slow = world.delivery_time("pacs", studies)
        assert world.backlog("cloud") > 0, "the cloud had no backlog: the delay did not bite"
    assert slow <= max(2 * normal, normal + 1.0), (
        f"the PACS took {slow:.1f} s beside a slow cloud, {normal:.1f} s normally"
    )
    world.expect_both(studies, within=90)
    world.expect_created_once(studies)
    world.evidence.note(
        f"200 instances were in the PACS after {slow:.1f} s while the cloud lagged ({normal:.1f} s normally)."
    )


@requirement("CLAIM-DUAL-06")
@needs("link")
@pytest.mark.lasting(20)
def test_slow_pacs_does_not_hold_up_the_cloud(world: World) -> None:
    """With 2 s per object at the PACS the cloud is complete while the PACS still has a backlog; both end complete.

    CLAIM-DUAL-06 B.
    """
    studies = world.sized_studies(count=10, instances=20)
    normal = world.delivery_time("cloud", world.sized_studies(count=10, instances=20))
    with world.cut("delay", routes=("pacs",), seconds=2.0, direction="down"):
        slow = world.delivery_time("cloud", studies)
        assert world.backlog("pacs") > 0, "the PACS had no backlog: the delay did not bite"
    assert slow <= max(2 * normal, normal + 1.0), (
        f"the cloud took {slow:.1f} s beside a slow PACS, {normal:.1f} s normally"
    )
    world.expect_both(studies, within=90)


@requirement("CLAIM-DUAL-06")
@needs("http-interposer")
@pytest.mark.lasting(12)
def test_refused_objects_do_not_block_those_behind_them(world: World) -> None:
    """One object in ten answered 503 for a while and one refused for good: all others arrive, then all but the one.

    CLAIM-DUAL-06 C.
    """
    studies = world.sized_studies(count=10, instances=20)
    prints = [i.fingerprint for study in studies for i in study.instances]
    refused, flaky = prints[0].sop_instance_uid, prints[1::10]
    forever = rules.stored_with_failure(VALIDATION_FAILED, prints[0])
    with world.cloud_answers(forever):
        with world.cloud_answers(forever, *(rules.store_answered(503, each) for each in flaky)):
            assert world.send(studies, "intake").all_success
            world.expect("pacs", studies)
            world.expect("cloud", studies, without={refused, *(each.sop_instance_uid for each in flaky)})
        world.expect("cloud", studies, without={refused})
        eventually(
            lambda: [d.sop_instance_uid for d in world.dead_letters()] == [refused],
            within=world.bounds.settle,
            because="exactly the refused object to be dead-lettered",
        )
    world.expect_created_once(studies, without={refused})


@requirement("CLAIM-DUAL-07")
@needs("control", "link")
@pytest.mark.parametrize("moment", MOMENTS, ids=lambda m: m.name)
@pytest.mark.lasting(15)
def test_killed_router_loses_nothing_it_acknowledged(world: World, moment: Moment) -> None:
    """SIGKILL at a moment seen from outside, restart, settle: what was acknowledged is in both places, once.

    CLAIM-DUAL-07: five rounds for each of the moments, what was not acknowledged is sent again.
    """
    for number in range(5):
        kill_round(world, moment, number)


@requirement("CLAIM-DUAL-07")
@needs("control")
def test_stopped_router_answers_truthfully_and_delivers_after_the_start(world: World) -> None:
    """SIGTERM under load loses nothing that was acknowledged.

    CLAIM-DUAL-07.
    """
    studies = world.sized_studies(count=4, instances=20)
    with world.sending(studies, "intake") as sending:
        eventually(lambda: len(sending.acknowledged) >= 10, within=20, because="ten acknowledged instances")
        world.stop("router")
    world.start("router")
    sent = sending.result()
    again = [study for study in studies if world.sop_uids([study]) - sent.acknowledged]
    assert world.send(again, "intake").all_success
    world.expect_both(studies)
    world.expect_created_once(studies)


@requirement("CLAIM-DUAL-09")
def test_repeated_transfers_are_delivered_once(world: World) -> None:
    """The same study three times, one of them after an abort: every repeat is answered 0000, each side has one copy.

    CLAIM-DUAL-09.
    """
    study = world.cast.study(4, "new")
    half = world.part_of(study, len(study.instances) // 2)
    assert world.send([half], "intake").all_success
    world.abort_in_mid_object(study, "intake")
    for _ in range(2):
        repeated = world.send([study], "intake")
        assert repeated.all_success, repeated.describe()
    world.expect_both([study])
    world.expect_created_once([study])
    assert world.pacs_instance_counts([study]) == [len(study.instances)]


@requirement("CLAIM-DUAL-09")
def test_changed_content_under_the_same_uid_is_refused(world: World) -> None:
    """The same SOP Instance UID with other content is refused or alarmed, and neither copy changes.

    CLAIM-DUAL-09.
    """
    study = world.series(instances=2)
    assert world.send([study], "intake").all_success
    world.expect_both([study])

    changed = world.altered(study)
    sent = world.send_unrecorded(changed, "intake")

    assert sent.statuses == [0xA900] * len(changed.instances), sent.describe()
    world.expect_both([study])
    world.expect_created_once([study])


@requirement("CLAIM-DUAL-09")
@needs("link")
def test_changed_content_while_the_first_is_still_queued_is_refused(world: World) -> None:
    """The conflict is found even before the first copy left the router.

    CLAIM-DUAL-09.
    """
    study = world.series(instances=1)
    with world.cut("refuse"):
        if not world.send([study], "intake").all_success:
            blocked("the first copy was not accepted during the outage")
        assert world.send_unrecorded(world.altered(study), "intake").statuses == [0xA900]
    world.expect_both([study])
