"""Answers: whole bodies and streams, both as raw ASGI messages."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from systems.dicom_service.web.request import Message, Request

Send = Callable[[Message], Awaitable[None]]
Headers = Sequence[tuple[str, str]]

DICOM_JSON = "application/dicom+json; charset=utf-8"
JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Reply:
    """A status with headers and a whole body."""

    status: int
    body: bytes = b""
    content_type: str = ""
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Streamed:
    """A 200 whose body comes in pieces, of `length` bytes in all (None: not known beforehand)."""

    pieces: AsyncIterator[bytes]
    length: int | None
    content_type: str
    headers: Headers = ()


Answer = Reply | Streamed


def json_reply(value: Any, *, content_type: str = JSON, status: int = 200, headers: Headers = ()) -> Reply:
    """Return a JSON answer."""
    return Reply(status, orjson.dumps(value), content_type, headers)


async def send_answer(answer: Answer, request: Request | None, send: Send, extra: Headers) -> None:
    """Send an answer with `extra` headers; a stream ends early when the client goes away."""
    if isinstance(answer, Reply):
        length = len(answer.body)
        await _start(
            send,
            answer.status,
            answer.content_type,
            None if answer.status == 204 else length,
            answer.headers,
            extra,
        )
        await send({"type": "http.response.body", "body": answer.body})
        return
    await _start(send, 200, answer.content_type, answer.length, answer.headers, extra)
    gone = asyncio.create_task(request.gone()) if request is not None else None
    try:
        async for piece in answer.pieces:
            if gone is not None and gone.done():
                return
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        if gone is not None:
            gone.cancel()


def _header_value(text: str) -> bytes:
    """Return a header value; what a damaged file smuggles in, a null in its Transfer Syntax UID say, becomes blanks."""
    if text.isprintable():
        return text.encode("latin-1", "replace")
    return "".join(letter if letter.isprintable() else " " for letter in text).encode("latin-1", "replace")


async def _start(
    send: Send, status: int, content_type: str, length: int | None, headers: Headers, extra: Headers
) -> None:
    lines = [(name.encode(), _header_value(value)) for name, value in (*headers, *extra)]
    if content_type:
        lines.append((b"content-type", _header_value(content_type)))
    if length is not None:
        lines.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": status, "headers": lines})
