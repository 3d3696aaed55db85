"""Dual delivery beside others: many modalities, what was there before, and a cloud that is slow (CLAIM-DUAL-*)."""

import random
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest

from fixtures.data import Study
from fixtures.data.cast import make_patient
from fixtures.evidence.ratio import timed
from fixtures.traceability import needs, requirement
from fixtures.world import Sent, World, rules
from fixtures.world.timing import Round

pytestmark = pytest.mark.demo

ASSOCIATIONS, SHARED_PATIENT = 16, 40
BACKLOG = 400


@requirement("CLAIM-DUAL-05")
@needs("control", "change-feed", "link")
@pytest.mark.lasting(8)
def test_new_router_uploads_nothing_that_was_there_before(world: World) -> None:
    """Eleven studies in the PACS, a router that has never run, one new study: the cloud has the new one only.

    CLAIM-DUAL-05: also after the PACS has retrieved a study of the cloud through the router.
    """
    old = [*world.preloaded(), *world.preloaded("new", patients=(1, 2, 3))]
    archived, new = world.cast.study(1, "prior"), world.cast.study(4, "new")
    world.store_in_cloud([archived])
    counts, changes = world.pacs_counts(), world.pacs.last_change()
    feed, mark = world.feed_mark(), world.link_mark()

    world.start("router", wipe=True)
    assert all(test.passed for test in world.connection_tests().values()), "the new router works"
    assert world.retrieve_to_pacs(archived).state == "Success"
    assert world.send([new], "intake").all_success

    world.expect_both([new, archived])
    world.router.drained(within=world.bounds.settle)
    world.pause(1.0)  # a bulk upload would be under way by now
    assert world.cloud_study_uids() == world.uids([new, archived])
    assert world.uploaded_uids(mark) == world.sop_uids([new]), "something else was uploaded"
    created = {entry["sopInstanceUid"] for entry in world.feed_since(feed)}
    assert created == world.sop_uids([new]), "the change feed has more than the new study"
    world.expect("pacs", old)
    grown = len(new.instances) + len(archived.instances)
    world.expect_growth(counts, patients=0, studies=2, instances=grown)
    touched = [c for c in world.pacs.changes(changes) if c["ChangeType"].startswith(("Deleted", "Updated"))]
    assert not touched, f"the PACS's change log has {touched[:5]}"
    world.evidence.note(
        f"{len(old)} studies stayed on-prem; of {len(old) + 1} the cloud got the new one, {len(new.instances)} instances."
    )


@dataclass(frozen=True)
class Sender:
    """One association: what it sends, where, and whether it breaks off in the middle of its last object."""

    study: Study
    path: str = "intake"
    breaks_off: bool = False


def _part(study: Study, number: int, parts: int) -> Study:
    return replace(study, make=lambda: study.instances[number::parts])


def _senders(world: World) -> list[Sender]:
    """Sixteen: own studies, three with parts of one study, two with one patient, two that break off, one to the PACS."""
    split = world.series(instances=9, matrix=32)
    patient = make_patient(world.run, world.scene, SHARED_PATIENT)
    same_patient = [world.series(instances=4, matrix=32, patient=patient) for _ in range(2)]
    senders = [Sender(_part(split, number, 3)) for number in range(3)]
    senders += [Sender(study) for study in same_patient]
    senders += [Sender(world.series(instances=4, matrix=256), breaks_off=True) for _ in range(2)]
    senders.append(Sender(world.series(instances=4, matrix=32), path="pacs"))
    senders += [
        Sender(world.series(instances=4, matrix=32, modality=("CT", "MR", "CR")[n % 3]))
        for n in range(ASSOCIATIONS - len(senders))
    ]
    random.Random(world.scene).shuffle(senders)  # noqa: S311 - an order, no secret
    return senders


def _run(world: World, sender: Sender) -> Sent | None:
    if not sender.breaks_off:
        return world.send([sender.study], sender.path)
    whole = world.send([world.part_of(sender.study, len(sender.study.instances) - 1)], sender.path)
    world.abort_in_mid_object(sender.study, sender.path)
    return whole


def _together(world: World, senders: Sequence[Sender]) -> list[Sent]:
    """All at once: each begins when all are there."""
    for sender in senders:
        assert sender.study.instances
    ready = threading.Barrier(len(senders))

    def one(sender: Sender) -> Sent | None:
        ready.wait(30)
        return _run(world, sender)

    with ThreadPoolExecutor(len(senders)) as pool:
        return [sent for sent in pool.map(one, senders) if sent is not None]


@requirement("CLAIM-DUAL-08")
@pytest.mark.lasting(6)
def test_concurrent_modalities_do_not_mix(world: World) -> None:
    """Two modalities, then sixteen associations with shared studies, shared patients and aborts: nothing crosses over.

    CLAIM-DUAL-08: each copy has the UIDs, the patient and the digest of its ledger entry; a broken-off object is nowhere.
    """
    pair = [Sender(study) for study in world.sized_studies(count=2, instances=5, matrix=32)]
    assert all(sent.all_success for sent in _together(world, pair))
    world.expect_both([sender.study for sender in pair])

    senders = _senders(world)
    assert len(senders) == ASSOCIATIONS
    sent = _together(world, senders)

    assert len(sent) == ASSOCIATIONS, "an association was not served"
    assert all(each.all_success for each in sent), [each.describe() for each in sent if not each.all_success]
    broken = {s.study.instances[-1].sop_instance_uid for s in senders if s.breaks_off}
    dual = _merged([sender.study for sender in senders if sender.path == "intake"])
    direct = [sender.study for sender in senders if sender.path == "pacs"]
    world.router.drained(within=world.bounds.settle)
    world.expect("pacs", [*dual, *direct], without=broken)
    world.expect("cloud", dual, without=broken)
    assert world.held("cloud", direct) == set(), "what was sent to the PACS only is in the cloud"
    world.expect_created_once(dual, without=broken)
    number = sum(len(each.outcomes) for each in sent)
    world.evidence.note(
        f"{ASSOCIATIONS} associations at once with {number} instances: each copy equals its original, {len(broken)} broken-off objects nowhere."
    )


def _merged(studies: Sequence[Study]) -> list[Study]:
    """The studies with the parts of each put together."""
    whole: dict[str, Study] = {}
    for study in studies:
        known = whole.get(study.study_instance_uid)
        both = (*(known.instances if known else ()), *study.instances)
        whole[study.study_instance_uid] = replace(study, make=lambda both=both: both)  # type: ignore[misc]
    return list(whole.values())


def _sending_time(world: World, path: str = "intake", *, instances: int = 4) -> float:
    """Seconds to send one study, and to have all of it acknowledged."""
    study = world.series(instances=instances, matrix=32)
    _ = study.instances  # made before the clock runs

    def send() -> None:
        sent = world.send([study], path)
        assert sent.all_success, sent.describe()

    return timed(send)


def _waits(world: World) -> Callable[[], Generator[Round, None, None]]:
    """One modality alone with a study of ten; the longest of sixteen at once until the first answer; alone again."""

    def longest() -> float:
        senders = [Sender(world.series(instances=1, matrix=32)) for _ in range(ASSOCIATIONS)]
        return timed(lambda: _together(world, senders))

    def rounds() -> Generator[Round, None, None]:
        while True:
            yield (
                _sending_time(world, instances=10),
                longest(),
                _sending_time(world, instances=10),
            )

    return rounds


@requirement("CLAIM-DUAL-08")
@pytest.mark.lasting(8)
def test_no_modality_waits_long_beside_fifteen_others(world: World) -> None:
    """With sixteen at once even the last has its first answer within five times of what one needs for its study alone.

    CLAIM-DUAL-08 (ratio rule).
    """
    ratio = world.measure(_waits(world), limit=5)
    world.judge(ratio, "longest wait of sixteen modalities over the study of one")


@requirement("CLAIM-DUAL-10")
@pytest.mark.lasting(8)
def test_sending_to_the_router_takes_about_as_long_as_to_the_pacs(world: World) -> None:
    """The same study to the PACS and to the router, in turn (ratio rule, limit 4).

    CLAIM-DUAL-10.
    """

    def rounds() -> Generator[Round, None, None]:
        while True:
            yield _sending_time(world, "pacs"), _sending_time(world), _sending_time(world, "pacs")

    world.judge(world.measure(rounds, limit=4), "a study to the router over the same to the PACS")


@requirement("CLAIM-DUAL-10")
@needs("http-interposer")
@pytest.mark.lasting(12)
def test_modality_does_not_feel_the_cloud(world: World) -> None:
    """At 200 ms, at 2000 ms and without any cloud sending takes as long as with a fast one (ratio rule, limit 1.5).

    CLAIM-DUAL-10: the longest of the three is compared.
    """

    def worst() -> float:
        times = []
        for seconds in (0.2, 2.0):
            with world.cloud_answers(rules.stores_delayed(seconds)):
                times.append(_sending_time(world))
        with world.cut("refuse"):
            times.append(_sending_time(world))
        return max(times)

    def rounds() -> Generator[Round, None, None]:
        while True:
            yield _sending_time(world), worst(), _sending_time(world)

    world.judge(
        world.measure(rounds, limit=1.5), "sending with the cloud slow or away over sending with it near"
    )
    world.router.drained(within=world.bounds.settle)


@requirement("CLAIM-DUAL-10")
@needs("control", "router-admin")
@pytest.mark.lasting(10)
def test_modality_does_not_feel_the_backlog(world: World) -> None:
    """With hundreds of instances in every queue sending takes as long as with none (ratio rule, limit 1.5).

    CLAIM-DUAL-10: 400 instances here; suites/resilience does it with 5000.
    """
    ratio = world.ratio_with_backlog(lambda: _sending_time(world), instances=BACKLOG)
    world.judge(ratio, f"sending with a backlog of {BACKLOG} over sending with none")
