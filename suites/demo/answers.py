"""How the final answer of a query or retrieval is read."""

from fixtures.actors.results import FindResult, MoveResult

_WARNING = 0xB000
_CANCELLED = 0xFE00


def is_failure(result: FindResult | MoveResult) -> bool:
    """Whether it ended with an explicit failure status (PS3.4 sections C.4.1.1.4 and C.4.2.1.5): neither success nor silence.

    A warning of C-MOVE (B000: some sub-operations failed) tells of the failure, too.
    """
    return result.status not in (None, 0x0000, _CANCELLED) and (
        isinstance(result, MoveResult) or result.status != _WARNING
    )


def cannot_look(result: FindResult) -> bool:
    """Whether the answer says that nothing could be looked up, which is not the same as nothing found."""
    return result.association != "accepted" or result.status is None or is_failure(result)
