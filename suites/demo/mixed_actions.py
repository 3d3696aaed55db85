"""The actions and faults of a long mixed run.

An action takes what it needs from what came before, or makes it first; so every part of a sequence is a sequence, too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fixtures.clients.link import Rule
from fixtures.waiting import eventually
from fixtures.world import rules
from suites.demo.mixed_model import Model


def _send_new(model: Model, _pick: int = 0) -> None:
    study = model.new(pacs=True, cloud=True, routed=True)
    sent = model.world.send([study], "intake")
    assert sent.all_success, f"a new study at QIEROUTER: {sent.describe()}"


def _repeat(model: Model, pick: int) -> None:
    known = model.one(lambda k: k.routed and k.pacs and k.cloud, pick, _send_new)
    sent = model.world.send([known.study], "intake")
    assert sent.all_success, f"a repeat at QIEROUTER: {sent.describe()}"


def _preload(model: Model, _pick: int = 0) -> None:
    study = model.new(pacs=True)
    sent = model.world.send([study], "pacs")
    assert sent.all_success, f"a study sent to the PACS: {sent.describe()}"


def _archive(model: Model, _pick: int = 0) -> None:
    study = model.new(cloud=True)
    sent = model.world.send([study], "bridge")
    assert sent.all_success, f"a prior sent to QIETOAZURE: {sent.describe()}"


def _push(model: Model, pick: int) -> None:
    known = model.one(lambda k: k.pacs and not k.cloud and not k.routed, pick, _preload)
    known.cloud = True
    model.created |= model.world.sop_uids([known.study])
    job = model.world.push_from_pacs(known.study)
    assert job.succeeded, f"a push from the PACS: {job.state} {job.error}"


def _retrieve(model: Model, pick: int) -> None:
    known = model.one(lambda k: k.cloud and not k.pacs and not k.routed, pick, _archive)
    known.pacs = True
    job = model.world.retrieve_to_pacs(known.study)
    assert job.succeeded, f"a retrieval to the PACS: {job.state} {job.error}"


def _query(model: Model, pick: int) -> None:
    world, known = model.world, model.one(lambda k: k.cloud and not k.routed, pick, _archive)
    found = world.found_through_bridge("IMAGE", known.study)
    assert found == world.sop_uids([known.study]), f"a query found {len(found)} instances of {known.study}"


def _delete(model: Model, pick: int) -> None:
    known = model.one(lambda k: k.cloud and not k.routed, pick, _archive)
    known.cloud = False
    # What the router was told to store, it need not store twice.
    known.retired = True
    model.deleted |= model.world.sop_uids([known.study])
    wrong = model.world.delete_from_cloud(known.study.study_instance_uid)
    assert not wrong, f"a deletion in the cloud: {wrong}"


def _migrate(model: Model, pick: int) -> None:
    known = model.one(lambda k: k.pacs and not k.routed, pick, _preload)
    known.pacs, known.cloud = False, True
    model.created |= model.world.sop_uids([known.study])
    migration = model.world.migrate(select={"studies": [known.study.study_instance_uid]}, delete=True)
    assert migration.state == "done", migration.describe()


def _outage(model: Model, _pick: int) -> None:
    world = model.world
    with world.cut("refuse"):
        _send_new(model)
        found = world.find_through_bridge("STUDY", model.known[-1].study)
        assert found.status != 0x0000, "a query during an outage ended in success"


def _pacs_bridge_stopped(model: Model, _pick: int) -> None:
    with model.world.path_stopped("pacs-bridge"):
        _send_new(model)


def _answered(make_rule: Callable[..., Rule]) -> Callable[[Model, int], None]:
    def act(model: Model, _pick: int) -> None:
        world, study = model.world, model.new(pacs=True, cloud=True, routed=True)
        with world.cloud_answers(make_rule(study.instances[0].fingerprint)) as applied:
            assert world.send([study], "intake").all_success
            applied.wait_for_hit()

    return act


def _aborted(model: Model, _pick: int) -> None:
    study = model.new(pacs=True, cloud=True, routed=True)
    model.world.abort_in_mid_object(study, "intake")
    sent = model.world.send([study], "intake")
    assert sent.all_success, f"a study sent again after an abort: {sent.describe()}"


def _changed(model: Model, pick: int) -> None:
    known = model.one(lambda k: k.routed and k.pacs and k.cloud, pick, _send_new)
    sent = model.world.send_unrecorded(model.world.altered(known.study), "intake")
    assert set(sent.statuses) == {0xA900}, f"other content under known UIDs: {sent.statuses}"


def _killed(model: Model, _pick: int) -> None:
    world, study = model.world, model.new(pacs=True, cloud=True, routed=True)
    with world.sending([study], "intake") as sending:
        eventually(lambda: sending.attempted, within=20, every=0.002, because="the sending to begin")
        world.kill("router")
    world.start("router")
    assert world.send([study], "intake").all_success, "the repeat after a kill"


@dataclass(frozen=True)
class Action:
    """What a step does; `weight` is how often beside the others, `needs` what the profile must have."""

    do: Callable[[Model, int], None]
    weight: int
    needs: tuple[str, ...] = ()


ACTIONS: Mapping[str, Action] = {
    "send new": Action(_send_new, 6),
    "repeat": Action(_repeat, 3),
    "preload": Action(_preload, 3),
    "push": Action(_push, 3),
    "archive": Action(_archive, 3),
    "retrieve": Action(_retrieve, 3),
    "query": Action(_query, 2),
    "delete in the cloud": Action(_delete, 1),
    "migrate": Action(_migrate, 2, ("migration", "wipe")),
    "outage": Action(_outage, 2, ("link",)),
    "stop the pacs-bridge": Action(_pacs_bridge_stopped, 1, ("router-admin",)),
    "cloud answers 503": Action(
        _answered(lambda one: rules.store_answered(503, one, times=1)), 1, ("http-interposer",)
    ),
    "cloud's answer lost": Action(
        _answered(lambda one: rules.store_reset("after", one, times=1)), 1, ("http-interposer",)
    ),
    "abort": Action(_aborted, 1),
    "changed content": Action(_changed, 1),
    "kill the router": Action(_killed, 1, ("control",)),
}
"""The demo's actions and faults, weighted as in the demo."""
