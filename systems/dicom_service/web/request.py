"""A request as the services see it."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from systems.dicom_service.security.roles import Action
from systems.dicom_service.storage.partitions import DEFAULT, Partition
from systems.dicom_service.web.problems import ClientGone, Forbidden
from systems.dicom_service.web.routing import Route

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class Request:
    """Method, path variables, query and headers of one request, and what its caller may do."""

    __slots__ = ("_receive", "actions", "headers", "method", "partition", "query_string", "route", "scheme")

    def __init__(self, scope: Message, receive: Receive, route: Route, actions: frozenset[Action]) -> None:
        self.method: str = scope["method"]
        self.scheme: str = scope["scheme"]
        self.headers: list[tuple[bytes, bytes]] = scope["headers"]
        self.query_string: bytes = scope["query_string"]
        self.route = route
        self.actions = actions
        self.partition: Partition = DEFAULT
        self._receive = receive

    @property
    def version(self) -> int:
        """The major version."""
        return self.route.version

    @property
    def host(self) -> str:
        """The Host header."""
        return self.header("host") or "localhost"

    @property
    def base_url(self) -> str:
        """Scheme, host and version segment as the client wrote them, with the partition of the path (VER-011, PART-008)."""
        base = f"{self.scheme}://{self.host}/{self.route.version_segment}"
        return f"{base}/partitions/{self.partition.name}" if "partition" in self.route.variables else base

    def header(self, name: str) -> str | None:
        """Return the first value of a header, None when absent."""
        wanted = name.encode()
        return next((value.decode("latin-1") for key, value in self.headers if key == wanted), None)

    def header_lines(self, name: str) -> list[str]:
        """Return all values of a header, line by line."""
        wanted = name.encode()
        return [value.decode("latin-1") for key, value in self.headers if key == wanted]

    def query(self) -> list[tuple[str, str]]:
        """Return the query parameters in order, empty ones included; undecodable bytes become replacement characters."""
        if not self.query_string:
            return []
        return parse_qsl(self.query_string.decode("latin-1"), keep_blank_values=True, errors="replace")

    def control(self, name: str) -> str | None:
        """Return the first value of a query parameter named in any letter case, None when absent."""
        return next((value for key, value in self.query() if key.lower() == name.lower()), None)

    def require(self, action: Action) -> None:
        """Raise `Forbidden` when the caller's roles do not permit `action`."""
        if action not in self.actions:
            raise Forbidden

    async def body_part(self) -> tuple[bytes, bool]:
        """Return the next piece of the body and whether more follows; raises `ClientGone`."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        return message.get("body", b""), message.get("more_body", False)

    async def gone(self) -> None:
        """Return when the client closes the connection; use only after the body was read or is not wanted."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
