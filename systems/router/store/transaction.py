"""One group commit: the pack, the index rows, the counters and the audit lines that become durable together."""

import logging
import sqlite3
import time
from pathlib import Path
from typing import Final

from systems.router.objects import Piece, Received
from systems.router.store.audit import Audit
from systems.router.store.counters import Counters
from systems.router.store.model import Location
from systems.router.store.spool import Spool

log = logging.getLogger(__name__)
_CLOCK_JUMP_SECONDS: Final = 2.0
_BLANKED_AT_ONCE: Final = 256


class Transaction:
    """What the running group commit collects; used by the writer thread only."""

    def __init__(
        self, connection: sqlite3.Connection, spool: Spool, audit: Audit, counters: Counters
    ) -> None:
        self.connection = connection
        self.spool = spool
        self.audit = audit
        self.counters = counters
        self.now = 0.0
        self._clock_offset = self._moved_to = time.time() - time.monotonic()
        self.ready: set[str] = set()
        self._pack = ""
        self._parts: list[Piece] = []
        self._base = 0
        self._size = 0
        self._adopted: list[tuple[Received, str, Path]] = []
        self._released: set[str] = set()
        # Packs that may hold bytes of objects which have left; after a start, any.
        self._partly_released = set(spool.names())
        self._blanking = False

    def begin(self) -> None:
        """Start collecting."""
        self.now = time.time()
        self._moved_to = self._clock_offset
        self.ready = set()
        self._pack = ""
        self._parts = []
        self._size = 0
        self._adopted = []
        self._released = set()
        self._blanking = False
        self.connection.execute("BEGIN IMMEDIATE")
        self._follow_clock()

    def _follow_clock(self) -> None:
        """Back-off is kept in wall-clock time, which survives a restart; when that clock is set, it moves along."""
        offset = self.now - time.monotonic()
        moved = offset - self._clock_offset
        if abs(moved) < _CLOCK_JUMP_SECONDS:
            return
        self._moved_to = offset
        self.connection.execute(
            "UPDATE task SET not_before = not_before + ? WHERE state = 0 AND not_before > 0",
            (moved,),
        )
        self.audit.add("clock set", self.now, moved_seconds=round(moved, 3))
        log.warning("the clock was set by %.1f s; waiting deliveries keep their pauses", moved)

    def place(self, received: Received) -> Location:
        """Give an object its place in the spool; the bytes are written by `commit`."""
        if received.file is not None:
            name = self.spool.next_name()
            self._adopted.append((received, name, received.file))
            return Location(name, 0, received.size, received.key.seal if received.key else None)
        if not self._pack:
            self._pack, self._base = self.spool.pack()
        offset = self._base + self._size
        self._size += received.size
        # Another key each time an object is placed, also when a commit that failed is repeated: see `sealing`.
        key = self.spool.keys.fresh()
        if key is None:
            self._parts.append(received.header)
            self._parts.extend(received.body)
            return Location(self._pack, offset, received.size)
        self._parts.extend(key.encrypted([received.header, *received.body]))
        return Location(self._pack, offset, received.size, key.seal)

    def release(self, pack: str | None) -> None:
        """Note that an object no longer refers to `pack`."""
        if pack:
            self._released.add(pack)

    def blank_released(self) -> None:
        """Once this is committed, overwrite what objects that have left the spool left behind in packs they shared with others."""
        self._blanking = True

    def commit(self) -> None:
        """Write and sync the files, then the folder where names are new, then commit the index: in this order (ROUTER-046)."""
        names = bool(self._adopted)
        if self._pack:
            names |= self.spool.append(self._parts)
        for received, name, _ in self._adopted:
            self.spool.adopt(received, name)
        if names:
            self.spool.sync_folder()
        self.counters.write()
        self.audit.keep()
        self.connection.execute("COMMIT")
        if self._pack:
            self.spool.keep(self._size)
        self.spool.bytes_used += self._size + sum(received.size for received, _, _ in self._adopted)
        self._clock_offset = self._moved_to
        self.counters.committed()
        self.audit.committed()
        try:
            self._remove_released()
            if self._blanking:
                self._blank_released()
        except (OSError, sqlite3.Error):
            # It is committed; what could not be removed is at the next start.
            log.exception("delivered files could not be removed")

    def rollback(self) -> None:
        """Leave nothing behind of what was collected (ROUTER-047)."""
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")
        self.counters.rolled_back()
        self.audit.rolled_back()
        if self._pack:
            self.spool.give_up()
        for received, name, original in self._adopted:
            adopted = self.spool.path(Location(name, 0, 0))
            if received.file is None and adopted.exists():
                adopted.replace(original)
                received.file = original

    def _remove_released(self) -> None:
        for pack in self._released:
            held = self.connection.execute("SELECT 1 FROM object WHERE pack = ? LIMIT 1", (pack,)).fetchone()
            if held is not None:
                self._partly_released.add(pack)
            else:
                self._partly_released.discard(pack)
                path = self.spool.path(Location(pack, 0, 0))
                if path.exists():
                    self.spool.bytes_used -= path.stat().st_size
                    self.spool.remove(pack)

    def _blank_released(self) -> None:
        """The index is the committed one here: what it does not refer to is nobody's any more."""
        for _ in range(min(_BLANKED_AT_ONCE, len(self._partly_released))):
            pack = self._partly_released.pop()
            held = self.connection.execute(
                "SELECT pack_offset, length FROM object WHERE pack = ? ORDER BY pack_offset", (pack,)
            ).fetchall()
            self.spool.blank(pack, held)
