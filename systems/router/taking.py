"""What the two ways of answering C-STORE share: taking an object in, and refusing one."""

import logging
import sqlite3
from typing import Final

from systems.router.config.limit_values import SpoolLimits
from systems.router.dimse.service import StoreRequest
from systems.router.dimse.status import OUT_OF_RESOURCES, Status
from systems.router.errors import SpoolFullError
from systems.router.objects import Received
from systems.router.reception import RefusedError, receive
from systems.router.store.queue import SqliteQueue

log = logging.getLogger(__name__)
NOT_KEPT: Final = Status(OUT_OF_RESOURCES, "the object could not be made durable")


async def take(
    request: StoreRequest,
    path: str,
    queue: SqliteQueue,
    settings: SpoolLimits,
    tags: frozenset[int] = frozenset(),
) -> Received:
    """Read the whole data set of `request`, `tags` as for `receive`.

    Raises:
        RefusedError: it cannot be taken; nothing of it remains (ROUTER-047).
        AssociationAborted: the peer left in mid-object; nothing of it remains.

    """
    try:
        return await receive(request, path, queue.spool, settings, tags)
    except SpoolFullError as error:
        raise RefusedError(Status(OUT_OF_RESOURCES, "the spool is full")) from error
    except OSError as error:
        log.exception("the spool cannot be written")
        raise RefusedError(NOT_KEPT) from error


async def refused(queue: SqliteQueue, path: str, status: Status) -> Status:
    """Count a refusal at `path`; the same status, for the answer."""
    try:
        await queue.count_refused(path)
    except (OSError, sqlite3.Error):
        log.exception("a refused store could not be counted")
    return status
