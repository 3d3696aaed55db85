"""A long mixed run: a sequence of the demo's actions and faults, what it must come to, and its shrinking."""

import time
from collections.abc import Callable, Iterator, Sequence
from random import Random

from fixtures.world import World
from suites.demo.mixed_actions import ACTIONS
from suites.demo.mixed_model import Model, Step


def plan(seed: int, steps: int, capabilities: frozenset[str]) -> tuple[Step, ...]:
    """The sequence of a seed, of the actions that this environment allows: each of them once, the rest by their weights."""
    chance = Random(seed)  # noqa: S311 - a sequence that can be repeated
    allowed = {name: action for name, action in ACTIONS.items() if set(action.needs) <= capabilities}
    weights = [action.weight for action in allowed.values()]
    names = [*allowed, *chance.choices(list(allowed), weights, k=max(0, steps - len(allowed)))]
    chance.shuffle(names)
    return tuple(Step(name, chance.randrange(1000)) for name in names[:steps])


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
