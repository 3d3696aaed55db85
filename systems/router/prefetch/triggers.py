"""Takes triggers from HL7 messages and from arriving studies: durable first, acknowledged then."""

import asyncio
import logging
import sqlite3
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from systems.router.config.prefetch import PREFETCH_TRIGGER, Prefetch
from systems.router.objects import Received
from systems.router.prefetch.acknowledge import acknowledge
from systems.router.prefetch.arriving import trigger_of
from systems.router.prefetch.hl7_text import INTERNAL, RefusedMessageError, read_header
from systems.router.prefetch.ledger import PrefetchFullError, Recorded, TriggerLedger
from systems.router.prefetch.order import read_order
from systems.router.prefetch.trigger import Trigger
from systems.router.store.queue import SqliteQueue

log = logging.getLogger(__name__)
_MOST_KNOWN_STUDIES: Final = 20_000


class Triggers:
    """The way in. `wake` is called when there is something new to do."""

    def __init__(
        self, settings: Prefetch, ledger: TriggerLedger, queue: SqliteQueue, wake: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._queue = queue
        self._wake = wake
        self._known: OrderedDict[str, None] = OrderedDict()

    def reconfigure(self, settings: Prefetch) -> None:
        """Take the next trigger by these settings."""
        self._settings = settings

    async def answer(self, payload: bytes) -> bytes:
        """The acknowledgement of a message: AA only after its trigger is durable (ROUTER-136)."""
        header = read_header(payload)
        try:
            trigger = read_order(payload, header, self._settings.hl7, self._settings.assigning_authority)
            await self._record(await self._ledger.accept(trigger), trigger)
            await self._ledger.count("AA")
        except RefusedMessageError as error:
            return await self._refuse(payload, error)
        except PrefetchFullError as error:
            return await self._refuse(payload, RefusedMessageError("AE", INTERNAL, "", str(error)))
        except (OSError, sqlite3.Error):
            log.exception("a trigger could not be made durable")
            why = "the trigger could not be made durable; send the message again"
            return acknowledge(header, RefusedMessageError("AE", INTERNAL, "", why))
        return acknowledge(header)

    def too_long(self, head: bytes, limit: int) -> bytes:
        """The answer to a message longer than `limit` bytes."""
        log.warning("an HL7 message of more than %d bytes was refused", limit)
        why = f"the message has more than {limit} bytes"
        return acknowledge(read_header(head), RefusedMessageError("AE", INTERNAL, "", why))

    async def _refuse(self, payload: bytes, error: RefusedMessageError) -> bytes:
        header = read_header(payload)
        log.warning("an HL7 message was answered %s: %s", error.code, error)
        try:
            await self._queue.count_refused(PREFETCH_TRIGGER)
            await self._ledger.count(error.code)
            await self._queue.note(
                "prefetch refused", code=error.code, place=error.place, reference=header.control_id
            )
        except (OSError, sqlite3.Error):
            log.exception("a refused message could not be recorded")
        return acknowledge(header, error)

    async def arrived(self, received: Received) -> None:
        """The first instance of a study triggers for its patient; later ones do not (ROUTER-137).

        The arrival itself is worth more than its trigger: what goes wrong here is logged and does not stop it.
        """
        study = received.identity.study_instance_uid
        if not self._settings.on_arrival or study in self._known:
            return
        try:
            trigger = await asyncio.to_thread(trigger_of, received)
            if trigger is None:
                log.warning("study %s triggers no prefetch: its first instance names no patient", study)
            else:
                recorded = await self._ledger.accept_first(trigger)
                if recorded is not None:
                    await self._record(recorded, trigger)
        except (OSError, sqlite3.Error, PrefetchFullError):
            log.exception("study %s triggers no prefetch", study)
            return
        self._known[study] = None
        if len(self._known) > _MOST_KNOWN_STUDIES:
            self._known.popitem(last=False)

    async def _record(self, recorded: Recorded, trigger: Trigger) -> None:
        facts = {
            "trigger": recorded.number,
            "source": trigger.source,
            "message_type": trigger.message_type,
            "reference": trigger.reference,
        }
        event = "prefetch merged" if recorded.merged else "prefetch triggered"
        await self._queue.note(event, counted=PREFETCH_TRIGGER if trigger.source == "hl7" else "", **facts)
        if not recorded.merged:
            log.info("prefetch %d triggered by %s", recorded.number, trigger.source)
            self._wake()
