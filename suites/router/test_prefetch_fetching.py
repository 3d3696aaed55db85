"""What is fetched, what is not, and what happens when a side fails (ROUTER-139 to 144)."""

import threading

import pytest

from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world.orders import (
    ended,
    fetched_since,
    first_series,
    newest,
    only,
    order_for,
    place,
    priors_of,
    report,
    run,
)
from suites.router.conftest import VariantWorld
from suites.router.prefetching import LIMITED, PREFETCHING

pytestmark = [pytest.mark.router, needs("control")]


@requirement("ROUTER-139")
def test_limits_are_obeyed_newest_first(variant_world: VariantWorld) -> None:
    """Count, age, modality and the ordered study itself: what is left out is listed with its reason."""
    with variant_world(LIMITED) as world:
        patient = world.cast.patient(1)
        wanted = priors_of(world, patient, ["20211101", "20200101"])
        (too_many,) = priors_of(world, patient, ["20190101"])
        (too_old,) = priors_of(world, patient, ["19800101"])
        (other_kind,) = priors_of(world, patient, ["20220101"], "MR")
        (ordered,) = priors_of(world, patient, ["20221122"])
        world.store_in_cloud([*wanted, too_many, too_old, other_kind, ordered])
        uid = ordered.study_instance_uid
        found = run(world, order_for(patient, kind="OMI^O23", more=f"IPC|A1|P1|{uid}|S1|CT\r"))
        assert found["state"] == "done", found
        world.expect("pacs", wanted)
        assert world.pacs_study_uids() & world.made == world.uids(wanted)
        left_out = {
            row["study_instance_uid"]: row["reason"]
            for row in found["studies"]
            if row["outcome"] == "left out"
        }
        assert set(left_out) == world.uids([too_many, too_old, other_kind, ordered])
        assert "max_count" in left_out[too_many.study_instance_uid]
        assert "max_age_days" in left_out[too_old.study_instance_uid]
        assert "modality" in left_out[other_kind.study_instance_uid]
        assert "ordered" in left_out[uid]


@requirement("ROUTER-140")
def test_missing_series_of_a_known_study_is_fetched_alone(variant_world: VariantWorld) -> None:
    """Only the series that the PACS lacks is retrieved; afterwards both sides are equal."""
    with variant_world(PREFETCHING) as world:
        (study,) = world.studies("recent", [1])
        here = first_series(study)
        world.arrange(here, "pacs")
        world.store_in_cloud([study])
        mark = world.link_mark()
        found = run(world, order_for(study.patient))
        assert [row["outcome"] for row in found["studies"]] == ["completed"], found
        world.expect("pacs", [study])
        assert fetched_since(world, mark) == study.sop_instance_uids - here.sop_instance_uids


@requirement("ROUTER-141")
def test_missing_instances_of_a_known_series_are_fetched_alone(variant_world: VariantWorld) -> None:
    """Series of different length are compared by instance."""
    with variant_world(PREFETCHING) as world:
        (study,) = world.studies("prior", [2])
        lacking = set(sorted(study.sop_instance_uids)[:2])
        world.arrange(only(study, lambda one: one.sop_instance_uid not in lacking), "pacs")
        world.store_in_cloud([study])
        mark = world.link_mark()
        run(world, order_for(study.patient))
        world.expect("pacs", [study])
        assert fetched_since(world, mark) == lacking


@requirement("ROUTER-142")
def test_pacs_that_cannot_be_asked_is_not_taken_for_empty(variant_world: VariantWorld) -> None:
    """With the PACS down nothing is retrieved from the cloud; the trigger is repeated and ends when it is back."""
    with variant_world(PREFETCHING) as world:
        studies = world.studies("prior", [1]) + world.studies("recent", [1])
        world.arrange_all(studies[1:], "pacs")
        world.store_in_cloud(studies)
        mark = world.link_mark()
        with world.down("pacs"):
            assert place(world, order_for(studies[0].patient)).code == "AA"
            number = newest(world)
            seen = eventually(
                lambda: (found := report(world, number))["attempts"] > 1 and found,
                within=30,
                because="a second attempt",
            )
            assert "PACS" in seen["reason"], f"ROUTER-142: the failure is not reported: {seen}"
            assert fetched_since(world, mark) == set()
        assert ended(world, number)["state"] == "done"
        world.expect("pacs", studies)
        assert fetched_since(world, mark) == world.sop_uids(studies[:1])


@requirement("ROUTER-142")
@needs("link")
def test_cloud_that_cannot_be_asked_is_asked_again(variant_world: VariantWorld) -> None:
    """With the link cut the trigger waits, says why, and brings everything once the link is back."""
    with variant_world(PREFETCHING) as world:
        studies = world.studies("prior", [3])
        world.store_in_cloud(studies)
        with world.cut("refuse"):
            assert place(world, order_for(studies[0].patient)).code == "AA"
            number = newest(world)
            seen = eventually(
                lambda: (found := report(world, number))["attempts"] > 1 and found,
                within=30,
                because="a second attempt",
            )
            assert "cloud" in seen["reason"], f"ROUTER-142: the failure is not reported: {seen}"
        assert ended(world, number)["state"] == "done"
        world.expect("pacs", studies)


@requirement("ROUTER-143")
@needs("link")
def test_prefetch_yields_to_an_interactive_retrieval_and_still_ends(variant_world: VariantWorld) -> None:
    """Of what is retrieved while a user's C-MOVE runs, most belongs to the user; the prefetch ends all the same."""
    with variant_world(PREFETCHING) as world:
        (asked,) = world.sized_studies(count=1, instances=60)
        (prior,) = priors_of(world, world.cast.patient(2), ["20200101"])
        many = [world.series(patient=prior.patient, instances=60)]
        world.store_in_cloud([asked, prior, *many])
        prepared = world.prepare_pacs_retrieve(asked)
        mark = world.link_mark()
        user = threading.Thread(target=prepared.run)
        user.start()
        eventually(lambda: world.retrievals_since(mark), within=20, because="the user's first instance")
        assert place(world, order_for(prior.patient)).code == "AA"
        number = newest(world)
        user.join()
        order_of = [e.path.partition("?")[0].rpartition("/")[2] for e in world.retrievals_since(mark)]
        last = max(n for n, uid in enumerate(order_of) if uid in asked.sop_instance_uids)
        between = [uid for uid in order_of[:last] if uid not in asked.sop_instance_uids]
        assert len(between) <= len(asked.sop_instance_uids) / 2, (
            f"ROUTER-143: {len(between)} instances of the prefetch went among the user's {len(asked.sop_instance_uids)}"
        )
        assert ended(world, number)["state"] == "done"
        world.expect("pacs", [asked, prior, *many])


@requirement("ROUTER-144")
def test_what_the_pacs_sends_on_of_it_goes_nowhere(variant_world: VariantWorld) -> None:
    """What prefetch and C-MOVE put into the PACS is not routed back to the cloud and triggers nothing."""
    with variant_world(PREFETCHING) as world:
        (fetched,), (moved,) = world.studies("prior", [1]), world.studies("prior", [2])
        world.store_in_cloud([fetched, moved])
        run(world, order_for(fetched.patient))
        assert world.retrieve_to_pacs(moved).succeeded
        world.expect("pacs", [fetched, moved])
        before, mark, feed = newest(world), world.link_mark(), world.feed_mark()

        sent = world.send([fetched, moved], "intake", ae="ORTHANC")

        assert sent.all_success, sent.describe()
        world.settle_router()
        assert world.uploaded_uids(mark) == set(), "ROUTER-144: objects from the cloud were routed back to it"
        assert world.feed_since(feed) == []
        assert newest(world) == before, "ROUTER-144: a returning object triggered a prefetch"
        (new,) = world.studies("new", [3])
        assert world.send([new], "intake", ae="ORTHANC").all_success
        world.expect("cloud", [new, fetched, moved])
