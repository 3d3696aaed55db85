"""What went from the cloud to a peer, so that it is not sent back to the cloud when that peer forwards it (ROUTER-144)."""

import logging
import sqlite3
import time
from collections.abc import Iterable
from typing import Final

from systems.router.objects import Received
from systems.router.side_database import SideDatabase

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS returned(
  sop_instance_uid TEXT NOT NULL, ae_title TEXT NOT NULL, at REAL NOT NULL,
  PRIMARY KEY(sop_instance_uid, ae_title)) WITHOUT ROWID;
"""
log = logging.getLogger(__name__)
REMEMBER_SECONDS: Final = 86400.0


class Returns:
    """Remembers for a day, which is long for an automatic forward and short for anything else."""

    def __init__(self, database: SideDatabase, peers: Iterable[str]) -> None:
        self._database = database
        self._peers = frozenset(peers)

    async def remember(self, ae_title: str, sop_instance_uids: Iterable[str]) -> None:
        """Note instances before they are sent to `ae_title`; one commit for all of them.

        A retrieval that somebody waits for is worth more than this memory: what goes wrong here is only logged.
        """
        now = time.time()
        rows = [(uid, ae_title, now) for uid in sop_instance_uids]

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "INSERT INTO returned VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET at = excluded.at", rows
            )

        try:
            if rows:
                await self._database.do(work)
        except (OSError, sqlite3.Error):
            log.exception("%d instances sent to %s could not be remembered", len(rows), ae_title)

    async def came_back(self, received: Received) -> bool:
        """Whether a peer now sends what it was given from the cloud; a modality is never asked for."""
        if received.calling_ae not in self._peers:
            return False
        found = await self._database.rows(
            "SELECT 1 FROM returned WHERE sop_instance_uid = ? AND ae_title = ? AND at > ?",
            (received.identity.sop_instance_uid, received.calling_ae, time.time() - REMEMBER_SECONDS),
        )
        return bool(found)

    async def expire(self) -> None:
        """Forget what was long ago."""
        await self._database.run("DELETE FROM returned WHERE at < ?", (time.time() - REMEMBER_SECONDS,))
