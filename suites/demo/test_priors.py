"""Priors in the cloud, found and fetched from the PACS workstation (CLAIM-PRIORS-*)."""

import pytest

from fixtures.clients import link
from fixtures.traceability import needs, requirement
from fixtures.world import World, rules
from suites.demo.answers import is_failure
from suites.demo.outages import QUERY_OUTAGES, QueryOutage

pytestmark = pytest.mark.demo

STUDY_COUNTS = (99, 100, 101, 200, 201, 1000)


@requirement("CLAIM-PRIORS-01")
def test_pacs_query_lists_all_cloud_studies_and_those_of_one_patient(world: World) -> None:
    """The PACS's query page sees every study of the cloud; JULE, upper case, finds exactly the two of patient 1.

    CLAIM-PRIORS-01.
    """
    jule, recent = world.cast.patients[0], world.cast.study(1, "recent")
    world.arrange(recent, "pacs")
    world.store_in_cloud([recent, *world.studies("prior")])

    everything = world.query_from_pacs({})
    assert everything.study_uids == world.all_cloud_study_uids()
    given_name = jule.name.split("^")[1] if world.demo_data else jule.name.split("^")[0]
    for text in (given_name[:4].upper(), given_name[:4].lower()):
        answer = world.query_from_pacs({"PatientName": text})
        mine = [a for a in answer.answers if a["PatientID"] == jule.patient_id]
        assert sorted(a["StudyDate"] for a in mine) == sorted(
            s.study_date for s in (recent, world.cast.study(1, "prior"))
        )
        if world.demo_data:
            assert answer.study_uids & world.made == {a["StudyInstanceUID"] for a in mine}
    assert world.query_demographics(recent) == world.sent_demographics(recent)
    world.evidence.note(
        f"{len(everything.study_uids)} studies listed through the PACS, equal to the cloud; JULE finds 1994 and 2011."
    )


@requirement("CLAIM-PRIORS-03")
def test_prior_is_retrieved_into_the_pacs(world: World) -> None:
    """The 1994 study retrieved with target ORTHANC gives patient 1 three studies, all equal to the original.

    CLAIM-PRIORS-03.
    """
    prior = world.cast.study(1, "prior")
    local = [world.cast.study(1, "recent"), world.cast.study(1, "new")]
    world.arrange_all(local, "pacs")
    world.store_in_cloud([prior, local[0]])
    feed = world.feed_mark()

    job = world.retrieve_to_pacs(prior)

    assert job.state == "Success", job.error
    world.expect("pacs", [prior, *local])
    assert world.pacs_dates_by_patient()[1] == sorted(s.study_date for s in [prior, *local])
    world.expect("cloud", [prior, local[0]])
    assert world.feed_since(feed) == [], "the retrieval changed the cloud"
    world.show_side_by_side(prior)
    world.evidence.note(
        f"The prior of {prior.study_date[:4]}, {len(prior.instances)} instances, came back equal; patient 1 now has three studies."
    )


@requirement("CLAIM-PRIORS-06")
@pytest.mark.lasting(10)
def test_study_lists_are_complete_beyond_the_page_size(world: World) -> None:
    """With 99 to 1000 studies of one patient C-FIND returns each exactly once.

    CLAIM-PRIORS-06.
    """
    patient, studies = world.many_studies(max(STUDY_COUNTS))
    stored = 0
    for count in STUDY_COUNTS:
        world.store_in_cloud(studies[stored:count])
        stored = count
        found = world.workstation.find(world.bridge, "STUDY", {"PatientID": patient, "StudyInstanceUID": ""})
        uids = [str(match.StudyInstanceUID) for match in found.matches]
        assert found.status == 0x0000, found.describe()
        assert len(uids) == len(set(uids)), f"duplicates among {len(uids)} answers"
        assert set(uids) == world.uids(studies[:count]), f"{len(set(uids))} of {count} studies"
    world.evidence.note(
        "C-FIND lists of 99, 100, 101, 200, 201 and 1000 studies were complete, each study once."
    )


@requirement("CLAIM-PRIORS-06")
@pytest.mark.parametrize("count", [201, 1001])
@pytest.mark.lasting(10)
def test_retrieval_is_complete_beyond_the_page_size(world: World, count: int) -> None:
    """A study of 201 and of 1001 instances is found and moved instance by instance, each once.

    CLAIM-PRIORS-06.
    """
    study = world.series(instances=count, matrix=16)
    world.store_in_cloud([study])
    assert world.found_through_bridge("IMAGE", study) == world.sop_uids([study])
    moved = world.move_and_compare(study)
    assert (moved.completed, moved.failed, moved.warning) == (count, 0, 0)


@requirement("CLAIM-PRIORS-06")
@needs("http-interposer")
def test_study_added_while_paging_loses_none_of_the_others(world: World) -> None:
    """Studies present before the query are returned once although new ones arrive between its pages.

    CLAIM-PRIORS-06: newest-first paging shifts the pages.
    """
    patient, studies = world.many_studies(260)
    world.store_in_cloud(studies[:250])
    with world.cloud_answers(rules.reads("slow page", link.delay(1.0), "offset=200")) as applied:
        finding = world.finding(world.bridge, "STUDY", {"PatientID": patient, "StudyInstanceUID": ""})
        applied.wait_for_hit()
        world.store_in_cloud(studies[250:])
        found = finding.result()
    uids = [str(match.StudyInstanceUID) for match in found.matches]
    assert found.status == 0x0000
    assert len(uids) == len(set(uids))
    assert set(uids) >= world.uids(studies[:250])


@requirement("CLAIM-PRIORS-11")
def test_nothing_found_is_a_success_without_matches(world: World) -> None:
    """A query for an absent patient ends in 0000 with no match; the PACS's query call answers 200.

    CLAIM-PRIORS-11.
    """
    absent = f"{world.cast.patients[0].patient_id}-absent"
    found = world.workstation.find(world.bridge, "STUDY", {"PatientID": absent, "StudyInstanceUID": ""})
    assert (found.status, len(found.matches)) == (0x0000, 0)
    answer = world.query_from_pacs({"PatientID": absent})
    assert (answer.http_status, answer.study_uids) == (200, set())


@requirement("CLAIM-PRIORS-11")
@needs("link", "http-interposer")
@pytest.mark.parametrize("outage", QUERY_OUTAGES, ids=lambda o: o.name)
@pytest.mark.lasting(6)
def test_query_that_cannot_be_executed_fails(world: World, outage: QueryOutage) -> None:
    """In each kind of outage a query for a present patient ends in a failure status, never in an empty success.

    CLAIM-PRIORS-11.
    """
    patient, studies = world.many_studies(outage.beyond_a_page(10))
    world.store_in_cloud(studies)
    keys = {"PatientID": patient, "StudyInstanceUID": ""}
    assert world.workstation.find(world.bridge, "STUDY", keys).status == 0x0000

    with outage.applied(world):
        finding = world.finding(world.bridge, "STUDY", keys)
        answer = world.query_from_pacs({"PatientID": patient})
        found = finding.result()

    assert found.association == "accepted", found.describe()
    assert is_failure(found), f"{outage.name}: {len(found.matches)} matches and {found.describe()}"
    assert answer.http_status == 500, f"{outage.name}: the PACS's query call answered {answer.http_status}"
    world.query_works_again(keys, len(studies))
