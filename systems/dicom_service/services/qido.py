"""QIDO-RS: searches for studies, series and instances (PS3.18 section 10.6)."""

import sqlite3
from collections.abc import Sequence

from systems.dicom_service.dicom.attributes import Level
from systems.dicom_service.dicom.uids import path_uid
from systems.dicom_service.search import parameters, results
from systems.dicom_service.search.parameters import Target
from systems.dicom_service.security.roles import Action
from systems.dicom_service.services.context import Context
from systems.dicom_service.tags.definitions import TagSet, error_count
from systems.dicom_service.web.accept import require_json
from systems.dicom_service.web.problems import StoreUnavailable
from systems.dicom_service.web.replies import DICOM_JSON, Reply, json_reply
from systems.dicom_service.web.request import Request

_LEVELS = {"search-studies": Level.STUDY, "search-series": Level.SERIES, "search-instances": Level.INSTANCE}


async def search(request: Request, context: Context) -> Reply:
    """Answer the six search resources; checks are in the order of QIDO-123."""
    control = parameters.paging(request)
    require_json(request)
    wanted = parameters.filters(request)
    request.require(Action.READ)
    tags = context.tags.current(context.store.connection)
    query = parameters.query(request, _target(request), control, wanted, tags)
    try:
        erroneous = _erroneous(wanted, tags, context)
        found = await results.run(query, request.version, context.store, context.descriptions)
    except sqlite3.Error as error:
        raise StoreUnavailable("The data store cannot be read.") from error
    headers = [("erroneous-dicom-attributes", ",".join(erroneous))] if erroneous else []
    return (
        json_reply(found, content_type=DICOM_JSON, headers=headers) if found else Reply(204, headers=headers)
    )


def _erroneous(wanted: Sequence[tuple[str, str]], tags: TagSet, context: Context) -> list[str]:
    """Return the filters, as written, whose extended query tag could not index every instance (QIDO-113)."""
    if not tags.by_number:
        return []
    used = [(name, tags.by_number.get(parameters.attribute_tag(name) or 0)) for name, _ in wanted]
    connection = context.store.connection
    return [name for name, tag in used if tag is not None and error_count(connection, tag.id)]


def _target(request: Request) -> Target:
    names = request.route.variables
    study, series = names.get("study"), names.get("series")
    return Target(
        _LEVELS[request.route.action],
        path_uid(study, "StudyInstanceUid") if study is not None else None,
        path_uid(series, "SeriesInstanceUid") if series is not None else None,
        request.partition.key,
    )
