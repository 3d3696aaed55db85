"""`dicom-router change-feed`: by the running router where there is one, else in this process."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from systems.router.cloud.errors import CloudError
from systems.router.cloud.http import CloudHttp
from systems.router.cloud.tokens import TokenSource
from systems.router.config.model import Config
from systems.router.config.spool_keys import keyring
from systems.router.errors import ResourceError
from systems.router.feed.comparing import lines
from systems.router.feed.purging import CONFIRMATION, check, purge
from systems.router.feed.reader import Wanted
from systems.router.running import RunningRouter
from systems.router.store.queue import SqliteQueue, is_locked

MakeTokens = Callable[[Config], TokenSource]
Show = Callable[[dict[str, Any]], None]


async def read(config: Config, wanted: Wanted, make_tokens: MakeTokens, show: Show) -> bool:
    """Show the entries, a line each; whether nothing is missing.

    Raises:
        ResourceError: cloud, data folder or running router cannot be asked.

    """
    if await asyncio.to_thread(is_locked, config.data):
        path = f"/change-feed?{wanted.to_query()}"
        return await asyncio.to_thread(_show_lines, RunningRouter(config), path, show)
    queue = SqliteQueue(config.data, config.spool, keyring(config.spool_keys)) if wanted.reconcile else None
    http = CloudHttp(config.cloud, make_tokens(config))
    complete = True
    try:
        async for line in lines(config, queue, http, wanted):
            show(line)
            complete &= "missing" not in line
    except CloudError as error:
        raise ResourceError(str(error)) from error
    finally:
        await http.close()
        if queue is not None:
            await queue.close()
    return complete


def _show_lines(router: RunningRouter, path: str, show: Show) -> bool:
    complete = True
    for line in router.lines(path):
        if "error" in line:
            raise ResourceError(str(line["error"]))
        show(line)
        complete &= "missing" not in line
    return complete


async def delete(
    config: Config, studies: Sequence[str], *, confirmed: bool, make_tokens: MakeTokens
) -> list[dict[str, Any]]:
    """Purge studies; their outcomes.

    Raises:
        ConfigError: it is not allowed, not confirmed, or a study is none.
        ResourceError: data folder or running router cannot be had.

    """
    confirmation = CONFIRMATION if confirmed else ""
    check(config, studies, confirmation)
    if await asyncio.to_thread(is_locked, config.data):
        body = {"studies": list(studies), "confirm": confirmation}
        answer = await RunningRouter(config).ask("POST", "/change-feed/purge", body)
        return list(answer["studies"])
    queue = SqliteQueue(config.data, config.spool, keyring(config.spool_keys))
    http = CloudHttp(config.cloud, make_tokens(config))
    try:
        return await purge(config, queue, http, studies, confirmation)
    finally:
        await http.close()
        await queue.close()
