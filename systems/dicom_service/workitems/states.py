"""The states of a work item and who may change them (PS3.4 CC.1.1; UPS-037 to UPS-047)."""

from dataclasses import dataclass

SCHEDULED = "SCHEDULED"
IN_PROGRESS = "IN PROGRESS"
COMPLETED = "COMPLETED"
CANCELED = "CANCELED"
TARGETS = frozenset({IN_PROGRESS, COMPLETED, CANCELED})

_NOT_ALLOWED = "C300"
_WRONG_TRANSACTION = "C301"
_ALREADY_CLAIMED = "C302"
_CANNOT_CANCEL_CLAIMED = "C312"
_CANNOT_CANCEL_COMPLETED = "C311"
_REPEATED = {COMPLETED: "B306", CANCELED: "B304"}


@dataclass(frozen=True, slots=True)
class Transition:
    """What becomes of a request: refused with a code, nothing to do but a warning, or done."""

    error: str = ""
    warning: str = ""


def transition(current: str, lock: str | None, target: str, transaction_uid: str) -> Transition:
    """Return what a change from `current` to `target` comes to; `lock` is the Transaction UID of the claim."""
    # An item that nobody has claimed yet can be claimed with any UID; it can be finished with none.
    matches = lock == transaction_uid or (target == IN_PROGRESS and not lock)
    if not matches or (current == SCHEDULED and target != IN_PROGRESS):
        return Transition(error=_WRONG_TRANSACTION)
    if current == IN_PROGRESS and target == IN_PROGRESS:
        return Transition(error=_ALREADY_CLAIMED)
    if current in _REPEATED:
        return Transition(warning=_REPEATED[current]) if current == target else Transition(error=_NOT_ALLOWED)
    return Transition()


def cancel_refusal(current: str) -> str:
    """Return the code with which a cancel request is refused, empty when it is granted (UPS-055, UPS-056)."""
    return {IN_PROGRESS: _CANNOT_CANCEL_CLAIMED, COMPLETED: _CANNOT_CANCEL_COMPLETED}.get(current, "")
