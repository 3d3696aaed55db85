"""DIMSE command sets as they come in: Implicit VR Little Endian, group 0000 (PS3.7 section 6.3.1 and annex E)."""

from typing import Final

from systems.router.dimse.command_elements import (
    ACTION_TYPE_ID,
    AFFECTED_CLASS,
    AFFECTED_INSTANCE,
    AT,
    COMPLETED,
    DATA_SET_TYPE,
    ERROR_COMMENT,
    FAILED,
    FIELD,
    HEADER,
    MESSAGE_ID,
    MOVE_DESTINATION,
    MOVE_ORIGINATOR,
    MOVE_ORIGINATOR_ID,
    NO_DATA_SET,
    OFFENDING_ELEMENT,
    REMAINING,
    REQUESTED_CLASS,
    REQUESTED_INSTANCE,
    RESPONDED_TO,
    STATUS,
    US,
    WARNING,
)
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


class Command:
    """A received command set; an element that is absent reads as None or an empty text."""

    __slots__ = ("_elements", "field", "has_data_set")

    def __init__(self, elements: dict[int, bytes]) -> None:
        """Take the values of group 0000 by element number.

        Raises:
            ProtocolError: when Command Field or Command Data Set Type is missing or malformed.

        """
        self._elements = elements
        field = self._number(FIELD)
        data_set_type = self._number(DATA_SET_TYPE)
        if field is None or data_set_type is None:
            message = "a command set without Command Field or Command Data Set Type"
            raise ProtocolError(message, 6)
        self.field = field
        self.has_data_set = data_set_type != NO_DATA_SET

    def _number(self, element: int) -> int | None:
        value = self._elements.get(element)
        if not value:
            return None
        if len(value) != US.size:
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
        return self._number(MESSAGE_ID) or 0

    @property
    def responded_to(self) -> int:
        """Message ID Being Responded To (0000,0120); 0 when absent."""
        return self._number(RESPONDED_TO) or 0

    @property
    def sop_class_uid(self) -> str:
        """Affected, else Requested, SOP Class UID."""
        return self._text(AFFECTED_CLASS) or self._text(REQUESTED_CLASS)

    @property
    def sop_instance_uid(self) -> str:
        """Affected SOP Instance UID (0000,1000)."""
        return self._text(AFFECTED_INSTANCE)

    @property
    def requested_instance_uid(self) -> str:
        """Requested SOP Instance UID (0000,1001)."""
        return self._text(REQUESTED_INSTANCE)

    @property
    def action_type_id(self) -> int:
        """Action Type ID (0000,1008); 0 when absent."""
        return self._number(ACTION_TYPE_ID) or 0

    @property
    def move_destination(self) -> str:
        """Move Destination (0000,0600)."""
        return self._text(MOVE_DESTINATION)

    @property
    def move_originator(self) -> str:
        """Move Originator Application Entity Title (0000,1030)."""
        return self._text(MOVE_ORIGINATOR)

    @property
    def move_originator_id(self) -> int | None:
        """Move Originator Message ID (0000,1031)."""
        return self._number(MOVE_ORIGINATOR_ID)

    @property
    def status(self) -> Status | None:
        """Status with comment and offending elements; None when the response has none (never a success)."""
        code = self._number(STATUS)
        if code is None:
            return None
        tags = self._elements.get(OFFENDING_ELEMENT, b"")
        offending = tuple(
            group << 16 | element for group, element in AT.iter_unpack(tags[: len(tags) // AT.size * AT.size])
        )
        return Status(code, self._text(ERROR_COMMENT), offending)

    @property
    def sub_operations(self) -> SubOperations:
        """The four counters; 0 where absent."""
        numbers = [self._number(element) or 0 for element in (REMAINING, COMPLETED, FAILED, WARNING)]
        return SubOperations(*numbers)


def decode(data: bytes | bytearray) -> Command:
    """Read a command set.

    Raises:
        ProtocolError: for anything that is not a well-formed group 0000.

    """
    elements: dict[int, bytes] = {}
    position, end = 0, len(data)
    while position < end:
        if end - position < HEADER.size:
            message = "a command set ends inside an element header"
            raise ProtocolError(message, 6)
        group, element, length = HEADER.unpack_from(data, position)
        position += HEADER.size
        if group != 0 or length > end - position:
            message = f"a command set holds element ({group:04X},{element:04X}) with length {length}"
            raise ProtocolError(message, 6)
        elements[element] = bytes(data[position : position + length])
        position += length
    return Command(elements)
