"""Frames of an instance (PS3.18 section 10.4; FRAME-001 to FRAME-024)."""

import asyncio
import re
from collections.abc import Sequence

from systems.dicom_service.imaging.errors import CannotTranscode, ImagingError, NoPixelData, NoSuchFrame
from systems.dicom_service.imaging.late import stored_frames, transcoded_frames
from systems.dicom_service.imaging.layout import native_frames
from systems.dicom_service.security.roles import Action
from systems.dicom_service.services.context import Context
from systems.dicom_service.services.resources import resource
from systems.dicom_service.services.retrieve import check_size, multipart
from systems.dicom_service.storage.catalog import Stored
from systems.dicom_service.web.accept import FRAMES, ORIGINAL, Choice, negotiate
from systems.dicom_service.web.problems import (
    BadRequest,
    NotAcceptable,
    NotFound,
    Problem,
    StoreUnavailable,
    bad_parameter,
)
from systems.dicom_service.web.replies import Reply
from systems.dicom_service.web.request import Request

_LARGEST_INT = 2**31 - 1


async def frames(request: Request, context: Context) -> Reply:
    """Answer GET .../frames/{list}; checks are in the order of WADO-037."""
    numbers = frame_list(request.route.variables["frames"])
    request.require(Action.READ)
    wanted = resource(request)
    check_positive(numbers)
    choice = negotiate(request, FRAMES)
    if len(numbers) > 1 and not choice.multipart:
        raise BadRequest(
            "Several frames need a multipart answer; accept multipart/related or ask for one frame."
        )
    instance = wanted.instances(context)[0]
    found = await _frames(instance, numbers, choice, context)
    syntax = instance.transfer_syntax_uid if choice.transfer_syntax == ORIGINAL else choice.transfer_syntax
    part_type = f"{choice.media_type}; transfer-syntax={syntax}"
    if not choice.multipart:
        return Reply(200, found[0], part_type)
    body, content_type = multipart([(part_type, frame) for frame in found])
    return Reply(200, body, content_type)


def frame_list(text: str) -> list[int]:
    """Return the numbers of a frame list; raises the 400 of FRAME-014."""
    numbers = []
    for item in text.split(","):
        if not re.fullmatch(r" *[+-]?[0-9]{1,20} *", item) or abs(int(item)) > _LARGEST_INT:
            raise bad_parameter("frames", f"The value '{text[:64]}' is not a list of frame numbers.")
        numbers.append(int(item))
    return numbers


def check_positive(numbers: Sequence[int]) -> None:
    """Raise the 400 of FRAME-013."""
    if min(numbers) < 1:
        raise BadRequest("Frame numbers start at 1.")


def problem(error: ImagingError) -> Problem:
    """Return the answer of failed image work (ERR-004, ERR-005)."""
    if isinstance(error, NoSuchFrame):
        return NotFound("The specified frame cannot be found.")
    if isinstance(error, NoPixelData):
        return NotFound("The specified instance has no pixel data, so the frame cannot be found.")
    return NotAcceptable(
        "The pixel data cannot be converted to the requested form; ask for transfer-syntax=* to get it as stored."
    )


async def _frames(instance: Stored, numbers: list[int], choice: Choice, context: Context) -> list[bytes]:
    original = choice.transfer_syntax in (ORIGINAL, instance.transfer_syntax_uid)
    try:
        if original:
            view = context.store.blobs.view(instance.place)
            found = await asyncio.to_thread(native_frames, view, instance.head_stop, numbers)
            if found is not None:
                return found
        check_size(instance)
        data = await context.store.blob(instance.place)
        async with context.image_work:
            if original:
                return await asyncio.to_thread(stored_frames, data, numbers)
            return await asyncio.to_thread(transcoded_frames, data, numbers, choice.transfer_syntax)
    except (CannotTranscode, NoPixelData, NoSuchFrame) as error:
        raise problem(error) from error
    except OSError as error:
        raise StoreUnavailable("The data store cannot be read.") from error
