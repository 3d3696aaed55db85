"""DIMSE command sets as they go out (PS3.7 sections 9.3 and 10.3)."""

from collections.abc import Iterable

from systems.router.dimse.command import (
    C_CANCEL_RQ,
    C_ECHO_RQ,
    C_MOVE_RQ,
    C_STORE_RQ,
    N_ACTION_RQ,
    N_EVENT_REPORT_RQ,
    RESPONSE,
    Command,
)
from systems.router.dimse.command_elements import (
    ACTION_TYPE_ID,
    AFFECTED_CLASS,
    AFFECTED_INSTANCE,
    AT,
    COMPLETED,
    DATA_SET,
    DATA_SET_TYPE,
    ERROR_COMMENT,
    EVENT_TYPE_ID,
    FAILED,
    FIELD,
    GROUP_LENGTH,
    HEADER,
    MEDIUM_PRIORITY,
    MESSAGE_ID,
    MOVE_DESTINATION,
    MOVE_ORIGINATOR,
    MOVE_ORIGINATOR_ID,
    NO_DATA_SET,
    OFFENDING_ELEMENT,
    PRIORITY,
    REMAINING,
    RESPONDED_TO,
    STATUS,
    US,
    WARNING,
)
from systems.router.dimse.service import SubOperations
from systems.router.dimse.status import Status


def _element(element: int, value: bytes) -> bytes:
    return HEADER.pack(0, element, len(value)) + value


def _us(element: int, value: int) -> bytes:
    return HEADER.pack(0, element, 2) + US.pack(value & 0xFFFF)


def _uid(element: int, value: str) -> bytes:
    raw = value.encode("ascii", "replace")
    return _element(element, raw + b"\0" if len(raw) % 2 else raw)


def _text(element: int, value: str) -> bytes:
    raw = value.encode("ascii", "replace")
    return _element(element, raw + b" " if len(raw) % 2 else raw)


def _encode(elements: Iterable[bytes]) -> bytes:
    body = b"".join(elements)
    return GROUP_LENGTH.pack(0, 0, 4, len(body)) + body


def echo_request(message_id: int, sop_class_uid: str) -> bytes:
    """C-ECHO-RQ (PS3.7 table 9.3-12)."""
    return _encode(
        (
            _uid(AFFECTED_CLASS, sop_class_uid),
            _us(FIELD, C_ECHO_RQ),
            _us(MESSAGE_ID, message_id),
            _us(DATA_SET_TYPE, NO_DATA_SET),
        )
    )


def store_request(
    message_id: int, sop_class_uid: str, sop_instance_uid: str, move_originator: tuple[str, int] | None = None
) -> bytes:
    """C-STORE-RQ (PS3.7 table 9.3-1); `move_originator` is the AE title and message id of the C-MOVE behind it."""
    elements = [
        _uid(AFFECTED_CLASS, sop_class_uid),
        _us(FIELD, C_STORE_RQ),
        _us(MESSAGE_ID, message_id),
        _us(PRIORITY, MEDIUM_PRIORITY),
        _us(DATA_SET_TYPE, DATA_SET),
        _uid(AFFECTED_INSTANCE, sop_instance_uid),
    ]
    if move_originator is not None:
        elements.append(_text(MOVE_ORIGINATOR, move_originator[0]))
        elements.append(_us(MOVE_ORIGINATOR_ID, move_originator[1]))
    return _encode(elements)


def query_request(field: int, message_id: int, sop_class_uid: str, destination: str = "") -> bytes:
    """C-FIND-RQ, C-GET-RQ or C-MOVE-RQ (PS3.7 tables 9.3-3, 9.3-6, 9.3-9)."""
    elements = [
        _uid(AFFECTED_CLASS, sop_class_uid),
        _us(FIELD, field),
        _us(MESSAGE_ID, message_id),
    ]
    if field == C_MOVE_RQ:
        elements.append(_text(MOVE_DESTINATION, destination))
    elements += [_us(PRIORITY, MEDIUM_PRIORITY), _us(DATA_SET_TYPE, DATA_SET)]
    return _encode(elements)


def event_report_request(
    message_id: int, sop_class_uid: str, sop_instance_uid: str, event_type_id: int
) -> bytes:
    """N-EVENT-REPORT-RQ with event information (PS3.7 table 10.3-1)."""
    return _encode(
        (
            _uid(AFFECTED_CLASS, sop_class_uid),
            _us(FIELD, N_EVENT_REPORT_RQ),
            _us(MESSAGE_ID, message_id),
            _us(DATA_SET_TYPE, DATA_SET),
            _uid(AFFECTED_INSTANCE, sop_instance_uid),
            _us(EVENT_TYPE_ID, event_type_id),
        )
    )


def cancel_request(responded_to: int) -> bytes:
    """C-CANCEL-RQ (PS3.7 table 9.3-5)."""
    return _encode(
        (
            _us(FIELD, C_CANCEL_RQ),
            _us(RESPONDED_TO, responded_to),
            _us(DATA_SET_TYPE, NO_DATA_SET),
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
        elements.append(_uid(AFFECTED_CLASS, request.sop_class_uid))
    elements += [
        _us(FIELD, request.field | RESPONSE),
        _us(RESPONDED_TO, request.message_id),
        _us(DATA_SET_TYPE, DATA_SET if has_data_set else NO_DATA_SET),
        _us(STATUS, status.code),
    ]
    if status.offending_elements:
        tags = b"".join(AT.pack(tag >> 16, tag & 0xFFFF) for tag in status.offending_elements)
        elements.append(_element(OFFENDING_ELEMENT, tags))
    if status.comment:
        elements.append(_text(ERROR_COMMENT, status.comment))
    if request.field == C_STORE_RQ and request.sop_instance_uid:
        elements.append(_uid(AFFECTED_INSTANCE, request.sop_instance_uid))
    if request.field == N_ACTION_RQ:
        elements.append(_uid(AFFECTED_INSTANCE, request.requested_instance_uid))
        elements.append(_us(ACTION_TYPE_ID, request.action_type_id))
    if counters is not None:
        if status.is_pending or status.is_cancelled:
            elements.append(_us(REMAINING, counters.remaining))
        elements += [
            _us(COMPLETED, counters.completed),
            _us(FAILED, counters.failed),
            _us(WARNING, counters.warning),
        ]
    return _encode(elements)
