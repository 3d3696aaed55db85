"""A listener: accepts transport connections and runs an association on each."""

import asyncio
import logging
from itertools import count
from typing import Final

from systems.router.dimse import pdu
from systems.router.dimse.acceptor import AcceptedAssociation
from systems.router.dimse.connection import Connection
from systems.router.dimse.measures import Measures
from systems.router.dimse.service import Handler
from systems.router.dimse.settings import DimseSettings

_LOG: Final = logging.getLogger("router.dimse")
_BACKLOG: Final = 256


class DimseServer:
    """A DICOM listener that answers with a handler; can be started and stopped again (ROUTER-007)."""

    def __init__(self, settings: DimseSettings, handler: Handler) -> None:
        self.settings = settings
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._associations: dict[AcceptedAssociation, asyncio.Task[None]] = {}
        self._ids = count(1)
        self.measures = Measures()

    @property
    def port(self) -> int:
        """The port listened on; 0 while stopped."""
        if self._server is None or not self._server.sockets:
            return 0
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def running(self) -> bool:
        """Whether new associations can be made."""
        return self._server is not None

    @property
    def associations(self) -> int:
        """How many associations are established."""
        return sum(association.established for association in self._associations)

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 takes a free one.

        Raises:
            OSError: when the address cannot be had.

        """
        if self._server is not None:
            return
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection({pdu.ASSOCIATE_RQ}, self._opened),
            host,
            port,
            ssl=self.settings.tls,
            backlog=_BACKLOG,
        )

    def _opened(self, connection: Connection) -> None:
        association = AcceptedAssociation(
            next(self._ids), connection, self.settings, self._handler, self._has_room, self.measures
        )
        task = asyncio.get_running_loop().create_task(association.run())
        self._associations[association] = task
        task.add_done_callback(lambda done: self._ended(association, done))

    def _ended(self, association: AcceptedAssociation, task: asyncio.Task[None]) -> None:
        self._associations.pop(association, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("an association ended with a defect: %s", type(error).__name__, exc_info=error)

    def _has_room(self) -> bool:
        limit = self.settings.max_associations
        return not limit or self.associations < limit

    async def stop(self, grace_seconds: float) -> None:
        """Refuse new associations at once, let running operations finish for `grace_seconds`, then abort the rest."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        tasks = list(self._associations.values())
        for association in list(self._associations):
            association.stop_after_operation()
        if tasks:
            _, unfinished = await asyncio.wait(tasks, timeout=grace_seconds)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)
