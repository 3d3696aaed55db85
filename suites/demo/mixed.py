"""A long mixed run: a sequence of the demo's actions and faults, the places where everything has to be, and its shrinking.

An action takes what it needs from what came before, or makes it first; so every part of a sequence is a sequence, too.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from fixtures.clients.link import Rule
from fixtures.data import Study
from fixtures.waiting import eventually
from fixtures.world import World, rules

_DATES = ("19940223", "20040831", "20110602", "20121030", "20221122")


@dataclass(frozen=True)
class Step:
    """One action; `pick` chooses among the studies it could act on."""

    action: str
    pick: int

    def __str__(self) -> str:
        return f"{self.action}({self.pick})"


@dataclass
class Known:
    """A study and where it has to be; `routed` means that it came by QIEROUTER."""

    study: Study
    pacs: bool = False
    cloud: bool = False
    routed: bool = False


@dataclass
class Model:
    """What the sequence has done so far, as it has to be seen from outside."""

    world: World
    known: list[Known] = field(default_factory=list)
    created: set[str] = field(default_factory=set)
    """SOP Instance UIDs that the cloud was given."""
    deleted: set[str] = field(default_factory=set)
    """Those that were deleted there by an explicit action."""

    def new(self, *, pacs: bool = False, cloud: bool = False, routed: bool = False) -> Study:
        """A study of a patient of its own, and where it has to come."""
        date = _DATES[len(self.known) % len(_DATES)]
        (study,) = self.world.dated_studies([date], matrix=32)
        self.known.append(Known(study, pacs, cloud, routed))
        if cloud:
            self.created |= self.world.sop_uids([study])
        return study

    def one(
        self, wanted: Callable[[Known], bool], pick: int, otherwise: Callable[["Model"], object]
    ) -> Known:
        """A study that is as wanted; made by `otherwise` where there is none."""
        found = [known for known in self.known if wanted(known)]
        if not found:
            otherwise(self)
            found = [known for known in self.known if wanted(known)]
        return found[pick % len(found)]

    def in_pacs(self) -> list[Study]:
        """What the PACS has to hold."""
        return [known.study for known in self.known if known.pacs]

    def in_cloud(self) -> list[Study]:
        """What the cloud has to hold."""
        return [known.study for known in self.known if known.cloud]


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
    # Never acted on again: what the router was told to store, it need not store twice.
    known.routed = True
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


def plan(seed: int, steps: int, capabilities: frozenset[str]) -> tuple[Step, ...]:
    """The sequence of a seed, of the actions that this environment allows."""
    chance = Random(seed)  # noqa: S311 - a sequence that can be repeated
    allowed = {name: action for name, action in ACTIONS.items() if set(action.needs) <= capabilities}
    names = chance.choices(list(allowed), [action.weight for action in allowed.values()], k=steps)
    return tuple(Step(name, chance.randrange(1000)) for name in names)


def play(world: World, sequence: Sequence[Step]) -> Model:
    """Do all of it, let everything settle, and compare both places, every index and the change feed with the model.

    Raises:
        AssertionError: they differ, or a step was answered otherwise than it had to be.

    """
    mark = world.feed_mark()
    before = world.all_cloud_study_uids(), _all_in_pacs(world)
    model = Model(world)
    for step in sequence:
        ACTIONS[step.action].do(model, step.pick)
    world.settle_router()
    for side, studies in (("pacs", model.in_pacs()), ("cloud", model.in_cloud())):
        if studies:
            world.expect(side, studies)
    _compare_indexes(model, before)
    _compare_feed(model, mark)
    return model


def _all_in_pacs(world: World) -> set[str]:
    return {study["MainDicomTags"]["StudyInstanceUID"] for study in world.pacs.each("studies")}


def _compare_indexes(model: Model, before: tuple[set[str], set[str]]) -> None:
    """Nothing besides, and every study below its own patient: the lists that people look at."""
    world = model.world
    mine = world.uids([known.study for known in model.known])
    for side, now, was, wanted in (
        ("cloud", world.all_cloud_study_uids(), before[0], model.in_cloud()),
        ("PACS", _all_in_pacs(world), before[1], model.in_pacs()),
    ):
        others = now - was - mine if world.deployment.control is not None else set()
        assert not others, f"the {side} lists studies that nobody made: {sorted(others)[:5]}"
        assert now & mine == world.uids(wanted), f"the {side} lists {len(now & mine)}, not {len(wanted)}"
    owners = {
        s["MainDicomTags"]["StudyInstanceUID"]: s["PatientMainDicomTags"].get("PatientID")
        for s in world.pacs_studies()
    }
    for known in model.known:
        uid, patient = known.study.study_instance_uid, known.study.patient.patient_id
        found = {
            study["0020000D"]["Value"][0] for study in world.cloud.search_pages("studies", PatientID=patient)
        }
        assert found == ({uid} if known.cloud else set()), f"the cloud shows {found} for the patient of {uid}"
        assert not known.pacs or owners.get(uid) == patient, f"the PACS shows {uid} for another patient"


def _compare_feed(model: Model, mark: int) -> None:
    mine = model.world.uids([known.study for known in model.known])
    journal = model.world.journal
    entries = [e for e in journal.since(mark) if e["studyInstanceUid"] in mine]
    told = sorted((e["action"].lower(), e["sopInstanceUid"]) for e in entries)
    # A journal that forgets what was deleted still tells every create of what is there.
    forgotten = set() if journal.tells_deletions else model.deleted
    wanted = sorted(
        [("create", uid) for uid in model.created - forgotten]
        + [("delete", uid) for uid in model.deleted - forgotten],
    )
    if told != wanted:
        rest = list(told)
        lacking = [one for one in wanted if one not in rest or rest.remove(one)]  # type: ignore[func-returns-value]
        raise AssertionError(
            f"the change feed has {len(told)} entries of {len(wanted)}; too many: {rest[:5]}; lacking: {lacking[:5]}"
        )


def shrunk(
    sequence: tuple[Step, ...], fails: Callable[[Sequence[Step]], bool], seconds: float
) -> tuple[Step, ...]:
    """A shorter sequence that fails as well: parts are left out, large ones first, for at most so many seconds."""
    deadline = time.monotonic() + seconds
    size = max(1, len(sequence) // 2)
    while size:
        for shorter in _without_parts(sequence, size):
            if time.monotonic() > deadline:
                return sequence
            if shorter and fails(shorter):
                sequence = shorter
                break
        else:
            size //= 2
        size = min(size, len(sequence) - 1)
    return sequence


def _without_parts(sequence: tuple[Step, ...], size: int) -> Iterator[tuple[Step, ...]]:
    for start in range(0, len(sequence), size):
        yield sequence[:start] + sequence[start + size :]
