"""The router that runs on the same data folder, asked by a command."""

import asyncio
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any, Final, cast

import orjson

from systems.router.config.model import Config
from systems.router.errors import ConfigError, ResourceError

_TIMEOUT: Final = 60.0


class RunningRouter:
    """The admin interface of the router that uses the same data folder."""

    def __init__(self, config: Config) -> None:
        """Find its port.

        Raises:
            ResourceError: it has not written down where it listens.

        """
        try:
            port = orjson.loads((config.data / "ports.json").read_bytes())["admin"]
        except (OSError, orjson.JSONDecodeError, KeyError) as error:
            raise ResourceError(
                f"a router uses {config.data}, but its ports.json names no admin port; wait until it has started"
            ) from error
        host = "127.0.0.1" if config.admin.host in ("0.0.0.0", "::") else config.admin.host  # noqa: S104
        self._url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._token = config.admin.token.read()

    async def ask(self, method: str, path: str, body: object) -> dict[str, Any]:
        """The JSON of an answer.

        Raises:
            ConfigError: the router refuses; its reason.
            ResourceError: it does not answer.

        """
        return await asyncio.to_thread(self._ask, method, path, body)

    def _ask(self, method: str, path: str, body: object) -> dict[str, Any]:
        answer: dict[str, Any] = orjson.loads(b"".join(self._pieces(method, path, body)))
        return answer

    def lines(self, path: str) -> Iterator[dict[str, Any]]:
        """JSON lines as they come. Raises as `ask` does."""
        for line in self._pieces("GET", path, None):
            yield orjson.loads(line)

    def _pieces(self, method: str, path: str, body: object) -> Iterator[bytes]:
        request = urllib.request.Request(  # noqa: S310 - always http
            self._url + path,
            data=None if body is None else orjson.dumps(body),
            headers={"Authorization": f"Bearer {self._token}"},
            method=method,
        )
        try:
            with cast("HTTPResponse", urllib.request.urlopen(request, timeout=_TIMEOUT)) as response:  # noqa: S310
                yield from response
        except urllib.error.HTTPError as error:
            reason = orjson.loads(error.read()).get("error", "")
            if error.code == 502:
                raise ResourceError(str(reason)) from error
            raise ConfigError(f"the running router refuses: {reason}") from error
        except (OSError, orjson.JSONDecodeError) as error:
            raise ResourceError(f"the running router at {self._url} does not answer: {error}") from error
