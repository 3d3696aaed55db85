"""WADO-RS: retrieves instances as DICOM files (PS3.18 section 10.4; WADO-001 to WADO-051)."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence

from systems.dicom_service.imaging.errors import CannotTranscode
from systems.dicom_service.imaging.late import transcode
from systems.dicom_service.security.roles import Action
from systems.dicom_service.services.context import Context
from systems.dicom_service.services.resources import resource
from systems.dicom_service.storage.catalog import Stored
from systems.dicom_service.update.originals import wanted_version
from systems.dicom_service.web.accept import ONE_FILE, ORIGINAL, SEVERAL_FILES, Choice, negotiate
from systems.dicom_service.web.problems import NotAcceptable, StoreUnavailable
from systems.dicom_service.web.replies import Answer, Reply, Streamed
from systems.dicom_service.web.request import Request

LARGEST_IMAGE_WORK = 104857600
_CHUNK = 1 << 20
_SMALL = 1 << 18


async def retrieve(request: Request, context: Context) -> Answer:
    """Answer GET of a study, series or instance; checks are in the order of WADO-037."""
    request.require(Action.READ)
    wanted = resource(request)
    choice = negotiate(request, ONE_FILE if wanted.instance is not None else SEVERAL_FILES)
    found = wanted_version(request, context.store.connection, wanted.instances(context))
    if choice.transfer_syntax == ORIGINAL:
        return await _original(found, choice, context)
    if len(found) > 1:
        raise NotAcceptable(
            f"The requested transfer syntax {choice.transfer_syntax} is possible for one instance only and "
            f"{len(found)} match; ask for transfer-syntax=* to get them as they are stored."
        )
    if found[0].transfer_syntax_uid == choice.transfer_syntax:
        return await _original(found, choice, context)
    return await _transcoded(found[0], choice, context)


async def _transcoded(instance: Stored, choice: Choice, context: Context) -> Reply:
    check_size(instance)
    try:
        data = await context.store.blob(instance.place)
        async with context.image_work:
            file = await asyncio.to_thread(transcode, data, choice.transfer_syntax)
    except CannotTranscode as error:
        raise NotAcceptable(
            f"The instance cannot be transcoded to {choice.transfer_syntax}; ask for transfer-syntax=* to get it as it is stored."
        ) from error
    except OSError as error:
        raise StoreUnavailable("The data store cannot be read.") from error
    part_type = f"{choice.media_type}; transfer-syntax={choice.transfer_syntax}"
    if not choice.multipart:
        return Reply(200, file, part_type)
    body, content_type = multipart([(part_type, file)])
    return Reply(200, body, content_type)


def check_size(instance: Stored) -> None:
    """Raise the 406 of LIM-005 for a file too large for image work."""
    if instance.place.size > LARGEST_IMAGE_WORK:
        raise NotAcceptable(
            f"The file exceeds the limit of {LARGEST_IMAGE_WORK} bytes for this operation; ask for transfer-syntax=* "
            "to get it as it is stored."
        )


def multipart(parts: Sequence[tuple[str, bytes]]) -> tuple[bytes, str]:
    """Return a multipart/related body of parts of (content type, content), and its Content-Type (WADO-027, WADO-028)."""
    boundary = str(uuid.uuid4())
    pieces: list[bytes] = []
    for part_type, content in parts:
        pieces += [_part_head(boundary, part_type), content, b"\r\n"]
    return b"".join([*pieces, _end(boundary)]), f"multipart/related; boundary={boundary}"


def _part_head(boundary: str, part_type: str) -> bytes:
    return f"--{boundary}\r\nContent-Type: {part_type}\r\n\r\n".encode()


def _end(boundary: str) -> bytes:
    return f"--{boundary}--\r\n".encode()


async def _original(found: Sequence[Stored], choice: Choice, context: Context) -> Answer:
    for instance in found:
        # Once an answer has begun, a missing file could only break it off: the 503 comes first (ERR-007).
        context.store.blobs.require(instance.place)
    if not choice.multipart:
        (instance,) = found
        content_type = f"{choice.media_type}; transfer-syntax={instance.transfer_syntax_uid}"
        if instance.place.size <= _SMALL:
            return Reply(200, context.store.blobs.read(instance.place), content_type)
        return Streamed(_chunks(instance, context), instance.place.size, content_type)
    boundary = str(uuid.uuid4())
    heads = [
        _part_head(boundary, f"{choice.media_type}; transfer-syntax={one.transfer_syntax_uid}")
        for one in found
    ]
    length = sum(len(head) + one.place.size + 2 for head, one in zip(heads, found, strict=True)) + len(
        _end(boundary)
    )
    pieces = _parts(found, heads, boundary, context)
    return Streamed(pieces, length, f"multipart/related; boundary={boundary}")


async def _parts(
    found: Sequence[Stored], heads: Sequence[bytes], boundary: str, context: Context
) -> AsyncIterator[bytes]:
    """Yield the parts; small files are gathered so that not each costs a write of its own."""
    waiting: list[bytes] = []
    size = 0
    with context.store.blobs.holding(instance.place for instance in found):
        for head, instance in zip(heads, found, strict=True):
            waiting.append(head)
            if instance.place.size <= _SMALL:
                waiting.append(context.store.blobs.read(instance.place))
                size += instance.place.size
            else:
                yield b"".join(waiting)
                waiting, size = [], 0
                async for chunk in _chunks(instance, context):
                    yield chunk
            waiting.append(b"\r\n")
            if size > _SMALL:
                yield b"".join(waiting)
                waiting, size = [], 0
    yield b"".join([*waiting, _end(boundary)])


async def _chunks(instance: Stored, context: Context) -> AsyncIterator[bytes]:
    chunks = context.store.blobs.chunks(instance.place, _CHUNK)
    while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
        yield chunk
