"""Deletes studies from the cloud. Off by default, and never without a confirmation (ROUTER-196)."""

import re
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from systems.router.cloud.errors import CloudError, CloudUnauthorisedError, CloudUnreachableError
from systems.router.cloud.http import CloudHttp
from systems.router.config.model import Config
from systems.router.errors import ConfigError
from systems.router.feed.comparing import cloud_destination
from systems.router.store.feed import forget_deliveries, is_open, restore_deliveries
from systems.router.store.queue import SqliteQueue
from systems.router.store.transaction import Transaction

CONFIRMATION: Final = "delete-studies"
_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)*")


def check(config: Config, studies: Sequence[str], confirmation: str) -> None:
    """Whether the purge is allowed, confirmed and names studies.

    Raises:
        ConfigError: it is not; nothing was asked of the cloud.

    """
    if not config.change_feed.allow_purge:
        raise ConfigError("change_feed.allow_purge: is false; set it to true where studies may be deleted")
    if confirmation != CONFIRMATION:
        raise ConfigError(
            f"confirm: the purge deletes studies from the cloud; confirm it with --yes-delete-studies, or "
            f'"confirm": "{CONFIRMATION}"'
        )
    if not studies:
        raise ConfigError("studies: is empty; name the Study Instance UIDs to be deleted")
    for study in studies:
        if not isinstance(study, str) or len(study) > 64 or not _UID.fullmatch(study):
            raise ConfigError(f"studies: {study!r} is no Study Instance UID")


async def purge(
    config: Config, queue: SqliteQueue, http: CloudHttp, studies: Sequence[str], confirmation: str
) -> list[dict[str, Any]]:
    """Delete each study; `outcome` is `deleted`, `not there`, `refused`, `waits` or `unknown`, with a `reason`.

    Raises:
        ConfigError: see `check`.

    """
    check(config, studies, confirmation)
    destination = cloud_destination(config)
    return [await _purge(queue, http, destination, study) for study in dict.fromkeys(studies)]


async def _purge(queue: SqliteQueue, http: CloudHttp, destination: str, study: str) -> dict[str, Any]:
    rows = await queue.perform(partial(_begin, destination=destination, study=study))
    if rows is None:
        outcome, reason = "waits", "something of the study is still to be delivered to the cloud"
    else:
        outcome, reason = await _delete(http, study)
        await queue.perform(
            partial(_end, destination=destination, study=study, outcome=outcome, reason=reason, rows=rows)
        )
    return {"study_instance_uid": study, "outcome": outcome, "reason": reason}


def _begin(tx: Transaction, destination: str, study: str) -> list[tuple[Any, ...]] | None:
    """First the index forgets: after a stop in between, what is sent again is delivered again, never taken for delivered."""
    if is_open(tx, destination, study):
        return None
    tx.audit.add("operator purge", tx.now, study_instance_uid=study, destination=destination)
    return forget_deliveries(tx, destination, study)


def _end(
    tx: Transaction, destination: str, study: str, outcome: str, reason: str, rows: list[tuple[Any, ...]]
) -> None:
    if outcome == "refused":
        restore_deliveries(tx, rows)
    else:
        # What was delivered meanwhile went with the rest.
        forget_deliveries(tx, destination, study)
    tx.audit.add(
        "purged", tx.now, study_instance_uid=study, destination=destination, outcome=outcome, reason=reason
    )


async def _delete(http: CloudHttp, study: str) -> tuple[str, str]:
    try:
        answer = await http.request("DELETE", f"/studies/{study}", headers={"Accept": "application/json"})
    except CloudUnauthorisedError as error:
        return "refused", str(error)
    except CloudUnreachableError as error:
        return ("unknown" if error.sent else "refused"), str(error)
    except CloudError as error:
        return "unknown", str(error)
    if answer.status in (200, 202, 204):
        return "deleted", ""
    if answer.status == 404:
        return "not there", "the cloud does not have it"
    said = f"the cloud answers HTTP {answer.status}"
    return ("refused" if 400 <= answer.status < 500 else "unknown"), said
