"""The admin interface under `/admin` and the rules it sets, shared by all workers through one small file."""

import asyncio
import hmac
import os
import time
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
_FARTHEST = 10 * 366 * 86400


class Switches:
    """One worker's view: rules are the same for all workers, their counters are each worker's own."""

    def __init__(self, folder: Path, key: str) -> None:
        self._file = folder / _FILE
        self._key = key.encode()
        self._seen: tuple[int, int] | None = None
        self._rules: list[FaultRule] = []
        self._offset = 0.0

    def now(self) -> float:
        """Return the time in seconds since 1970, as far as it was moved."""
        return time.time() + self._offset

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
                return self._set(rules=await _json(receive))
            case "DELETE", "faults":
                return self._set(rules=[])
            case "PUT", "clock":
                return self._set(offset=_offset(await _json(receive)))
            case "POST", "reset":
                await store.change(Empty(store.folder))
                return self._set(rules=[], offset=0)
        raise NotFound("There are GET, PUT and DELETE /admin/faults, PUT /admin/clock and POST /admin/reset.")

    def _set(self, **changes: Any) -> Reply:
        """Change what is named and leave the rest."""
        parse(changes.get("rules", []))
        state = {**self._state(), **changes}
        temporary = self._file.with_suffix(f".{os.getpid()}")
        temporary.write_bytes(orjson.dumps(state))
        temporary.replace(self._file)
        self._refresh()
        return Reply(204)

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = {"rules": [], "offset": 0}
        return {**state, **orjson.loads(self._file.read_bytes())} if self._file.exists() else state

    def _refresh(self) -> None:
        """Read rules and clock again when a worker has changed them."""
        try:
            file = self._file.stat()
        except FileNotFoundError:
            return
        seen = (file.st_mtime_ns, file.st_ino)
        if seen == self._seen:
            return
        self._seen = seen
        state = self._state()
        self._offset = float(state["offset"])
        self._rules = parse(state["rules"])


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


def _offset(value: Any) -> float:
    offset = value.get("offset") if isinstance(value, dict) else None
    if not isinstance(offset, int | float) or isinstance(offset, bool) or abs(offset) > _FARTHEST:
        raise BadRequest(f'The clock is moved by {{"offset": seconds}}, at most {_FARTHEST} either way.')
    return float(offset)
