"""`dicom-router reconcile`: by the running router where there is one, else in this process."""

import asyncio
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, Final

import orjson

from systems.router.cloud.http import CloudHttp
from systems.router.cloud.tokens import TokenSource
from systems.router.config.model import Config
from systems.router.errors import ConfigError, ResourceError
from systems.router.reconcile.model import Request
from systems.router.reconcile.service import Reconciliations
from systems.router.store.queue import SqliteQueue, is_locked

_POLL_SECONDS: Final = 0.2
_TIMEOUT: Final = 60.0


async def reconcile(
    config: Config, request: Request, resume: str, make_tokens: Callable[[Config], TokenSource], version: str
) -> dict[str, Any]:
    """Run one, or go on with `resume`, and return its report.

    Raises:
        ConfigError: `resume` names none.
        ResourceError: the data folder cannot be used, or the running router does not answer.

    """
    if await asyncio.to_thread(is_locked, config.data):
        return await _by_running_router(config, request, resume)
    queue = SqliteQueue(config.data, config.spool)
    http = CloudHttp(config.cloud, make_tokens(config))
    service = Reconciliations(config, queue, http, version)
    try:
        job = resume or await service.start(request)
        if resume:
            await service.go_on(resume)
        await service.wait()
        found = await service.report(job)
    finally:
        await service.close()
        await http.close()
        await queue.close()
    assert found is not None  # noqa: S101 - it was just run
    return found


async def _by_running_router(config: Config, request: Request, resume: str) -> dict[str, Any]:
    ask = _Admin(config)
    if resume:
        await ask("POST", f"/reconciliations/{resume}/resume", None)
    job = resume or (await ask("POST", "/reconciliations", request.to_json()))["id"]
    while True:
        found = await ask("GET", f"/reconciliations/{job}", None)
        if found["state"] != "running":
            return found
        await asyncio.sleep(_POLL_SECONDS)


class _Admin:
    """The admin interface of the router that uses the same data folder."""

    def __init__(self, config: Config) -> None:
        try:
            port = orjson.loads((config.data / "ports.json").read_bytes())["admin"]
        except (OSError, orjson.JSONDecodeError, KeyError) as error:
            raise ResourceError(
                f"a router uses {config.data}, but its ports.json names no admin port; wait until it has started"
            ) from error
        host = "127.0.0.1" if config.admin.host in ("0.0.0.0", "::") else config.admin.host  # noqa: S104
        self._url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._token = config.admin.token.read()

    async def __call__(self, method: str, path: str, body: object) -> dict[str, Any]:
        return await asyncio.to_thread(self._ask, method, path, body)

    def _ask(self, method: str, path: str, body: object) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - always http
            self._url + path,
            data=None if body is None else orjson.dumps(body),
            headers={"Authorization": f"Bearer {self._token}"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310
                answer: dict[str, Any] = orjson.loads(response.read())
                return answer
        except urllib.error.HTTPError as error:
            reason = orjson.loads(error.read()).get("error", "")
            raise ConfigError(f"the running router refuses: {reason}") from error
        except (OSError, orjson.JSONDecodeError) as error:
            raise ResourceError(f"the running router at {self._url} does not answer: {error}") from error
