"""What migrations did, durable row by row: the manifest is written after the action, never before (CLAIM-MIGRATE-09)."""

import sqlite3
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from systems.router.migration.model import PacsStudy, Selection, usable_date
from systems.router.side_database import SideDatabase

# Nowhere is a day begun earlier than in UTC+14.
_FIRST_ZONE_SECONDS: Final = 14 * 3600
_SCHEMA = """
CREATE TABLE IF NOT EXISTS job(
  id TEXT PRIMARY KEY, selection TEXT NOT NULL, state TEXT NOT NULL, planned INTEGER NOT NULL DEFAULT 0,
  created REAL NOT NULL, finished REAL, error TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS study(
  job TEXT NOT NULL, position INTEGER NOT NULL, study_instance_uid TEXT NOT NULL, pacs_id TEXT NOT NULL,
  study_date TEXT NOT NULL, study_time TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '',
  started REAL, finished REAL, PRIMARY KEY(job, position));
CREATE TABLE IF NOT EXISTS instance(
  job TEXT NOT NULL, pacs_id TEXT NOT NULL, study_instance_uid TEXT NOT NULL, sop_instance_uid TEXT NOT NULL,
  outcome TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', pacs_digest TEXT NOT NULL DEFAULT '',
  cloud_digest TEXT NOT NULL DEFAULT '', checksum TEXT NOT NULL DEFAULT '', size INTEGER NOT NULL DEFAULT 0,
  copied_at REAL, verified_at REAL, deleted_at REAL, PRIMARY KEY(job, pacs_id));
"""


class MigrationLedger:
    """A small database of its own, so that the command and the running router can both use it."""

    def __init__(self, data: Path) -> None:
        self._database = SideDatabase(data / "migrations.sqlite", _SCHEMA, "migration ledger")
        self._do, self._run, self._rows = self._database.do, self._database.run, self._database.rows

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    async def new_job(self, selection: Selection) -> str:
        """Record a job and return its id."""
        job = uuid.uuid4().hex[:12]
        await self._run(
            "INSERT INTO job(id, selection, state, created) VALUES(?, ?, 'running', ?)",
            (job, orjson.dumps(selection.to_json()).decode(), time.time()),
        )
        return job

    async def selection(self, job: str) -> Selection | None:
        """What a job was asked to do; None for an unknown one."""
        rows = await self._rows("SELECT selection FROM job WHERE id = ?", (job,))
        return Selection.from_json(orjson.loads(rows[0]["selection"])) if rows else None

    async def unfinished(self) -> list[str]:
        """Jobs that were interrupted."""
        return [
            row["id"]
            for row in await self._rows("SELECT id FROM job WHERE state = 'running' ORDER BY created")
        ]

    async def is_planned(self, job: str) -> bool:
        """Whether the job's studies are chosen already."""
        return bool(await self._rows("SELECT 1 FROM job WHERE id = ? AND planned = 1", (job,)))

    async def plan(self, job: str, entries: Sequence[tuple[PacsStudy, str, str]]) -> None:
        """Record the chosen studies with state and reason, in order, at once."""

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM study WHERE job = ?", (job,))
            connection.executemany(
                "INSERT INTO study(job, position, study_instance_uid, pacs_id, study_date, study_time, state, reason) "
                "VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        job,
                        position,
                        study.study_instance_uid,
                        study.pacs_id,
                        study.date,
                        study.time,
                        state,
                        reason,
                    )
                    for position, (study, state, reason) in enumerate(entries)
                ],
            )
            connection.execute("UPDATE job SET planned = 1 WHERE id = ?", (job,))

        await self._do(write)

    async def open_studies(self, job: str) -> list[PacsStudy]:
        """Studies still to do, in order."""
        rows = await self._rows(
            "SELECT * FROM study WHERE job = ? AND state IN ('waiting', 'running') ORDER BY position", (job,)
        )
        return [
            PacsStudy(row["pacs_id"], row["study_instance_uid"], row["study_date"], row["study_time"])
            for row in rows
        ]

    async def study_state(self, job: str, study: PacsStudy, state: str, reason: str = "") -> None:
        """Record where a study stands."""
        moment = "started" if state == "running" else "finished"
        await self._run(
            f"UPDATE study SET state = ?, reason = ?, {moment} = ? WHERE job = ? AND pacs_id = ?",  # noqa: S608
            (state, reason, time.time(), job, study.pacs_id),
        )

    async def instance(self, job: str, study: PacsStudy, pacs_id: str, **facts: Any) -> None:
        """Write or correct the manifest row of an instance."""
        row = {"job": job, "pacs_id": pacs_id, "study_instance_uid": study.study_instance_uid, **facts}
        names = ", ".join(row)
        marks = ", ".join("?" * len(row))
        updates = ", ".join(f"{name} = excluded.{name}" for name in facts)
        await self._run(
            f"INSERT INTO instance({names}) VALUES({marks}) "
            f"ON CONFLICT(job, pacs_id) DO UPDATE SET {updates}",
            tuple(row.values()),
        )

    async def proven(self, job: str, study: PacsStudy) -> dict[str, str]:
        """The PACS's checksums of instances already proven, by the PACS's id."""
        rows = await self._rows(
            "SELECT pacs_id, checksum FROM instance WHERE job = ? AND study_instance_uid = ? AND outcome = 'verified'",
            (job, study.study_instance_uid),
        )
        return {row["pacs_id"]: row["checksum"] for row in rows}

    async def sop_instance_uids(self, job: str, pacs_ids: Sequence[str]) -> list[str]:
        """The SOP Instance UIDs of instances, by the PACS's ids; those it does not know are left out."""
        rows = await self._rows(
            "SELECT sop_instance_uid FROM instance WHERE job = ? AND pacs_id IN (SELECT value FROM json_each(?)) "
            "ORDER BY sop_instance_uid",
            (job, orjson.dumps(list(pacs_ids)).decode()),
        )
        return [row["sop_instance_uid"] for row in rows]

    async def deleted(self, job: str, pacs_ids: Sequence[str]) -> None:
        """Record the deletion of instances."""
        now = time.time()

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "UPDATE instance SET outcome = 'deleted', deleted_at = ? WHERE job = ? AND pacs_id = ?",
                [(now, job, pacs_id) for pacs_id in pacs_ids],
            )

        await self._do(write)

    async def finish(self, job: str, state: str, error: str = "") -> None:
        """Record the end of a job."""
        await self._run(
            "UPDATE job SET state = ?, error = ?, finished = ? WHERE id = ?", (state, error, time.time(), job)
        )

    async def reopen(self, job: str) -> None:
        """Let failed studies of a job be tried again."""
        await self._run("UPDATE study SET state = 'waiting' WHERE job = ? AND state = 'failed'", (job,))
        await self._run("UPDATE job SET state = 'running', finished = NULL, error = '' WHERE id = ?", (job,))

    async def report(self, job: str) -> dict[str, Any] | None:
        """State, studies and manifest rows of a job; None for an unknown one."""
        jobs = await self._rows("SELECT * FROM job WHERE id = ?", (job,))
        if not jobs:
            return None
        studies = await self._rows("SELECT * FROM study WHERE job = ? ORDER BY position", (job,))
        instances = await self._rows(
            "SELECT instance.* FROM instance JOIN study ON study.job = instance.job "
            "AND study.study_instance_uid = instance.study_instance_uid WHERE instance.job = ? "
            "ORDER BY position, sop_instance_uid",
            (job,),
        )
        totals: dict[str, int] = {}
        for row in instances:
            totals[row["outcome"]] = totals.get(row["outcome"], 0) + 1
        return {
            "id": job,
            "state": jobs[0]["state"],
            "error": jobs[0]["error"],
            "created": jobs[0]["created"],
            "finished": jobs[0]["finished"],
            **orjson.loads(jobs[0]["selection"]),
            "totals": totals,
            "studies": [_without_job(row) | _ahead(row, jobs[0]["created"]) for row in studies],
            "manifest": [_without_job(row) for row in instances],
        }


def _ahead(row: dict[str, Any], created: float) -> dict[str, bool]:
    """Whether the Study Date lay in the future everywhere on earth: a date without a zone may be tomorrow's elsewhere."""
    today = time.strftime("%Y%m%d", time.gmtime(created + _FIRST_ZONE_SECONDS))
    return {"in_future": usable_date(row["study_date"]) and row["study_date"] > today}


def _without_job(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in ("job", "position")}
