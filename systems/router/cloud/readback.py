"""Reads stored copies back and compares them: the only proof that the cloud holds what was sent."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from enum import Enum
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, Final

from systems.router import digests
from systems.router.cloud.errors import CloudAnswerError, CloudUnauthorisedError, CloudUnreachableError
from systems.router.cloud.http import CloudHttp, retry_after, why
from systems.router.errors import DamagedError
from systems.router.objects import Identity
from systems.router.sealing import opened
from systems.shared.header_errors import HeaderError
from systems.shared.header_scan import read_file_meta

if TYPE_CHECKING:
    import aiohttp

# The stored encoding, unconverted (ROUTER-081); single part first, as every server that knows it spares the wrapping.
_ACCEPTS: Final = (
    "application/dicom; transfer-syntax=*",
    'multipart/related; type="application/dicom"; transfer-syntax=*',
)
_CHUNK: Final = 1 << 20
_HEAD: Final = 1 << 16


class Held(Enum):
    """What the cloud holds under a UID."""

    SAME = "same"
    DIFFERENT = "different"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Compared:
    """The comparison and the digest of the cloud's copy, empty where there is none."""

    held: Held
    digest: str = ""


Local = bytes | Callable[[], BinaryIO]
"""The Part 10 file of an instance, or what opens it: in the spool it may lie encrypted."""


async def compare(http: CloudHttp, identity: Identity, digest: str, local: Local | None) -> Compared:
    """Read the cloud's copy and compare its data set with the digest, else with `local` element by element.

    Raises:
        CloudError: the copy could not be read, so nothing is known.

    """
    with tempfile.TemporaryDirectory(prefix="router-readback-") as folder:
        copy = Path(folder) / "copy.dcm"
        if not await fetch(http, identity, copy):
            return Compared(Held.ABSENT)
        found = await asyncio.to_thread(data_set_digest, copy, digests.algorithm_of(digest))
        if found == digest:
            return Compared(Held.SAME, found)
        if local is None:
            return Compared(Held.DIFFERENT, found)
        ours = partial(BytesIO, local) if isinstance(local, bytes) else local
        same = await asyncio.to_thread(same_copies, ours, partial(opened, copy, None))
        return Compared(Held.SAME if same else Held.DIFFERENT, found)


def same_copies(ours: Callable[[], BinaryIO], theirs: Callable[[], BinaryIO]) -> bool:
    """Whether two Part 10 files say the same, see `sameness`; to be run in a thread: what it loads is slow to load.

    Raises:
        OSError: one cannot be opened.

    """
    from systems.router.sameness import same_content  # noqa: PLC0415 - needs pydicom, see dimse.identifier

    try:
        with ours() as first, theirs() as second:
            return same_content(first, second)
    except DamagedError:
        return False


async def fetch(http: CloudHttp, identity: Identity, target: Path) -> bool:
    """Write the cloud's copy to `target`; False when the cloud says that it has none.

    Raises:
        CloudError: no answer, or none that says either.

    """
    path = (
        f"/studies/{identity.study_instance_uid}/series/{identity.series_instance_uid}"
        f"/instances/{identity.sop_instance_uid}"
    )
    for accept in _ACCEPTS:
        async with http.stream("GET", path, headers={"Accept": accept}) as response:
            if response.status == 200:
                await _save(response, target)
                return True
            if response.status in (404, 410):
                return False
            if response.status in (401, 403):
                raise CloudUnauthorisedError(
                    f"reading back is refused: HTTP {response.status}", response.status
                )
            # 400: not every origin server says 406 to a media type that it does not have.
            if response.status not in (400, 406):
                raise CloudAnswerError(
                    f"the stored copy could not be read: HTTP {response.status}",
                    response.status,
                    retry_after(response.headers.get("Retry-After")),
                )
            refused = response.status
    raise CloudAnswerError(f"the cloud does not return the stored encoding: HTTP {refused}", refused)


async def _save(response: aiohttp.ClientResponse, target: Path) -> None:
    import aiohttp  # noqa: PLC0415 - loaded by now, see cloud.client

    try:
        with target.open("wb") as file:
            async for chunk in response.content.iter_chunked(_CHUNK):
                await asyncio.to_thread(file.write, chunk)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise CloudUnreachableError(f"the stored copy was cut: {why(error)}", sent=True) from error
    if response.content_type.startswith("multipart/"):
        await asyncio.to_thread(_unwrap, target, response.headers.get("Content-Type", ""))


def _unwrap(target: Path, content_type: str) -> None:
    """Keep the one part of a multipart answer."""
    message = Message()
    message["Content-Type"] = content_type
    boundary = b"--" + str(message.get_param("boundary", "", unquote=True)).encode()
    with target.open("r+b") as file:
        head = file.read(_HEAD)
        start = head.find(b"\r\n\r\n", head.find(boundary)) + 4
        tail_at = max(0, file.seek(0, os.SEEK_END) - _HEAD)
        file.seek(tail_at)
        found = file.read().rfind(b"\r\n" + boundary)
        end = tail_at + found
        if start < 4 or found < 0 or end < start:
            raise CloudAnswerError("the multipart answer holds no part", 200)
        _keep(file, start, end)


def _keep(file: IO[bytes], start: int, end: int) -> None:
    """Move what lies between two places to the beginning, piece by piece, and cut off the rest."""
    for at in range(start, end, _CHUNK):
        file.seek(at)
        piece = file.read(min(_CHUNK, end - at))
        file.seek(at - start)
        file.write(piece)
    file.truncate(end - start)


def data_set_digest(part10: Path, algorithm: digests.Algorithm) -> str:
    """Digest of the bytes below group 0002.

    Raises:
        CloudAnswerError: the file is no Part 10 file.

    """
    with part10.open("rb") as file:
        head = file.read(_HEAD)
        try:
            offset = read_file_meta(head).data_set_offset
        except HeaderError as error:
            raise CloudAnswerError(f"the stored copy is no DICOM file: {error}", 200) from error
        found = digests.new(algorithm)
        found.update(head[offset:])
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.text()
