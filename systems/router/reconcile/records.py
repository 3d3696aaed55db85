"""What reconciliations found, durable study by study, so that an interrupted one goes on where it was."""

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Final

import orjson

from systems.router.reconcile.model import Finding, Request, Tally
from systems.router.side_database import SideDatabase

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS job(
  id TEXT PRIMARY KEY, request TEXT NOT NULL, state TEXT NOT NULL, position TEXT NOT NULL DEFAULT '',
  studies INTEGER NOT NULL DEFAULT 0, instances INTEGER NOT NULL DEFAULT 0, started REAL NOT NULL, finished REAL,
  report TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS tally(
  job TEXT NOT NULL, study_instance_uid TEXT NOT NULL, destination TEXT NOT NULL, name TEXT NOT NULL,
  value INTEGER NOT NULL, PRIMARY KEY(job, study_instance_uid, destination, name));
CREATE TABLE IF NOT EXISTS again(
  job TEXT NOT NULL, study_instance_uid TEXT NOT NULL, PRIMARY KEY(job, study_instance_uid));
CREATE TABLE IF NOT EXISTS finding(
  job TEXT NOT NULL, number INTEGER NOT NULL, destination TEXT NOT NULL, kind TEXT NOT NULL,
  study_instance_uid TEXT NOT NULL, sop_instance_uid TEXT NOT NULL, reason TEXT NOT NULL, action TEXT NOT NULL,
  PRIMARY KEY(job, number));
"""
_COLUMNS: Final = "number, destination, kind, study_instance_uid, sop_instance_uid, reason, action"
PAGE: Final = 1000


class Records:
    """Jobs, their tallies and their findings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._database = SideDatabase(folder / "reconciliations.sqlite", _SCHEMA, "the reconciliations")

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    async def new_job(self, request: Request) -> str:
        """Record a job and return its id."""
        job = uuid.uuid4().hex[:12]
        await self._database.run(
            "INSERT INTO job(id, request, state, started) VALUES(?, ?, 'running', ?)",
            (job, orjson.dumps(request.to_json()).decode(), time.time()),
        )
        return job

    async def job(self, job: str) -> dict[str, Any] | None:
        """The row of a job; None for an unknown one."""
        rows = await self._database.rows("SELECT * FROM job WHERE id = ?", (job,))
        return rows[0] | {"request": orjson.loads(rows[0]["request"])} if rows else None

    async def reopen(self, job: str) -> None:
        """Let a job that ended incomplete, or was interrupted, go on; what could not be compared is compared again."""

        def work(connection: Connection) -> None:
            connection.execute(
                "INSERT OR IGNORE INTO again SELECT DISTINCT job, study_instance_uid FROM finding "
                "WHERE job = ? AND kind = 'not compared'",
                (job,),
            )
            for table in ("finding", "tally"):
                connection.execute(
                    f"DELETE FROM {table} WHERE job = ? AND study_instance_uid IN "  # noqa: S608 - our own names
                    "(SELECT study_instance_uid FROM again WHERE again.job = ?)",
                    (job, job),
                )
            connection.execute("UPDATE job SET state = 'running', finished = NULL WHERE id = ?", (job,))

        await self._database.do(work)

    async def again(self, job: str) -> str | None:
        """A study to be compared once more; None without one."""
        rows = await self._database.rows(
            "SELECT study_instance_uid FROM again WHERE job = ? ORDER BY study_instance_uid LIMIT 1", (job,)
        )
        return rows[0]["study_instance_uid"] if rows else None

    async def interrupted(self) -> list[str]:
        """Jobs that a stop or a kill interrupted."""
        rows = await self._database.rows("SELECT id FROM job WHERE state = 'running' ORDER BY started")
        return [row["id"] for row in rows]

    async def add_study(
        self, job: str, study: str, instances: int, tallies: Mapping[str, Tally], found: Sequence[Finding]
    ) -> None:
        """Record all that was found in one study, and that the job is behind it, as one."""

        def work(connection: Connection) -> None:
            number = connection.execute(
                "SELECT coalesce(max(number), 0) FROM finding WHERE job = ?", (job,)
            ).fetchone()[0]
            connection.executemany(
                f"INSERT INTO finding(job, {_COLUMNS}) VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
                [(job, number + index, *row.to_json().values()) for index, row in enumerate(found, 1)],
            )
            connection.executemany(
                "INSERT INTO tally VALUES(?, ?, ?, ?, ?)",
                [
                    (job, study, destination, name, value)
                    for destination, tally in tallies.items()
                    for name, value in asdict(tally).items()
                ],
            )
            repeated = connection.execute(
                "DELETE FROM again WHERE job = ? AND study_instance_uid = ?", (job, study)
            ).rowcount
            if not repeated:
                connection.execute(
                    "UPDATE job SET position = ?, studies = studies + 1, instances = instances + ? WHERE id = ?",
                    (study, instances, job),
                )

        await self._database.do(work)

    async def finish(self, job: str, state: str, finished: float, report: bytes) -> None:
        """The job has ended, and this is its report."""
        await self._database.run(
            "UPDATE job SET state = ?, finished = ?, report = ? WHERE id = ?",
            (state, finished, report.decode(), job),
        )

    async def tallies(self, job: str) -> dict[str, Tally]:
        """The counts of each destination."""
        names = {item.name for item in fields(Tally)}
        found: dict[str, Tally] = {}
        rows = await self._database.rows(
            "SELECT destination, name, sum(value) AS value FROM tally WHERE job = ? "
            "GROUP BY destination, name ORDER BY destination",
            (job,),
        )
        for row in rows:
            if row["name"] in names:
                setattr(found.setdefault(row["destination"], Tally()), row["name"], row["value"])
        return found

    async def findings(self, job: str, after: int) -> list[dict[str, Any]]:
        """At most a page of findings with a number above `after`."""
        return await self._database.rows(
            f"SELECT {_COLUMNS} FROM finding WHERE job = ? AND number > ? ORDER BY number LIMIT ?",  # noqa: S608
            (job, after, PAGE),
        )


def lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
    """Findings as JSON lines."""
    for row in rows:
        yield orjson.dumps(dict(row), option=orjson.OPT_APPEND_NEWLINE)
