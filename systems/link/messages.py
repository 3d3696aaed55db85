"""HTTP/1.1 messages as bytes (RFC 9112): heads are kept verbatim, bodies are followed by their framing only.

A parsing library would refuse or rewrite requests that a conformance suite sends on purpose; the link must carry them.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

HEAD_LIMIT = 262_144
_PIECE = 262_144


class MessageError(Exception):
    """The bytes cannot be followed as HTTP/1.1, or end too soon."""


@dataclass(frozen=True, slots=True)
class Head:
    """A start line and header fields, with the bytes they came in."""

    raw: bytes
    start: bytes
    fields: tuple[tuple[bytes, bytes], ...]

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of a field (lower-case `name`), in order."""
        return [value for field, value in self.fields if field.lower() == name]

    def value(self, name: bytes) -> bytes:
        """Return the first value of a field (lower-case `name`), or nothing."""
        return next(iter(self.values(name)), b"")

    def tokens(self, name: bytes) -> set[bytes]:
        """Return the comma separated, lower-case members of a field."""
        return {
            item.strip().lower() for value in self.values(name) for item in value.split(b",") if item.strip()
        }

    def without(self, *names: bytes) -> "Head":
        """Return the head without the fields of these lower-case names."""
        return made_head(self.start, [field for field in self.fields if field[0].lower() not in names])

    def with_field(self, name: bytes, value: bytes) -> "Head":
        """Return the head with one more field."""
        return made_head(self.start, [*self.fields, (name, value)])

    @property
    def method(self) -> str:
        """The method of a request."""
        return self.start.split(b" ", 1)[0].decode("latin-1")

    @property
    def target(self) -> str:
        """The request-target, path and query as sent (undecodable bytes as Latin-1)."""
        parts = self.start.split(b" ")
        return b" ".join(parts[1:-1] if len(parts) > 2 else parts[1:]).decode("latin-1")

    @property
    def status(self) -> int:
        """The status of a response. Raises `MessageError`."""
        parts = self.start.split(b" ", 2)
        if (
            len(parts) < 2
            or not parts[0].startswith(b"HTTP/1.")
            or len(parts[1]) != 3
            or not parts[1].isdigit()
        ):
            raise MessageError("the answer has no HTTP/1.1 status line")
        return int(parts[1])

    @property
    def closes(self) -> bool:
        """Whether the sender closes the connection after this message (RFC 9112 section 9.3)."""
        options = self.tokens(b"connection")
        return b"close" in options or (b"HTTP/1.0" in self.start and b"keep-alive" not in options)


@dataclass(frozen=True, slots=True)
class Framing:
    """How a body ends: after `length` bytes, by its last chunk, or with the connection (neither)."""

    length: int | None = None
    chunked: bool = False

    @property
    def empty(self) -> bool:
        """Whether there is no body."""
        return self.length == 0 and not self.chunked


@dataclass(frozen=True, slots=True)
class Piece:
    """Some bytes of a body: as on the wire, the content among them, and whether the body ends with them."""

    wire: bytes
    content: bytes
    last: bool


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """Return the next head, or `None` at the end of the stream. Raises `MessageError`."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial.strip():
            raise MessageError("the connection ended inside a head") from error
        return None
    except asyncio.LimitOverrunError as error:
        raise MessageError(f"a head is longer than {HEAD_LIMIT} bytes") from error
    lines = raw.lstrip(b"\r\n").split(b"\r\n")
    return Head(raw, lines[0], tuple(_field(line) for line in lines[1:] if line))


def made_head(start: bytes, fields: list[tuple[bytes, bytes]]) -> Head:
    """Return a head of our own making."""
    lines = [start, *(name + b": " + value for name, value in fields)]
    return Head(b"\r\n".join(lines) + b"\r\n\r\n", start, tuple(fields))


def request_framing(head: Head) -> Framing:
    """Return how a request's body ends (RFC 9112 section 6.3). Raises `MessageError`."""
    if b"chunked" in head.tokens(b"transfer-encoding"):
        return Framing(chunked=True)
    return Framing(length=_length(head) or 0)


def response_framing(head: Head, method: str) -> Framing:
    """Return how the body of the answer to `method` ends (RFC 9112 section 6.3). Raises `MessageError`."""
    status = head.status
    if method == "HEAD" or status < 200 or status in {204, 304}:
        return Framing(length=0)
    if b"chunked" in head.tokens(b"transfer-encoding"):
        return Framing(chunked=True)
    return Framing(length=_length(head))


async def read_body(reader: asyncio.StreamReader, framing: Framing) -> AsyncIterator[Piece]:
    """Yield a body piece by piece. Raises `MessageError` when it ends too soon."""
    if framing.chunked:
        async for piece in _read_chunks(reader):
            yield piece
    elif framing.length is None:
        while data := await reader.read(_PIECE):
            yield Piece(data, data, last=False)
        yield Piece(b"", b"", last=True)
    else:
        left = framing.length
        while left:
            data = await reader.read(min(left, _PIECE))
            if not data:
                raise MessageError(f"the connection ended {left} bytes before the body's end")
            left -= len(data)
            yield Piece(data, data, last=not left)


def framed(content: bytes, framing: Framing) -> bytes:
    """Return content as it goes on the wire under `framing`."""
    if not framing.chunked or not content:
        return content
    return b"%x\r\n%b\r\n" % (len(content), content)


async def _read_chunks(reader: asyncio.StreamReader) -> AsyncIterator[Piece]:
    while True:
        line = await _line(reader)
        size = _chunk_size(line)
        if size == 0:
            break
        wire, left = line, size
        while left:
            data = await reader.read(min(left, _PIECE))
            if not data:
                raise MessageError("the connection ended inside a chunk")
            left -= len(data)
            end = b"" if left else await _line(reader)
            yield Piece(wire + data + end, data, last=False)
            wire = b""
    trailer = line
    while (line := await _line(reader)) not in {b"\r\n", b"\n"}:
        trailer += line
    yield Piece(trailer + line, b"", last=True)


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        raise MessageError("the connection ended inside a chunked body") from error
    except asyncio.LimitOverrunError as error:
        raise MessageError("a line of a chunked body is too long") from error


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    if not digits or not all(digit in b"0123456789abcdefABCDEF" for digit in digits):
        raise MessageError("a chunk has no size")
    return int(digits, 16)


def _length(head: Head) -> int | None:
    values = {item.strip() for value in head.values(b"content-length") for item in value.split(b",")}
    if not values:
        return None
    text = values.pop()
    if values or not text.isdigit():
        raise MessageError("Content-Length is not one number")
    return int(text)


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name, value.strip(b" \t")
