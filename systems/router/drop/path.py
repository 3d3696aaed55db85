"""The path `file-drop`: takes rested files as a C-STORE would be taken, and files them away once they are confirmed (ROUTER-194)."""

import asyncio
import logging
import sqlite3
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from systems.router.config.file_drop import FILE_DROP, FileDrop
from systems.router.config.model import Config
from systems.router.dimse.errors import AssociationAborted
from systems.router.dimse.status import OUT_OF_RESOURCES, Status
from systems.router.drop.folder import Watched
from systems.router.drop.ledger import DropLedger
from systems.router.drop.moving import move
from systems.router.drop.reading import Mark, UnusableError, examine, opened, request_of
from systems.router.errors import ResourceError
from systems.router.intake import Intake
from systems.router.store.confirming import kept, unconfirmed
from systems.router.store.queue import SqliteQueue

log = logging.getLogger(__name__)
_AT_ONCE: Final = 8
_PAGE: Final = 500
# A scan of a very large folder must not become all that the router does.
_REST_SHARE: Final = 5.0
_HELD: Final = "no routing rule matches it; the router holds a copy, see GET /status (held)"


class FileDropPath:
    """Watches the folder while it runs. A file is in the folder until all destinations have confirmed it."""

    name = FILE_DROP
    port = 0

    def __init__(self, config: Config, settings: FileDrop, intake: Intake, queue: SqliteQueue) -> None:
        self._config = config
        self._settings = settings
        self._intake = intake
        self._queue = queue
        self._ledger = DropLedger(config.data / "file-drop")
        self._watched = Watched(settings.folder)
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._delivered = -1
        self.last_scan = 0.0
        self.last_error = ""

    def reconfigure(self, config: Config) -> None:
        """Work by these values from the next scan on."""
        self._config = config
        if config.file_drop is not None:
            self._settings = config.file_drop

    @property
    def running(self) -> bool:
        """Whether it watches."""
        return self._task is not None

    @property
    def ae_title(self) -> str:
        """What routing rules see as the called AE title."""
        return self._settings.ae_title

    async def start(self) -> None:
        """Watch.

        Raises:
            ResourceError: a folder cannot be made or used, or the ledger cannot be read.

        """
        if self._task is not None:
            return
        try:
            await asyncio.to_thread(_prepare, self._settings)
            await self._ledger.load()
        except (OSError, sqlite3.Error) as error:
            raise ResourceError(
                f"paths.file-drop: {getattr(error, 'filename', None) or 'its ledger'} cannot be used: {error}; "
                "make it a folder the router may write"
            ) from error
        self._stopping.clear()
        self._delivered = -1
        self._task = asyncio.create_task(self._watch())

    async def stop(self, grace_seconds: float) -> None:
        """Take nothing more; files that are being taken are finished within the grace."""
        task, self._task = self._task, None
        if task is None:
            return
        self._stopping.set()
        await asyncio.wait([task], timeout=grace_seconds)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def close(self) -> None:
        """Close the ledger."""
        await asyncio.to_thread(self._ledger.close)

    def status(self) -> dict[str, Any]:
        """Files that wait for a confirmation and totals of those that left; no names, which may be a patient's."""
        return {
            "configured": True,
            "unconfirmed": len(self._ledger.taken),
            "put_off": self._watched.put_off,
            **self._ledger.totals,
            "last_scan": self.last_scan or None,
            "last_error": self.last_error,
        }

    async def _watch(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                await self._round()
            except Exception as error:  # noqa: BLE001 - the next round may do better, and nobody else would begin one
                self._failed(error)
            else:
                if not self._watched.put_off and self._delivered >= 0:
                    self.last_error = ""
            took = time.monotonic() - began
            with suppress(TimeoutError):
                pause = max(self._settings.scan_seconds, _REST_SHARE * took)
                await asyncio.wait_for(self._stopping.wait(), pause)

    def _failed(self, error: Exception) -> None:
        """Say so once, without the text of the error, which would name the file."""
        what = getattr(error, "strerror", None) or type(error).__name__
        if what != self.last_error:
            log.warning("the watched folder cannot be worked on as it should: %s", what)
        self.last_error = what

    async def _round(self) -> None:
        found = await asyncio.to_thread(self._watched.scan)
        self.last_scan = time.time()
        gone = [name for name in self._ledger.taken if name not in found]
        if gone:
            await self._ledger.forget(gone)
        wanted = sorted(name for name, mark in found.items() if self._is_new(name, mark))
        turn = asyncio.Semaphore(_AT_ONCE)
        await asyncio.gather(*(self._take_in_turn(turn, name, found[name]) for name in wanted))
        await self._file_away()

    def _is_new(self, name: bytes, mark: Mark) -> bool:
        known = self._ledger.taken.get(name)
        if known is not None and known[0] == mark:
            return False
        return self._watched.rested(name, mark, self._settings.settle_seconds)

    async def _take_in_turn(self, turn: asyncio.Semaphore, name: bytes, mark: Mark) -> None:
        async with turn:
            if self._stopping.is_set():
                return
            try:
                await self._take(name, mark)
            except FileNotFoundError:
                # Somebody took it away.
                return
            except Exception as error:  # noqa: BLE001 - one file must not keep the others, nor be tried without a pause
                self._watched.later(name, self._config.backoff)
                self._failed(error)

    async def _take(self, name: bytes, mark: Mark) -> None:
        reason = self._watched.refused(name)
        if reason:
            await self._reject(name, mark, reason)
            return
        # An unencrypted copy has no place in the data folder when that is to hold none.
        encrypted = bool(self._queue.spool.keys.current)
        settings, scratch = self._settings, None if encrypted else self._config.data / "file-drop"
        try:
            with opened(self._watched.path(name)) as file:
                meta = await asyncio.to_thread(examine, file, settings, scratch)
                status = await self._intake.store(request_of(file, mark, meta, settings))
        except UnusableError as error:
            await self._queue.count_refused(FILE_DROP)
            await self._reject(name, mark, str(error))
            return
        except AssociationAborted:
            # It changed meanwhile; the next scan sees that and lets it rest again.
            return
        if status.is_success:
            await self._acknowledged(name, mark, meta.sop_instance_uid)
        elif _is_for_now(status):
            self._watched.later(name, self._config.backoff)
        else:
            await self._reject(name, mark, f"refused as a C-STORE would be: {status}")

    async def _acknowledged(self, name: bytes, mark: Mark, sop_instance_uid: str) -> None:
        found = await self._queue.perform(partial(kept, sop_instance_uid=sop_instance_uid))
        if found is None or not found.routed:
            await self._reject(name, mark, _HELD)
            return
        await self._ledger.take(name, mark, found.object_id)
        self._delivered = -1

    async def _reject(self, name: bytes, mark: Mark, reason: str) -> None:
        self._watched.refuse(name, reason)
        if await self._leave({name: mark}, self._settings.rejected, "rejected", reason):
            log.warning("a file of the watched folder was rejected: %s", reason)
            await self._queue.note("file rejected", path=FILE_DROP, reason=reason)
        else:
            self._watched.later(name, self._config.backoff)

    async def _file_away(self) -> None:
        """Move what all destinations have confirmed; asked only when something was delivered since."""
        delivered = sum(counts.delivered for counts in self._queue.snapshot().destinations.values())
        if delivered == self._delivered:
            return
        taken = list(self._ledger.taken.items())
        complete = True
        for start in range(0, len(taken), _PAGE):
            page = taken[start : start + _PAGE]
            waiting = await self._queue.perform(
                partial(unconfirmed, object_ids=[object_id for _, (_, object_id) in page])
            )
            confirmed = {name: mark for name, (mark, object_id) in page if object_id not in waiting}
            if confirmed:
                complete &= await self._leave(confirmed, self._settings.archive, "archived")
        self._delivered = delivered if complete else -1

    async def _leave(self, files: dict[bytes, Mark], into: Path, counted: str, reason: str = "") -> bool:
        """Move files, then forget them: a stop in between finds them gone from the folder. False: some could not be moved."""
        left, failure = await asyncio.to_thread(self._move_unchanged, files, into, reason)
        if left:
            await self._ledger.forget(left, counted)
        if failure is not None:
            self._failed(failure)
        return failure is None

    def _move_unchanged(
        self, files: dict[bytes, Mark], into: Path, reason: str
    ) -> tuple[list[bytes], OSError | None]:
        """The names that were moved, and what kept another; a file that has become another one meanwhile stays."""
        moved: list[bytes] = []
        failure: OSError | None = None
        for name, mark in files.items():
            path = self._watched.path(name)
            try:
                if Mark.of(path.lstat()) == mark:
                    move(path, self._watched.root, into, reason)
                    moved.append(name)
            except FileNotFoundError:
                continue
            except OSError as error:
                failure = error
        return moved, failure


def _is_for_now(status: Status) -> bool:
    """A refusal that says nothing about the object: there is no room, or it could not be made durable."""
    return status.code & 0xFF00 == OUT_OF_RESOURCES & 0xFF00


def _prepare(settings: FileDrop) -> None:
    for folder in (settings.folder, settings.archive, settings.rejected):
        # Patients' objects: for the router's own account where it makes the folder itself.
        folder.mkdir(mode=0o770, parents=True, exist_ok=True)
        with (folder / ".router").open("wb"):
            pass
        (folder / ".router").unlink()
