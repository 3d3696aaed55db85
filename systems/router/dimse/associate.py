"""A-ASSOCIATE-RQ and A-ASSOCIATE-AC bodies (PS3.8 sections 9.3.2 and 9.3.3, PS3.7 annex D.3.3).

Items this version does not know are passed over, as PS3.8 section 9.3.1 asks; anything torn is a `ProtocolError`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import Struct
from typing import Final

from systems.router.dimse.errors import ProtocolError
from systems.router.dimse.pdu import INVALID_PARAMETER
from systems.router.dimse.uids import (
    APPLICATION_CONTEXT,
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
)

_FIXED: Final = Struct(">HH16s16s32x")
_ITEM: Final = Struct(">BxH")
_LENGTH: Final = Struct(">H")
_MAXIMUM: Final = Struct(">L")
_WINDOW: Final = Struct(">HH")

_APPLICATION: Final = 0x10
_CONTEXT_RQ: Final = 0x20
_CONTEXT_AC: Final = 0x21
_ABSTRACT_SYNTAX: Final = 0x30
_TRANSFER_SYNTAX: Final = 0x40
_USER_INFORMATION: Final = 0x50
_MAXIMUM_LENGTH: Final = 0x51
_IMPLEMENTATION_CLASS: Final = 0x52
_ASYNCHRONOUS_WINDOW: Final = 0x53
_ROLE: Final = 0x54
_IMPLEMENTATION_VERSION: Final = 0x55
_EXTENDED: Final = 0x56


@dataclass(frozen=True, slots=True)
class ContextItem:
    """A presentation context item. In an A-ASSOCIATE-AC the abstract syntax is empty and `result` counts."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]
    result: int = 0


@dataclass(slots=True)
class AssociateItems:
    """What an A-ASSOCIATE-RQ or -AC says. Roles are (SCU, SCP) by SOP class; `window` None when not negotiated."""

    called_ae: str
    calling_ae: str
    contexts: list[ContextItem] = field(default_factory=list)
    max_pdu: int = 0
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = 1
    roles: dict[str, tuple[bool, bool]] = field(default_factory=dict)
    extended: dict[str, bytes] = field(default_factory=dict)
    window: tuple[int, int] | None = None
    implementation_class_uid: str = IMPLEMENTATION_CLASS_UID
    implementation_version_name: str = IMPLEMENTATION_VERSION_NAME


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(data):
        if len(data) - position < _ITEM.size:
            raise _torn()
        kind, length = _ITEM.unpack_from(data, position)
        position += _ITEM.size
        if length > len(data) - position:
            raise _torn()
        yield kind, data[position : position + length]
        position += length


def _torn() -> ProtocolError:
    return ProtocolError("an A-ASSOCIATE PDU ends inside an item", INVALID_PARAMETER)


def _name(value: bytes) -> str:
    return value.decode("latin-1").strip("\0 ")


def _with_uid(value: bytes) -> tuple[str, bytes]:
    if len(value) < _LENGTH.size:
        raise _torn()
    (length,) = _LENGTH.unpack_from(value)
    if length > len(value) - _LENGTH.size:
        raise _torn()
    return _name(value[2 : 2 + length]), value[2 + length :]


def decode(body: bytes) -> AssociateItems:
    """Read the body of an A-ASSOCIATE-RQ or -AC.

    Raises:
        ProtocolError: when an item is torn or a fixed part is missing.

    """
    if len(body) < _FIXED.size:
        raise _torn()
    version, _, called, calling = _FIXED.unpack_from(body)
    found = AssociateItems(_name(called), _name(calling), protocol_version=version, application_context="")
    found.implementation_class_uid = found.implementation_version_name = ""
    for kind, value in _items(body[_FIXED.size :]):
        if kind == _APPLICATION:
            found.application_context = _name(value)
        elif kind in {_CONTEXT_RQ, _CONTEXT_AC}:
            found.contexts.append(_context(value))
        elif kind == _USER_INFORMATION:
            _user_information(found, value)
    return found


def _context(value: bytes) -> ContextItem:
    if len(value) < 4:
        raise _torn()
    abstract, transfer = "", []
    for kind, name in _items(value[4:]):
        if kind == _ABSTRACT_SYNTAX:
            abstract = _name(name)
        elif kind == _TRANSFER_SYNTAX:
            transfer.append(_name(name))
    return ContextItem(value[0], abstract, tuple(transfer), value[2])


def _user_information(found: AssociateItems, data: bytes) -> None:
    for kind, value in _items(data):
        if kind == _MAXIMUM_LENGTH and len(value) == _MAXIMUM.size:
            (found.max_pdu,) = _MAXIMUM.unpack(value)
        elif kind == _IMPLEMENTATION_CLASS:
            found.implementation_class_uid = _name(value)
        elif kind == _IMPLEMENTATION_VERSION:
            found.implementation_version_name = _name(value)
        elif kind == _ASYNCHRONOUS_WINDOW and len(value) == _WINDOW.size:
            found.window = _WINDOW.unpack(value)
        elif kind == _ROLE:
            uid, roles = _with_uid(value)
            if len(roles) != 2:
                raise _torn()
            found.roles[uid] = (bool(roles[0]), bool(roles[1]))
        elif kind == _EXTENDED:
            uid, information = _with_uid(value)
            found.extended[uid] = information


def _item(kind: int, value: bytes) -> bytes:
    return _ITEM.pack(kind, len(value)) + value


def _sized(uid: str) -> bytes:
    raw = uid.encode("ascii")
    return _LENGTH.pack(len(raw)) + raw


def _encoded_context(context: ContextItem, *, accept: bool) -> bytes:
    parts = [bytes((context.context_id, 0, context.result if accept else 0, 0))]
    if not accept:
        parts.append(_item(_ABSTRACT_SYNTAX, context.abstract_syntax.encode("ascii")))
    parts += [_item(_TRANSFER_SYNTAX, uid.encode("ascii")) for uid in context.transfer_syntaxes]
    return _item(_CONTEXT_AC if accept else _CONTEXT_RQ, b"".join(parts))


def encode(items: AssociateItems, *, accept: bool) -> bytes:
    """Write the body of an A-ASSOCIATE-AC (`accept`) or -RQ."""
    user = [
        _item(_MAXIMUM_LENGTH, _MAXIMUM.pack(items.max_pdu)),
        _item(_IMPLEMENTATION_CLASS, items.implementation_class_uid.encode("ascii")),
    ]
    if items.window is not None:
        user.append(_item(_ASYNCHRONOUS_WINDOW, _WINDOW.pack(*items.window)))
    user += [_item(_ROLE, _sized(uid) + bytes(map(int, roles))) for uid, roles in items.roles.items()]
    user.append(_item(_IMPLEMENTATION_VERSION, items.implementation_version_name.encode("ascii")))
    user += [_item(_EXTENDED, _sized(uid) + information) for uid, information in items.extended.items()]
    return b"".join(
        [
            _FIXED.pack(1, 0, _ae(items.called_ae), _ae(items.calling_ae)),
            _item(_APPLICATION, items.application_context.encode("ascii")),
            *(_encoded_context(context, accept=accept) for context in items.contexts),
            _item(_USER_INFORMATION, b"".join(user)),
        ]
    )


def _ae(title: str) -> bytes:
    return title.encode("latin-1", "replace")[:16].ljust(16)
