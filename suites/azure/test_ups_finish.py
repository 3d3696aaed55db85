"""Completing and cancelling a claimed work item: what has to be there before (PS3.4 CC.2.5.1.1)."""

from typing import Any

import pytest

from fixtures.traceability import requirement
from suites.azure.workitems import CANCELLED, CODE, PERFORMED, WorkItems, first, refused, shown

pytestmark = pytest.mark.azure

_PERFORMED = "UnifiedProcedureStepPerformedProcedureSequence"
_PROGRESS = "ProcedureStepProgressInformationSequence"


def _prepared(items: WorkItems, changes: dict[str, Any]) -> tuple[str, str]:
    uid = items.new()
    lock = items.claim(uid)
    answer = items.update(uid, changes, lock)
    assert answer.status == 200, answer.describe()
    return uid, lock


@requirement("UPS-042", "UPS-043")
def test_complete(items: WorkItems) -> None:
    """A claimed item with all that was performed is completed (UPS-042, UPS-043)."""
    uid, lock = _prepared(items, {_PERFORMED: [PERFORMED, PERFORMED]})
    answer = items.change_state(uid, "COMPLETED", lock)
    assert answer.status == 200, answer.describe()
    assert answer.body in (b"", b'""')
    assert not answer.header("Warning")
    assert items.state(uid) == "COMPLETED"


@requirement("UPS-043")
def test_nothing_performed(items: WorkItems) -> None:
    """Without the performed procedure 400 naming the tag; the state stays (UPS-043)."""
    uid = items.new()
    lock = items.claim(uid)
    refused(items.change_state(uid, "COMPLETED", lock), 400, shown(_PERFORMED))
    assert items.state(uid) == "IN PROGRESS"
    assert items.update(uid, {_PERFORMED: [PERFORMED]}, lock).status == 200
    assert items.change_state(uid, "COMPLETED", lock).status == 200, "the lock is still held"


@requirement("UPS-043")
@pytest.mark.parametrize("member", [name for name in PERFORMED if name != "OutputInformationSequence"])
def test_incomplete_performance(items: WorkItems, member: str) -> None:
    """Each item must hold what was done where and when; else 400 naming the tag (UPS-043)."""
    uid, lock = _prepared(items, {_PERFORMED: [PERFORMED, {**PERFORMED, member: None}]})
    refused(items.change_state(uid, "COMPLETED", lock), 400, shown(member))
    assert items.state(uid) == "IN PROGRESS"


@requirement("UPS-043")
def test_no_output(items: WorkItems) -> None:
    """Output information that is empty will do for an update, not for completion (UPS-043)."""
    uid, lock = _prepared(items, {_PERFORMED: [{**PERFORMED, "OutputInformationSequence": ()}]})
    refused(items.change_state(uid, "COMPLETED", lock), 400, shown("OutputInformationSequence"))


@requirement("UPS-044", "UPS-045")
def test_cancel_own_item(items: WorkItems) -> None:
    """A claimed item is cancelled once time and reason are written; before, 400 (UPS-044, UPS-045)."""
    uid = items.new()
    lock = items.claim(uid)
    refused(items.change_state(uid, "CANCELED", lock), 400, shown(_PROGRESS))
    assert items.state(uid) == "IN PROGRESS"
    assert items.update(uid, {_PROGRESS: [CANCELLED]}, lock).status == 200
    answer = items.change_state(uid, "CANCELED", lock)
    assert answer.status == 200, answer.describe()
    assert items.state(uid) == "CANCELED"


@requirement("UPS-044")
@pytest.mark.parametrize("member", CANCELLED)
def test_incomplete_cancellation(items: WorkItems, member: str) -> None:
    """Each progress item must hold time and reason of the cancellation; else 400 naming the tag (UPS-044)."""
    uid, lock = _prepared(items, {_PROGRESS: [{**CANCELLED, member: None}]})
    refused(items.change_state(uid, "CANCELED", lock), 400, shown(member))
    assert items.state(uid) == "IN PROGRESS"


@requirement("UPS-042")
def test_final_data_stays(items: WorkItems) -> None:
    """What was written before the end is what is retrieved after it (UPS-042)."""
    uid, _ = items.finished("COMPLETED")
    stored = items.get(uid)
    performed = first(stored, _PERFORMED)
    assert (
        first(performed, "PerformedProcedureStepStartDateTime")
        == PERFORMED["PerformedProcedureStepStartDateTime"]
    )
    assert first(first(performed, "PerformedWorkitemCodeSequence"), "CodeValue") == CODE["CodeValue"]
