"""Migration of the oldest studies to the cloud (CLAIM-MIGRATE-*)."""

import pytest

from fixtures.clients import link
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World, rules

pytestmark = pytest.mark.demo

# What the folder shrinks by: the index beside the files is a database that grows and shrinks in steps of its own.
FREED_AT_LEAST = 0.85
PRIOR_DATES = ["19940223", "20040831", "19691116", "20120202", "19900304", "19760525", "19700306", "19831220"]


@requirement("CLAIM-MIGRATE-01")
def test_archive_sent_to_the_bridge_is_in_the_cloud_only(world: World) -> None:
    """Eight priors sent to QIETOAZURE are in the cloud and not in the PACS; patient 1 is as the instructions say.

    CLAIM-MIGRATE-01.
    """
    held = [*world.preloaded(), *world.preloaded("new", patients=(1, 2, 3))]
    jule = world.cast.study(1, "recent")
    assert world.push_from_pacs(jule).state == "Success"
    pacs_before, cloud_before = world.study_counts()
    priors = world.studies("prior")

    sent = world.send(priors, "bridge")

    assert sent.all_success, sent.describe()
    world.expect("cloud", [*priors, jule])
    landed = sorted(world.held("pacs", priors))
    assert not landed, f"{len(landed)} archive objects landed in the PACS: {landed[:20]}"
    assert world.study_counts() == (pacs_before, cloud_before + 8)
    world.expect("pacs", held)
    if world.demo_data:
        assert [study.study_date for study in priors] == PRIOR_DATES
    assert world.cloud_dates(1) == sorted([world.cast.study(1, "prior").study_date, jule.study_date])
    assert world.pacs_dates_by_patient()[1] == sorted(
        [jule.study_date, world.cast.study(1, "new").study_date]
    )
    assert world.viewer_list() == world.cloud_study_uids()
    world.show_side_by_side(jule)
    world.evidence.note(
        f"8 priors, {len(sent.outcomes)} instances, from {min(PRIOR_DATES)[:4]} on, moved to the cloud; the PACS did not change."
    )


@requirement("CLAIM-MIGRATE-02")
@needs("migration", "wipe")
def test_the_oldest_studies_go_first(world: World) -> None:
    """The n oldest by study date are migrated in date order; studies without a usable date are listed and left alone.

    CLAIM-MIGRATE-02.
    """
    dates = ["20050101", "19991231", "20050101", "20210704", "19850615", "", "2019"]
    studies = world.dated_studies(dates)
    world.arrange_all(studies, "pacs")
    unusable = [study for study in studies if len(study.study_date) != 8]
    by_age = world.in_age_order([study for study in studies if len(study.study_date) == 8])
    feed = world.feed_mark()

    migration = world.migrate(select={"oldest": 3}, delete=False)

    assert migration.state == "done", migration.describe()
    world.expect("cloud", by_age[:3])
    assert world.cloud_study_uids() == world.uids(by_age[:3])
    assert world.first_creates_since(feed) == [study.study_instance_uid for study in by_age[:3]]
    assert set(migration.unusable) == world.uids(unusable), "studies without a usable date are not listed"
    world.expect("pacs", studies)
    world.evidence.note(
        "The three oldest of seven studies moved in date order; the two without a usable date were named and kept."
    )


@requirement("CLAIM-MIGRATE-02")
@needs("migration", "wipe")
def test_the_cut_off_date_limits_the_selection(world: World) -> None:
    """Only studies before the stated date are migrated.

    CLAIM-MIGRATE-02.
    """
    studies = world.dated_studies(["19850615", "19991231", "20050101"])
    world.arrange_all(studies, "pacs")
    migration = world.migrate(select={"before": "20000101"}, delete=False)
    assert migration.state == "done", migration.describe()
    assert world.cloud_study_uids() == world.uids(studies[:2])


@requirement("CLAIM-MIGRATE-03")
@needs("migration", "wipe", "http-interposer")
@pytest.mark.parametrize(
    "defect", ["instance lost after the answer", "pixels altered", "cloud unreachable at verification"]
)
def test_nothing_is_removed_while_the_cloud_copy_is_unproven(world: World, defect: str) -> None:
    """Whatever goes wrong after the upload, the study stays complete in the PACS and is reported.

    CLAIM-MIGRATE-03.
    """
    study, sound = world.dated_studies(["19850615", "19860101"])
    world.arrange_all([study, sound], "pacs")
    victim = study.instances[1].fingerprint
    defects = {
        "instance lost after the answer": rules.store_pretended(victim),
        "pixels altered": rules.reads_of("altered pixels", link.flip_bit(), victim),
        "cloud unreachable at verification": rules.reads_of("unreachable", link.reset("before"), victim),
    }
    with world.cloud_answers(defects[defect]):
        migration = world.migrate(select={"oldest": 2}, delete=True)

    assert study.study_instance_uid in migration.failed, migration.describe()
    assert victim.sop_instance_uid in str(migration.failed[study.study_instance_uid]), (
        "the report does not name the instance"
    )
    world.expect("pacs", [study])
    assert not world.held("pacs", [sound]), "the sound study beside it was not migrated"
    world.expect("cloud", [sound])


@requirement("CLAIM-MIGRATE-03")
@needs("migration", "wipe", "control", "http-interposer")
def test_interrupted_verification_removes_nothing_and_resumes(world: World) -> None:
    """Killed while it verifies, the migration has removed nothing; resumed, it ends as an uninterrupted one.

    CLAIM-MIGRATE-03.
    """
    (study,) = world.dated_studies(["19850615"], instances=6)
    world.arrange(study, "pacs")
    with world.cloud_answers(rules.reads("slow verification", link.delay(1.0), rules.ONE_INSTANCE)):
        job = world.router.start_migration(select={"oldest": 1}, delete=True)
        eventually(
            lambda: world.rule_hits() > 0,
            within=world.bounds.settle,
            because="the verification to read its first instance",
        )
        world.kill("router")
    world.expect("pacs", [study])

    world.start("router")
    migration = world.finish_migration(job)

    assert migration.state == "done", migration.describe()
    assert not world.held("pacs", [study])
    world.expect("cloud", [study])
    world.expect_created_once([study])


@requirement("CLAIM-MIGRATE-04")
@needs("migration", "wipe", "control")
def test_the_pacs_is_lighter_by_what_was_migrated(world: World) -> None:
    """Counts and disk use of the PACS fall by exactly the migrated studies; the files are gone from storage.

    CLAIM-MIGRATE-04.
    """
    kept, *old = world.dated_studies(["20210704", "19850615", "19991231"], instances=30, matrix=512)
    world.arrange_all([kept, *old], "pacs")
    before, size_before = world.pacs_counts(), world.control.data_size("pacs")
    migrated_bytes = world.pacs_file_bytes(old)

    migration = world.migrate(select={"oldest": 2}, delete=True)

    assert migration.state == "done", migration.describe()
    world.expect("cloud", old)
    world.expect("pacs", [kept])
    world.expect_growth(before, patients=-2, studies=-2, instances=-60)
    after = world.pacs_counts()
    assert before.disk_bytes - after.disk_bytes == pytest.approx(migrated_bytes, rel=0.01)
    freed = eventually(
        lambda: size_before - world.control.data_size("pacs") >= FREED_AT_LEAST * migrated_bytes,
        within=world.bounds.settle,
        because="the files of the migrated studies to leave the PACS storage",
    )
    assert freed
    world.evidence.figure("freed in the PACS", round((before.disk_bytes - after.disk_bytes) / 1e6, 1), "MB")
    world.evidence.note("The PACS lost exactly the two migrated studies, in its counts and on its disk.")
