"""The reconciliations of one router: started, gone on with after a restart, reported."""

import asyncio
import hashlib
import logging
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson

from systems.router.cloud.http import CloudHttp
from systems.router.config.model import Config
from systems.router.errors import ConfigError
from systems.router.migration.pacs import OrthancRest
from systems.router.reconcile.job import ReconciliationJob
from systems.router.reconcile.model import Request
from systems.router.reconcile.records import Records, lines
from systems.router.reconcile.repair import Repair
from systems.router.reconcile.report import report, text
from systems.router.reconcile.sides import CloudSide, PeerSide, Side
from systems.router.store.queue import SqliteQueue

log = logging.getLogger(__name__)


class Reconciliations:
    """Runs one at a time, over a queue that is in use or, from the command line, one that is not."""

    def __init__(self, config: Config, queue: SqliteQueue, http: CloudHttp, version: str) -> None:
        self._config = config
        self._queue = queue
        self._version = version
        self._rest = OrthancRest(config.pacs_rest) if config.pacs_rest else None
        self._cloud = CloudSide(http)
        self._records: Records | None = None
        self._turn = asyncio.Lock()
        self._running: set[asyncio.Task[str]] = set()

    def reconfigure(self, config: Config) -> None:
        """Run the next job by this configuration."""
        self._config = config

    @property
    def _folder(self) -> Path:
        return self._config.data / "reconciliations"

    @property
    def records(self) -> Records:
        """Opened with the first need: most routers are never asked."""
        if self._records is None:
            self._records = Records(self._folder)
        return self._records

    def sides(self) -> dict[str, Side]:
        """The destinations in force, by name."""
        sides: dict[str, Side] = {}
        for destination in self._config.destinations:
            if destination.kind == "dicomweb":
                sides[destination.name] = self._cloud
            elif (peer := self._config.peer(destination.peer)) is not None:
                sides[destination.name] = PeerSide(self._config, peer, self._rest)
        return sides

    async def start(self, request: Request) -> str:
        """Record a job and run it in the background; returns its id."""
        job = await self.records.new_job(request)
        await self._queue.note("operator reconciliation", reconciliation=job, **request.to_json())
        self._start(job)
        return job

    async def go_on(self, job: str) -> None:
        """Go on with a job that ended incomplete. Raises `ConfigError` for an unknown one."""
        if await self.records.job(job) is None:
            raise ConfigError(f"there is no reconciliation {job} in this data folder")
        await self.records.reopen(job)
        self._start(job)

    async def resume(self) -> None:
        """Go on with what was interrupted."""
        if (self._folder / "reconciliations.sqlite").exists():
            for job in await self.records.interrupted():
                self._start(job)

    def _start(self, job: str) -> None:
        task = asyncio.create_task(self._guarded(job))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def wait(self) -> None:
        """Until nothing runs any more."""
        while self._running:
            await asyncio.wait(set(self._running))

    async def _guarded(self, job: str) -> str:
        async with self._turn:
            try:
                return await self._run(job)
            except (OSError, sqlite3.Error):
                log.exception("reconciliation %s cannot go on; it does at the next start", job)
                return "running"

    async def _run(self, job: str) -> str:
        sides = self.sides()
        repair = Repair(self._queue, sides, self._config.spool.memory_object_bytes)
        state = await ReconciliationJob(self._queue, self.records, sides, repair, job).run()
        summary = await self._sign(job, state)
        log.info("reconciliation %s %s: %d findings", job, state, summary["findings"])
        return state

    async def _sign(self, job: str, state: str) -> dict[str, Any]:
        """Write the report beside its findings, and its digest into the audit trail."""
        hasher, count = hashlib.sha256(), 0
        async for line in self.finding_lines(job, 0):
            hasher.update(line)
            count += 1
        row = await self.records.job(job)
        assert row is not None  # noqa: S101 - it was just run
        row |= {"state": state, "finished": time.time()}
        summary = report(row, await self.records.tallies(job), count, hasher.hexdigest(), self._version)
        content = orjson.dumps(summary, option=orjson.OPT_INDENT_2)
        await asyncio.to_thread((self._folder / f"{job}.json").write_bytes, content + b"\n")
        await asyncio.to_thread((self._folder / f"{job}.txt").write_text, text(summary), "utf-8")
        await self._queue.note(
            "reconciliation",
            reconciliation=job,
            state=summary["state"],
            findings=count,
            sha256=summary["sha256"],
            signed_off_by=summary["signed_off_by"],
        )
        # Last: who sees that it has ended finds everything there; a kill before leads to another report.
        await self.records.finish(job, state, row["finished"], content)
        return summary

    async def report(self, job: str) -> dict[str, Any] | None:
        """The signed report, or how far a running job is; None for an unknown one."""
        row = await self.records.job(job)
        if row is None:
            return None
        if row["report"] and row["state"] != "running":
            summary: dict[str, Any] = orjson.loads(row["report"])
            return summary | {"text": text(summary)}
        return {key: row[key] for key in ("id", "state", "request", "started", "studies", "instances")}

    async def finding_lines(self, job: str, after: int) -> AsyncIterator[bytes]:
        """The findings with a number above `after` as JSON lines."""
        while page := await self.records.findings(job, after):
            for line in lines(page):
                yield line
            after = page[-1]["number"]

    async def close(self) -> None:
        """Interrupt running jobs; they go on at the next start."""
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._rest is not None:
            await self._rest.close()
        if self._records is not None:
            self._records.close()
