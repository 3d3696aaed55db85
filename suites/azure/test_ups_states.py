"""Changing the state of a work item: claims, locks and transitions (PS3.4 table CC.1.1-2)."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from fixtures.traceability import requirement
from suites.azure.workitems import EMPTY, WorkItems, model, refused, shown, warned

pytestmark = pytest.mark.azure

_IN_PROGRESS, _COMPLETED, _CANCELED = "IN PROGRESS", "COMPLETED", "CANCELED"


@requirement("UPS-035", "UPS-038")
def test_claim(items: WorkItems) -> None:
    """A scheduled item is claimed with any new UID, which becomes the lock (UPS-035, UPS-038)."""
    uid, lock = items.new(), items.uid()
    answer = items.change_state(uid, _IN_PROGRESS, lock)
    assert answer.status == 200, answer.describe()
    assert answer.body in (b"", b'""'), answer.describe()
    assert not answer.header("Warning")
    assert items.state(uid) == _IN_PROGRESS
    refused(items.update(uid, {"ProcedureStepLabel": "New"}, items.uid()), 400)
    assert items.update(uid, {"ProcedureStepLabel": "New"}, lock).status == 200


@requirement("UPS-038", "UPS-040")
def test_only_one_claim_succeeds(items: WorkItems) -> None:
    """Of claims that come at the same time one succeeds; its UID is the lock (UPS-038, UPS-040)."""
    uid = items.new()
    locks = [items.uid() for _ in range(6)]
    with ThreadPoolExecutor(len(locks)) as pool:
        statuses = list(pool.map(lambda lock: items.change_state(uid, _IN_PROGRESS, lock).status, locks))
    assert sorted(statuses) == [200, *[400] * 5]
    winner = locks[statuses.index(200)]
    assert items.update(uid, {"ProcedureStepLabel": "New"}, winner).status == 200


@requirement("UPS-036")
@pytest.mark.parametrize("keyword", ["TransactionUID", "ProcedureStepState"])
def test_both_attributes(items: WorkItems, keyword: str) -> None:
    """A state change without transaction UID or state is 400 naming the tag (UPS-036)."""
    uid = items.new()
    whole = {"TransactionUID": items.uid(), "ProcedureStepState": _IN_PROGRESS}
    for value in (None, EMPTY):
        answer = items.send("PUT", f"/{uid}/state", [model({**whole, keyword: value})])
        refused(answer, 400, shown(keyword))
    assert items.state(uid) == "SCHEDULED"
    assert items.send("PUT", f"/{uid}/state", [model(whole)]).status == 200


@requirement("UPS-037")
@pytest.mark.parametrize("target", ["SCHEDULED", "DONE", "in progress", "CANCELLED"])
def test_illegal_targets(items: WorkItems, target: str) -> None:
    """Anything but the three targets is 400 (UPS-037)."""
    uid, lock = items.new(), items.uid()
    refused(items.change_state(uid, target, lock), 400)
    assert items.state(uid) == "SCHEDULED"
    assert items.change_state(uid, _IN_PROGRESS, lock).status == 200


@requirement("UPS-039")
def test_claim_again(items: WorkItems) -> None:
    """A second claim by the same is 400 with C302 (UPS-039)."""
    uid = items.new()
    refused(items.change_state(uid, _IN_PROGRESS, items.claim(uid)), 400, "C302")
    assert items.state(uid) == _IN_PROGRESS


@requirement("UPS-040", "UPS-049")
@pytest.mark.parametrize("target", [_IN_PROGRESS, _COMPLETED, _CANCELED])
def test_someone_elses_item(items: WorkItems, target: str) -> None:
    """Nobody without the lock changes the state: 400 with C301, not 409 (UPS-040, UPS-049)."""
    uid = items.new()
    lock = items.claim(uid)
    answer = items.change_state(uid, target, items.uid())
    assert answer.status in (400, 409), answer.describe()
    refused(answer, answer.status, "C301")
    assert items.state(uid) == _IN_PROGRESS
    refused(items.change_state(uid, _IN_PROGRESS, lock), 400, "C302", because="the lock is the old one")


@requirement("UPS-041")
@pytest.mark.parametrize("target", [_COMPLETED, _CANCELED])
def test_skipping_the_claim(items: WorkItems, target: str) -> None:
    """A scheduled item cannot be finished by a state change: 400 with C301 (UPS-041)."""
    uid = items.new()
    refused(items.change_state(uid, target, items.uid()), 400, "C301")
    assert items.state(uid) == "SCHEDULED"


@requirement("UPS-046")
@pytest.mark.parametrize(("state", "code"), [(_COMPLETED, "B306"), (_CANCELED, "B304")])
def test_repeating_the_final_state(items: WorkItems, state: str, code: str) -> None:
    """The same final state again, with the lock, is 200 with a warning that names state and code (UPS-046)."""
    uid, lock = items.finished(state)
    answer = items.change_state(uid, state, lock)
    refused(answer, 200, state, code)
    warned(items, answer)
    assert items.state(uid) == state
    refused(items.change_state(uid, state, items.uid()), 400, "C301")


@requirement("UPS-047")
@pytest.mark.parametrize(("state", "other"), [(_COMPLETED, _CANCELED), (_CANCELED, _COMPLETED)])
def test_leaving_a_final_state(items: WorkItems, state: str, other: str) -> None:
    """A final state is final: C300 with the lock, C301 without (UPS-047)."""
    uid, lock = items.finished(state)
    for target in (_IN_PROGRESS, other):
        refused(items.change_state(uid, target, lock), 400, "C300", because=target)
        refused(items.change_state(uid, target, items.uid()), 400, "C301", because=target)
    assert items.state(uid) == state


@requirement("UPS-047")
def test_claiming_what_was_cancelled(items: WorkItems) -> None:
    """An item cancelled before its claim has no lock: a claim with any UID gives C300 (UPS-047)."""
    uid = items.new()
    assert items.cancel(uid).status == 202
    refused(items.change_state(uid, _IN_PROGRESS, items.uid()), 400, "C300")
    assert items.state(uid) == _CANCELED


@requirement("UPS-048")
def test_unknown(items: WorkItems) -> None:
    """An unknown work item is 404 with a warning and a text (UPS-048)."""
    answer = items.change_state(items.uid(), _IN_PROGRESS, items.uid())
    refused(answer, 404, "not found")
    warned(items, answer)
