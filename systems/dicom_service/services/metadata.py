"""Metadata of a study, series or instance as DICOM JSON (PS3.18 section 10.4; META-001 to META-034)."""

from collections.abc import AsyncIterator, Sequence

from systems.dicom_service.security.roles import Action
from systems.dicom_service.services.context import Context
from systems.dicom_service.services.resources import resource
from systems.dicom_service.storage.catalog import Stored
from systems.dicom_service.update.originals import wanted_version
from systems.dicom_service.web.accept import require_json
from systems.dicom_service.web.replies import DICOM_JSON, Answer, Reply, Streamed
from systems.dicom_service.web.request import Request

_WHOLE = 200


async def metadata(request: Request, context: Context) -> Answer:
    """Answer GET .../metadata."""
    require_json(request)
    request.require(Action.READ)
    found = resource(request).instances(context)
    newest = max(instance.watermark for instance in found)
    etag = str(newest) if "instance" in request.route.variables else f"{newest}-{len(found)}"
    if (request.header("if-none-match") or "").strip().lower() == etag:
        return Reply(304)
    headers = [("ETag", etag)]
    # The ETag is that of the latest version, whichever is asked for (META-028).
    found = wanted_version(request, context.store.connection, found)
    if len(found) > _WHOLE:
        return Streamed(_array(found, context), None, DICOM_JSON, headers)
    body = b"".join([piece async for piece in _array(found, context)])
    return Reply(200, body, DICOM_JSON, headers)


async def _array(instances: Sequence[Stored], context: Context) -> AsyncIterator[bytes]:
    separator = b"["
    async for document in context.descriptions.encoded(instances):
        yield separator + document
        separator = b","
    yield b"]"
