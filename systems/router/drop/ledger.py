"""Which files were taken and still wait for their confirmation: what makes a restart know them again."""

from collections.abc import Sequence
from pathlib import Path
from sqlite3 import Connection
from typing import Final

from systems.router.drop.reading import Mark
from systems.router.side_database import SideDatabase

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS taken(
  name BLOB PRIMARY KEY, size INTEGER NOT NULL, modified INTEGER NOT NULL, inode INTEGER NOT NULL,
  object_id INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS total(what TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""


class DropLedger:
    """Files by their name below the watched folder, with the object of the queue that each became."""

    def __init__(self, folder: Path) -> None:
        self._database = SideDatabase(folder / "file-drop.sqlite", _SCHEMA, "the file drop's ledger")
        self.taken: dict[bytes, tuple[Mark, int]] = {}
        self.totals = {"archived": 0, "rejected": 0}

    async def load(self) -> None:
        """Read what an earlier run left."""
        rows = await self._database.rows("SELECT name, size, modified, inode, object_id FROM taken")
        self.taken = {
            row["name"]: (Mark(row["size"], row["modified"], row["inode"]), row["object_id"]) for row in rows
        }
        for row in await self._database.rows("SELECT what, value FROM total"):
            self.totals[row["what"]] = row["value"]

    async def take(self, name: bytes, mark: Mark, object_id: int) -> None:
        """Note that this file is that object."""
        await self._database.run(
            "INSERT OR REPLACE INTO taken VALUES(?, ?, ?, ?, ?)",
            (name, mark.size, mark.modified, mark.inode, object_id),
        )
        self.taken[name] = (mark, object_id)

    async def forget(self, names: Sequence[bytes], counted: str = "") -> None:
        """Drop these files, which have left the folder; they count as `archived` or `rejected`."""

        def work(connection: Connection) -> None:
            connection.executemany("DELETE FROM taken WHERE name = ?", [(name,) for name in names])
            if counted:
                connection.execute(
                    "INSERT INTO total VALUES(?, ?) ON CONFLICT(what) DO UPDATE SET value = value + excluded.value",
                    (counted, len(names)),
                )

        await self._database.do(work)
        for name in names:
            self.taken.pop(name, None)
        if counted:
            self.totals[counted] += len(names)

    def close(self) -> None:
        """Close the database."""
        self._database.close()
