"""Store requests to the cloud (PS3.18 section 10.5): single part and multipart (ROUTER-040)."""

import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from systems.router.cloud.http import Answer, CloudHttp
from systems.router.objects import Identity


@dataclass(frozen=True, slots=True)
class Part:
    """One instance to store: its Part 10 file, in memory or as a stream that can be opened again."""

    identity: Identity
    size: int
    content: bytes | None = None
    stream: Callable[[], AsyncIterator[bytes]] | None = None


async def store(http: CloudHttp, parts: Sequence[Part], *, single_part: bool) -> Answer:
    """POST the instances in one request; `single_part` takes exactly one.

    Raises:
        CloudUnreachableError, CloudUnauthorisedError: no answer, or no token.

    """
    headers = {"Accept": "application/dicom+json"}
    if single_part:
        (part,) = parts
        headers["Content-Type"] = "application/dicom"
        frames: list[bytes | Part] = [part]
    else:
        boundary = f"stow-{secrets.token_hex(16)}"
        headers["Content-Type"] = f'multipart/related; type="application/dicom"; boundary={boundary}'
        frames = _multipart(parts, boundary)
    size = sum(frame.size if isinstance(frame, Part) else len(frame) for frame in frames)
    headers["Content-Length"] = str(size)
    if all(isinstance(frame, bytes) or frame.content is not None for frame in frames):
        whole = b"".join(_content(frame) for frame in frames)
        return await http.request("POST", "/studies", headers=headers, body=lambda: whole, size=size)
    return await http.request("POST", "/studies", headers=headers, body=lambda: _stream(frames), size=size)


def _multipart(parts: Sequence[Part], boundary: str) -> list[bytes | Part]:
    frames: list[bytes | Part] = []
    for part in parts:
        frames += [f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode(), part, b"\r\n"]
    frames.append(f"--{boundary}--\r\n".encode())
    return frames


def _content(frame: bytes | Part) -> bytes:
    return frame if isinstance(frame, bytes) else frame.content or b""


async def _stream(frames: Sequence[bytes | Part]) -> AsyncIterator[bytes]:
    for frame in frames:
        if isinstance(frame, Part) and frame.stream is not None:
            async for chunk in frame.stream():
                yield chunk
        else:
            yield _content(frame)
