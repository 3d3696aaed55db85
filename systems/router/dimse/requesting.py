"""Sending requests and taking their responses, on an association of either side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from systems.router.dimse import command_sets
from systems.router.dimse import identifier as identifiers
from systems.router.dimse.command import Command
from systems.router.dimse.connection import Connection, Message
from systems.router.dimse.errors import DimseError, NoAnswer
from systems.router.dimse.inbox import Mailbox
from systems.router.dimse.settings import AcceptedContext
from systems.router.dimse.status import Status

if TYPE_CHECKING:
    from pydicom import Dataset


async def next_response(mailbox: Mailbox[Message], within: float) -> Message:
    """The next response to a request.

    Raises:
        NoAnswer: when the association ends or nothing comes for `within` seconds.

    """
    waiting = mailbox.take()
    if waiting is not None:
        return waiting
    try:
        async with asyncio.timeout(within):
            return await mailbox.get()
    except TimeoutError as error:
        message = f"no response within {within:g} s"
        raise NoAnswer(message) from error
    except DimseError as error:
        message = f"no response: {error}"
        raise NoAnswer(message) from error


def status_of(response: Command) -> Status:
    """The status of a response.

    Raises:
        NoAnswer: when it has none; an empty status is never a success (ROUTER-087).

    """
    status = response.status
    if status is None:
        message = "the response has no status"
        raise NoAnswer(message)
    return status


async def send_request(
    connection: Connection,
    context_id: int,
    request: bytes,
    data: bytes | memoryview | AsyncIterable[bytes | memoryview] | None,
    within: float,
) -> None:
    """Send a request; `within` is seconds of silence of the peer.

    Raises:
        NoAnswer: when the association ends before all is sent. An error of the iterable itself passes through.

    """
    try:
        if data is None or isinstance(data, bytes | memoryview):
            await connection.out.send(context_id, request, data, within)
        else:
            await connection.out.send_stream(context_id, request, data, within)
    except DimseError as error:
        if connection.failure is None:
            raise
        message = f"the association ended while a request was being sent: {error}"
        raise NoAnswer(message) from error


async def send_store(
    connection: Connection,
    context_id: int,
    message_id: int,
    sop_class_uid: str,
    sop_instance_uid: str,
    data: bytes | memoryview | AsyncIterable[bytes | memoryview],
    *,
    move_originator: tuple[str, int] | None,
    within: float,
) -> Status:
    """Send one object and wait for its status; `within` is seconds of silence.

    Raises:
        NoAnswer: when no usable response came; the peer may hold the object or not.

    """
    mailbox = connection.responses(message_id)
    request = command_sets.store_request(message_id, sop_class_uid, sop_instance_uid, move_originator)
    try:
        await send_request(connection, context_id, request, data, within)
        return status_of((await next_response(mailbox, within)).command)
    finally:
        connection.forget(message_id)


async def send_event_report(
    connection: Connection,
    context_id: int,
    message_id: int,
    instance: tuple[str, str],
    event_type_id: int,
    information: bytes,
    *,
    within: float,
) -> Status:
    """Send N-EVENT-REPORT for `instance` (SOP Class and Instance UID) and wait for its status.

    Raises:
        NoAnswer: when no usable response came; the peer may have taken the report or not.

    """
    mailbox = connection.responses(message_id)
    request = command_sets.event_report_request(message_id, *instance, event_type_id)
    try:
        await send_request(connection, context_id, request, information, within)
        return status_of((await next_response(mailbox, within)).command)
    finally:
        connection.forget(message_id)


@dataclass(frozen=True, slots=True)
class QueryResponse:
    """A response to C-FIND or C-MOVE with its decoded identifier, if it has one."""

    status: Status
    command: Command
    identifier: Dataset | None


class RunningQuery:
    """A C-FIND or C-MOVE under way on an outgoing association."""

    def __init__(
        self, connection: Connection, context: AcceptedContext, message_id: int, within: float
    ) -> None:
        self._connection = connection
        self._context = context
        self._message_id = message_id
        self._within = within
        self._mailbox = connection.responses(message_id)
        self._open = False

    async def start(self, request: bytes, identifier: bytes) -> None:
        """Send the request.

        Raises:
            NoAnswer: when the association ends before all is sent.

        """
        await send_request(self._connection, self._context.context_id, request, identifier, self._within)
        self._open = True

    async def next(self) -> QueryResponse | None:
        """The next response; None after the final one.

        Raises:
            NoAnswer: when none comes in time or it has no status.
            IdentifierError: when its identifier cannot be read.

        """
        if not self._open:
            return None
        message = await next_response(self._mailbox, self._within)
        status = status_of(message.command)
        self._open = status.is_pending
        return QueryResponse(status, message.command, await self._identifier(message))

    async def _identifier(self, message: Message) -> Dataset | None:
        if message.data is None:
            return None
        try:
            async with asyncio.timeout(self._within):
                raw = await message.data.read(identifiers.LARGEST_IDENTIFIER)
        except (TimeoutError, DimseError) as error:
            text = f"a response was cut short: {error or 'the peer fell silent'}"
            raise NoAnswer(text) from error
        return identifiers.decode(raw, self._context.transfer_syntax)

    async def cancel(self) -> None:
        """Send C-CANCEL and wait for the final response; nothing to do after that one.

        Raises:
            NoAnswer: when the final response does not come.

        """
        if not self._open or self._connection.failure is not None:
            return
        request = command_sets.cancel_request(self._message_id)
        await send_request(self._connection, self._context.context_id, request, None, self._within)
        while self._open:
            message = await next_response(self._mailbox, self._within)
            self._open = status_of(message.command).is_pending
            if message.data is not None:
                message.data.ignore()
