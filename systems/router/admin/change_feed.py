"""The routes of the change feed's reader."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from systems.router.admin.answers import Json, Route, problem
from systems.router.cloud.errors import CloudError
from systems.router.errors import ConfigError
from systems.router.feed.comparing import lines
from systems.router.feed.purging import purge
from systems.router.feed.reader import Wanted

if TYPE_CHECKING:
    from systems.router.runtime import Router


class ChangeFeedRoutes:
    """Reading needs nothing besides the admin token; purging needs the configuration's leave and a confirmation."""

    def __init__(self, router: "Router") -> None:
        self._router = router

    def table(self) -> list[Route]:
        """Every route, in the order of the description."""
        return [
            Route(
                "GET",
                "/change-feed",
                "The cloud's change feed, JSON lines; ?offset, limit, metadata, reconcile",
                self.read,
            ),
            Route(
                "POST",
                "/change-feed/purge",
                'Delete studies from the cloud; {"studies": [...], "confirm": "delete-studies"}',
                self.purge,
            ),
        ]

    async def read(self, request: Request) -> Response:
        """JSON lines, streamed; what goes wrong after the first one is a last line with `error`."""
        router = self._router
        try:
            wanted = Wanted.from_query(dict(request.query_params))
        except ConfigError as error:
            return problem(400, str(error))
        found = lines(router.config, router.queue, router.http, wanted)
        try:
            first = await anext(found, None)
        except CloudError as error:
            return problem(502, str(error))
        return StreamingResponse(_written(first, found), media_type="application/x-ndjson")

    async def purge(self, request: Request) -> Response:
        """The outcome of each study."""
        router = self._router
        try:
            studies, confirmation = _order(orjson.loads(await request.body() or b"{}"))
            outcomes = await purge(router.config, router.queue, router.http, studies, confirmation)
        except orjson.JSONDecodeError:
            return problem(400, "the body is not JSON")
        except ConfigError as error:
            return problem(400, str(error))
        return Json({"studies": outcomes})


def _order(body: Any) -> tuple[list[Any], str]:
    """The studies and the confirmation of a body; what they are is judged with the configuration."""
    if not isinstance(body, dict) or not isinstance(body.get("studies", []), list):
        raise ConfigError("the body must be an object with a list `studies` and a text `confirm`")
    return body.get("studies", []), str(body.get("confirm", ""))


async def _written(first: dict[str, Any] | None, rest: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    if first is None:
        return
    yield orjson.dumps(first, option=orjson.OPT_APPEND_NEWLINE)
    try:
        async for line in rest:
            yield orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
    except CloudError as error:
        yield orjson.dumps({"error": str(error)}, option=orjson.OPT_APPEND_NEWLINE)
