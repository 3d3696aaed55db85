"""Deletes a study, series or instance (DEL-001 to DEL-023)."""

import sqlite3

from systems.dicom_service.security.roles import Action
from systems.dicom_service.services.context import Context
from systems.dicom_service.services.resources import resource
from systems.dicom_service.storage.jobs import Remove
from systems.dicom_service.web.problems import StoreUnavailable
from systems.dicom_service.web.replies import Reply
from systems.dicom_service.web.request import Request


async def delete(request: Request, context: Context) -> Reply:
    """Answer DELETE of a study, series or instance."""
    request.require(Action.DELETE)
    unwanted = resource(request)
    job = Remove(
        context.store.objects, unwanted.study, unwanted.series, unwanted.instance, unwanted.partition
    )
    try:
        removed = await context.store.change(job)
    except (sqlite3.Error, OSError) as error:
        raise StoreUnavailable("The data store cannot be changed.") from error
    if not removed:
        raise unwanted.missing()
    return Reply(204)
