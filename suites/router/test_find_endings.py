"""C-FIND: every page or a failure, and the status of each failure (ROUTER-048, 065, 068, 069, 084, 160, 172)."""

import re
import time

import pytest

from fixtures.clients import link
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World, rules
from suites.router.clients import shown, study_keys, witness
from suites.router.conftest import VariantWorld, WitnessBy
from suites.router.finding import ended_well, uids_of
from suites.router.settings import STRICT

pytestmark = pytest.mark.router
LISTS = "/(studies|series|instances)"


@requirement("ROUTER-065")
@needs("http-interposer")
def test_all_pages_are_followed(world: World, by: WitnessBy) -> None:
    """205 instances are 205 matches, each once, although the cloud gives at most 200 at a time."""
    study = world.series(instances=205, matrix=8)
    world.store_in_cloud([study])
    keys = {
        **study_keys(study),
        "SeriesInstanceUID": uids_of(study)["SeriesInstanceUID"],
        "SOPInstanceUID": "",
    }
    mark = world.link_mark()
    found = ended_well(by().find(world.bridge, "IMAGE", keys), "ROUTER-065")
    uids = found.values("SOPInstanceUID")
    assert len(uids) == len(set(uids)) == 205, f"ROUTER-065: {len(uids)} matches, {len(set(uids))} different"
    searches = [e.path for e in world.searches_since(mark)]
    assert len(searches) >= 2, searches
    limits = [int(said[1]) for path in searches if (said := re.search(r"limit=(\d+)", path))]
    assert limits, f"ROUTER-065: no limit in {searches}"
    assert max(limits) <= 200, f"ROUTER-065: limit {max(limits)}, the cloud takes at most 200"


@requirement("ROUTER-065", "ROUTER-068", "ROUTER-084")
@needs("control")
def test_ceiling_ends_with_a_failure_not_with_a_cut_list(variant_world: VariantWorld) -> None:
    """Above the ceiling C-FIND ends with A700 and C-MOVE with A701; at the ceiling all matches come with 0000."""
    with variant_world(STRICT) as world:
        at, above = world.series(instances=3), world.series(instances=4)
        world.store_in_cloud([at, above])
        for study, status, move in ((at, 0x0000, 0x0000), (above, 0xA700, 0xA701)):
            keys = {
                **study_keys(study),
                "SeriesInstanceUID": uids_of(study)["SeriesInstanceUID"],
                "SOPInstanceUID": "",
            }
            found = witness(world, "dcmtk").find(world.bridge, "IMAGE", keys)
            assert found.status == status, f"ROUTER-065, {len(study.instances)} matches: {found.describe()}"
            if status == 0x0000:
                assert len(found.matches) == 3
            moved = world.move_through_bridge("STUDY", study)
            assert moved.status == move, f"ROUTER-084: {moved.describe()}"


QIDO_FAILURES = {
    "400": (link.respond(400, "bad request"), {0xA900, 0xC001}),
    "401": (link.respond(401, ""), {0xC102}),
    "403": (link.respond(403, "Authorization failed."), {0xC102}),
    "424": (link.respond(424, "dependency"), {0xA700}),
    "429": (link.respond(429, "busy"), {0xA700}),
    "500": (link.respond(500, "error"), {0xA700}),
    "503 with HTML": (link.respond(503, "<html>", {"Content-Type": "text/html"}), {0xA700}),
    "no JSON": (link.replace_body("<html>ok</html>"), {0xC103}),
    "cut body": (link.truncate_body(20), {0xC101, 0xC103}),
    "reset": (link.reset("before"), {0xC101}),
}


@requirement("ROUTER-068", "ROUTER-069", "ROUTER-160")
@needs("http-interposer")
@pytest.mark.parametrize("outcome", QIDO_FAILURES)
def test_failed_search_has_its_status(world: World, outcome: str) -> None:
    """Each failure of the search ends with the status of the table and a cause, never with an empty success."""
    study = world.series(instances=1)
    world.store_in_cloud([study])
    action, allowed = QIDO_FAILURES[outcome]
    dcmtk = witness(world, "dcmtk")
    with world.cloud_answers(rules.reads(outcome, action, LISTS)):
        found = dcmtk.find(world.bridge, "STUDY", study_keys(study))
    assert found.status in allowed, (
        f"ROUTER-068, {outcome}: {shown(found.status)}, the table says {sorted(map(shown, allowed))}"
    )
    assert found.comment, f"ROUTER-160: no cause with {shown(found.status)}"
    again = ended_well(dcmtk.find(world.bridge, "STUDY", study_keys(study)), "the positive twin")
    assert len(again.matches) == 1


@requirement("ROUTER-068")
@needs("http-interposer")
def test_no_match_is_success_without_a_pending_response(world: World, by: WitnessBy) -> None:
    """204 of the cloud, and an empty list, are 0000 with no match."""
    nobody = {"StudyInstanceUID": world.run.uid(world.scene, 88, 8)}
    found = by().find(world.bridge, "STUDY", nobody)
    assert (found.status, list(found.matches)) == (0x0000, []), found.describe()
    with world.cloud_answers(
        rules.reads("empty list", link.respond(200, "[]", {"Content-Type": "application/dicom+json"}), LISTS)
    ):
        found = by().find(world.bridge, "STUDY", nobody)
    assert (found.status, list(found.matches)) == (0x0000, []), found.describe()


@requirement("ROUTER-069")
@needs("http-interposer")
def test_failure_after_the_first_page_is_a_failure(world: World, by: WitnessBy) -> None:
    """When a later page cannot be had, the query ends with a failure although matches were sent already."""
    study = world.series(instances=203, matrix=8)
    world.store_in_cloud([study])
    keys = {
        **study_keys(study),
        "SeriesInstanceUID": uids_of(study)["SeriesInstanceUID"],
        "SOPInstanceUID": "",
    }
    with world.cloud_answers(rules.reads("second page", link.respond(503, "busy"), "offset=200")):
        found = by().find(world.bridge, "IMAGE", keys)
    assert found.status == 0xA700, f"ROUTER-069: {found.describe()}"


@requirement("ROUTER-172", "ROUTER-069", "ROUTER-048")
@needs("link")
@pytest.mark.parametrize(("kind", "bound"), [("refuse", 5.0), ("blackhole", 8.0), ("unanswered", 8.0)])
def test_find_and_move_fail_within_their_bound(world: World, kind: str, bound: float) -> None:
    """Refused within 5 s, silent within 8 s: C101 with a comment; half a minute after the cut both work again."""
    study = world.series(instances=1)
    world.store_in_cloud([study])
    dcmtk = witness(world, "dcmtk")
    with world.cut(kind):
        began = time.monotonic()
        found = dcmtk.find(world.bridge, "STUDY", study_keys(study))
        took = time.monotonic() - began
        assert found.status == 0xC101, f"ROUTER-068: {found.describe()}"
        assert took < bound + 1, f"ROUTER-172: {took:.1f} s with the link {kind}, at most {bound} s"
        moved = dcmtk.move(world.bridge, "STUDY", study_keys(study), world.deployment.workstation.ae_title)
        assert moved.status == 0xC101, f"ROUTER-084: {moved.describe()}"
    eventually(
        lambda: dcmtk.find(world.bridge, "STUDY", study_keys(study)).status == 0x0000,
        within=30,
        because="queries to work again (ROUTER-172)",
    )
