"""Keeps an association to each destination alive between objects, because making one costs more than sending one."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from systems.router.dimse.client import Association
from systems.router.dimse.connecting import MOST_CONTEXTS
from systems.router.dimse.settings import ClientTimeouts, ProposedContext


@dataclass(frozen=True, slots=True)
class Destination:
    """A peer to connect to and as whom (ROUTER-005, ROUTER-006)."""

    ae_title: str
    host: str
    port: int
    calling_ae: str
    timeouts: ClientTimeouts = field(default_factory=ClientTimeouts)
    tls: ssl.SSLContext | None = field(default=None, compare=False)

    async def connect(self, contexts: Sequence[ProposedContext]) -> Association:
        """Make an association. Raises as `Association.connect`."""
        return await Association.connect(
            self.host,
            self.port,
            calling_ae=self.calling_ae,
            called_ae=self.ae_title,
            contexts=contexts,
            timeouts=self.timeouts,
            tls=self.tls,
        )


@dataclass(slots=True)
class _Idle:
    association: Association
    contexts: tuple[ProposedContext, ...]
    timer: asyncio.TimerHandle


class AssociationPool:
    """Lends associations; a returned one stays open for `idle_seconds`, shorter than peers keep silent ones.

    Each destination has at most `width` idle associations. A borrowed association is nobody else's until returned.
    """

    def __init__(self, *, idle_seconds: float = 15.0, width: int = 4) -> None:
        self._idle_seconds = idle_seconds
        self._width = width
        self._idle: dict[Destination, list[_Idle]] = {}
        self._releases: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def association(
        self, destination: Destination, contexts: Sequence[ProposedContext]
    ) -> AsyncIterator[Association]:
        """Borrow an association on which `contexts` have been proposed.

        One that is open but lacks some of them is replaced by one that proposes both, as far as 128 contexts allow. After an
        error inside the block the association is aborted, not reused. Raises as `Association.connect`.
        """
        association, proposed = await self._get(destination, tuple(contexts))
        try:
            yield association
        except BaseException:
            association.abort()
            raise
        self._put_back(destination, association, proposed)

    async def _get(
        self, destination: Destination, wanted: tuple[ProposedContext, ...]
    ) -> tuple[Association, tuple[ProposedContext, ...]]:
        union = wanted
        for idle in list(self._idle.get(destination, ())):
            self._forget(destination, idle)
            if not idle.association.alive:
                continue
            if set(wanted) <= set(idle.contexts):
                return idle.association, idle.contexts
            self._release(idle.association)
            both = tuple(dict.fromkeys((*wanted, *idle.contexts)))
            union = both if len(both) <= MOST_CONTEXTS else wanted
            break
        return await destination.connect(union), union

    def _put_back(
        self, destination: Destination, association: Association, contexts: tuple[ProposedContext, ...]
    ) -> None:
        if not association.alive:
            return
        others = self._idle.setdefault(destination, [])
        if len(others) >= self._width:
            self._release(association)
            return
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._idle_seconds, self._expire, destination, association)
        others.append(_Idle(association, contexts, timer))

    def _expire(self, destination: Destination, association: Association) -> None:
        for idle in self._idle.get(destination, ()):
            if idle.association is association:
                self._forget(destination, idle)
                self._release(association)
                return

    def _forget(self, destination: Destination, idle: _Idle) -> None:
        idle.timer.cancel()
        self._idle[destination].remove(idle)
        if not self._idle[destination]:
            del self._idle[destination]

    def _release(self, association: Association) -> None:
        task = asyncio.get_running_loop().create_task(association.release())
        self._releases.add(task)
        task.add_done_callback(self._releases.discard)

    async def close(self) -> None:
        """Release every idle association; borrowed ones are not touched."""
        for destination, idles in list(self._idle.items()):
            for idle in list(idles):
                self._forget(destination, idle)
                self._release(idle.association)
        await asyncio.gather(*self._releases, return_exceptions=True)
