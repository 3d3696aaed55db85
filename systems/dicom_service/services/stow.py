"""STOW-RS: stores the instances of one request and says what became of each (PS3.18 section 10.5)."""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

from systems.dicom_service.dicom.elements import Buffer
from systems.dicom_service.dicom.intake import FAILED_VALIDATION, MULTIPLE_VALUES, Examined, examine
from systems.dicom_service.dicom.uids import path_uid
from systems.dicom_service.security.roles import Action
from systems.dicom_service.services.context import Context
from systems.dicom_service.storage.blobs import Incoming
from systems.dicom_service.storage.jobs import KeepInstances, NewInstance, Outcome
from systems.dicom_service.tags.definitions import TagSet
from systems.dicom_service.web.accept import require_json
from systems.dicom_service.web.multipart import (
    Content,
    ContentType,
    Lost,
    Receiver,
    receive_parts,
    receive_single,
)
from systems.dicom_service.web.problems import BadRequest, TooLarge, UnsupportedMediaType
from systems.dicom_service.web.replies import DICOM_JSON, Reply, json_reply
from systems.dicom_service.web.request import Request
from systems.shared import logs
from systems.shared.header_errors import HeaderError
from systems.shared.header_scan import DEFLATED_EXPLICIT_VR_LE

_log = logging.getLogger(__name__)

PROCESSING_FAILURE = 272
ALREADY_EXISTS = 45070
_LARGEST_REQUEST = 2147483647
_EXAMINED_AT_A_STRETCH = 8
_LONGEST_USUAL_META = 1024

Item = dict[str, Any]


async def store(request: Request, context: Context) -> Reply:
    """Answer POST /studies and POST /studies/{study}; checks are in the order of STOW-131."""
    require_json(request)
    request.require(Action.WRITE)
    study = request.route.variables.get("study")
    study = path_uid(study, "StudyInstanceUid") if study is not None else None
    content_type = _content_type(request)
    receiver = Receiver(context.store.receive, context.settings.largest_file)
    try:
        if content_type.media_type == "application/dicom":
            await receive_single(request, receiver)
        else:
            await receive_parts(request, content_type, receiver)
    except BaseException:
        receiver.discard()
        raise
    if not receiver.contents:
        return Reply(204)
    return await _Transaction(request, context, study).run(receiver.contents)


def _content_type(request: Request) -> ContentType:
    """Return the request's content type; raises what STOW-012 to STOW-017 and LIM-002 say."""
    header = request.header("content-type")
    if header is None:
        raise UnsupportedMediaType(
            "The content type of the request is missing; send application/dicom or multipart/related."
        )
    content_type = ContentType.parse(header)
    single = content_type.media_type == "application/dicom"
    if single and header.strip().lower() != "application/dicom":
        raise UnsupportedMediaType(
            f"The content type '{header}' is not supported; application/dicom takes no parameters."
        )
    if not single and not content_type.parameters.get("boundary"):
        raise UnsupportedMediaType(
            f"The content type '{header}' is not supported; multipart/related needs a boundary."
        )
    if not single and "start" in content_type.parameters:
        raise BadRequest("The start parameter of multipart/related is not supported.")
    length = request.header("content-length") or ""
    if length.isdigit() and int(length) > _LARGEST_REQUEST:
        message = f"The request body exceeds the limit of {_LARGEST_REQUEST} bytes."
        raise BadRequest(message) if single else TooLarge(message)
    return content_type


@dataclass(slots=True)
class _Part:
    """One instance of the request on its way."""

    content: Content
    examined: Examined | None = None
    failure: int | None = None


@dataclass(slots=True)
class _Transaction:
    request: Request
    context: Context
    study: str | None
    _parts: list[_Part] = field(default_factory=list)

    async def run(self, contents: list[Content]) -> Reply:
        self._parts = [_Part(content) for content in contents]
        try:
            await self._examine()
        except BaseException:
            self._discard(self._parts)
            raise
        self._discard([part for part in self._parts if part.failure is not None])
        await self._keep([part for part in self._parts if part.failure is None])
        return self._reply()

    async def _examine(self) -> None:
        tags = self.context.tags.current(self.context.store.connection)
        for number, part in enumerate(self._parts, 1):
            if _inflates(part.content):
                # A few bytes may become hundreds of megabytes; meanwhile the others are served.
                await asyncio.to_thread(self._examine_one, part, tags)
            else:
                self._examine_one(part, tags)
            if number % _EXAMINED_AT_A_STRETCH == 0:
                # A long request must not make all others wait.
                await asyncio.sleep(0)

    def _examine_one(self, part: _Part, tags: TagSet) -> None:
        lost = isinstance(part.content, Lost)
        try:
            part.examined = examine(
                _view(part.content),
                version=self.request.version,
                study=self.study,
                tags=tags,
                full=self.context.settings.full_validation,
            )
        except HeaderError:
            part.failure = PROCESSING_FAILURE if lost else FAILED_VALIDATION
        except Exception as error:  # noqa: BLE001 - see below
            # One instance that our own reading cannot cope with must not fail the others (STOW-064).
            _log.error("an instance could not be examined: %s", logs.origin(error))
            part.failure = PROCESSING_FAILURE
        else:
            if lost:
                part.failure = PROCESSING_FAILURE
            elif part.examined.failed:
                part.failure = FAILED_VALIDATION

    async def _keep(self, parts: list[_Part]) -> None:
        ready = [part for part in parts if await self._is_on_disk(part)]
        news = [
            NewInstance(part.examined, part.content)
            for part in ready
            if part.examined is not None and not isinstance(part.content, Lost)
        ]
        if not news:
            return
        try:
            outcomes: list[Outcome] = await self.context.store.change(
                KeepInstances(news, self.request.partition.key)
            )
        except Exception as error:  # noqa: BLE001 - reported per instance, whatever it was (STOW-064)
            _log.error("instances could not be stored: %s", logs.origin(error))
            for part in ready:
                part.failure = PROCESSING_FAILURE
            return
        for part, outcome in zip(ready, outcomes, strict=True):
            if outcome is Outcome.DUPLICATE:
                part.failure = ALREADY_EXISTS

    async def _is_on_disk(self, part: _Part) -> bool:
        """Bring a received file to disk; one that does not get there fails alone (STOW-064)."""
        if not isinstance(part.content, Incoming):
            return True
        try:
            await asyncio.to_thread(part.content.make_durable)
        except OSError as error:
            _log.error("a file could not be brought to disk: %s", logs.origin(error))
            part.failure = PROCESSING_FAILURE
            self._discard([part])
            return False
        return True

    @staticmethod
    def _discard(parts: list[_Part]) -> None:
        for part in parts:
            if isinstance(part.content, Incoming):
                part.content.discard()

    def _reply(self) -> Reply:
        stored = [
            self._referenced(part.examined) for part in self._parts if part.failure is None and part.examined
        ]
        failed = [self._failed(part) for part in self._parts if part.failure is not None]
        body: Item = {}
        if stored and self.study is not None:
            body["00081190"] = _element("UR", f"{self.request.base_url}/studies/{self.study}")
        if failed:
            body["00081198"] = {"vr": "SQ", "Value": failed}
        if stored:
            body["00081199"] = {"vr": "SQ", "Value": stored}
        return json_reply(
            body, content_type=DICOM_JSON, status=self._status(stored, failed), headers=self._headers()
        )

    def _status(self, stored: list[Item], failed: list[Item]) -> int:
        if failed:
            return 202 if stored else 409
        warned = self.request.version > 1 and any("00081196" in item for item in stored)
        return 202 if warned else 200

    def _headers(self) -> list[tuple[str, str]]:
        if not any(part.examined is not None and part.examined.multiple_values for part in self._parts):
            return []
        host = self.request.host.rsplit(":", 1)[0]
        return [("Warning", f'299 {host}: "{MULTIPLE_VALUES}"')]

    def _referenced(self, found: Examined) -> Item:
        instance = (found.sop_instance_uid or "").rstrip(" \0")
        url = f"{self.request.base_url}/studies/{found.study_uid}/series/{found.series_uid}/instances/{instance}"
        item: Item = {
            "00081150": _element("UI", found.sop_class_uid),
            "00081155": _element("UI", found.sop_instance_uid),
            "00081190": _element("UR", url),
        }
        if found.warning is not None:
            item["00081196"] = _element("US", found.warning)
        if self.request.version > 1:
            item["00741048"] = _reasons(found.reasons)
        return item

    def _failed(self, part: _Part) -> Item:
        item: Item = {}
        found = part.examined
        if found is not None and found.sop_class_uid:
            item["00081150"] = _element("UI", found.sop_class_uid)
        if found is not None and found.sop_instance_uid:
            item["00081155"] = _element("UI", found.sop_instance_uid)
        item["00081197"] = _element("US", part.failure)
        if found is not None and part.failure == FAILED_VALIDATION:
            item["00741048"] = _reasons(found.reasons)
        return item


def _view(content: Content) -> Buffer:
    if isinstance(content, Lost):
        return content.beginning
    return content.view() if isinstance(content, Incoming) else content


def _inflates(content: Content) -> bool:
    return DEFLATED_EXPLICIT_VR_LE.encode() in _view(content)[:_LONGEST_USUAL_META]


def _element(vr: str, value: Any) -> Item:
    return {"vr": vr} if value is None else {"vr": vr, "Value": [value]}


def _reasons(reasons: list[str]) -> Item:
    items = [{"00000902": _element("LO", reason)} for reason in reasons]
    return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
