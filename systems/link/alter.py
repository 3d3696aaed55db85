"""Altering an answer's content without touching its length."""

from collections.abc import AsyncIterator
from email.message import Message

_HELD = 64 * 1024 * 1024


async def flip_bit(contents: AsyncIterator[bytes], content_type: str) -> AsyncIterator[bytes]:
    """Yield the content with one bit flipped.

    The first 64 MiB are held back to find the place: of an instance it is in the pixels, not in the wrapping.
    """
    held = bytearray()
    async for content in contents:
        held += content
        if len(held) >= _HELD:
            break
    if held:
        held[flip_place(bytes(held), content_type)] ^= 1
        yield bytes(held)
    async for content in contents:
        yield content


def flip_place(body: bytes, content_type: str) -> int:
    """Return the index of the byte to alter: three quarters into the body or, of a multipart body, its first part."""
    start, end = _first_part(body, content_type)
    return start + (end - start) * 3 // 4


def _first_part(body: bytes, content_type: str) -> tuple[int, int]:
    message = Message()
    message["Content-Type"] = content_type
    boundary = message.get_boundary()
    if message.get_content_maintype() != "multipart" or not boundary:
        return 0, len(body)
    delimiter = b"--" + boundary.encode("latin-1", "replace")
    opened = body.find(delimiter)
    head = body.find(b"\r\n\r\n", opened)
    if opened < 0 or head < 0:
        return 0, len(body)
    end = body.find(b"\r\n" + delimiter, head + 4)
    start, end = head + 4, end if end >= 0 else len(body)
    return (start, end) if end > start else (0, len(body))
