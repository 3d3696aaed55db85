"""One transport connection of an association: reading messages and ending it; what leaves, leaves by its `out`.

The same class serves both ends; what differs is which control PDUs are expected when (`expected`), and who drives.
"""

import asyncio
import socket
from collections.abc import Callable, Collection
from typing import Final, cast

from systems.router.dimse import command as commands
from systems.router.dimse import pdu
from systems.router.dimse.command import Command
from systems.router.dimse.errors import AssociationAborted, DimseError, ProtocolError
from systems.router.dimse.inbox import IncomingData, Mailbox
from systems.router.dimse.outbox import Outbox
from systems.router.dimse.settings import DEFAULT_MAX_PDU

_HIGH_WATER: Final = 1 << 20
_LOW_WATER: Final = 1 << 18
# A peer may have one operation outstanding (window 1); a few more are forgiven, a flood is not.
_MOST_WAITING: Final = 16
_LINGER: Final = 1.0


class Message:
    """A received DIMSE message; `data` is None when the command set says that there is no data set."""

    __slots__ = ("command", "context_id", "data")

    def __init__(self, context_id: int, command: Command, data: IncomingData | None) -> None:
        self.context_id = context_id
        self.command = command
        self.data = data


class Connection(asyncio.Protocol):
    """A byte stream between two upper layers.

    `requests` holds received requests in order, None for A-RELEASE-RQ; `control` the other control PDUs as (type, body).
    """

    def __init__(
        self, expected: Collection[int], opened: Callable[["Connection"], None] | None = None
    ) -> None:
        self.expected = frozenset(expected)
        self.context_ids: frozenset[int] = frozenset()
        self.requests: Mailbox[Message | None] = Mailbox(self._wait)
        self.control: Mailbox[tuple[int, bytes]] = Mailbox()
        self.on_cancel: Callable[[int], None] | None = None
        self.on_lost: Callable[[], None] | None = None
        self.failure: DimseError | None = None
        self.out = Outbox(lambda because: self.abort(pdu.BY_SERVICE_PROVIDER, 0, because))
        self.last_received = self.waiting_since = 0.0
        self._opened = opened
        self._responses: dict[int, Mailbox[Message]] = {}
        self._reader = pdu.PduReader(self)
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._command = bytearray()
        self._receiving: Message | None = None
        self._buffered = 0
        self._reading_paused = False
        self._closed = self._loop.create_future()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; small writes leave at once (TCP_NODELAY)."""
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self.out.open(self._transport)
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.last_received = self._loop.time()
        if self._opened is not None:
            self._opened(self)

    def data_received(self, data: bytes) -> None:
        """Read on; anything the protocol does not allow aborts the association."""
        if self.failure is not None:
            return
        self.last_received = self._loop.time()
        try:
            self._reader.feed(data)
        except ProtocolError as error:
            self.abort(pdu.BY_SERVICE_PROVIDER, error.reason, error)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who still waits."""
        self._fail(AssociationAborted("the connection was lost" + (f": {exc}" if exc else "")))
        if not self._closed.done():
            self._closed.set_result(None)

    def pause_writing(self) -> None:
        """The peer reads too slowly."""
        self.out.pause()

    def resume_writing(self) -> None:
        """The peer has caught up."""
        self.out.resume()

    # What the PDU reader calls.

    def pdu(self, kind: int, body: bytes) -> None:
        """Sort a control PDU."""
        if kind == pdu.ABORT:
            self._fail(
                AssociationAborted(f"the peer aborted the association (source {body[2]}, reason {body[3]})")
            )
            self._close()
            return
        if kind not in self.expected:
            message = f"PDU type {kind} is not expected now"
            raise ProtocolError(message, pdu.UNEXPECTED_PDU)
        if kind == pdu.RELEASE_RQ:
            self.requests.put(None)
        else:
            self.control.put((kind, body))

    def fragment(self, context_id: int, flags: int, data: memoryview, *, complete: bool) -> None:
        """Put a command set together; hand a data set on."""
        if self.failure is not None:
            return
        if flags & pdu.COMMAND:
            self._command_fragment(context_id, data, last=complete and bool(flags & pdu.LAST))
            return
        message = self._receiving
        if message is None or message.data is None or message.context_id != context_id:
            text = "a data set fragment without a command that announces it"
            raise ProtocolError(text, pdu.UNEXPECTED_PDU)
        last = complete and bool(flags & pdu.LAST)
        if last:
            self._receiving = None
        self._buffered += len(data)
        message.data.push(data, last=last)
        if self._buffered > _HIGH_WATER and not self._reading_paused and self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()

    def _command_fragment(self, context_id: int, data: memoryview, *, last: bool) -> None:
        if context_id not in self.context_ids:
            message = f"a message on presentation context {context_id}, which was not accepted"
            raise ProtocolError(message, pdu.INVALID_PARAMETER)
        if self._receiving is not None or len(self._command) + len(data) > commands.LARGEST_COMMAND:
            message = "a command inside a data set, or one of absurd size"
            raise ProtocolError(message, pdu.UNEXPECTED_PDU)
        self._command += data
        if not last:
            return
        command = commands.decode(self._command)
        self._command.clear()
        self._begin(context_id, command)

    def _begin(self, context_id: int, command: Command) -> None:
        message = Message(context_id, command, None)
        if command.has_data_set:
            message.data = IncomingData(self._taken, self._wait)
            self._receiving = message
        if command.is_response:
            waiting = self._responses.get(command.responded_to)
            if waiting is not None:
                waiting.put(message)
            elif message.data is not None:
                message.data.ignore()
        elif command.field == commands.C_CANCEL_RQ:
            if self.on_cancel is not None:
                self.on_cancel(command.responded_to)
        elif len(self.requests) >= _MOST_WAITING:
            text = "more requests at once than were negotiated"
            raise ProtocolError(text)
        else:
            self.requests.put(message)

    def _taken(self, size: int) -> None:
        self._buffered -= size
        if self._reading_paused and self._buffered < _LOW_WATER and self._transport is not None:
            self._reading_paused = False
            self._transport.resume_reading()

    def _wait(self) -> None:
        self.waiting_since = self._loop.time()

    # What the association does with it.

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the peer."""
        name = self._transport.get_extra_info("peername") if self._transport is not None else None
        return (str(name[0]), int(name[1])) if name else ("", 0)

    def use(self, context_ids: Collection[int], peer_max_pdu: int) -> None:
        """The association stands: messages may flow on these contexts.

        `peer_max_pdu` is the peer's maximum length in bytes, 0 for no limit.

        Raises:
            ProtocolError: when the peer's maximum leaves no room for a value.

        """
        largest = min(peer_max_pdu or DEFAULT_MAX_PDU, 8 * DEFAULT_MAX_PDU)
        self.out.fragment_size = pdu.fragment_size(largest)
        self.context_ids = frozenset(context_ids)
        self.expected = frozenset({pdu.RELEASE_RQ})

    def responses(self, message_id: int) -> Mailbox[Message]:
        """Open the mailbox for responses to a request; `forget` closes it."""
        mailbox: Mailbox[Message] = Mailbox()
        if self.failure is not None:
            mailbox.fail(self.failure)
        self._responses[message_id] = mailbox
        return mailbox

    def forget(self, message_id: int) -> None:
        """No more responses are wanted for this request."""
        mailbox = self._responses.pop(message_id, None)
        for message in mailbox.clear() if mailbox is not None else ():
            if message.data is not None:
                message.data.ignore()

    # Ending.

    def abort(self, source: int, reason: int = 0, because: DimseError | None = None) -> None:
        """Send A-ABORT and close; everybody who waits gets `because`."""
        self.out.last_words(pdu.abort(source, reason))
        self._fail(because or AssociationAborted("the association was aborted on this side"))
        self._linger()

    def finish(self, last_words: bytes = b"") -> None:
        """End without an abort: write `last_words` (A-RELEASE-RP, A-ASSOCIATE-RJ) and leave the closing to the peer."""
        if last_words:
            self.out.last_words(last_words)
        self._fail(AssociationAborted("the association has been released"))
        self._linger()

    async def closed(self) -> None:
        """Wait until the transport is gone."""
        await asyncio.shield(self._closed)

    def _linger(self) -> None:
        # Closing with unread bytes makes the kernel send RST, which can take our last PDU away from the peer.
        if self._transport is None:
            return
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()
        self._loop.call_later(_LINGER, self._close)

    def close(self) -> None:
        """Close the transport after what is written."""
        self._fail(AssociationAborted("the association has been closed"))
        self._close()

    def _close(self) -> None:
        if self._transport is not None and not self._closed.done():
            if self._transport.get_write_buffer_size():
                self._loop.call_later(_LINGER, self._transport.abort)
            self._transport.close()

    def _fail(self, error: DimseError) -> None:
        if self.failure is not None:
            return
        self.failure = error
        self.requests.fail(error)
        self.control.fail(error)
        for mailbox in self._responses.values():
            mailbox.fail(error)
        if self._receiving is not None and self._receiving.data is not None:
            self._receiving.data.fail(error)
        self.out.fail(error)
        if self.on_lost is not None:
            self.on_lost()
