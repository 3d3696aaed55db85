"""DIMSE command sets: Implicit VR Little Endian, group 0000 (PS3.7 section 6.3.1 and annex E)."""

from collections.abc import Iterable
from struct import Struct
from typing import Final

from systems.router.dimse.errors import ProtocolError
from systems.router.dimse.service import SubOperations
from systems.router.dimse.status import Status

C_STORE_RQ: Final = 0x0001
C_GET_RQ: Final = 0x0010
C_FIND_RQ: Final = 0x0020
C_MOVE_RQ: Final = 0x0021
C_ECHO_RQ: Final = 0x0030
N_EVENT_REPORT_RQ: Final = 0x0100
N_ACTION_RQ: Final = 0x0130
C_CANCEL_RQ: Final = 0x0FFF
RESPONSE: Final = 0x8000

LARGEST_COMMAND: Final = 64 * 1024
_NO_DATA_SET: Final = 0x0101
_DATA_SET: Final = 0x0001
_MEDIUM_PRIORITY: Final = 0

_AFFECTED_CLASS: Final = 0x0002
_REQUESTED_CLASS: Final = 0x0003
_FIELD: Final = 0x0100
_MESSAGE_ID: Final = 0x0110
_RESPONDED_TO: Final = 0x0120
_MOVE_DESTINATION: Final = 0x0600
_PRIORITY: Final = 0x0700
_DATA_SET_TYPE: Final = 0x0800
_STATUS: Final = 0x0900
_OFFENDING_ELEMENT: Final = 0x0901
_ERROR_COMMENT: Final = 0x0902
_AFFECTED_INSTANCE: Final = 0x1000
_REQUESTED_INSTANCE: Final = 0x1001
_EVENT_TYPE_ID: Final = 0x1002
_ACTION_TYPE_ID: Final = 0x1008
_REMAINING: Final = 0x1020
_COMPLETED: Final = 0x1021
_FAILED: Final = 0x1022
_WARNING: Final = 0x1023
_MOVE_ORIGINATOR: Final = 0x1030
_MOVE_ORIGINATOR_ID: Final = 0x1031

_HEADER: Final = Struct("<HHL")
_US: Final = Struct("<H")
_AT: Final = Struct("<HH")
_GROUP_LENGTH: Final = Struct("<HHLL")


class Command:
    """A received command set; an element that is absent reads as None or an empty text."""

    __slots__ = ("_elements", "field", "has_data_set")

    def __init__(self, elements: dict[int, bytes]) -> None:
        """Take the values of group 0000 by element number.

        Raises:
            ProtocolError: when Command Field or Command Data Set Type is missing or malformed.

        """
        self._elements = elements
        field = self._number(_FIELD)
        data_set_type = self._number(_DATA_SET_TYPE)
        if field is None or data_set_type is None:
            message = "a command set without Command Field or Command Data Set Type"
            raise ProtocolError(message, 6)
        self.field = field
        self.has_data_set = data_set_type != _NO_DATA_SET

    def _number(self, element: int) -> int | None:
        value = self._elements.get(element)
        if not value:
            return None
        if len(value) != _US.size:
            message = f"command element (0000,{element:04X}) has {len(value)} bytes instead of 2"
            raise ProtocolError(message, 6)
        return int.from_bytes(value, "little")

    def _text(self, element: int) -> str:
        return self._elements.get(element, b"").decode("latin-1").strip("\0 ")

    @property
    def is_response(self) -> bool:
        """Command Field has the response bit."""
        return bool(self.field & RESPONSE)

    @property
    def message_id(self) -> int:
        """Message ID (0000,0110); 0 when absent."""
        return self._number(_MESSAGE_ID) or 0

    @property
    def responded_to(self) -> int:
        """Message ID Being Responded To (0000,0120); 0 when absent."""
        return self._number(_RESPONDED_TO) or 0

    @property
    def sop_class_uid(self) -> str:
        """Affected, else Requested, SOP Class UID."""
        return self._text(_AFFECTED_CLASS) or self._text(_REQUESTED_CLASS)

    @property
    def sop_instance_uid(self) -> str:
        """Affected SOP Instance UID (0000,1000)."""
        return self._text(_AFFECTED_INSTANCE)

    @property
    def requested_instance_uid(self) -> str:
        """Requested SOP Instance UID (0000,1001)."""
        return self._text(_REQUESTED_INSTANCE)

    @property
    def action_type_id(self) -> int:
        """Action Type ID (0000,1008); 0 when absent."""
        return self._number(_ACTION_TYPE_ID) or 0

    @property
    def move_destination(self) -> str:
        """Move Destination (0000,0600)."""
        return self._text(_MOVE_DESTINATION)

    @property
    def move_originator(self) -> str:
        """Move Originator Application Entity Title (0000,1030)."""
        return self._text(_MOVE_ORIGINATOR)

    @property
    def move_originator_id(self) -> int | None:
        """Move Originator Message ID (0000,1031)."""
        return self._number(_MOVE_ORIGINATOR_ID)

    @property
    def status(self) -> Status | None:
        """Status with comment and offending elements; None when the response has none (never a success)."""
        code = self._number(_STATUS)
        if code is None:
            return None
        tags = self._elements.get(_OFFENDING_ELEMENT, b"")
        offending = tuple(
            group << 16 | element
            for group, element in _AT.iter_unpack(tags[: len(tags) // _AT.size * _AT.size])
        )
        return Status(code, self._text(_ERROR_COMMENT), offending)

    @property
    def sub_operations(self) -> SubOperations:
        """The four counters; 0 where absent."""
        numbers = [self._number(element) or 0 for element in (_REMAINING, _COMPLETED, _FAILED, _WARNING)]
        return SubOperations(*numbers)


def decode(data: bytes | bytearray) -> Command:
    """Read a command set.

    Raises:
        ProtocolError: for anything that is not a well-formed group 0000.

    """
    elements: dict[int, bytes] = {}
    position, end = 0, len(data)
    while position < end:
        if end - position < _HEADER.size:
            message = "a command set ends inside an element header"
            raise ProtocolError(message, 6)
        group, element, length = _HEADER.unpack_from(data, position)
        position += _HEADER.size
        if group != 0 or length > end - position:
            message = f"a command set holds element ({group:04X},{element:04X}) with length {length}"
            raise ProtocolError(message, 6)
        elements[element] = bytes(data[position : position + length])
        position += length
    return Command(elements)


def _element(element: int, value: bytes) -> bytes:
    return _HEADER.pack(0, element, len(value)) + value


def _us(element: int, value: int) -> bytes:
    return _HEADER.pack(0, element, 2) + _US.pack(value & 0xFFFF)


def _uid(element: int, value: str) -> bytes:
    raw = value.encode("ascii", "replace")
    return _element(element, raw + b"\0" if len(raw) % 2 else raw)


def _text(element: int, value: str) -> bytes:
    raw = value.encode("ascii", "replace")
    return _element(element, raw + b" " if len(raw) % 2 else raw)


def _encode(elements: Iterable[bytes]) -> bytes:
    body = b"".join(elements)
    return _GROUP_LENGTH.pack(0, 0, 4, len(body)) + body


def echo_request(message_id: int, sop_class_uid: str) -> bytes:
    """C-ECHO-RQ (PS3.7 table 9.3-12)."""
    return _encode(
        (
            _uid(_AFFECTED_CLASS, sop_class_uid),
            _us(_FIELD, C_ECHO_RQ),
            _us(_MESSAGE_ID, message_id),
            _us(_DATA_SET_TYPE, _NO_DATA_SET),
        )
    )


def store_request(
    message_id: int, sop_class_uid: str, sop_instance_uid: str, move_originator: tuple[str, int] | None = None
) -> bytes:
    """C-STORE-RQ (PS3.7 table 9.3-1); `move_originator` is the AE title and message id of the C-MOVE behind it."""
    elements = [
        _uid(_AFFECTED_CLASS, sop_class_uid),
        _us(_FIELD, C_STORE_RQ),
        _us(_MESSAGE_ID, message_id),
        _us(_PRIORITY, _MEDIUM_PRIORITY),
        _us(_DATA_SET_TYPE, _DATA_SET),
        _uid(_AFFECTED_INSTANCE, sop_instance_uid),
    ]
    if move_originator is not None:
        elements.append(_text(_MOVE_ORIGINATOR, move_originator[0]))
        elements.append(_us(_MOVE_ORIGINATOR_ID, move_originator[1]))
    return _encode(elements)


def query_request(field: int, message_id: int, sop_class_uid: str, destination: str = "") -> bytes:
    """C-FIND-RQ, C-GET-RQ or C-MOVE-RQ (PS3.7 tables 9.3-3, 9.3-6, 9.3-9)."""
    elements = [
        _uid(_AFFECTED_CLASS, sop_class_uid),
        _us(_FIELD, field),
        _us(_MESSAGE_ID, message_id),
    ]
    if field == C_MOVE_RQ:
        elements.append(_text(_MOVE_DESTINATION, destination))
    elements += [_us(_PRIORITY, _MEDIUM_PRIORITY), _us(_DATA_SET_TYPE, _DATA_SET)]
    return _encode(elements)


def event_report_request(
    message_id: int, sop_class_uid: str, sop_instance_uid: str, event_type_id: int
) -> bytes:
    """N-EVENT-REPORT-RQ with event information (PS3.7 table 10.3-1)."""
    return _encode(
        (
            _uid(_AFFECTED_CLASS, sop_class_uid),
            _us(_FIELD, N_EVENT_REPORT_RQ),
            _us(_MESSAGE_ID, message_id),
            _us(_DATA_SET_TYPE, _DATA_SET),
            _uid(_AFFECTED_INSTANCE, sop_instance_uid),
            _us(_EVENT_TYPE_ID, event_type_id),
        )
    )


def cancel_request(responded_to: int) -> bytes:
    """C-CANCEL-RQ (PS3.7 table 9.3-5)."""
    return _encode(
        (
            _us(_FIELD, C_CANCEL_RQ),
            _us(_RESPONDED_TO, responded_to),
            _us(_DATA_SET_TYPE, _NO_DATA_SET),
        )
    )


def response(
    request: Command, status: Status, *, has_data_set: bool = False, counters: SubOperations | None = None
) -> bytes:
    """The response to `request`.

    Remaining is left out of final responses except cancelled ones (ROUTER-083, PS3.4 C.4.2.1.6).
    """
    elements = []
    if request.sop_class_uid:
        elements.append(_uid(_AFFECTED_CLASS, request.sop_class_uid))
    elements += [
        _us(_FIELD, request.field | RESPONSE),
        _us(_RESPONDED_TO, request.message_id),
        _us(_DATA_SET_TYPE, _DATA_SET if has_data_set else _NO_DATA_SET),
        _us(_STATUS, status.code),
    ]
    if status.offending_elements:
        tags = b"".join(_AT.pack(tag >> 16, tag & 0xFFFF) for tag in status.offending_elements)
        elements.append(_element(_OFFENDING_ELEMENT, tags))
    if status.comment:
        elements.append(_text(_ERROR_COMMENT, status.comment))
    if request.field == C_STORE_RQ and request.sop_instance_uid:
        elements.append(_uid(_AFFECTED_INSTANCE, request.sop_instance_uid))
    if request.field == N_ACTION_RQ:
        elements.append(_uid(_AFFECTED_INSTANCE, request.requested_instance_uid))
        elements.append(_us(_ACTION_TYPE_ID, request.action_type_id))
    if counters is not None:
        if status.is_pending or status.is_cancelled:
            elements.append(_us(_REMAINING, counters.remaining))
        elements += [
            _us(_COMPLETED, counters.completed),
            _us(_FAILED, counters.failed),
            _us(_WARNING, counters.warning),
        ]
    return _encode(elements)
