"""Without internet the PACS works on, and everything catches up afterwards (CLAIM-OFFLINE-*)."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from fixtures.actors.results import FindResult, MoveResult
from fixtures.data import Study
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World
from suites.demo.answers import is_failure
from suites.demo.outages import QUERY_OUTAGES, QueryOutage
from suites.demo.searches import local_searches

pytestmark = [pytest.mark.demo]

CUTS = ["refuse", "blackhole", "unanswered"]
PACS_OWN_TIMER_SECONDS = 10


@requirement("CLAIM-OFFLINE-01")
@needs("link")
@pytest.mark.parametrize("kind", CUTS)
def test_pacs_is_fully_usable_without_internet(world: World, kind: str) -> None:
    """With the cloud cut off, storing, searching and viewing at the PACS work as always; not a byte reaches the cloud.

    CLAIM-OFFLINE-01.
    """
    held = world.preloaded()
    with world.cut(kind) as window:
        world.use_the_pacs(world.cast.study(1, "new"))
        for search in local_searches(held):
            assert world.pacs_find_by_rest(search) & world.uids(held) == search.expected, (
                f"{search.name} while {kind}"
            )
            assert (
                set(world.pacs_find_by_dimse(search).values("StudyInstanceUID")) & world.uids(held)
                == search.expected
            )
        assert {s.study_instance_uid: world.pacs_tree_by_rest(s.study_instance_uid) for s in held} == {
            s.study_instance_uid: world.tree(s) for s in held
        }
    assert window.bytes_through == 0, f"{window.bytes_through} bytes passed the link while it was cut"
    assert world.cloud_study_uids() == set()


@requirement("CLAIM-OFFLINE-01")
@needs("link")
@pytest.mark.lasting(10)
def test_pacs_is_as_fast_without_internet(world: World) -> None:
    """Store, search and read at the PACS take as long offline as online (ratio rule, limit 1.5).

    CLAIM-OFFLINE-01.
    """
    ratio = world.measure(lambda: world.pacs_rounds_offline("blackhole"), limit=1.5)
    world.judge(ratio, "PACS routine offline over online")


@requirement("CLAIM-OFFLINE-02")
@needs("link")
@pytest.mark.lasting(8)
def test_new_studies_reach_the_pacs_through_the_router(world: World) -> None:
    """In the outage the modality sends 20 studies to QIEROUTER, the PACS gets each, the cloud queue holds them all.

    CLAIM-OFFLINE-02.
    """
    studies = world.sized_studies(count=20, instances=5)
    with world.cut("blackhole"):
        sent = world.send(studies, "intake")
        assert sent.all_success, sent.describe()
        world.expect("pacs", studies)
        assert world.backlog("cloud") == 100
    world.expect("cloud", studies)
    world.expect_created_once(studies)
    world.evidence.note(
        "20 studies of 5 instances taken in the outage: all 0000, all in the PACS, 100 waiting for the cloud, then delivered."
    )


@requirement("CLAIM-OFFLINE-02")
@needs("link")
@pytest.mark.lasting(15)
def test_intake_is_as_fast_without_internet(world: World) -> None:
    """Sending through the router until the PACS has it takes offline at most twice the online time (ratio rule).

    CLAIM-OFFLINE-02.
    """
    ratio = world.measure(lambda: world.intake_rounds_offline("blackhole"), limit=2.0)
    world.judge(ratio, "delivery to the PACS offline over online")


@requirement("CLAIM-OFFLINE-03")
@needs("link", "http-interposer")
@pytest.mark.parametrize("outage", QUERY_OUTAGES, ids=lambda o: o.name)
@pytest.mark.lasting(7)
def test_cloud_query_and_retrieve_fail_openly_and_soon(world: World, outage: QueryOutage) -> None:
    """C-FIND and C-MOVE get one failure status before the PACS's own timer; the PACS shows an error and a failed job.

    CLAIM-OFFLINE-03.
    """
    study = world.series(instances=outage.beyond_a_page(3), matrix=16)
    world.store_in_cloud([study])
    keys = {"StudyInstanceUID": study.study_instance_uid}
    level = "IMAGE" if outage.pages > 1 else "STUDY"
    prepared = world.prepare_pacs_retrieve(study)
    with outage.applied(world), ThreadPoolExecutor() as together:
        asked = [
            together.submit(_timed_answer, operation, level, study)
            for operation in (world.find_through_bridge, world.move_through_bridge)
        ]
        retrieved = together.submit(prepared.run)
        from_pacs = together.submit(world.query_from_pacs, keys) if level == "STUDY" else None
        for answer in asked:
            result, elapsed = answer.result()
            assert is_failure(result), f"{outage.name}: {result.describe()}"
            assert elapsed < PACS_OWN_TIMER_SECONDS, f"{outage.name}: answered after {elapsed:.1f} s"
        if from_pacs is not None:
            shown = from_pacs.result().http_status
            assert shown == 500, f"{outage.name}: the PACS's query call answered {shown}"
        assert retrieved.result().state == "Failure", f"{outage.name}: the PACS's job did not fail"
    world.query_works_again({**keys}, 1)


def _timed_answer(
    operation: Callable[[str, Study], FindResult | MoveResult], level: str, study: Study
) -> tuple[FindResult | MoveResult, float]:
    started = time.monotonic()
    return operation(level, study), time.monotonic() - started


@requirement("CLAIM-OFFLINE-03")
@needs("link")
def test_stopped_bridge_refuses_queries(world: World) -> None:
    """With the channel stopped the association is refused, and the PACS's query is an error.

    CLAIM-OFFLINE-03: the demo's own way of simulating the outage.
    """
    study = world.cast.study(1, "prior")
    world.store_in_cloud([study])
    keys = {"StudyInstanceUID": study.study_instance_uid}
    with world.path_stopped("cloud-bridge"):
        found = world.find_through_bridge("STUDY", study)
        assert found.association != "accepted", found.describe()
        assert world.query_from_pacs(keys).http_status == 500
    world.query_works_again(keys, 1)


@requirement("CLAIM-OFFLINE-04")
@needs("link")
@pytest.mark.lasting(20)
def test_backlog_of_an_outage_is_delivered_once_and_in_order(world: World) -> None:
    """Fifty studies taken in an outage reach the cloud without operator action, once each, in arrival order.

    CLAIM-OFFLINE-04.
    """
    studies = world.sized_studies(count=50, instances=3)
    feed = world.feed_mark()
    with world.cut("refuse"):
        assert world.send(studies, "intake").all_success
        world.expect("pacs", studies)
    restored = time.monotonic()
    eventually(
        lambda: any(world.held("cloud", [study]) for study in studies),
        within=30,
        because="the first delivery after the restore",
    )
    first = time.monotonic() - restored
    world.expect("cloud", studies, within=60)
    caught_up = time.monotonic() - restored
    world.expect_created_once(studies)
    world.expect_order(feed, studies)
    world.evidence.figure("first delivery after the restore", round(first, 1), "s")
    world.evidence.figure("150 instances caught up after", round(caught_up, 1), "s")
    world.evidence.note(
        f"50 studies taken offline: first delivery {first:.1f} s after the restore, all after {caught_up:.1f} s, one create each."
    )


@requirement("CLAIM-OFFLINE-04")
@needs("link")
@pytest.mark.parametrize(
    "within_upload", [0, 3000], ids=["in the middle of a study", "in the middle of an upload"]
)
def test_cut_in_the_middle_is_made_good(world: World, within_upload: int) -> None:
    """A cut between two uploads and one inside an upload leave neither a gap, nor a half object, nor a second create.

    CLAIM-OFFLINE-04.
    """
    study = world.series(instances=40)
    size = len(study.instances[0].part10)
    allowed = 10 * size + within_upload
    with world.cut("cut-after", routes=("cloud",), bytes=allowed, direction="up"):
        assert world.send([study], "intake").all_success
        world.expect("pacs", [study])
    world.expect("cloud", [study])
    world.expect_created_once([study])


@requirement("CLAIM-OFFLINE-04")
@needs("link")
@pytest.mark.lasting(60)
def test_flapping_link_ends_in_equality(world: World) -> None:
    """With the link going up and down every 3 s for a minute while studies come in, both sides end equal.

    CLAIM-OFFLINE-04.
    """
    studies = world.sized_studies(count=10, instances=8)
    with world.flapping(every=3.0, lasting=60.0):
        for study in studies:
            assert world.send([study], "intake").all_success
            world.pause(5.0)
    world.expect_both(studies)
    world.expect_created_once(studies)
