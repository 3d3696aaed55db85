"""What a store response means for each instance: the table of ROUTER-043, as a pure function."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final

import orjson

from systems.router.cloud.http import Answer

_TRANSIENT: Final = frozenset({408, 424, 429, 500, 502, 503, 504})
_DEFECT: Final = frozenset({400, 406, 413, 415})
_NOT_ACTED_ON: Final = frozenset({429})


class Kind(Enum):
    """What happened to one instance."""

    STORED = "stored"
    STORED_WITH_WARNING = "stored with warning"
    ALREADY_THERE = "already there, to be compared"
    ALREADY_STORED = "already stored"
    CONFLICT = "identity conflict"
    UNKNOWN = "unknown"
    NOTHING_STORED = "nothing was stored"
    DEFECT = "request defect or too large"
    UNAUTHORISED = "not authorised"
    TRANSIENT = "transient"
    IN_PROGRESS = "creation in progress elsewhere"
    REJECTED = "rejected"
    PROCESSING_FAILURE = "general processing failure"
    REFUSED = "unknown refusal"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome for one instance.

    `status` is the C-STORE status of the synchronous bridge. `uncertain`: the cloud may hold the instance. `retry_after`
    is seconds. `batch_fault`: the answer speaks of the request as a whole, so each instance deserves its own. `answered`:
    the cloud itself said so; else there was no answer, or no token to ask with.
    """

    kind: Kind
    status: int
    comment: str
    uncertain: bool = False
    retry_after: float | None = None
    batch_fault: bool = False
    answered: bool = True


@dataclass(frozen=True, slots=True)
class _Item:
    """One entry of a response sequence: Warning Reason or Failure Reason, and the error comment behind it."""

    reason: int | None
    comment: str


_Sequences = tuple[dict[str, _Item], dict[str, _Item]]

_REASONS: Final[dict[int | None, Verdict]] = {
    45070: Verdict(Kind.ALREADY_THERE, 0xA700, "the cloud holds an instance of this UID"),
    45071: Verdict(Kind.IN_PROGRESS, 0xA700, "the cloud is creating this instance already"),
    43264: Verdict(Kind.REJECTED, 0xA900, "validation failed in the cloud (43264)"),
    43265: Verdict(Kind.REJECTED, 0xA900, "study UID mismatch (43265)"),
    272: Verdict(Kind.PROCESSING_FAILURE, 0xA700, "processing failure in the cloud (272)"),
    42752: Verdict(Kind.PROCESSING_FAILURE, 0xA700, "the cloud is out of resources (42752)"),
    290: Verdict(Kind.REJECTED, 0xA900, "SOP class not supported by the cloud (290)"),
}
_UNMATCHED: Final = Verdict(Kind.UNKNOWN, 0xA700, "the cloud did not say what became of it", uncertain=True)
_REFUSAL: Final = Verdict(Kind.REFUSED, 0xC000, "refused by the cloud without a reason")


def classify(answer: Answer, sop_instance_uids: Collection[str]) -> dict[str, Verdict]:
    """The verdict for each instance sent; the HTTP status alone never makes one a success (ROUTER-042)."""
    status = answer.status
    if status in (200, 202, 409):
        sequences = _sequences(answer.body)
        return {uid: _by_body(status, sequences, uid) for uid in sop_instance_uids}
    verdict = _by_status(status)
    if verdict.kind is Kind.TRANSIENT:
        verdict = replace(verdict, retry_after=answer.retry_after)
    return dict.fromkeys(sop_instance_uids, verdict)


def _by_status(status: int) -> Verdict:
    if status == 204:
        return Verdict(Kind.NOTHING_STORED, 0xC000, "HTTP 204: nothing was stored", batch_fault=True)
    if status in _DEFECT:
        return Verdict(Kind.DEFECT, 0xC000, f"HTTP {status}: request refused", batch_fault=True)
    if status in (401, 403):
        what = "token rejected" if status == 401 else "role missing"
        return Verdict(Kind.UNAUTHORISED, 0x0124, f"HTTP {status}: {what}")
    if status in _TRANSIENT:
        return Verdict(
            Kind.TRANSIENT, 0xA700, f"cloud unavailable: HTTP {status}", uncertain=status not in _NOT_ACTED_ON
        )
    return Verdict(Kind.UNKNOWN, 0xA700, f"unexpected HTTP {status}", uncertain=True)


def _by_body(status: int, sequences: _Sequences | None, uid: str) -> Verdict:
    if sequences is None:
        return _REFUSAL if status == 409 else _UNMATCHED
    referenced, failed = sequences
    if uid in failed:
        reason = failed[uid].reason
        if reason in _REASONS:
            return _REASONS[reason]
        return Verdict(Kind.REFUSED, 0xC000, f"refused by the cloud with reason {reason}")
    if status == 409:
        # 409 says that no instance was stored: not even one named as stored is a success (ROUTER-044).
        return _REFUSAL
    if uid not in referenced:
        return _UNMATCHED
    return _stored(referenced[uid])


def _stored(item: _Item) -> Verdict:
    reason = item.reason
    if reason in (None, 0, 45063):
        return Verdict(Kind.STORED, 0x0000, "")
    if reason in (45056, 45062):
        return Verdict(Kind.STORED_WITH_WARNING, reason, item.comment or f"stored with warning {reason}")
    if reason == 1:
        return Verdict(Kind.STORED_WITH_WARNING, 0xB007, item.comment or "some attributes were not indexed")
    return Verdict(Kind.STORED_WITH_WARNING, 0xB007, item.comment or f"stored with warning {reason}")


def _sequences(body: bytes) -> _Sequences | None:
    """Referenced and failed instances by UID; None when unreadable."""
    try:
        data_set = orjson.loads(body)
        return _items(data_set, "00081199", "00081196"), _items(data_set, "00081198", "00081197")
    except (orjson.JSONDecodeError, AttributeError, KeyError, IndexError, TypeError):
        return None


def _items(data_set: dict[str, Any], sequence: str, reason: str) -> dict[str, _Item]:
    found: dict[str, _Item] = {}
    for item in data_set.get(sequence, {}).get("Value") or []:
        value = _first(item, reason)
        comment = _first(_first(item, "00741048") or {}, "00000902")
        found[str(item["00081155"]["Value"][0])] = _Item(
            value if isinstance(value, int) else None, str(comment or "")
        )
    return found


def _first(item: dict[str, Any], tag: str) -> Any:
    values = item.get(tag, {}).get("Value") or [None]
    return values[0]
