"""On-prem: the PACS as it was before any cloud (CLAIM-ONPREM-*)."""

import pytest

from fixtures.traceability import needs, requirement
from fixtures.world import World
from suites.demo.answers import cannot_look
from suites.demo.searches import local_searches

pytestmark = pytest.mark.demo

RECENT_DATES = [
    "20110602",
    "20121030",
    "19760721",
    "20120411",
    "20110927",
    "19821029",
    "19770205",
    "19891215",
]
UNKNOWN_AE = "STRANGER"
CATALOGUE_PATHS = ("/patients", "/studies", "/series", "/instances", "/dicom-web/studies")


@requirement("CLAIM-ONPREM-01")
def test_preload_sent_by_the_modality_is_in_the_pacs(world: World) -> None:
    """Eight recent studies, one association each, are in the PACS exactly as sent.

    CLAIM-ONPREM-01.
    """
    preload = world.studies("recent")
    assert not world.held("pacs", preload), (
        "the PACS already held data of this run: the start state is not empty"
    )
    before = world.pacs_counts()

    sent = world.send(preload, "pacs")

    assert sent.all_success, sent.describe()
    world.expect("pacs", preload)
    world.expect_growth(before, patients=8, studies=8, instances=len(sent.outcomes))
    if world.demo_data:
        assert [study.study_date for study in preload] == RECENT_DATES
    assert world.pacs_dates(preload) == [study.study_date for study in preload]
    world.evidence.note(
        f"8 studies of 8 patients, {len(sent.outcomes)} instances, each answered 0000 and equal to the original."
    )


@requirement("CLAIM-ONPREM-02")
def test_pacs_browsed_by_rest_and_dicomweb_shows_the_same_tree(world: World) -> None:
    """Both APIs of the PACS show every study, series and instance that was sent, and their descriptions.

    CLAIM-ONPREM-02.
    """
    preload = world.preloaded(patients=(1, 2, 3))
    wanted = {study.study_instance_uid: world.tree(study) for study in preload}

    assert {uid: world.pacs_tree_by_rest(uid) for uid in wanted} == wanted
    assert {uid: world.pacs_tree_by_dicomweb(uid) for uid in wanted} == wanted
    assert world.pacs_descriptions(preload) == world.sent_descriptions(preload)
    world.evidence.note(
        f"{len(wanted)} studies browsed to the last instance through REST and DICOMweb; both trees equal what was sent."
    )


@requirement("CLAIM-ONPREM-02")
@pytest.mark.parametrize("credentials", ["none", "wrong"])
def test_pacs_without_login_gives_nothing(world: World, credentials: str) -> None:
    """Without credentials, or with wrong ones, each listing answers 401 and shows no data; with the right ones it answers.

    CLAIM-ONPREM-02.
    """
    study = world.preloaded(patients=(1,))[0]
    stranger = world.pacs_http(credentials)
    for path in CATALOGUE_PATHS:
        assert world.pacs_http("right").request("GET", path).status == 200, f"{path} with the right login"
        refused = stranger.request("GET", path)
        assert refused.status == 401, f"{path} with {credentials} login answered {refused.status}"
        assert study.study_instance_uid.encode() not in refused.body


@requirement("CLAIM-ONPREM-04")
def test_new_studies_sent_directly_stay_on_prem(world: World) -> None:
    """Three new studies pushed straight to the PACS give patients 1 to 3 a second study; the cloud sees nothing.

    CLAIM-ONPREM-04.
    """
    preload = world.preloaded()
    new = world.studies("new", patients=(1, 2, 3))
    feed = world.feed_mark()

    sent = world.send(new, "pacs")

    assert sent.all_success, sent.describe()
    world.expect("pacs", [*preload, *new])
    dates = world.pacs_dates_by_patient()
    assert {number for number, seen in dates.items() if len(seen) == 2} == {1, 2, 3}
    assert len(dates) == 8
    for number in (1, 2, 3):
        assert max(dates[number]) == world.cast.study(number, "new").study_date
    assert world.cloud_study_uids() == set()
    assert world.feed_since(feed) == [], (
        "the change feed of the cloud has entries for studies sent to the PACS only"
    )
    world.evidence.note(
        "11 studies in the PACS, three patients with two; 0 studies and 0 change feed entries in the cloud."
    )


@requirement("CLAIM-ONPREM-05")
@needs("control")
@pytest.mark.parametrize("surroundings", ["all running", "router and cloud stopped"])
def test_local_search_finds_what_the_pacs_holds(world: World, surroundings: str) -> None:
    """By patient ID, name, accession number and date range, REST and C-FIND answer what the ledger says.

    CLAIM-ONPREM-05: the second round proves that no one but the PACS answers.
    """
    studies = world.preloaded()
    stopped = ("router", "cloud") if surroundings != "all running" else ()
    with world.down(*stopped):
        for search in local_searches(studies):
            assert world.pacs_find_by_rest(search) == search.expected, f"REST search by {search.name}"
            found = world.pacs_find_by_dimse(search)
            assert found.status == 0x0000, f"C-FIND by {search.name} ended with {found.describe()}"
            assert set(found.values("StudyInstanceUID")) & world.uids(studies) == search.expected, (
                f"C-FIND by {search.name}"
            )
    world.evidence.note(
        f"Local searches by four keys, empty results included, were right with {surroundings}."
    )


@requirement("CLAIM-ONPREM-05")
def test_local_search_by_a_stranger_is_refused_and_not_empty(world: World) -> None:
    """A C-FIND from an AE title the PACS does not know is an abort or a failure: "cannot look", never "no match".

    CLAIM-ONPREM-05.
    """
    studies = world.preloaded(patients=(1,))
    search = local_searches(studies)[0]
    assert set(world.pacs_find_by_dimse(search).values("StudyInstanceUID")) >= search.expected, (
        "the registered AE title finds the study"
    )

    refused = world.pacs_find_by_dimse(search, calling_ae=UNKNOWN_AE)

    assert cannot_look(refused), f"the PACS answered a stranger: {refused.describe()}"
