"""Carries queued objects to the cloud by STOW-RS."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

from systems.router.cloud.errors import CloudAnswerError, CloudUnauthorisedError, CloudUnreachableError
from systems.router.cloud.readback import Held
from systems.router.cloud.stow import Part
from systems.router.cloud.stow_table import Kind, Verdict
from systems.router.cloud.uploader import Upload, Uploader
from systems.router.delivery.attempt import Attempt, is_away
from systems.router.delivery.blocking import in_thread
from systems.router.errors import DamagedError
from systems.router.store.arrivals import DAMAGED
from systems.router.store.model import Effect, Task
from systems.router.store.spool import Spool

_STREAMED_FROM: Final = 8 << 20
_QUESTIONS_AT_ONCE: Final = 8
_FINAL: Final = frozenset({Kind.REJECTED, Kind.CONFLICT})
_DELIVERED: Final = frozenset({Kind.STORED, Kind.STORED_WITH_WARNING, Kind.ALREADY_STORED})


class CloudCarrier:
    """One request for a batch; the outcome of each instance from the response body (ROUTER-042)."""

    def __init__(self, uploader: Uploader, spool: Spool) -> None:
        self._uploader = uploader
        self._spool = spool
        self._questions = asyncio.Semaphore(_QUESTIONS_AT_ONCE)

    @property
    def batch_instances(self) -> int:
        """See `Carrier`."""
        return self._uploader.batch_instances

    @property
    def batch_bytes(self) -> int:
        """See `Carrier`."""
        return self._uploader.batch_bytes

    async def close(self) -> None:
        """The HTTP session is shared and closed elsewhere."""

    async def deliver(self, tasks: Sequence[Task]) -> list[Attempt]:
        """See `Carrier`."""
        attempts: list[Attempt] = []
        uploads: list[tuple[Task, Upload]] = []
        read = await asyncio.to_thread(self._read_all, tasks)
        known = await asyncio.gather(*map(self._known, tasks, read))
        for task, upload, attempt in zip(tasks, read, known, strict=True):
            if attempt is not None:
                attempts.append(attempt)
            elif isinstance(upload, Upload):
                uploads.append((task, upload))
        if is_away(attempts):
            return attempts + [Attempt(task, Effect.RETURNED, "") for task, _ in uploads]
        if uploads:
            verdicts = await self._uploader.store([upload for _, upload in uploads])
            alone = len(uploads) == 1
            attempts += [
                judge(task, verdicts[task.identity.sop_instance_uid], alone=alone) for task, _ in uploads
            ]
        return attempts

    async def _known(self, task: Task, upload: Upload | Attempt) -> Attempt | None:
        """What is known of the task without an upload; None when it has to be uploaded."""
        if isinstance(upload, Attempt):
            return upload
        if not task.uncertain:
            return None
        async with self._questions:
            return await self._ask(task, upload)

    def _read_all(self, tasks: Sequence[Task]) -> list[Upload | Attempt]:
        return [self._read(task) for task in tasks]

    def _read(self, task: Task) -> Upload | Attempt:
        location, uid = task.location, task.identity.sop_instance_uid
        if self._uploader.too_large(location.length):
            reason = f"{location.length} bytes are more than the cloud takes in one request"
            return Attempt(task, Effect.DEAD, "too large", reason)
        try:
            if location.length < _STREAMED_FROM:
                content = self._spool.read(location, task.digest, uid)
                return Upload(Part(task.identity, len(content), content), task.digest, content)
            self._spool.check(location, task.digest, uid)
        except DamagedError as error:
            return Attempt(task, Effect.DEAD, DAMAGED, error.what)
        stream = partial(in_thread, partial(self._spool.chunks, location, uid))
        opened = partial(self._spool.opened, location, uid)
        return Upload(Part(task.identity, location.length, None, stream), task.digest, opened)

    async def _ask(self, task: Task, upload: Upload) -> Attempt | None:
        """After an uncertain outcome: does the cloud hold it already (ROUTER-104)? None: it does not."""
        try:
            held = (await self._uploader.compare(upload)).held
        except CloudAnswerError as error:
            return Attempt(
                task,
                Effect.TRANSIENT,
                f"HTTP {error.status}",
                str(error),
                uncertain=True,
                solo=True,
                reached=True,
                retry_after=error.retry_after,
            )
        except (CloudUnreachableError, CloudUnauthorisedError) as error:
            return Attempt(task, Effect.OUTAGE, "not asked", str(error), uncertain=True)
        if held is Held.SAME:
            return Attempt(task, Effect.DELIVERED, "found there")
        if held is Held.DIFFERENT:
            return Attempt(task, Effect.DEAD, "conflict", "the cloud holds other content under this UID")
        return None


def judge(task: Task, verdict: Verdict, *, alone: bool) -> Attempt:
    """From the table's verdict to the queue's effect (ROUTER-043, last column).

    What is said of a request with several objects, and not of each of them, is nobody's failure: each gets a request of
    its own first.
    """
    kind, reason, status = verdict.kind, verdict.comment, f"{verdict.status:04X}"
    if kind in _DELIVERED:
        return Attempt(task, Effect.DELIVERED, status, kind.value)
    if kind in _FINAL:
        return Attempt(task, Effect.DEAD, "conflict" if kind is Kind.CONFLICT else status, reason)
    if kind is Kind.PROCESSING_FAILURE or (kind is Kind.REFUSED and alone):
        return Attempt(task, Effect.FAILED, status, reason, uncertain=verdict.uncertain, solo=True)
    if verdict.batch_fault and alone:
        return Attempt(task, Effect.DEAD, status, reason)
    away = kind is Kind.UNAUTHORISED or not verdict.answered
    return Attempt(
        task,
        Effect.OUTAGE if away else Effect.TRANSIENT,
        status,
        reason,
        uncertain=verdict.uncertain or kind is Kind.IN_PROGRESS,
        solo=not away or verdict.uncertain,
        reached=verdict.answered or verdict.uncertain,
        shared=not alone and kind is not Kind.IN_PROGRESS,
        suspect=alone and (kind is Kind.UNKNOWN or (not verdict.answered and verdict.uncertain)),
        retry_after=verdict.retry_after,
    )
