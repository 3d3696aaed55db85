"""The synchronous bridge: C-STORE answered from what the cloud said, within the peer's bound (ROUTER-043, 048)."""

import asyncio
import logging
import sqlite3
from functools import partial
from typing import Final

from systems.router.cloud.errors import CloudError, CloudUnauthorisedError, CloudUnreachableError
from systems.router.cloud.readback import Held
from systems.router.cloud.stow import Part
from systems.router.cloud.stow_table import Kind, Verdict
from systems.router.cloud.uploader import Upload, Uploader, failure_verdict
from systems.router.config.model import Config, Listener
from systems.router.delivery.blocking import in_thread
from systems.router.dimse.service import StoreRequest
from systems.router.dimse.status import CANNOT_UNDERSTAND, DATA_SET_MISMATCH, OK, OUT_OF_RESOURCES, Status
from systems.router.objects import Received
from systems.router.reception import RefusedError, discard
from systems.router.store.queue import SqliteQueue
from systems.router.taking import refused, take

log = logging.getLogger(__name__)
_STORED: Final = frozenset({Kind.STORED, Kind.STORED_WITH_WARNING, Kind.ALREADY_STORED})
_LATE: Final = Status(OUT_OF_RESOURCES, "the cloud did not confirm in time")
_RETRY_SECONDS: Final = 0.5


class BridgeStore:
    """Answers C-STORE of the cloud bridge in synchronous mode."""

    def __init__(self, config: Config, listener: Listener, queue: SqliteQueue, uploader: Uploader) -> None:
        self._config = config
        self._listener = listener
        self._queue = queue
        self._uploader = uploader
        self._destination = listener.destinations[0]
        self._running: dict[str, asyncio.Task[Status]] = {}
        self.last_success: float | None = None

    def reconfigure(self, config: Config) -> None:
        """Keep these bounds from the next object on."""
        self._config, self._listener = config, config.cloud_bridge

    async def close(self, grace_seconds: float) -> None:
        """Let uploads whose caller was already answered finish."""
        if self._running:
            _, unfinished = await asyncio.wait(self._running.values(), timeout=grace_seconds)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)

    async def store(self, request: StoreRequest) -> Status:
        """Upload an object and answer from the table, with A700 when the bound ends first."""
        try:
            received = await take(request, self._listener.name, self._queue, self._config.spool)
        except RefusedError as error:
            return await refused(self._queue, self._listener.name, error.status)
        status = await self._within_bound(received)
        if status.is_failure:
            log.warning("store of %s refused: %s", received.identity.sop_instance_uid, status)
            return await refused(self._queue, self._listener.name, status)
        return status

    async def _within_bound(self, received: Received) -> Status:
        """Start or, for the same object still on its way, join an upload; it goes on when the bound ends (ROUTER-048)."""
        bound = self._config.bound_for(received.calling_ae)
        uid = received.identity.sop_instance_uid
        while (other := self._running.get(uid)) is not None:
            _, late = await asyncio.wait({other}, timeout=bound)
            if late:
                discard(received)
                return _LATE
        task = asyncio.create_task(self._upload(received, bound))
        self._running[uid] = task
        task.add_done_callback(lambda _: self._running.pop(uid, None))
        done, _ = await asyncio.wait({task}, timeout=bound)
        return task.result() if done else _LATE

    async def _upload(self, received: Received, bound: float) -> Status:
        try:
            return await self._decide(received, bound)
        except (OSError, sqlite3.Error):
            log.exception("%s could not be recorded", received.identity.sop_instance_uid)
            return Status(OUT_OF_RESOURCES, "the delivery could not be recorded")
        finally:
            discard(received)

    async def _decide(self, received: Received, bound: float) -> Status:
        uid = received.identity.sop_instance_uid
        upload = _upload_of(received)
        known = await self._queue.known_upload(uid, self._destination)
        if known is not None and await asyncio.to_thread(received.matches, known[1]):
            await self._queue.record_upload(received, self._destination, "duplicate")
            return OK
        if known is not None:
            return await self._known_otherwise(received, upload)
        if self._uploader.too_large(received.size):
            return Status(CANNOT_UNDERSTAND, "larger than the cloud takes in one request")
        verdict = await self._store(upload, bound)
        if verdict.kind in _STORED:
            await self._queue.record_upload(received, self._destination, f"{verdict.status:04X}")
        elif verdict.kind is Kind.CONFLICT:
            await self._conflict(uid)
        return Status(verdict.status, verdict.comment)

    async def _store(self, upload: Upload, bound: float) -> Verdict:
        """Store; a creation in progress elsewhere is tried again while the bound lasts."""
        ends = asyncio.get_running_loop().time() + bound
        while True:
            verdict = (await self._uploader.store([upload]))[upload.part.identity.sop_instance_uid]
            now = asyncio.get_running_loop().time()
            if verdict.kind is not Kind.IN_PROGRESS or now + _RETRY_SECONDS >= ends:
                return verdict
            await asyncio.sleep(_RETRY_SECONDS)

    async def _known_otherwise(self, received: Received, upload: Upload) -> Status:
        """The cloud confirmed this UID before with other bytes: equal content, or a conflict (ROUTER-105)."""
        uid = received.identity.sop_instance_uid
        try:
            held = (await self._uploader.compare(upload)).held
        except (CloudUnauthorisedError, CloudUnreachableError) as error:
            verdict = failure_verdict(error)
            return Status(verdict.status, verdict.comment)
        except CloudError as error:
            return Status(OUT_OF_RESOURCES, str(error))
        if held is Held.SAME:
            await self._queue.record_upload(received, self._destination, "duplicate")
            return OK
        await self._conflict(uid)
        return Status(DATA_SET_MISMATCH, "other content is known under this SOP Instance UID")

    async def _conflict(self, uid: str) -> None:
        log.error("identity conflict: %s differs from what the cloud holds", uid)
        await self._queue.note("identity conflict", sop_instance_uid=uid, destination=self._destination)


def _upload_of(received: Received) -> Upload:
    if received.file is None:
        content = b"".join([received.header, *received.body])
        return Upload(Part(received.identity, len(content), content), received.digest, content)
    stream = partial(in_thread, received.chunks)
    return Upload(Part(received.identity, received.size, None, stream), received.digest, received.opened)
