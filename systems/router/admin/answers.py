"""What every route of the admin interface is made of: the route itself, JSON answers, and errors for people."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

Endpoint = Callable[[Request], Awaitable[Response]]


class Json(Response):
    """A JSON answer."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Encode `content`."""
        return orjson.dumps(content)


@dataclass(frozen=True, slots=True)
class Route:
    """A route and what the OpenAPI description says of it."""

    method: str
    path: str
    summary: str
    endpoint: Endpoint
    anonymous: bool = False


def problem(code: int, message: str) -> Json:
    """An error for people."""
    return Json({"error": message}, status_code=code)
