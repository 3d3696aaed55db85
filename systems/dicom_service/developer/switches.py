"""The admin interface under `/admin` and the rules it sets, shared by all workers through one small file."""

import asyncio
import hmac
import os
from pathlib import Path
from typing import Any

import orjson

from systems.dicom_service.developer.faults import FaultRule, parse, shown
from systems.dicom_service.developer.reset import Empty
from systems.dicom_service.storage.store import Store
from systems.dicom_service.web.problems import BadRequest, ClientGone, NotFound, Problem, TooLarge
from systems.dicom_service.web.replies import TEXT, Answer, Reply, json_reply
from systems.dicom_service.web.request import Message, Receive

_FILE = "developer.json"
_LARGEST_BODY = 1 << 20
_PREFIX = "/admin/"


class Switches:
    """One worker's view: rules are the same for all workers, their counters are each worker's own."""

    def __init__(self, folder: Path, key: str) -> None:
        self._file = folder / _FILE
        self._key = key.encode()
        self._seen: tuple[int, int] | None = None
        self._rules: list[FaultRule] = []

    async def answer(self, scope: Message, receive: Receive, store: Store) -> Answer | None:
        """Answer an admin request, or the request that a rule picks out; None lets it pass, perhaps later."""
        if scope["path"].startswith(_PREFIX):
            return await self._administer(scope, receive, store)
        self._refresh()
        if not self._rules:
            return None
        path = scope["path"] + (
            f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
        )
        for rule in self._rules:
            if rule.bites(scope["method"], path):
                await asyncio.sleep(rule.delay)
                if rule.status is not None:
                    return Reply(rule.status, rule.body.encode(), TEXT if rule.body else "", rule.headers)
        return None

    async def _administer(self, scope: Message, receive: Receive, store: Store) -> Answer:
        given = next((value for name, value in scope["headers"] if name == b"x-admin-key"), b"")
        if not hmac.compare_digest(given, self._key):
            raise Problem("The X-Admin-Key header is missing or wrong.", status=401)
        match scope["method"], scope["path"].removeprefix(_PREFIX):
            case "GET", "faults":
                self._refresh()
                return json_reply(shown(self._rules))
            case "PUT", "faults":
                return self._set(await _json(receive))
            case "DELETE", "faults":
                return self._set([])
            case "POST", "reset":
                await store.change(Empty(store.folder))
                return self._set([])
        raise NotFound("There are GET, PUT and DELETE /admin/faults and POST /admin/reset.")

    def _set(self, rules: Any) -> Reply:
        parse(rules)
        temporary = self._file.with_suffix(f".{os.getpid()}")
        temporary.write_bytes(orjson.dumps(rules))
        temporary.replace(self._file)
        self._refresh()
        return Reply(204)

    def _refresh(self) -> None:
        """Read the rules again when a worker has changed them."""
        try:
            state = self._file.stat()
        except FileNotFoundError:
            return
        seen = (state.st_mtime_ns, state.st_ino)
        if seen != self._seen:
            self._seen = seen
            self._rules = parse(orjson.loads(self._file.read_bytes()))


async def _json(receive: Receive) -> Any:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > _LARGEST_BODY:
            raise TooLarge(f"The rules exceed {_LARGEST_BODY} bytes.")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest("The request body is not valid JSON.") from error
