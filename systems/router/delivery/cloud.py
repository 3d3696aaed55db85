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
from systems.router.delivery.attempt import Attempt
from systems.router.delivery.blocking import in_thread
from systems.router.errors import DamagedError
from systems.router.store.arrivals import DAMAGED
from systems.router.store.model import Effect, Task
from systems.router.store.spool import Spool

_STREAMED_FROM: Final = 8 << 20
_FINAL: Final = frozenset({Kind.REJECTED, Kind.CONFLICT})
_DELIVERED: Final = frozenset({Kind.STORED, Kind.STORED_WITH_WARNING, Kind.ALREADY_STORED})


class CloudCarrier:
    """One request for a batch; the outcome of each instance from the response body (ROUTER-042)."""

    def __init__(self, uploader: Uploader, spool: Spool) -> None:
        self._uploader = uploader
        self._spool = spool

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
        for task, upload in zip(tasks, await asyncio.to_thread(self._read_all, tasks), strict=True):
            if isinstance(upload, Attempt):
                attempts.append(upload)
            elif task.uncertain and (known := await self._ask(task, upload)) is not None:
                attempts.append(known)
            else:
                uploads.append((task, upload))
        if any(attempt.holds_destination for attempt in attempts):
            return attempts + [Attempt(task, Effect.RETURNED, "") for task, _ in uploads]
        if uploads:
            verdicts = await self._uploader.store([upload for _, upload in uploads])
            alone = len(uploads) == 1
            attempts += [
                judge(task, verdicts[task.identity.sop_instance_uid], alone=alone) for task, _ in uploads
            ]
        return attempts

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
        # A large object has a pack of its own, so the pack's path is the object's.
        return Upload(
            Part(task.identity, location.length, None, stream), task.digest, self._spool.path(location)
        )

    async def _ask(self, task: Task, upload: Upload) -> Attempt | None:
        """After an uncertain outcome: does the cloud hold it already (ROUTER-104)? None: it does not."""
        try:
            held = (await self._uploader.compare(upload)).held
        except CloudAnswerError as error:
            return Attempt(
                task,
                Effect.OUTAGE,
                f"HTTP {error.status}",
                str(error),
                uncertain=True,
                holds_destination=True,
                retry_after=error.retry_after,
            )
        except (CloudUnreachableError, CloudUnauthorisedError) as error:
            return Attempt(
                task, Effect.OUTAGE, "not asked", str(error), uncertain=True, holds_destination=True
            )
        if held is Held.SAME:
            return Attempt(task, Effect.DELIVERED, "found there")
        if held is Held.DIFFERENT:
            return Attempt(task, Effect.DEAD, "conflict", "the cloud holds other content under this UID")
        return None


def judge(task: Task, verdict: Verdict, *, alone: bool) -> Attempt:
    """From the table's verdict to the queue's effect (ROUTER-043, last column)."""
    kind, reason, status = verdict.kind, verdict.comment, f"{verdict.status:04X}"
    if kind in _DELIVERED:
        return Attempt(task, Effect.DELIVERED, status, kind.value)
    if kind in _FINAL:
        return Attempt(task, Effect.DEAD, "conflict" if kind is Kind.CONFLICT else status, reason)
    if verdict.batch_fault:
        # The refusal may be due to another object of the batch: each one gets a request of its own first.
        effect = Effect.DEAD if alone else Effect.OUTAGE
        return Attempt(task, effect, status, reason, solo=True)
    if kind in (Kind.PROCESSING_FAILURE, Kind.REFUSED):
        return Attempt(task, Effect.FAILED, status, reason, uncertain=verdict.uncertain, solo=True)
    if kind is Kind.IN_PROGRESS:
        return Attempt(task, Effect.OUTAGE, status, reason, uncertain=True)
    return Attempt(
        task,
        Effect.OUTAGE,
        status,
        reason,
        uncertain=verdict.uncertain,
        solo=verdict.uncertain,
        holds_destination=True,
        suspect=verdict.uncertain and alone,
        retry_after=verdict.retry_after,
    )
