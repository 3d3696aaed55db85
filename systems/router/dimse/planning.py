"""Which presentation contexts to propose for a batch of objects (ROUTER-024)."""

from collections.abc import Iterable
from typing import Final

from systems.router.dimse.settings import ProposedContext
from systems.router.dimse.uids import EXPLICIT_VR_LE, IMPLICIT_VR_LE

MOST_CONTEXTS: Final = 128


def contexts_for(sop_class_uid: str, transfer_syntax_uids: Iterable[str]) -> list[ProposedContext]:
    """One context for each stored transfer syntax, and one for each uncompressed default not among them.

    A context of its own for each syntax leaves the acceptor no choice, so that each object can go as it is stored.
    """
    syntaxes = dict.fromkeys((*transfer_syntax_uids, EXPLICIT_VR_LE, IMPLICIT_VR_LE))
    return [ProposedContext(sop_class_uid, (syntax,)) for syntax in syntaxes]


def plan_contexts(objects: Iterable[tuple[str, str]]) -> list[list[ProposedContext]]:
    """Contexts for objects given as (SOP class UID, transfer syntax UID), split into associations of at most 128.

    The contexts of a SOP class stay together unless it alone needs more than one association.
    """
    by_class: dict[str, dict[str, None]] = {}
    for sop_class_uid, transfer_syntax_uid in objects:
        by_class.setdefault(sop_class_uid, {})[transfer_syntax_uid] = None
    associations: list[list[ProposedContext]] = []
    for sop_class_uid, syntaxes in by_class.items():
        group = contexts_for(sop_class_uid, syntaxes)
        if associations and len(associations[-1]) + len(group) <= MOST_CONTEXTS:
            associations[-1].extend(group)
            continue
        associations.extend(
            group[start : start + MOST_CONTEXTS] for start in range(0, len(group), MOST_CONTEXTS)
        )
    return associations
