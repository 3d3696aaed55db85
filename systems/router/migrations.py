"""The migrations of one router: started, resumed after a restart, reported."""

import asyncio
from typing import Any

from systems.router.cloud.uploader import Uploader
from systems.router.config.model import Config
from systems.router.errors import ConfigError
from systems.router.migration.job import MigrationJob, Note, unrecorded
from systems.router.migration.ledger import MigrationLedger
from systems.router.migration.model import Selection
from systems.router.migration.pacs import OrthancRest


class Migrations:
    """Runs one migration at a time, in the order asked for."""

    def __init__(self, config: Config, uploader: Uploader, audit: Note = unrecorded) -> None:
        self._config = config
        self._uploader = uploader
        self._audit = audit
        self.ledger = MigrationLedger(config.data / "migrations")
        self._pacs = OrthancRest(config.pacs_rest) if config.pacs_rest else None
        self._turn = asyncio.Lock()
        self._running: set[asyncio.Task[None]] = set()

    def reconfigure(self, config: Config) -> None:
        """Run the next job by this configuration."""
        self._config = config

    async def start(self, selection: Selection) -> str:
        """Record a job and start it in the background; returns its id.

        Raises:
            ConfigError: there is no [pacs.rest].

        """
        self.require_pacs()
        job = await self.ledger.new_job(selection)
        self._start(job)
        return job

    def require_pacs(self) -> OrthancRest:
        """The PACS's REST interface. Raises `ConfigError` where it is not configured."""
        if self._pacs is None:
            raise ConfigError("pacs.rest: is missing; a migration needs the PACS's REST interface")
        return self._pacs

    def _start(self, job: str) -> None:
        task = asyncio.create_task(self.run(job))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def run(self, job: str) -> None:
        """Run a job to its end, after those before it."""
        async with self._turn:
            await MigrationJob(
                self.require_pacs(), self._uploader, self.ledger, self._config.migration, job, self._audit
            ).run()

    async def resume(self) -> None:
        """Go on with jobs that were interrupted."""
        if self._pacs is not None:
            for job in await self.ledger.unfinished():
                self._start(job)

    async def report(self, job: str) -> dict[str, Any] | None:
        """State and manifest of a job."""
        return await self.ledger.report(job)

    async def close(self) -> None:
        """Interrupt running jobs; they go on at the next start."""
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._pacs is not None:
            await self._pacs.close()
        self.ledger.close()
