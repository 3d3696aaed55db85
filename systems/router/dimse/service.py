"""The seam between the upper layer and what the router does: requests, responses and the handler.

A handler is given one request and gives one final answer. The server sees to it that the peer gets exactly one final
response whatever the handler does (ROUTER-048).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from systems.router.dimse import identifier
from systems.router.dimse.errors import AssociationAborted
from systems.router.dimse.status import OK, SOP_CLASS_NOT_SUPPORTED, UNRECOGNISED_OPERATION, Status

if TYPE_CHECKING:
    from pydicom import Dataset


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of an association."""

    association_id: int
    calling_ae: str
    called_ae: str
    address: str
    port: int


class DataStream(AsyncIterable[memoryview], Protocol):
    """The data set of a C-STORE as it arrives, undecoded; iterated once."""

    def __aiter__(self) -> AsyncIterator[memoryview]:
        """Fragments in order. Raises `AssociationAborted` when the peer leaves in mid-object."""
        ...


@dataclass(slots=True)
class StoreRequest:
    """A C-STORE request whose data set is still arriving."""

    peer: Peer
    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data: DataStream
    move_originator_ae: str = ""
    move_originator_message_id: int | None = None


@dataclass(slots=True)
class QueryRequest:
    """What C-FIND, C-MOVE and C-GET have in common.

    `cancelled` is set by C-CANCEL and when the requester goes; `requester_gone` tells the two apart. `relational` is
    whether relational queries (or retrievals) were negotiated for this SOP class. `identifier` is decoded lazily by
    pydicom in the context's transfer syntax.
    """

    peer: Peer
    message_id: int
    sop_class_uid: str
    identifier: Dataset
    relational: bool = False
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    requester_gone: bool = False


@dataclass(slots=True)
class FindRequest(QueryRequest):
    """A C-FIND request."""


@dataclass(slots=True)
class MoveRequest(QueryRequest):
    """A C-MOVE request."""

    destination: str = ""


DataSet = bytes | memoryview | AsyncIterable[bytes | memoryview]
SendInstance = Callable[[str, str, str, DataSet], Awaitable[Status]]


async def _cannot_send(*_: object) -> Status:
    message = "this C-GET request has no association to send on"
    raise AssociationAborted(message)


@dataclass(slots=True)
class GetRequest(QueryRequest):
    """A C-GET request.

    `send(sop_class_uid, sop_instance_uid, transfer_syntax_uid, data)` is the C-STORE sub-operation on the same
    association; it raises `ContextNotAccepted` when the requester cannot take the object and `NoAnswer` when it left.
    """

    send: SendInstance = _cannot_send


Tell = Callable[[int, "Dataset"], Awaitable[Status]]


@dataclass(slots=True)
class ActionRequest:
    """An N-ACTION request.

    `tell(event_type_id, information)` sends N-EVENT-REPORT on the same association once the request is answered; it raises
    `DimseError` when the association has ended or no usable response came.
    """

    peer: Peer
    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    action_type_id: int
    information: Dataset
    tell: Tell


@dataclass(frozen=True, slots=True)
class FindResponse:
    """One C-FIND response; `identifier` is present exactly when the status is pending."""

    status: Status
    identifier: Dataset | None = None


@dataclass(frozen=True, slots=True)
class SubOperations:
    """Counters of a C-MOVE or C-GET (0000,1020) to (0000,1023)."""

    remaining: int = 0
    completed: int = 0
    failed: int = 0
    warning: int = 0


@dataclass(frozen=True, slots=True)
class RetrieveResponse:
    """One C-MOVE or C-GET response; `failed_uids` goes out as Failed SOP Instance UID List with the final one."""

    status: Status
    counters: SubOperations | None = None
    failed_uids: tuple[str, ...] = ()


class Handler(Protocol):
    """What answers the requests of a `DimseServer`. Each method may be called for several associations at once."""

    async def echo(self, peer: Peer) -> Status:
        """Answer C-ECHO."""
        ...

    async def store(self, request: StoreRequest) -> Status:
        """Take an object. What is not read of `request.data` when this returns is read and dropped."""
        ...

    async def act(self, request: ActionRequest) -> Status:
        """Answer N-ACTION."""
        ...

    async def prepare_queries(self) -> None:
        """Load what queries need: called when a peer opens an association for them, and before each."""
        ...

    def find(self, request: FindRequest) -> AsyncIterator[FindResponse]:
        """Yield pending responses and then exactly one final response."""
        ...

    def move(self, request: MoveRequest) -> AsyncIterator[RetrieveResponse]:
        """Yield pending responses and then exactly one final response."""
        ...

    def get(self, request: GetRequest) -> AsyncIterator[RetrieveResponse]:
        """Yield pending responses and then exactly one final response."""
        ...


class BaseHandler:
    """Answers C-ECHO with success and refuses everything else; override what is supported."""

    async def echo(self, peer: Peer) -> Status:  # noqa: ARG002
        """Answer success (ROUTER-020)."""
        return OK

    async def store(self, request: StoreRequest) -> Status:  # noqa: ARG002
        """Refuse: this listener takes no objects."""
        return Status(SOP_CLASS_NOT_SUPPORTED, "this listener takes no objects")

    async def act(self, request: ActionRequest) -> Status:  # noqa: ARG002
        """Refuse: this listener takes no actions."""
        return Status(UNRECOGNISED_OPERATION, "this listener takes no actions")

    async def prepare_queries(self) -> None:
        """Load what identifiers need."""
        await identifier.load()

    async def find(self, request: FindRequest) -> AsyncIterator[FindResponse]:  # noqa: ARG002
        """Refuse: this listener answers no queries."""
        yield FindResponse(Status(UNRECOGNISED_OPERATION, "this listener answers no queries"))

    async def move(self, request: MoveRequest) -> AsyncIterator[RetrieveResponse]:  # noqa: ARG002
        """Refuse: this listener moves nothing."""
        yield RetrieveResponse(Status(UNRECOGNISED_OPERATION, "this listener moves nothing"))

    async def get(self, request: GetRequest) -> AsyncIterator[RetrieveResponse]:  # noqa: ARG002
        """Refuse: this listener gives nothing back."""
        yield RetrieveResponse(Status(UNRECOGNISED_OPERATION, "this listener gives nothing back"))
