"""The router's configuration: what is loaded is what happens, and strangers are told so (CLAIM-ROUTER-*)."""

import json
import re
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from pynetdicom.presentation import build_context

from fixtures.actors.association import ACCEPTED, REJECTED, VERIFICATION, Timeouts, opened
from fixtures.deployment.endpoints import DimseAddress
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World
from fixtures.world.router_file import edited, with_keys
from suites.demo import worklists

pytestmark = pytest.mark.demo

PRINT, COMMITMENT_PULL = "1.2.840.10008.5.1.1.9", "1.2.840.10008.1.20.2"
NOT_SUPPORTED = 3
_OTHER = '\n[[rules]]\nname = "scans to the PACS"\ndestinations = ["ORTHANC"]\nmodalities = ["CT", "MR"]\n'
LISTENERS = {"cloud_bridge": "QIETOAZURE", "modality_intake": "QIEROUTER"}


def _other(text: str) -> str:
    changed = with_keys(text, {"paths.modality-intake.max_associations": "7", "backoff.ceiling_seconds": "9"})
    return changed + _OTHER


@requirement("CLAIM-ROUTER-06")
@needs("control", "router-admin")
@pytest.mark.lasting(8)
def test_wiped_router_has_its_configuration_again_after_the_import(world: World) -> None:
    """Another file is loaded and shown, the router wiped and the first file imported: the export is what it was.

    CLAIM-ROUTER-06: the export holds no secret, and all three paths work at once.
    """
    before = world.router.config()
    assert {name: before[name]["ae_title"] for name in LISTENERS} == LISTENERS
    assert {peer["ae_title"] for peer in before["peers"]} == {"ORTHANC", "WORKSTATION"}
    assert before["rules"] == []
    _no_secret(world, json.dumps(before))
    with world.router_settings(_other):
        other = world.router.config()
        assert [rule["name"] for rule in other["rules"]] == ["scans to the PACS"]
        assert other["rules"][0]["modalities"] == ["CT", "MR"]
        assert (other["modality_intake"]["max_associations"], other["backoff"]["ceiling_seconds"]) == (7, 9)
        world.start("router", wipe=True)

    assert world.router.config() == before, "the import does not give the configuration that was exported"
    _all_paths_work(world)
    world.evidence.note(
        f"Export, wipe and import: {len(before)} parts of the configuration equal, none of the run's secrets in it."
    )


def _no_secret(world: World, export: str) -> None:
    endpoints = world.deployment
    secrets = {name: one.secret for name, one in endpoints.identity.applications.items()}
    secrets |= {"PACS password": endpoints.pacs.password, "admin token": endpoints.router.admin_token}
    shown = [name for name, secret in secrets.items() if secret and secret in export]
    assert not shown, f"the export holds the secrets of {shown}"


def _all_paths_work(world: World) -> None:
    dual, pushed = world.series(instances=1), world.series(instances=1)
    assert world.send([dual], "intake").all_success
    assert world.send([pushed], "bridge").all_success
    world.expect_both([dual])
    world.expect("cloud", [pushed])
    assert world.found_through_bridge("STUDY", pushed) == {pushed.study_instance_uid}


def _with(**keys: str) -> Callable[[str], str]:
    return lambda text: with_keys(text, {name.replace("__", "."): value for name, value in keys.items()})


BAD_FILES: dict[str, tuple[Callable[[str], str], str]] = {
    "a misspelt key": (_with(spool__hard_limit_procent="90"), "hard_limit_procent"),
    "a misspelt table": (lambda text: f'{text}\n[[ruls]]\nname = "x"\n', "ruls"),
    "a value out of range": (_with(spool__hard_limit_percent="1000"), "hard_limit_percent"),
    "a rule to nowhere": (lambda text: text + _OTHER.replace("ORTHANC", "NOWHERE"), "destinations"),
    "no TOML": (lambda text: text + "\n[[[", "TOML"),
}


@requirement("CLAIM-ROUTER-06")
@needs("control", "router-admin")
def test_bad_configuration_is_refused_and_the_old_one_stays(world: World) -> None:
    """Each of five bad files is refused with the key named, and the router goes on as before.

    CLAIM-ROUTER-06.
    """
    before = world.router.config()
    try:
        for name, (change, named) in BAD_FILES.items():
            with edited(world.deployment, change):
                answer = world.load_configuration()
            assert answer.status == 400, f"{name} was answered {answer.describe()}"
            assert named in answer.body.decode(), f"{name}: {named!r} is not named in {answer.body!r}"
            assert world.router.config() == before, f"{name} changed the configuration in force"
        _all_paths_work(world)
    finally:
        assert world.load_configuration().status == 200, "the good file is taken again"
    world.evidence.note(
        f"{len(BAD_FILES)} bad files were refused, each with its key named, and nothing changed."
    )


def _says(comment: str, result: int, source: int, reason: int) -> bool:
    return f"result {result}, source {source}, reason {reason}" in comment


def _received(world: World) -> dict[str, int]:
    return {row["name"]: int(row["received"]) for row in world.router.status()["paths"]}


@requirement("CLAIM-ROUTER-11")
@needs("control", "router-admin")
def test_mis_addressed_modality_is_told_so(world: World) -> None:
    """A wrong called AE title and a caller off the list are rejected with their reasons, unknown classes in negotiation.

    CLAIM-ROUTER-11: nothing of it is stored.
    """
    study = world.series(instances=1)
    before, mark = _received(world), world.link_mark()
    for right in (world.intake, world.bridge):
        answer = world.send_unrecorded_to(study, DimseAddress("WRONG", right.host, right.port))
        assert answer.association == REJECTED, f"{right.ae_title}: {answer.describe()}"
        assert _says(answer.comment, 1, 1, 7), answer.comment
        assert world.modality().echo(right).succeeded, "the right AE title"
        refused = worklists.refusals(right, (PRINT, COMMITMENT_PULL))
        assert refused == {PRINT: NOT_SUPPORTED, COMMITMENT_PULL: NOT_SUPPORTED}, (
            f"{right.ae_title}: {refused}"
        )
        with opened("GDCM", right, [build_context(PRINT)], Timeouts()) as state:
            assert not state.alive, "an association without any usable context stands"
    with world.router_settings(_with(**{"paths__modality-intake__allowed_calling_aes": '["GDCM"]'})):
        stranger = world.send_unrecorded_to(study, world.intake, ae="STRANGER")
        assert stranger.association == REJECTED, stranger.describe()
        assert _says(stranger.comment, 1, 1, 3), stranger.comment
        assert world.modality().echo(world.intake).succeeded, "the listed AE title"
    assert world.modality("STRANGER").echo(world.intake).succeeded, "without a list"
    assert _received(world) == before, "something was taken in"
    assert world.held("pacs", [study]) == world.held("cloud", [study]) == set()
    assert [e for e in world.link_since(mark) if e.method == "POST"] == []
    world.evidence.note("Wrong called and calling AE titles were rejected (1/1/7 and 1/1/3), nothing stored.")


@requirement("CLAIM-ROUTER-11")
@needs("control", "router-admin")
def test_association_above_the_limit_is_asked_to_come_back(world: World) -> None:
    """With a limit of two the third association is rejected for the moment only, and let in when one has gone.

    CLAIM-ROUTER-11.
    """
    study, contexts = world.series(instances=1), [build_context(VERIFICATION)]
    with world.router_settings(_with(**{"paths__modality-intake__max_associations": "2"})):
        with ExitStack() as held:
            two = [held.enter_context(opened("GDCM", world.intake, contexts, Timeouts())) for _ in range(2)]
            assert [state.outcome for state in two] == [ACCEPTED] * 2
            third = world.send_unrecorded_to(study, world.intake)
            assert third.association == REJECTED, third.describe()
            assert _says(third.comment, 2, 3, 2), f"not a transient rejection: {third.comment}"
        eventually(
            lambda: world.modality().echo(world.intake).succeeded,
            within=5,
            because="a place to be free after the release",
        )
        assert world.send([study], "intake").all_success
    world.expect_both([study])
    world.evidence.note(
        "Above the limit: rejected as transient (2/3/2), and accepted after another's release."
    )


def _relaying(text: str) -> str:
    return with_keys(text, {"worklist.peer": '"WORKSTATION"'})


QUERIES = (
    ({"date": "20221122"}, 3),
    ({"station": "CT1"}, 2),
    ({"modality": "MR"}, 2),
    ({"date": "20221123", "station": "MR1", "modality": "MR"}, 1),
    ({"date": "20301231"}, 0),
)


@requirement("CLAIM-ROUTER-12")
@needs("control", "router-admin", "http-interposer")
def test_worklist_is_answered_by_its_server(world: World) -> None:
    """Queries at QIEROUTER give the worklist server's own answers in order; cancelled FE00; with it stopped a failure.

    CLAIM-ROUTER-12: nothing reaches the cloud or a queue. Without a server the class is not offered.
    """
    at = world.deployment.workstation_bind
    assert worklists.refusals(world.intake, (worklists.WORKLIST,)) == {worklists.WORKLIST: NOT_SUPPORTED}
    before, mark = _counters(world), world.link_mark()
    with world.router_settings(_relaying):
        with worklists.worklist_server(at) as server:
            for keys, number in QUERIES:
                direct = worklists.ask(at, worklists.query(**keys))
                relayed = worklists.ask(world.intake, worklists.query(**keys))
                assert (len(direct.matches), direct.status) == (number, 0x0000)
                assert relayed == direct, f"{keys}: {relayed} instead of {direct}"
            assert len(server.asked) == 2 * len(QUERIES), "each query is asked once"
            server.endless = True
            cut = worklists.ask(world.intake, worklists.query(), cancel_after=2)
            assert cut.status == worklists.CANCELLED, f"after a cancel {cut.status}"
            assert server.cancelled.wait(5), "the cancel did not reach the server"
        dead = worklists.ask(world.intake, worklists.query())
        assert dead.status is not None, "no answer instead of a failure"
        assert re.match("[AC]", f"{dead.status:04X}"), f"a dead server gives {dead.status:04X}"
        assert dead.matches == ()
    assert _counters(world) == before, "a worklist query became a queue entry"
    assert world.link_since(mark) == [], "a worklist query reached the cloud"
    world.evidence.note(
        f"{len(QUERIES)} worklist queries through the router equal the direct ones; a dead server is a failure."
    )


def _counters(world: World) -> dict[str, tuple[int, ...]]:
    status = world.router.status()
    rows = [(row["name"], (row["received"], row["refused"])) for row in status["paths"]]
    return dict(rows) | {row["name"]: (row["accepted"], row["waiting"]) for row in status["destinations"]}
