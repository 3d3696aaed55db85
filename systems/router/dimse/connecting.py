"""Opens outgoing associations: the connection, the request and what the peer accepts of it (PS3.8 chapter 9)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Sequence
from typing import Final

from systems.router.dimse import associate, pdu
from systems.router.dimse.associate import AssociateItems, ContextItem
from systems.router.dimse.connection import Connection
from systems.router.dimse.errors import (
    AssociationRefused,
    AssociationRejected,
    AssociationTimedOut,
    ProtocolError,
)
from systems.router.dimse.settings import DEFAULT_MAX_PDU, AcceptedContext, ClientTimeouts, ProposedContext

MOST_CONTEXTS: Final = 128


async def establish(
    host: str,
    port: int,
    *,
    calling_ae: str,
    called_ae: str,
    contexts: Sequence[ProposedContext],
    timeouts: ClientTimeouts,
    tls: ssl.SSLContext | None,
    relational: Iterable[str],
) -> tuple[Connection, list[AcceptedContext]]:
    """Open a connection and negotiate. Raises as `client.Association.connect`."""
    if not 0 < len(contexts) <= MOST_CONTEXTS:
        message = f"an association carries 1 to {MOST_CONTEXTS} presentation contexts, not {len(contexts)}"
        raise ValueError(message)
    peer = f"{called_ae} at {host}:{port}"
    connection = await _open(peer, host, port, tls, timeouts)
    items = [
        ContextItem(2 * n + 1, context.abstract_syntax, context.transfer_syntaxes)
        for n, context in enumerate(contexts)
    ]
    request = AssociateItems(called_ae, calling_ae, items, max_pdu=DEFAULT_MAX_PDU)
    request.roles = {context.abstract_syntax: (True, True) for context in contexts if context.scp_role}
    request.extended = dict.fromkeys(relational, b"\1")
    try:
        answer = await _answer(peer, connection, request, timeouts)
        accepted = _accepted(items, answer)
        connection.use([context.context_id for context in accepted], answer.max_pdu)
    except BaseException as error:
        connection.abort(pdu.BY_SERVICE_PROVIDER if isinstance(error, ProtocolError) else pdu.BY_SERVICE_USER)
        raise
    return connection, accepted


async def _open(
    peer: str, host: str, port: int, tls: ssl.SSLContext | None, timeouts: ClientTimeouts
) -> Connection:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeouts.connect):
            _, connection = await loop.create_connection(
                lambda: Connection({pdu.ASSOCIATE_AC, pdu.ASSOCIATE_RJ}), host, port, ssl=tls
            )
    except TimeoutError as error:
        message = f"{peer} did not take the connection within {timeouts.connect:g} s"
        raise AssociationTimedOut(message) from error
    except OSError as error:
        message = f"no connection to {peer}: {error.strerror or error}"
        raise AssociationRefused(message) from error
    return connection


async def _answer(
    peer: str, connection: Connection, request: AssociateItems, timeouts: ClientTimeouts
) -> AssociateItems:
    connection.out.write(pdu.framed(pdu.ASSOCIATE_RQ, associate.encode(request, accept=False)))
    try:
        async with asyncio.timeout(timeouts.association):
            kind, body = await connection.control.get()
    except TimeoutError as error:
        message = f"{peer} did not answer the association request within {timeouts.association:g} s"
        raise AssociationTimedOut(message) from error
    if kind == pdu.ASSOCIATE_RJ:
        connection.close()
        raise AssociationRejected(peer, body[1], body[2], body[3])
    return associate.decode(body)


def _accepted(proposed: Sequence[ContextItem], answer: AssociateItems) -> list[AcceptedContext]:
    by_id = {context.context_id: context for context in proposed}
    return [
        AcceptedContext(item.context_id, by_id[item.context_id].abstract_syntax, item.transfer_syntaxes[0])
        for item in answer.contexts
        if item.result == 0 and item.context_id in by_id and item.transfer_syntaxes
    ]
