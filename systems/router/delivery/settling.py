"""From attempts to settlements: how long an object waits, and when it is given up (ROUTER-102, ROUTER-108)."""

import logging
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from systems.router.config.limit_values import Backoff
from systems.router.delivery.attempt import Attempt
from systems.router.delivery.gate import delay
from systems.router.store.model import Effect, Settlement

log = logging.getLogger(__name__)
_MOST_COUNTED: Final = 64


@dataclass(slots=True)
class _Trouble:
    """What one waiting object has met: answers that said "not now", and silences while others were served."""

    refusals: int = 0
    strikes: int = 0
    served: int = -1


class Settling:
    """The policy of one destination. What it remembers lives in memory only: a restart forgives.

    A transient answer gives the object a back-off of its own and is never its failure. What failed because the destination
    was away keeps its place without one. Only an object about which nothing usable is said, alone and again and again
    while others are served in between, is given up, with its back-off between the attempts.
    """

    def __init__(self, destination: str, backoff: Backoff, max_failures: int) -> None:
        self._destination = destination
        self._backoff = backoff
        self._max_failures = max_failures
        self._troubles: dict[int, _Trouble] = {}

    def reconfigure(self, backoff: Backoff, max_failures: int) -> None:
        """Judge like this from the next attempt on."""
        self._backoff, self._max_failures = backoff, max_failures

    @property
    def troubled(self) -> Collection[int]:
        """Task numbers the destination may have stumbled over; a probe tries others first."""
        return self._troubles.keys()

    def is_new_trouble(self, attempt: Attempt) -> bool:
        """Whether this object was never refused transiently before."""
        trouble = self._troubles.get(attempt.task.task_id)
        return trouble is None or trouble.refusals == 0

    def settle(self, attempt: Attempt, served: int) -> Settlement:
        """What becomes of the task; `served` counts how often the destination has shown that it works."""
        task, effect, reason = attempt.task, attempt.effect, attempt.reason
        wait = 0.0
        if effect is Effect.FAILED:
            wait = delay(self._backoff, task.failures + 1)
            if task.failures + 1 >= self._max_failures:
                effect, reason = Effect.DEAD, f"{reason}; given up after {task.failures + 1} attempts"
        elif effect in (Effect.OUTAGE, Effect.TRANSIENT) and attempt.reached and not attempt.shared:
            wait, strikes = self._trouble(attempt, served)
            if attempt.suspect and strikes >= self._max_failures:
                effect = Effect.DEAD
                reason = f"{reason}; {strikes} times, while other objects were delivered"
        if effect is Effect.TRANSIENT:
            wait = max(wait, attempt.retry_after or 0.0)
        if effect in (Effect.DELIVERED, Effect.DEAD):
            self._troubles.pop(task.task_id, None)
        if effect is Effect.DEAD:
            uid = task.identity.sop_instance_uid
            log.error("dead letter: %s for %s: %s", uid, self._destination, attempt.status)
        return Settlement(
            task,
            effect,
            attempt.status,
            reason,
            uncertain=attempt.uncertain,
            solo=attempt.solo,
            not_before=time.time() + wait if wait else 0.0,
            # One that met silence again and again is not to be the first to go when the destination is back.
            until_recovery=effect in (Effect.OUTAGE, Effect.TRANSIENT) and not (attempt.suspect and wait),
        )

    def _trouble(self, attempt: Attempt, served: int) -> tuple[float, int]:
        """The object's own back-off, and how often it met silence although others were served in between."""
        trouble = self._troubles.setdefault(attempt.task.task_id, _Trouble())
        if (attempt.suspect or attempt.effect is Effect.OUTAGE) and served > trouble.served:
            trouble.strikes = min(trouble.strikes + 1, _MOST_COUNTED)
            trouble.served = served
        if attempt.effect is Effect.TRANSIENT:
            trouble.refusals = min(trouble.refusals + 1, _MOST_COUNTED)
            return delay(self._backoff, trouble.refusals), trouble.strikes
        if trouble.strikes > 1:
            return delay(self._backoff, trouble.strikes - 1), trouble.strikes
        return 0.0, trouble.strikes
