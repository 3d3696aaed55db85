"""Rendered instances and frames (PS3.18 section 10.4; REND-001 to REND-020)."""

import asyncio
import re

from systems.dicom_service.imaging.errors import ImagingError
from systems.dicom_service.imaging.late import render
from systems.dicom_service.security.roles import Action
from systems.dicom_service.services.context import Context
from systems.dicom_service.services.frames import check_positive, frame_list, problem
from systems.dicom_service.services.resources import resource
from systems.dicom_service.services.retrieve import LARGEST_IMAGE_WORK
from systems.dicom_service.web.accept import rendered_type
from systems.dicom_service.web.problems import BadRequest, NotAcceptable, StoreUnavailable, bad_parameter
from systems.dicom_service.web.replies import Reply
from systems.dicom_service.web.request import Request


async def rendered(request: Request, context: Context) -> Reply:
    """Answer GET .../rendered; checks are in the order of REND-017."""
    quality = _quality(request)
    frame = _frame(request.route.variables.get("frames"))
    request.require(Action.READ)
    wanted = resource(request)
    check_positive([frame])
    if not 1 <= quality <= 100:
        raise BadRequest("The quality must be between 1 and 100.")
    media_type = rendered_type(request)
    instance = wanted.instances(context)[0]
    if instance.place.size > LARGEST_IMAGE_WORK:
        raise NotAcceptable(f"Files of more than {LARGEST_IMAGE_WORK} bytes cannot be rendered.")
    try:
        data = await context.store.blob(instance.place)
        async with context.image_work:
            image = await asyncio.to_thread(render, data, frame, media_type, quality)
    except ImagingError as error:
        raise problem(error) from error
    except OSError as error:
        raise StoreUnavailable("The data store cannot be read.") from error
    return Reply(200, image, media_type)


def _quality(request: Request) -> int:
    text = request.control("quality")
    if text is None:
        return 100
    if not re.fullmatch(r"\s*[+-]?[0-9]{1,20}\s*", text) or abs(int(text)) >= 2**31:
        raise bad_parameter("quality", f"The value '{text[:64]}' is not a whole number.")
    return int(text)


def _frame(text: str | None) -> int:
    if text is None:
        return 1
    if "," in text:
        raise bad_parameter("frame", "One frame at a time can be rendered.")
    return frame_list(text)[0]
