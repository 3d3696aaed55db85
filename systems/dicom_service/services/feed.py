"""The change feed: every stored, changed and deleted instance in order (FEED-001 to FEED-045)."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson

from systems.dicom_service.security.roles import Action
from systems.dicom_service.services.context import Context
from systems.dicom_service.storage import catalog
from systems.dicom_service.storage.catalog import Change
from systems.dicom_service.web.problems import BadRequest, bad_parameter
from systems.dicom_service.web.replies import JSON, Reply
from systems.dicom_service.web.request import Request

_TICKS = 10_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BEYOND_ALL = 2**63 - 1
_INSTANT = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,7}))?)?)?\s*(Z|[+-]\d{2}:?\d{2})?",
    re.IGNORECASE,
)


async def change_feed(request: Request, context: Context) -> Reply:
    """Answer GET /changefeed."""
    with_metadata = _flag(request, "includeMetadata")
    if request.version == 1:
        offset = _number(request, "offset", 0, 0, 2**63 - 1)
        limit = _number(request, "limit", 10, 1, 100)
        request.require(Action.READ)
        changes = await context.store.read(
            lambda connection: list(catalog.changes_after(connection, offset, limit))
        )
    else:
        start, end = _window(request)
        offset = _number(request, "Offset", 0, 0, 2**63 - 1)
        limit = _number(request, "Limit", 100, 1, 200)
        request.require(Action.READ)
        changes = await context.store.read(
            lambda connection: list(catalog.changes_between(connection, start, end, offset, limit))
        )
    entries = await _entries(changes, context, with_metadata)
    return Reply(200, b"[" + b",".join(entries) + b"]", JSON)


async def change_feed_latest(request: Request, context: Context) -> Reply:
    """Answer GET /changefeed/latest."""
    with_metadata = _flag(request, "includeMetadata")
    request.require(Action.READ)
    change = catalog.latest_change(context.store.connection, by_time=request.version > 1)
    if change is None:
        return Reply(204)
    return Reply(200, (await _entries([change], context, with_metadata))[0], JSON)


async def _entries(changes: Iterable[Change], context: Context, with_metadata: bool) -> list[bytes]:
    changes = list(changes)
    documents: dict[int, bytes] = {}
    if with_metadata:
        marks = list({change.current for change in changes if change.current is not None})
        found = catalog.by_watermarks(context.store.connection, marks)
        instances = list(found.values())
        encoded = [document async for document in context.descriptions.encoded(instances)]
        documents = {
            instance.watermark: document for instance, document in zip(instances, encoded, strict=True)
        }
    return [_entry(change, documents) for change in changes]


def _entry(change: Change, documents: dict[int, bytes]) -> bytes:
    if change.current is None:
        state = "Deleted"
    else:
        state = "Current" if change.current == change.watermark else "Replaced"
    entry: dict[str, Any] = {
        "sequence": change.sequence,
        "partitionName": change.partition,
        "studyInstanceUid": change.study_uid,
        "seriesInstanceUid": change.series_uid,
        "sopInstanceUid": change.sop_uid,
        "action": change.action,
        "timestamp": _printed(change.timestamp),
        "state": state,
    }
    document = documents.get(change.current) if change.current is not None else None
    if document is not None:
        entry["metadata"] = orjson.Fragment(document)
    return orjson.dumps(entry)


def _printed(ticks: int) -> str:
    seconds, fraction = divmod(ticks, _TICKS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:07d}+00:00"


def _flag(request: Request, name: str) -> bool:
    text = request.control(name)
    if text is None:
        return True
    if text.strip().lower() not in ("true", "false"):
        raise bad_parameter(name, f"The value '{text}' is not true or false.")
    return text.strip().lower() == "true"


def _number(request: Request, name: str, default: int, least: int, most: int) -> int:
    text = request.control(name)
    if text is None:
        return default
    if not re.fullmatch(r"\s*[+-]?[0-9]{1,19}\s*", text):
        raise bad_parameter(name, f"The value '{text}' is not a number.")
    if not least <= int(text) <= most:
        raise bad_parameter(name, f"The value must be between {least} and {most}.")
    return int(text)


def _window(request: Request) -> tuple[int, int]:
    """Return start and end of the window in ticks (FEED-029 to FEED-035)."""
    start, end = _ticks(request, "StartTime"), _ticks(request, "EndTime")
    if end is not None and (start if start is not None else 0) >= end:
        raise BadRequest("The start of the time range must be strictly before its end.")
    return start if start is not None else -_BEYOND_ALL, end if end is not None else _BEYOND_ALL


def _ticks(request: Request, name: str) -> int | None:
    text = (request.control(name) or "").strip()
    if not text:
        return None
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise bad_parameter(name, f"The value '{text}' is not a date and time.")
    *numbers, fraction, zone = match.groups()
    if zone is None:
        raise bad_parameter(name, f"The value '{text}' needs a time zone, for example Z or +00:00.")
    try:
        year, month, day, hour, minute, second = (int(number or 0) for number in numbers)
        instant = datetime(year, month, day, hour, minute, second, tzinfo=_zone(zone))
    except ValueError as error:
        raise bad_parameter(name, f"The value '{text}' is not a date and time.") from error
    return (instant - _EPOCH) // timedelta(seconds=1) * _TICKS + int((fraction or "").ljust(7, "0"))


def _zone(text: str) -> timezone:
    if text.upper() == "Z":
        return UTC
    digits = text[1:].replace(":", "")
    return timezone((1 if text[0] == "+" else -1) * timedelta(hours=int(digits[:2]), minutes=int(digits[2:])))
