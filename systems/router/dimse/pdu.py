"""Protocol data units on the wire (PS3.8 section 9.3): a streaming reader and the writers of everything but A-ASSOCIATE.

P-DATA is never put together: each piece of a presentation data value is handed on as it arrives, so the memory used does
not depend on what a peer claims a length to be.
"""

from struct import Struct
from typing import Final, Protocol

from systems.router.dimse.errors import ProtocolError

ASSOCIATE_RQ: Final = 1
ASSOCIATE_AC: Final = 2
ASSOCIATE_RJ: Final = 3
P_DATA_TF: Final = 4
RELEASE_RQ: Final = 5
RELEASE_RP: Final = 6
ABORT: Final = 7

BY_SERVICE_USER: Final = 0
BY_SERVICE_PROVIDER: Final = 2

UNRECOGNISED_PDU: Final = 1
UNEXPECTED_PDU: Final = 2
INVALID_PARAMETER: Final = 6

# 128 contexts with some dozens of transfer syntaxes each stay well below this.
_LARGEST_ASSOCIATE: Final = 1 << 20
_LARGEST: Final = {ASSOCIATE_RQ: _LARGEST_ASSOCIATE, ASSOCIATE_AC: _LARGEST_ASSOCIATE}
_FIXED_LENGTH: Final = 4
_HEADER: Final = Struct(">BxL")
_PDV: Final = Struct(">LBB")
_PDU_AND_PDV: Final = Struct(">BxLLBB")
_SMALLEST_PDU: Final = 16

COMMAND: Final = 1
LAST: Final = 2


class PduSink(Protocol):
    """What the reader hands its findings to."""

    def pdu(self, kind: int, body: bytes) -> None:
        """A complete PDU other than P-DATA-TF, without its header."""
        ...

    def fragment(self, context_id: int, flags: int, data: memoryview, *, complete: bool) -> None:
        """A piece of a presentation data value; `complete` with its last piece."""
        ...


class PduReader:
    """Cuts a byte stream into PDUs; holds at most one control PDU or one header.

    `feed` raises `ProtocolError` for what PS3.8 does not allow; the connection is of no use after that.
    """

    def __init__(self, sink: PduSink) -> None:
        self._sink = sink
        self._carry = b""
        self._kind = 0
        self._body: bytearray | None = None
        self._body_left = 0
        self._pdu_left = 0
        self._pdv_left = 0
        self._context_id = 0
        self._flags = 0

    def feed(self, data: bytes) -> None:
        """Read the next bytes of the stream."""
        if self._carry:
            data = self._carry + data
            self._carry = b""
        view = memoryview(data)
        position, end = 0, len(data)
        while position < end:
            if self._pdv_left:
                position = self._value(view, position)
            elif self._body is not None:
                position = self._control(view, position)
            elif end - position < 6:
                break
            elif self._pdu_left:
                position = self._value_header(data, position)
            else:
                position = self._header(data, position)
        if position < end:
            self._carry = data[position:]

    def _header(self, data: bytes, position: int) -> int:
        kind, length = _HEADER.unpack_from(data, position)
        if not ASSOCIATE_RQ <= kind <= ABORT:
            message = f"PDU type {kind} does not exist"
            raise ProtocolError(message, UNRECOGNISED_PDU)
        if kind == P_DATA_TF:
            if length < _PDV.size:
                message = "a P-DATA-TF PDU without a presentation data value"
                raise ProtocolError(message, INVALID_PARAMETER)
            self._pdu_left = length
            return position + 6
        if not 0 < length <= _LARGEST.get(kind, _FIXED_LENGTH):
            message = f"a PDU of type {kind} cannot have {length} bytes"
            raise ProtocolError(message, INVALID_PARAMETER)
        self._kind, self._body, self._body_left = kind, bytearray(), length
        return position + 6

    def _control(self, view: memoryview, position: int) -> int:
        body = self._body
        if body is None:  # pragma: no cover - feed has looked
            return position
        piece = view[position : position + self._body_left]
        body += piece
        self._body_left -= len(piece)
        if not self._body_left:
            self._body = None
            self._sink.pdu(self._kind, bytes(body))
        return position + len(piece)

    def _value_header(self, data: bytes, position: int) -> int:
        length, self._context_id, self._flags = _PDV.unpack_from(data, position)
        left = self._pdu_left - 4 - length
        if length < 2 or left < 0 or 0 < left < _PDV.size:
            message = f"a presentation data value of {length} bytes does not fit its P-DATA-TF PDU"
            raise ProtocolError(message, INVALID_PARAMETER)
        self._pdu_left = left
        self._pdv_left = length - 2
        if not self._pdv_left:
            self._sink.fragment(self._context_id, self._flags, memoryview(b""), complete=True)
        return position + _PDV.size

    def _value(self, view: memoryview, position: int) -> int:
        piece = view[position : position + self._pdv_left]
        self._pdv_left -= len(piece)
        self._sink.fragment(self._context_id, self._flags, piece, complete=not self._pdv_left)
        return position + len(piece)


def release_request() -> bytes:
    """A-RELEASE-RQ (PS3.8 section 9.3.6)."""
    return _HEADER.pack(RELEASE_RQ, 4) + b"\0\0\0\0"


def release_response() -> bytes:
    """A-RELEASE-RP (PS3.8 section 9.3.7)."""
    return _HEADER.pack(RELEASE_RP, 4) + b"\0\0\0\0"


def abort(source: int, reason: int = 0) -> bytes:
    """A-ABORT (PS3.8 section 9.3.8); a reason is significant for the service provider only."""
    return _HEADER.pack(ABORT, 4) + bytes((0, 0, source, reason if source == BY_SERVICE_PROVIDER else 0))


def associate_reject(result: int, source: int, reason: int) -> bytes:
    """A-ASSOCIATE-RJ (PS3.8 section 9.3.4)."""
    return _HEADER.pack(ASSOCIATE_RJ, 4) + bytes((0, result, source, reason))


def framed(kind: int, body: bytes) -> bytes:
    """A whole PDU from its type and body."""
    return _HEADER.pack(kind, len(body)) + body


def fragment_size(max_pdu: int) -> int:
    """How many bytes of a value fit one P-DATA-TF PDU of a peer, even so that no value is torn.

    Raises:
        ProtocolError: when the peer's maximum leaves no room.

    """
    if max_pdu < _SMALLEST_PDU:
        message = f"the peer takes PDUs of {max_pdu} bytes only, too few for any value"
        raise ProtocolError(message, INVALID_PARAMETER)
    return (max_pdu - 6) & ~1


def value(
    context_id: int, flags: int, data: bytes | memoryview, size: int, *, last: bool = True
) -> list[bytes | memoryview]:
    """P-DATA-TF PDUs that carry `data` in fragments of at most `size` bytes, as buffers to be written in one go."""
    buffers: list[bytes | memoryview] = []
    for start in range(0, max(len(data), 1), size):
        piece = data[start : start + size]
        final = LAST if last and start + size >= len(data) else 0
        buffers.append(
            _PDU_AND_PDV.pack(P_DATA_TF, len(piece) + 6, len(piece) + 2, context_id, flags | final)
        )
        buffers.append(piece)
    return buffers
