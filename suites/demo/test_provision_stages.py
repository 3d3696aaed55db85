"""The way to the cloud goes forward and back, stage by stage, and a second deployment changes nothing (CLAIM-PROVISION-05, 08)."""

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from fixtures.data import Study
from fixtures.deployment.again import deploy_again
from fixtures.deployment.processes import running_since
from fixtures.deployment.spec import SystemSpec
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World
from fixtures.world.orders import order_for, place, run
from fixtures.world.router_file import FILE, require_file, with_keys

pytestmark = pytest.mark.demo

Check = Callable[[World], Study]
"""Uses one stage and returns a study that the PACS has to keep."""


def _pacs_alone(world: World) -> Study:
    study = world.series(instances=2, matrix=16)
    world.use_the_pacs(study)
    return study


def _push(world: World) -> Study:
    study = world.series(instances=1, matrix=16)
    world.arrange(study, "pacs")
    assert world.push_from_pacs(study).succeeded, "the PACS cannot send to the router any more"
    world.expect("cloud", [study], second_look=False)
    return study


def _dual_delivery(world: World) -> Study:
    study = world.series(instances=1, matrix=16)
    assert world.send([study], "intake").all_success
    world.expect_both([study])
    return study


def _migration(world: World) -> Study:
    study, kept = (world.series(instances=1, matrix=16) for _ in range(2))
    world.arrange_all([study, kept], "pacs")
    migration = world.migrate(select={"studies": [study.study_instance_uid]}, delete=True)
    assert migration.state == "done", migration.describe()
    world.expect("cloud", [study], second_look=False)
    assert not world.held("pacs", [study])
    return kept


def _prior(world: World) -> Study:
    study = world.series(instances=1, matrix=16)
    world.store_in_cloud([study])
    assert world.retrieve_to_pacs(study).succeeded
    world.expect("pacs", [study], second_look=False)
    return study


def _prefetch(world: World) -> Study:
    (study,) = world.dated_studies(["20100101"], instances=1, matrix=16)
    world.store_in_cloud([study])
    assert run(world, order_for(study.patient))["state"] == "done"
    world.expect("pacs", [study], second_look=False)
    return study


@requirement("CLAIM-PROVISION-05", "ROUTER-190")
@needs("control", "link", "migration")
@pytest.mark.lasting(15)
def test_each_stage_works_and_can_be_taken_back(world: World) -> None:
    """PACS alone, router, dual delivery, migration, priors, prefetch, and back again: what is left of the stages goes on working.

    CLAIM-PROVISION-05: the PACS answers all the time, is not restarted, and is set up at the end as it was at the beginning.
    """
    stages: tuple[Check, ...] = (_pacs_alone, _push, _dual_delivery, _migration, _prior, _prefetch)
    before = _pacs_as_it_is(world)
    kept: list[Study] = []

    def check(number: int) -> None:
        kept.extend(stage(world) for stage in stages[:number])

    with _pacs_always_answers(world):
        with world.down("router"):
            check(1)
        kept.extend(stage(world) for stage in stages[1:])
        with world.path_stopped("prefetch-trigger"):
            with suppress(OSError, ConnectionError):
                assert place(world, order_for(kept[-1].patient)).code != "AA", (
                    "a stopped trigger takes orders"
                )
            check(5)
        with world.path_stopped("modality-intake"):
            assert world.modality().echo(world.intake).association != "accepted"
            check(2)
        with world.down("cloud"):
            late = world.series(instances=1, matrix=16)
            assert world.send([late], "intake").all_success
            world.expect("pacs", [late])
            check(1)
        with world.down("router"):
            check(1)
            kept.append(late)
            world.expect("pacs", kept)
        world.expect("cloud", [late])
    assert _pacs_as_it_is(world) == before, "the PACS was restarted or is set up otherwise"
    world.evidence.note(
        f"Six stages forward and back with traffic: {len(kept)} studies that the PACS acknowledged are there unchanged; "
        "it was neither restarted nor set up otherwise, and answered all the time."
    )


def _pacs_as_it_is(world: World) -> tuple[object, ...]:
    peers = world.pacs.http.request("GET", "/modalities?expand").json()
    return running_since(world.deployment, "pacs"), world.pacs.system(), peers


@contextmanager
def _pacs_always_answers(world: World) -> Iterator[None]:
    """C-ECHO to the PACS again and again while the block runs; not one may fail."""
    ended, failures, asked = threading.Event(), list[str](), [0]

    def ask() -> None:
        while not ended.wait(0.25):
            answer = world.modality("HEARTBEAT").echo(world.deployment.pacs.dicom)
            asked[0] += 1
            if not answer.succeeded:
                failures.append(str(answer))

    thread = threading.Thread(target=ask, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    assert asked[0] > 0, "the PACS was never asked"
    assert not failures, f"{len(failures)} of {asked[0]} C-ECHO to the PACS failed: {failures[:3]}"


OPTIONAL_TABLES = ("backoff", "timers", "query")
OPTIONAL_KEYS = (
    "version",
    "timer_seconds",
    "bound_seconds",
    "relational_queries",
    "form",
    "scope",
    "destinations",
)


def _required_only(spec: SystemSpec) -> SystemSpec:
    """The router's file without every table and key that has a default."""
    text = spec.files[FILE].decode()
    for table in OPTIONAL_TABLES:
        text = re.sub(rf"^\[{table}\]\n(?:[^\[].*\n|\n)*", "", text, flags=re.MULTILINE)
    for key in OPTIONAL_KEYS:
        text = re.sub(rf"^{key} = .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r'^ae_title = "QIE\w+"\n', "", text, flags=re.MULTILINE)
    return replace(spec, files={**spec.files, FILE: text.encode()})


def _one_more(spec: SystemSpec) -> SystemSpec:
    text = with_keys(spec.files[FILE].decode(), {"query.max_matches": "777"})
    return replace(spec, files={**spec.files, FILE: text.encode()})


@requirement("CLAIM-PROVISION-08")
@needs("control", "link")
@pytest.mark.lasting(12)
def test_defaults_are_enough_and_deploying_again_changes_nothing(world: World) -> None:
    """With required inputs only the demo runs to dual delivery; deployed again, data, queue and processes are the same.

    CLAIM-PROVISION-08: one setting changed, only the router is restarted, and nothing is lost.
    """
    require_file(world.deployment)
    roles = [role for role in ("pacs", "router", "link", "cloud", "identity") if world.deployment.has(role)]
    original = world.control.change("router", lambda spec: spec)
    try:
        assert deploy_again(world.control, roles, {"router": _required_only}) == ("router",)
        _walk_to_dual_delivery(world)
        _nothing_is_left_open(world)
        queued = world.series(instances=2, matrix=16)
        with world.cut("refuse"):
            assert world.send([queued], "intake").all_success
            world.expect("pacs", [queued])
            before = _as_it_is(world, roles)
            assert deploy_again(world.control, roles) == (), "the same deployment restarted something"
            assert _as_it_is(world, roles) == before, "the second deployment changed something"

            assert deploy_again(world.control, roles, {"router": _one_more}) == ("router",)
            after = _as_it_is(world, roles)
            changed = {name for name in before if before[name] != after[name]}
            assert changed == {"router", "settings"}, (
                f"the changed setting concerns the router, not {changed}"
            )
            assert world.router.config()["query"]["max_matches"] == 777
        world.expect_both([queued])
        world.expect_created_once([queued])
    finally:
        deploy_again(world.control, roles, {"router": lambda _: original})
    world.evidence.note(
        "The demo ran to dual delivery with required inputs only. The same deployment again left data, queue and processes as "
        "they were; with one setting changed only the router was restarted, and the two queued instances were delivered."
    )


def _walk_to_dual_delivery(world: World) -> None:
    recent, new = world.cast.study(1, "recent"), world.cast.study(4, "new")
    world.arrange(recent, "pacs")
    assert world.study_counts() == (1, 0)
    assert world.push_from_pacs(recent).succeeded
    assert world.study_counts() == (1, 1)
    assert world.send([new], "intake").all_success
    world.expect_both([recent, new])
    assert world.study_counts() == (2, 2)


def _nothing_is_left_open(world: World) -> None:
    """No default is an insecure one: everything asks who is there, and certificates are verified."""
    nobody = {
        "PACS": world.pacs_http("none").request("GET", "/system"),
        "router": world.http(world.deployment.router.admin_url).request("GET", "/status"),
        "cloud": world.anonymous.request("GET", f"/{world.deployment.cloud.version}/studies"),
    }
    opened = {name: answer.status for name, answer in nobody.items() if answer.status != 401}
    assert not opened, f"answered without a login: {opened}"
    config = world.router.config()
    assert config["cloud"]["verify_tls"] is True
    assert config["cloud"]["credential"] is not None
    assert not [warning for warning in world.router.status()["warnings"] if "verif" in warning]


def _as_it_is(world: World, roles: Sequence[str]) -> dict[str, object]:
    queued = eventually(
        lambda: world.backlog("cloud"),
        within=world.bounds.settle,
        because="the queue to hold the outage's work",
    )
    return {
        **{role: running_since(world.deployment, role) for role in roles},
        "data": (world.pacs_study_uids(), world.cloud_study_uids()),
        "queue": queued,
        "settings": world.router.config(),
        "PACS's settings": (world.pacs.system(), world.pacs.modalities()),
    }
