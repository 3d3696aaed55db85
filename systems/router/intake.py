"""Store and forward: C-STORE answered 0000 once the object and its tasks are durable (ROUTER-046)."""

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import Final, Protocol

from systems.router.cloud.errors import CloudError
from systems.router.cloud.readback import Held, same_copies
from systems.router.cloud.stow import Part
from systems.router.cloud.uploader import Upload, Uploader
from systems.router.config.model import Config, Source
from systems.router.delivery.precedence import Arriving
from systems.router.dimse.service import StoreRequest
from systems.router.dimse.status import DATA_SET_MISMATCH, OK, Status
from systems.router.objects import Received
from systems.router.reception import RefusedError, discard
from systems.router.routing import destinations_for, tags_of
from systems.router.store.model import Acceptance, Accepted
from systems.router.store.queue import SqliteQueue
from systems.router.taking import NOT_KEPT, refused, take

log = logging.getLogger(__name__)
_CONFLICT: Final = Status(DATA_SET_MISMATCH, "other content is known under this SOP Instance UID")


class Arrivals(Protocol):
    """Looks at what arrives before it is queued."""

    async def without_loops(self, received: Received, destinations: tuple[str, ...]) -> tuple[str, ...]:
        """The destinations, without those the object comes from (ROUTER-144)."""
        ...


class Intake:
    """Answers C-STORE of a queued path, and takes what lies in a watched folder."""

    def __init__(
        self,
        config: Config,
        listener: Source,
        queue: SqliteQueue,
        uploader: Uploader,
        arriving: Arriving,
        arrivals: Arrivals | None = None,
    ) -> None:
        self._config = config
        self._listener = listener
        self._queue = queue
        self._uploader = uploader
        self._arriving = arriving
        self._arrivals = arrivals

    def reconfigure(self, config: Config) -> None:
        """Work by these rules from the next object on."""
        self._config, self._listener = config, config.source(self._listener.name)

    async def store(self, request: StoreRequest) -> Status:
        """Take an object or say why not; a refused one leaves nothing behind (ROUTER-047)."""
        status = await self._store(request)
        if status.is_failure:
            log.warning("store of %s refused: %s", request.sop_instance_uid, status)
        return status

    async def _store(self, request: StoreRequest) -> Status:
        self._arriving.note()
        try:
            received = await take(
                request,
                self._listener.name,
                self._queue,
                self._config.spool,
                tags_of(self._config.rules),
            )
        except RefusedError as error:
            return await refused(self._queue, self._listener.name, error.status)
        try:
            with self._arriving.keeping():
                return await self._keep(received)
        except (OSError, sqlite3.Error):
            log.exception("%s could not be made durable", request.sop_instance_uid)
            return await refused(self._queue, self._listener.name, NOT_KEPT)
        finally:
            discard(received)

    async def _keep(self, received: Received) -> Status:
        destinations = destinations_for(received, self._listener, self._config.rules)
        if not destinations:
            log.error("%s matches no rule and is held", received.identity.sop_instance_uid)
            await self._queue.keep_apart(received, "held")
            return OK
        if self._arrivals is not None:
            destinations = await self._arrivals.without_loops(received, destinations)
            if not destinations:
                return OK
        accepted = await self._queue.accept(received, destinations)
        if accepted.acceptance is not Acceptance.DIFFERS:
            return OK
        return await self._other_bytes(received, destinations, accepted)

    async def _other_bytes(
        self, received: Received, destinations: Sequence[str], accepted: Accepted
    ) -> Status:
        """The UID is known with other bytes: the same content written differently, or a conflict (ROUTER-105)."""
        if await self._same_content(received, accepted):
            again = await self._queue.accept(received, destinations, same_as=accepted.object_id)
            if again.acceptance is not Acceptance.DIFFERS:
                return OK
        log.error(
            "identity conflict: %s arrived with other content, kept apart", received.identity.sop_instance_uid
        )
        await self._queue.keep_apart(received, "conflict")
        return _CONFLICT

    async def _same_content(self, received: Received, accepted: Accepted) -> bool:
        if accepted.existing is not None:
            uid = received.identity.sop_instance_uid
            known = partial(self._queue.spool.opened, accepted.existing, uid)
            return await asyncio.to_thread(same_copies, received.opened, known)
        cloud = next((d.name for d in self._config.destinations if d.kind == "dicomweb"), None)
        if cloud not in accepted.delivered_to:
            return False
        upload = Upload(Part(received.identity, received.size), received.digest, received.opened)
        try:
            return (await self._uploader.compare(upload)).held is Held.SAME
        except CloudError:
            return False
