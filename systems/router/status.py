"""One snapshot of everything an operator asks about (ROUTER-155, 156, 161)."""

import asyncio
import time
from typing import TYPE_CHECKING, Any

from systems.router.cloud.tokens import ClientCredentials
from systems.router.delivery.group import WorkerGroup
from systems.router.prefetch.service import alarms as prefetch_alarms
from systems.router.store.model import Counts, Snapshot

if TYPE_CHECKING:
    from systems.router.runtime import Router


async def status(router: "Router") -> dict[str, Any]:
    """Paths, destinations, spool, alarms and warnings. All counters are of the same moment."""
    oldest = {name: await router.queue.oldest(name) for name in router.groups}
    prefetch = await router.prefetch.status()
    commitments = await router.commitments.pending()
    await asyncio.to_thread(router.certificates.look, router.config)
    snapshot = router.queue.snapshot()
    now = time.time()
    destinations = [
        _destination(router, name, snapshot.destinations.get(name, Counts()), oldest.get(name), now)
        for name in sorted({*snapshot.destinations, *router.groups})
    ]
    return {
        "version": router.version,
        "started": router.started,
        "paths": [_path(router, path.name, snapshot) for path in router.paths.values()],
        "destinations": destinations,
        "conflicts": snapshot.conflicts,
        "held": snapshot.held,
        "spool": {
            "bytes": snapshot.spool_bytes,
            "disk_percent": round(router.queue.spool.percent_used(), 2),
            "full": router.queue.spool.is_full(),
            "key_id": router.queue.spool.keys.current,
        },
        "token": _token(router),
        "commitments_pending": commitments,
        "configuration": {
            "loaded": router.reloading.loaded_at,
            "needs_restart": list(router.reloading.needs_restart),
        },
        "prefetch": prefetch,
        "file_drop": router.file_drop.status() if router.file_drop else {"configured": False},
        "alarms": [
            *_alarms(router, snapshot, destinations),
            *prefetch_alarms(prefetch),
            *_drop_alarms(router),
        ],
        "warnings": _warnings(router),
    }


def _path(router: "Router", name: str, snapshot: Snapshot) -> dict[str, Any]:
    path = router.paths[name]
    return {
        "name": name,
        "state": "running" if path.running else "stopped",
        "ae_title": path.ae_title,
        "port": path.port,
        "mode": router.modes.get(name, ""),
        "received": snapshot.received.get(name, 0),
        "refused": snapshot.refused.get(name, 0),
        "received_bytes": snapshot.received_bytes.get(name, 0),
    }


def _destination(
    router: "Router", name: str, counts: Counts, oldest: float | None, now: float
) -> dict[str, Any]:
    group: WorkerGroup | None = router.groups.get(name)
    gate = group.gate if group else None
    last_success = gate.last_success if gate else None
    return {
        "name": name,
        "kind": group.destination.kind if group else "unknown",
        "state": gate.state if gate else "not configured",
        "accepted": counts.accepted,
        "delivered": counts.delivered,
        "waiting": counts.waiting,
        "in_progress": counts.in_progress,
        "dead_lettered": counts.dead_lettered,
        "duplicates": counts.duplicates,
        "oldest_age_seconds": None if oldest is None else round(max(0.0, now - oldest), 3),
        "backoff_until": gate.backoff_until if gate else None,
        "down_since": gate.down_since if gate else None,
        "last_error": gate.last_error if gate else "",
        "last_success": last_success,
    }


def _token(router: "Router") -> dict[str, Any]:
    tokens = router.tokens
    if not isinstance(tokens, ClientCredentials):
        return {"configured": False}
    return {"configured": True, "renewals": tokens.renewals, "last_error": tokens.last_error}


def _alarms(router: "Router", snapshot: Snapshot, destinations: list[dict[str, Any]]) -> list[str]:
    limits, now = router.config.alarms, time.time()
    alarms: list[str] = []
    for row in destinations:
        name = row["name"]
        if row["dead_lettered"]:
            alarms.append(f"{name}: {row['dead_lettered']} dead letters; see /dead-letters")
        if row["down_since"] and now - row["down_since"] > limits.destination_down_seconds:
            alarms.append(f"{name}: down for {now - row['down_since']:.0f} s: {row['last_error']}")
        if (row["oldest_age_seconds"] or 0) > limits.oldest_task_seconds:
            alarms.append(f"{name}: the oldest object waits for {row['oldest_age_seconds']:.0f} s")
        if row["state"] == "not configured" and row["waiting"]:
            alarms.append(f"{name}: {row['waiting']} objects wait for a destination that is not configured")
    if router.reloading.refused:
        alarms.append(
            f"the configuration file was refused, the former one is in force: {router.reloading.refused}"
        )
    if snapshot.conflicts:
        alarms.append(
            f"{snapshot.conflicts} objects arrived with other content under a known UID and are kept apart"
        )
    if snapshot.held:
        alarms.append(f"{snapshot.held} objects matched no routing rule and are held")
    if router.queue.spool.is_filling():
        alarms.append(f"the spool's disk is {router.queue.spool.percent_used():.0f} % full")
    return alarms + router.certificates.alarms(limits.certificate_days, now)


def _drop_alarms(router: "Router") -> list[str]:
    drop = router.file_drop
    if drop is None or not drop.last_error:
        return []
    return [f"file-drop: the watched folder cannot be worked on as it should: {drop.last_error}"]


def _warnings(router: "Router") -> list[str]:
    warnings = list(router.config.warnings)
    if router.reloading.needs_restart:
        warnings.append(f"a restart is needed for: {', '.join(router.reloading.needs_restart)}")
    if isinstance(router.tokens, ClientCredentials) and router.tokens.may_delete():
        warnings.append("the router's token has a role that may delete; read and store rights are enough")
    return warnings
