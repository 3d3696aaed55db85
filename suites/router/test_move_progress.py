"""C-MOVE under way: reports, C-CANCEL, a requester that leaves, width and time limit (ROUTER-068, 083, 084, 088 to 091, 176)."""

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.presentation import build_context

from fixtures.actors.association import Timeouts, opened
from fixtures.actors.queries import MODELS, identifier_of
from fixtures.actors.workstation import Workstation
from fixtures.clients import link
from fixtures.clients.link import Match, Rule
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World, rules
from suites.router.clients import study_keys
from suites.router.conftest import VariantWorld
from suites.router.moving import CT, moved
from suites.router.peers import ChoosyPeer
from suites.router.settings import NARROW, STRICT

pytestmark = pytest.mark.router
CANCEL_SECONDS = 2.0


@requirement("ROUTER-083", "ROUTER-176")
@needs("http-interposer")
def test_long_move_reports_within_seven_seconds(world: World) -> None:
    """While retrievals are slow, pending responses come at least every 7 s, and their counts add up to the total."""
    study = world.series(instances=8)
    world.store_in_cloud([study])
    slow = Rule("slow", link.delay(3.0), Match(method="GET", path_regex=rules.ONE_INSTANCE))
    moments: list[float] = []
    with (
        world.workstation.receiving(world.deployment.workstation_bind),
        world.cloud_answers(slow),
        opened("ORTHANC", world.bridge, [build_context(MODELS["C-MOVE", "study"])], Timeouts()) as state,
    ):
        assert state.association is not None, state.comment
        state.park()
        moments.append(time.monotonic())
        answers = []
        for status, _ in state.association.send_c_move(
            identifier_of("STUDY", study_keys(study)),
            world.deployment.workstation.ae_title,
            MODELS["C-MOVE", "study"],
        ):
            answers.append(status)
            moments.append(time.monotonic())
    longest = max(later - earlier for earlier, later in pairwise(moments))
    assert longest < 7.5, f"ROUTER-083: {longest:.1f} s without a response, at most 7 s"
    pending = [a for a in answers if a.Status == 0xFF00 and "NumberOfRemainingSuboperations" in a]
    assert pending, "ROUTER-083: no pending response in a move of more than 5 s"
    for each in pending:
        total = sum(
            int(each.get(f"NumberOf{name}Suboperations", 0))
            for name in ("Remaining", "Completed", "Failed", "Warning")
        )
        assert total == 8, f"ROUTER-083: the counts add up to {total} of 8"
    assert answers[-1].Status == 0x0000


@requirement("ROUTER-088")
@needs("http-interposer")
def test_cancel_of_a_move(world: World) -> None:
    """C-CANCEL ends a move with FE00 within 2 s and a running sub-operation, with true counters, and nothing more arrives."""
    study = world.series(instances=40, matrix=16)
    world.store_in_cloud([study])
    slow = Rule("slow", link.delay(0.8), Match(method="GET", path_regex=rules.ONE_INSTANCE))
    model = MODELS["C-MOVE", "study"]
    with (
        world.workstation.receiving(world.deployment.workstation_bind) as shelf,
        world.cloud_answers(slow),
        opened("ORTHANC", world.bridge, [build_context(model)], Timeouts()) as state,
        ThreadPoolExecutor(1) as pool,
    ):
        assert state.association is not None, state.comment
        state.park()
        responses = state.association.send_c_move(
            identifier_of("STUDY", study_keys(study)), world.deployment.workstation.ae_title, model, msg_id=7
        )
        final = pool.submit(lambda: list(responses)[-1][0])
        eventually(lambda: len(shelf.requests) >= 2, within=20, because="the move to be under way")
        began = time.monotonic()
        state.association.send_c_cancel(7, query_model=model)
        answer = final.result()
        took = time.monotonic() - began
        arrived = len(shelf.requests)
        world.pause(1.2)
        assert len(shelf.requests) == arrived, "ROUTER-088: sub-operations went on after FE00"
    assert answer.Status == 0xFE00, f"ROUTER-088: {answer.Status:04X}"
    assert took < CANCEL_SECONDS + 1.5, f"ROUTER-088: FE00 after {took:.1f} s"
    assert int(answer.NumberOfCompletedSuboperations) == arrived, "ROUTER-088: true counters"
    assert int(answer.NumberOfRemainingSuboperations) == 40 - arrived, "ROUTER-084: FE00 with Remaining"


@requirement("ROUTER-088", "ROUTER-068")
@needs("http-interposer")
def test_cancel_of_a_find(world: World) -> None:
    """C-CANCEL after the first match ends the query with FE00 before all pages were read."""
    study = world.series(instances=405, matrix=8)
    world.store_in_cloud([study])
    first = study.instances[0].fingerprint
    keys = study_keys(study, SeriesInstanceUID=first.series_instance_uid, SOPInstanceUID="")
    slow = Rule("slow pages", link.delay(1.0), Match(method="GET", path_regex="offset="))
    with world.cloud_answers(slow):
        found = world.workstation.find(world.bridge, "IMAGE", keys, cancel_after=1)
    assert found.status == 0xFE00, f"ROUTER-068 (C-CANCEL received): {found.describe()}"
    assert len(found.matches) < 405, "ROUTER-088: everything was sent all the same"


@requirement("ROUTER-089")
@needs("http-interposer")
def test_requester_that_leaves_ends_the_move(world: World) -> None:
    """When the requester's association is gone the router stops within one reporting interval, and goes on working."""
    study = world.series(instances=60, matrix=16)
    world.store_in_cloud([study])
    slow = Rule("slow", link.delay(0.5), Match(method="GET", path_regex=rules.ONE_INSTANCE))
    impatient = Workstation("ORTHANC", recorder=world.recorder, timeouts=Timeouts(response=2.0))
    with world.workstation.receiving(world.deployment.workstation_bind) as shelf, world.cloud_answers(slow):
        # The first report comes after 5 s; whoever waits 2 s aborts and is gone.
        title = world.deployment.workstation.ae_title
        left = impatient.move(world.bridge, "STUDY", study_keys(study), title)
        assert left.status is None, left.describe()
        world.pause(5.0)
        arrived = len(shelf.requests)
        world.pause(1.2)
        assert len(shelf.requests) == arrived, (
            "ROUTER-089: still sending an interval after the requester left"
        )
        assert 0 < arrived < 60, "ROUTER-089: the move had not begun, or was over before anybody left"
    assert world.move_and_compare(world.part_of(study, 60)).status == 0x0000


@requirement("ROUTER-090")
@needs("control")
def test_one_association_and_instance_order_at_width_one(variant_world: VariantWorld) -> None:
    """With width 1 the instances of a series arrive by Instance Number, over one association."""
    with variant_world(STRICT) as world:
        study = world.series(instances=3)
        world.store_in_cloud([study])
        syntaxes = (ExplicitVRLittleEndian,)
        with ChoosyPeer(world.deployment.workstation_bind, (CT,), syntaxes) as peer:
            result = moved(world, study)
        assert result.status == 0x0000, result.describe()
        numbers = {i.sop_instance_uid: int(i.dataset().InstanceNumber) for i in study.instances}
        order = [numbers[a.request.sop_instance_uid] for a in peer.arrived]
        assert order == sorted(order), f"ROUTER-090: width 1 sent {order}"
        assert len(peer.proposed) <= 2, f"ROUTER-090: {len(peer.proposed)} associations for one series"


@requirement("ROUTER-090")
@needs("http-interposer")
def test_retrievals_overlap_at_the_default_width(world: World) -> None:
    """With retrievals of one second each, eight instances take less than eight seconds: four at a time."""
    study = world.series(instances=8)
    world.store_in_cloud([study])
    slow = Rule("slow", link.delay(1.0), Match(method="GET", path_regex=rules.ONE_INSTANCE))
    with world.workstation.receiving(world.deployment.workstation_bind), world.cloud_answers(slow):
        began = time.monotonic()
        result = moved(world, study)
        took = time.monotonic() - began
    assert result.status == 0x0000, result.describe()
    assert took < 6, f"ROUTER-090: {took:.1f} s for 8 retrievals of 1 s each at width 4"


@requirement("ROUTER-091", "ROUTER-084")
@needs("control", "http-interposer")
def test_move_is_bounded(variant_world: VariantWorld) -> None:
    """Beyond its time limit a move ends with C002 and a comment; what was not sent is counted as failed."""
    with variant_world(NARROW) as world:
        study = world.series(instances=8)
        world.store_in_cloud([study])
        slow = Rule("slow", link.delay(0.7), Match(method="GET", path_regex=rules.ONE_INSTANCE))
        with world.workstation.receiving(world.deployment.workstation_bind):
            with world.cloud_answers(slow):
                result = moved(world, study)
            assert result.status == 0xC002, f"ROUTER-084 (time limit): {result.describe()}"
            assert result.comment, "ROUTER-084: with comment"
            assert (result.completed or 0) + (result.failed or 0) == 8, result.describe()
