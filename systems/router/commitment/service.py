"""Takes N-ACTION requests and tells their results by N-EVENT-REPORT, again and again until they are taken."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from systems.router.commitment.deciding import Decider, Outcome
from systems.router.commitment.requests import Pending, Reference, Requests
from systems.router.config.model import Config
from systems.router.dimse.client import Association
from systems.router.dimse.errors import DimseError
from systems.router.dimse.identifier import IdentifierError
from systems.router.dimse.service import ActionRequest, Tell
from systems.router.dimse.settings import ClientTimeouts, ProposedContext
from systems.router.dimse.status import OK, Status
from systems.router.dimse.uids import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from systems.router.errors import ConfigError
from systems.router.peers import peer_tls
from systems.router.reconcile.sides import Side
from systems.router.store.queue import SqliteQueue

if TYPE_CHECKING:
    from pydicom import Dataset

log = logging.getLogger(__name__)
_REQUEST: Final = 1
_ALL_HELD: Final = 1
_SOME_FAILED: Final = 2
_NO_SUCH_INSTANCE: Final = 0x0112
_INVALID_ARGUMENT: Final = 0x0115
_NO_SUCH_ACTION: Final = 0x0123
_RESOURCE_LIMITATION: Final = 0x0213
_FIRST_SECONDS: Final = 0.5
_LONGEST_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 1.0


class Commitments:
    """Storage commitment of one router."""

    def __init__(self, config: Config, queue: SqliteQueue, sides: Callable[[], Mapping[str, Side]]) -> None:
        self._config = config
        self._queue = queue
        self._sides = sides
        self._requests: Requests | None = None
        self._tellers: dict[int, Tell] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def reconfigure(self, config: Config) -> None:
        """Keep these bounds from now on."""
        self._config = config

    def start(self) -> None:
        """Tell what a former run could not."""
        if (self._config.data / "commitments.sqlite").exists():
            self._begin()

    def _begin(self) -> Requests:
        if self._requests is None:
            self._requests = Requests(self._config.data)
            self._task = asyncio.create_task(self._run())
        return self._requests

    async def close(self) -> None:
        """Stop; what was not told is told after the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._requests is not None:
            self._requests.close()

    async def pending(self) -> int:
        """Requests whose result was not taken yet."""
        return 0 if self._requests is None else await self._requests.count()

    async def act(self, request: ActionRequest) -> Status:
        """Answer N-ACTION: 0000 once the request is durable."""
        if request.sop_instance_uid != STORAGE_COMMITMENT_INSTANCE:
            return Status(_NO_SUCH_INSTANCE, "not the well-known Storage Commitment instance")
        if request.action_type_id != _REQUEST:
            return Status(_NO_SUCH_ACTION, "the only action is 1, request storage commitment")
        transaction_uid = str(request.information.get("TransactionUID", ""))
        references = _references(request.information)
        if not transaction_uid or not references:
            return Status(_INVALID_ARGUMENT, "no Transaction UID or no Referenced SOP Sequence")
        peer = request.peer
        try:
            number = await self._begin().add(
                transaction_uid,
                peer.calling_ae,
                peer.called_ae,
                references,
                self._config.commitment.max_pending,
            )
            if number is None:
                return Status(_RESOURCE_LIMITATION, "too many storage commitments are pending")
            await self._note(
                "commitment requested", transaction_uid, peer.calling_ae, instances=len(references)
            )
        except (OSError, sqlite3.Error):
            log.exception("a storage commitment could not be recorded")
            return Status(_RESOURCE_LIMITATION, "the request could not be made durable")
        self._tellers[number] = request.tell
        self._wake.set()
        return OK

    async def _note(self, event: str, transaction_uid: str, calling_ae: str, **facts: Any) -> None:
        await self._queue.note(event, transaction_uid=transaction_uid, calling_ae=calling_ae, **facts)

    async def _run(self) -> None:
        assert self._requests is not None  # noqa: S101 - opened before this began
        while True:
            self._wake.clear()
            try:
                for pending in await self._requests.due():
                    await self._try(self._requests, pending)
            except (OSError, sqlite3.Error):
                log.exception("storage commitments cannot be read")
            try:
                await asyncio.wait_for(self._wake.wait(), _LOOK_SECONDS)
            except TimeoutError:
                continue

    async def _try(self, requests: Requests, pending: Pending) -> None:
        config = self._config
        mandatory = {item.name for item in config.destinations if item.mandatory}
        private = {*config.cloud_bridge.private_sop_classes, *config.modality_intake.private_sop_classes}
        decider = Decider(self._queue, self._sides(), mandatory)
        outcome = await decider.decide(pending.references, private)
        expired = time.time() - pending.received_at > config.commitment.give_up_seconds
        if expired:
            outcome.give_up()
        taken = not outcome.open and await self._tell(pending, outcome)
        if not taken and not expired:
            await requests.later(
                pending.request_id, min(_LONGEST_SECONDS, _FIRST_SECONDS * 2.0**pending.tries)
            )
            return
        self._tellers.pop(pending.request_id, None)
        await requests.remove(pending.request_id)
        await self._note(
            "commitment reported" if taken else "commitment given up",
            pending.transaction_uid,
            pending.calling_ae,
            held=len(outcome.held),
            failed=len(outcome.failed),
        )

    async def _tell(self, pending: Pending, outcome: Outcome) -> bool:
        """Send the report; True when the requester has taken it."""
        event = _SOME_FAILED if outcome.failed else _ALL_HELD
        information = _report(pending.transaction_uid, outcome)
        tell = self._tellers.get(pending.request_id)
        if tell is not None:
            try:
                return (await tell(event, information)).is_success
            except (DimseError, IdentifierError):
                # The association of the request has ended; from now on a new one is made.
                del self._tellers[pending.request_id]
        try:
            return (await self._call(pending, event, information)).is_success
        except (DimseError, IdentifierError, ConfigError, LookupError) as error:
            log.warning("the storage commitment %s cannot be told: %s", pending.transaction_uid, error)
            return False

    async def _call(self, pending: Pending, event: int, information: Dataset) -> Status:
        peer = self._config.peer(pending.calling_ae)
        if peer is None:
            message = f"{pending.calling_ae} is not in [[peers]]"
            raise LookupError(message)
        timers = self._config.timers
        association = await Association.connect(
            peer.host,
            peer.port,
            calling_ae=pending.called_ae,
            called_ae=peer.ae_title,
            contexts=[ProposedContext(STORAGE_COMMITMENT, scp_role=True)],
            timeouts=ClientTimeouts(
                timers.association_request_seconds,
                timers.association_request_seconds,
                timers.communication_seconds,
            ),
            tls=peer_tls(peer),
        )
        try:
            return await association.n_event_report(
                STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE, event, information
            )
        finally:
            await association.release()


def _references(information: Dataset) -> list[Reference]:
    items: Sequence[Dataset] = information.get("ReferencedSOPSequence") or []
    found = [
        (str(item.get("ReferencedSOPClassUID", "")), str(item.get("ReferencedSOPInstanceUID", "")))
        for item in items
    ]
    return found if all(uid for _, uid in found) else []


def _report(transaction_uid: str, outcome: Outcome) -> Dataset:
    """Event information (PS3.4 table J.3-2)."""
    from pydicom import Dataset  # noqa: PLC0415 - loaded with the request, see dimse.identifier

    def item(reference: Reference, reason: int | None = None) -> Dataset:
        entry = Dataset()
        entry.ReferencedSOPClassUID, entry.ReferencedSOPInstanceUID = reference
        if reason is not None:
            entry.FailureReason = reason
        return entry

    report = Dataset()
    report.TransactionUID = transaction_uid
    if outcome.held:
        report.ReferencedSOPSequence = [item(reference) for reference in outcome.held]
    if outcome.failed:
        report.FailedSOPSequence = [item(reference, reason) for reference, reason in outcome.failed]
    return report
