"""Sending from the PACS to the cloud through the router (CLAIM-PUSH-*)."""

import pytest

from fixtures.traceability import needs, requirement
from fixtures.world import World, rules
from suites.demo.variety import SYNTAXES

pytestmark = pytest.mark.demo

CREATION_IN_PROGRESS = 45071


@requirement("CLAIM-PUSH-01")
def test_send_to_modality_copies_the_chosen_study_completely(world: World) -> None:
    """The PACS's own "send to modality" of patient 1's recent study ends in Success and the cloud has exactly that study.

    CLAIM-PUSH-01.
    """
    world.preloaded()
    study = world.cast.study(1, "recent")

    job = world.push_from_pacs(study)

    assert job.state == "Success", job.error
    world.expect("cloud", [study])
    assert world.cloud_study_uids() == {study.study_instance_uid}, (
        "the cloud has other studies of this test as well"
    )
    world.evidence.note(
        f"One study of {len(study.instances)} instances sent by the PACS; the cloud copy equals the original."
    )


@requirement("CLAIM-PUSH-01")
@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_send_to_modality_keeps_each_transfer_syntax(world: World, syntax: str) -> None:
    """Whatever encoding the PACS holds arrives unchanged: same UIDs, digests and transfer syntax.

    CLAIM-PUSH-01.
    """
    study = world.series(instances=3, transfer_syntax=syntax)
    world.arrange(study, "pacs")

    job = world.push_from_pacs(study)

    assert job.state == "Success", job.error
    report = world.expect("cloud", [study])
    assert report.transfer_syntaxes == {syntax}


@requirement("CLAIM-PUSH-03")
def test_sending_again_changes_nothing(world: World) -> None:
    """Sent twice in sequence, twice at once and from another AE title, the study is created once and nothing is deleted.

    CLAIM-PUSH-03.
    """
    study = world.cast.study(1, "recent")
    world.arrange(study, "pacs")
    assert world.push_from_pacs(study).state == "Success"
    world.expect("cloud", [study])
    first = world.link_mark()

    assert world.push_from_pacs(study).state == "Success"
    jobs = [world.start_push(study) for _ in range(2)]
    assert {world.finish(job).state for job in jobs} == {"Success"}
    repeated = world.send([study], "bridge", ae="OTHERAE")

    assert repeated.all_success, repeated.describe()
    world.expect("cloud", [study])
    world.expect_created_once([study])
    assert world.uploads_since(first, study) == [], (
        "an identical instance known to the router was uploaded again"
    )
    assert world.dead_letters() == []
    world.evidence.note(
        "Five sends of one study: one create per instance in the change feed, no delete, no second upload."
    )


@requirement("CLAIM-PUSH-03")
@needs("http-interposer")
@pytest.mark.parametrize("times", [1, None], ids=["once", "for the whole bound"])
def test_creation_in_progress_elsewhere_is_waited_for(world: World, times: int | None) -> None:
    """An answer 45071 is retried within the bound; held for the whole bound the send fails openly and its repeat succeeds.

    CLAIM-PUSH-03: the study is already in the cloud by another way, so the router's first upload is a repeat.
    """
    study = world.series(instances=2)
    world.arrange(study, "pacs")
    world.store_in_cloud([study])
    instances = [instance.fingerprint for instance in study.instances]
    with world.cloud_answers(*rules.stored_with_failures(CREATION_IN_PROGRESS, instances, times=times)):
        job = world.push_from_pacs(study)
        assert job.state == ("Success" if times else "Failure"), job.error

    assert world.push_from_pacs(study).state == "Success"
    world.expect("cloud", [study])
    world.expect_created_once([study])
