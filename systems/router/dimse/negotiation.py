"""How a listener answers an association request (PS3.8 section 9.3.3, PS3.7 annex D.3)."""

from dataclasses import dataclass, field

from systems.router.dimse.associate import AssociateItems, ContextItem
from systems.router.dimse.settings import AcceptedContext, DimseSettings
from systems.router.dimse.uids import (
    APPLICATION_CONTEXT,
    GET_CLASSES,
    IMPLICIT_VR_LE,
    QUERY_RETRIEVE_CLASSES,
)

ACCEPTANCE = 0
USER_REJECTION = 1
ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


@dataclass(frozen=True, slots=True)
class Rejection:
    """Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""

    result: int
    source: int
    reason: int


CALLED_AE_NOT_RECOGNISED = Rejection(1, 1, 7)
CALLING_AE_NOT_RECOGNISED = Rejection(1, 1, 3)
APPLICATION_CONTEXT_NOT_SUPPORTED = Rejection(1, 1, 2)
PROTOCOL_VERSION_NOT_SUPPORTED = Rejection(1, 2, 2)
LOCAL_LIMIT_EXCEEDED = Rejection(2, 3, 2)


@dataclass(slots=True)
class Negotiated:
    """What both sides agreed on: accepted contexts by id, relational SOP classes, the peer's maximum PDU."""

    contexts: dict[int, AcceptedContext]
    peer_max_pdu: int
    relational: frozenset[str] = frozenset()
    scp_roles: frozenset[str] = field(default_factory=frozenset)


def check(settings: DimseSettings, request: AssociateItems, host: str) -> Rejection | None:
    """The reason to reject the association altogether, if there is one (ROUTER-003, ROUTER-004)."""
    if not request.protocol_version & 1:
        return PROTOCOL_VERSION_NOT_SUPPORTED
    if request.application_context != APPLICATION_CONTEXT:
        return APPLICATION_CONTEXT_NOT_SUPPORTED
    if settings.check_called_ae and request.called_ae != settings.ae_title:
        return CALLED_AE_NOT_RECOGNISED
    if settings.allowed_calling_aes and request.calling_ae not in settings.allowed_calling_aes:
        return CALLING_AE_NOT_RECOGNISED
    return None if settings.allows_address(host) else CALLING_AE_NOT_RECOGNISED


def answer_context(settings: DimseSettings, proposed: ContextItem) -> ContextItem:
    """Accept the first transfer syntax we know (ROUTER-022), else say why not (results 3 and 4)."""
    known = settings.transfer_syntaxes_for(proposed.abstract_syntax)
    if known is None:
        result, syntax = ABSTRACT_SYNTAX_NOT_SUPPORTED, IMPLICIT_VR_LE
    else:
        accepted = next((uid for uid in proposed.transfer_syntaxes if uid in known), None)
        if accepted is None:
            result, syntax = TRANSFER_SYNTAXES_NOT_SUPPORTED, IMPLICIT_VR_LE
        else:
            result, syntax = ACCEPTANCE, accepted
    # A rejected context must still name a transfer syntax, which is not significant (PS3.8 section 9.3.3.2).
    return ContextItem(proposed.context_id, proposed.abstract_syntax, (syntax,), result)


def negotiate(settings: DimseSettings, request: AssociateItems) -> tuple[AssociateItems, Negotiated]:
    """The A-ASSOCIATE-AC to send and what it means for this side."""
    answered = [answer_context(settings, context) for context in request.contexts]
    relational = frozenset(
        uid
        for uid, information in request.extended.items()
        if uid in QUERY_RETRIEVE_CLASSES & settings.query_classes and information[:1] == b"\1"
    )
    roles = _roles(settings, request)
    response = AssociateItems(
        request.called_ae,
        request.calling_ae,
        contexts=answered,
        max_pdu=settings.max_pdu,
        roles=roles,
        extended={
            uid: bytes([uid in relational]) + bytes(max(0, len(information) - 1))
            for uid, information in request.extended.items()
            if uid in QUERY_RETRIEVE_CLASSES & settings.query_classes
        },
        window=(1, 1) if request.window is not None else None,
    )
    contexts = {
        context.context_id: AcceptedContext(
            context.context_id, context.abstract_syntax, context.transfer_syntaxes[0]
        )
        for context in answered
        if context.result == ACCEPTANCE
    }
    scp_roles = frozenset(uid for uid, (_, scp) in roles.items() if scp)
    return response, Negotiated(contexts, request.max_pdu, relational, scp_roles)


def _roles(settings: DimseSettings, request: AssociateItems) -> dict[str, tuple[bool, bool]]:
    """Let requesters receive objects when C-GET is answered here; otherwise keep the default roles."""
    storage = settings.storage_classes | settings.private_storage_classes
    get = bool(GET_CLASSES & settings.query_classes)
    return {uid: (scu, scp and get) for uid, (scu, scp) in request.roles.items() if uid in storage}
