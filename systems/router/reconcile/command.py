"""`dicom-router reconcile`: by the running router where there is one, else in this process."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from systems.router.cloud.http import CloudHttp
from systems.router.cloud.tokens import TokenSource
from systems.router.config.model import Config
from systems.router.config.spool_keys import keyring
from systems.router.reconcile.model import Request
from systems.router.reconcile.service import Reconciliations
from systems.router.running import RunningRouter
from systems.router.store.queue import SqliteQueue, is_locked

_POLL_SECONDS: Final = 0.2


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
    queue = SqliteQueue(config.data, config.spool, keyring(config.spool_keys))
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
    ask = RunningRouter(config).ask
    if resume:
        await ask("POST", f"/reconciliations/{resume}/resume", None)
    job = resume or (await ask("POST", "/reconciliations", request.to_json()))["id"]
    while True:
        found = await ask("GET", f"/reconciliations/{job}", None)
        if found["state"] != "running":
            return found
        await asyncio.sleep(_POLL_SECONDS)
