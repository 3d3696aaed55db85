"""The listeners: who is let in, how many at once, and what starting and stopping does (ROUTER-001 to 007, 020, 029, 030)."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from pynetdicom.presentation import build_context

from fixtures.actors.association import ACCEPTED, REJECTED, VERIFICATION, Timeouts, opened
from fixtures.deployment.endpoints import DimseAddress
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World
from suites.router.clients import shown
from suites.router.conftest import VariantWorld, WitnessBy
from suites.router.settings import STRICT

pytestmark = pytest.mark.router

LISTENING = {"cloud-bridge": "QIETOAZURE", "modality-intake": "QIEROUTER"}
CALLED_UNKNOWN = {"result 1, source 1, reason 7", "Called AE Title Not Recognized"}
CALLING_UNKNOWN = {"result 1, source 1, reason 3", "Calling AE Title Not Recognized"}
LIMIT_EXCEEDED = {"result 2, source 3, reason 2", "Local Limit Exceeded"}


def _says(comment: str, any_of: set[str]) -> bool:
    return any(text in comment for text in any_of)


@requirement("ROUTER-001", "ROUTER-002")
def test_three_paths_under_the_demos_names(world: World, by: WitnessBy) -> None:
    """The router shows three paths, each with state and counters, and both listeners answer to the demo's AE titles."""
    paths = {row["name"]: row for row in world.router.status()["paths"]}
    assert set(paths) - {"prefetch-trigger"} == {*LISTENING, "pacs-bridge"}, (
        "ROUTER-001 names three separately controllable paths"
    )
    for row in paths.values():
        assert row["state"] == "running", row
        assert {"received", "refused"} <= row.keys(), (
            f"ROUTER-001: path {row['name']} has no counters of its own"
        )
    for name, title in LISTENING.items():
        assert paths[name]["ae_title"] == title, f"ROUTER-002: {name} listens as {title}"
        assert by().echo(world.path_address(name)).status == 0x0000
    destinations = {row["name"] for row in world.router.status()["destinations"]}
    assert destinations >= {"ORTHANC", "cloud"}, "ROUTER-001: each destination has a queue view"
    assert all(world.router.queue(name)["tasks"] == [] for name in destinations)


@requirement("ROUTER-003")
def test_any_calling_ae_title_is_let_in_by_default(world: World, by: WitnessBy) -> None:
    """A caller nobody has heard of is answered on both listeners."""
    for name in LISTENING:
        answer = by("NEVERHEARDOF").echo(world.path_address(name))
        assert answer.succeeded, (
            f"ROUTER-003: the demo's policy is 'any', got {answer.association} {answer.comment}"
        )


@requirement("ROUTER-003")
@needs("control")
def test_allow_list_of_calling_ae_titles_is_enforced(variant_world: VariantWorld) -> None:
    """With a list only those on it are let in; others are rejected with result 1, source 1, reason 3 (PS3.8 section 9.3.4)."""
    with variant_world(STRICT) as world:
        for allowed in ("GDCM", "ALLOWED"):
            assert world.modality(allowed).echo(world.intake).succeeded, allowed
        answer = world.modality("STRANGER").echo(world.intake)
        assert answer.association == REJECTED, f"ROUTER-003 demands A-ASSOCIATE-RJ, got {answer.association}"
        assert _says(answer.comment, CALLING_UNKNOWN), answer.comment
        assert world.modality("STRANGER").echo(world.bridge).succeeded, "the other listener has no list"


@requirement("ROUTER-004")
def test_wrong_called_ae_title_is_rejected(world: World, by: WitnessBy) -> None:
    """Each listener answers to its own AE title only: result 1, source 1, reason 7 (PS3.8 section 9.3.4)."""
    for name in LISTENING:
        right = world.path_address(name)
        assert by().echo(right).succeeded
        answer = by().echo(DimseAddress("WRONG", right.host, right.port))
        assert answer.association == REJECTED, f"ROUTER-004: {name} let a wrong called AE title in"
        assert _says(answer.comment, CALLED_UNKNOWN), answer.comment
    crossed = DimseAddress(LISTENING["cloud-bridge"], world.intake.host, world.intake.port)
    assert by().echo(crossed).association == REJECTED, "ROUTER-004: the other listener's title is wrong, too"


@requirement("ROUTER-004")
@needs("control")
def test_called_ae_title_check_can_be_switched_off(variant_world: VariantWorld) -> None:
    """With the switch off a wrong called AE title is let in, on that listener only."""
    with variant_world(STRICT) as world:
        bridge, intake = world.bridge, world.intake
        assert world.modality().echo(DimseAddress("WRONG", bridge.host, bridge.port)).succeeded
        assert world.modality().echo(DimseAddress("WRONG", intake.host, intake.port)).association == REJECTED


@requirement("ROUTER-007")
@pytest.mark.parametrize("name", LISTENING)
def test_stop_refuses_and_start_brings_back(world: World, by: WitnessBy, name: str) -> None:
    """A stopped path refuses new associations, the others go on; after the start it answers at the same address."""
    other = next(each for each in LISTENING if each != name)
    with world.path_stopped(name):
        assert world.router.path(name)["state"] == "stopped"
        answer = eventually(
            lambda: by().echo(world.path_address(name)), within=5, because="an answer of the stopped path"
        )
        # A port that an engine publishes takes the connection itself and then ends it.
        assert answer.association != ACCEPTED, f"ROUTER-007: the stopped {name} is {answer.association}"
        assert by().echo(world.path_address(other)).succeeded, f"ROUTER-007: stopping {name} touched {other}"
    assert by().echo(world.path_address(name)).succeeded


@requirement("ROUTER-007")
def test_stopping_lets_running_operations_finish(world: World) -> None:
    """What is being sent when the path is stopped is either answered and delivered, or was never acknowledged."""
    study = world.series(instances=60)
    with world.sending([study], "intake") as sending:
        eventually(
            lambda: len(sending.acknowledged) > 3, within=20, every=0.002, because="the sender to be busy"
        )
        world.router.stop_path("modality-intake")
    acknowledged = sending.result().acknowledged
    world.router.start_path("modality-intake")
    assert acknowledged, "nothing was acknowledged before the stop"
    left = world.sop_uids([study]) - acknowledged
    eventually(
        lambda: world.held("cloud", [study]) >= acknowledged and world.held("pacs", [study]) >= acknowledged,
        within=world.bounds.settle,
        because="all that was acknowledged around the stop to be in both places (ROUTER-007)",
    )
    assert world.send([study], "intake").all_success, f"{len(left)} were left for the repeat"
    world.expect_both([study])


@requirement("ROUTER-007")
def test_stopped_pacs_bridge_keeps_its_queue(world: World) -> None:
    """With pacs-bridge stopped its deliveries wait and the cloud gets its own; after the start they arrive."""
    study = world.series(instances=3)
    with world.path_stopped("pacs-bridge"):
        assert world.send([study], "intake").all_success
        world.expect("cloud", [study])
        assert world.held("pacs", [study]) == set(), "ROUTER-007: a stopped path delivered"
        assert world.backlog("pacs") == 3, "ROUTER-007: the durable queue is left untouched"
    world.expect("pacs", [study])


@requirement("ROUTER-007", "ROUTER-199")
def test_starting_and_stopping_needs_the_admin_token(world: World) -> None:
    """Without the token, or with a wrong one, nothing is stopped."""
    for headers in ([], [("Authorization", "Bearer wrong")]):
        anonymous = world.http(world.deployment.router.admin_url, headers=headers)
        for verb, path in (("POST", "/paths/modality-intake/stop"), ("GET", "/status"), ("GET", "/config")):
            status = anonymous.request(verb, path).status
            assert status in (401, 403), f"ROUTER-199: {verb} {path} without a good token answered {status}"
    assert world.router.path("modality-intake")["state"] == "running"


@requirement("ROUTER-020")
@needs("http-interposer")
def test_echo_touches_neither_cloud_nor_queue(world: World, by: WitnessBy) -> None:
    """C-ECHO is answered 0000 on both listeners; the cloud hears nothing and no counter moves."""
    before, mark = world.router.status(), world.link_mark()
    for name in LISTENING:
        answer = by().echo(world.path_address(name))
        assert answer.status == 0x0000, f"ROUTER-020: C-ECHO at {name}: {shown(answer.status)}"
    after = world.router.status()
    assert world.link_since(mark) == [], "ROUTER-020: a C-ECHO was turned into a request to the cloud"
    for part in ("paths", "destinations"):
        for was, now in zip(before[part], after[part], strict=True):
            counters = {k for k, v in was.items() if isinstance(v, int) and not isinstance(v, bool)}
            assert {k: now[k] for k in counters} == {k: was[k] for k in counters}, (
                "ROUTER-020: a queue entry was made"
            )


@requirement("ROUTER-029")
def test_largest_pdu_is_128_kib(world: World) -> None:
    """The demo's maximum PDU length is what the listeners state (PS3.8 section D.1)."""
    for address in (world.bridge, world.intake):
        with opened("GDCM", address, [build_context(VERIFICATION)], Timeouts()) as state:
            assert state.association is not None, state.comment
            assert state.association.acceptor.maximum_length == 128 * 1024


@requirement("ROUTER-029")
@needs("control")
def test_association_above_the_limit_is_rejected_for_a_while(variant_world: VariantWorld) -> None:
    """With a limit of two the third is rejected (result 2, source 3, reason 2); when one has gone it is let in."""
    contexts = [build_context(VERIFICATION)]
    with variant_world(STRICT) as world, opened("GDCM", world.intake, contexts, Timeouts()) as first:
        with opened("GDCM", world.intake, contexts, Timeouts()) as second:
            assert first.outcome == second.outcome == ACCEPTED
            third = world.modality().echo(world.intake)
            assert third.association == REJECTED, f"ROUTER-029: the third of two was {third.association}"
            assert _says(third.comment, LIMIT_EXCEEDED), third.comment
        eventually(
            lambda: world.modality().echo(world.intake).succeeded,
            within=5,
            because="a place to be free after a release (ROUTER-029)",
        )


@requirement("ROUTER-029")
@needs("control")
def test_idle_association_is_ended(variant_world: VariantWorld) -> None:
    """An association on which nothing happens for the idle time-out is ended by the router."""
    with (
        variant_world(STRICT) as world,
        opened("GDCM", world.intake, [build_context(VERIFICATION)], Timeouts()) as state,
    ):
        assert state.alive, state.comment
        world.pause(0.5)
        assert state.alive, "ROUTER-029: ended before its idle time-out of 1.5 s"
        eventually(lambda: not state.alive, within=8, because="the idle association to be ended (ROUTER-029)")


@requirement("ROUTER-030")
def test_forty_associations_at_once(world: World) -> None:
    """Forty modalities hold an association each and send at the same time; nothing is refused and nothing mixed up."""
    studies = world.sized_studies(count=40, instances=2, matrix=32)
    for study in studies:
        assert study.instances
    contexts = [build_context(VERIFICATION)]
    with ThreadPoolExecutor(40) as pool:
        held = list(pool.map(lambda _: opened("GDCM", world.intake, contexts, Timeouts()), range(40)))
        states = list(pool.map(lambda one: one.__enter__(), held))
        outcomes = [state.outcome for state in states]
        list(pool.map(lambda one: one.__exit__(None, None, None), held))
    assert outcomes == [ACCEPTED] * 40, "ROUTER-030: at least 40 associations at the same time"
    statuses = world.send_one_by_one(studies, "intake")
    assert set(statuses.values()) == {0x0000}
    world.expect_both(studies)
