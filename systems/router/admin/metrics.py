"""Prometheus metrics (ROUTER-157), rendered from the status snapshot."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from systems.router.dimse.measures import Histogram

if TYPE_CHECKING:
    from systems.router.runtime import Router

_COUNTS = ("accepted", "delivered", "waiting", "in_progress", "dead_lettered", "duplicates")


def render(snapshot: dict[str, Any], router: "Router") -> str:
    """The text exposition format, version 0.0.4."""
    return "\n".join(_lines(snapshot, router)) + "\n"


def _lines(snapshot: dict[str, Any], router: "Router") -> Iterator[str]:
    yield "# TYPE router_path_running gauge"
    for path in snapshot["paths"]:
        yield f'router_path_running{{path="{path["name"]}"}} {int(path["state"] == "running")}'
    yield "# TYPE router_received_bytes_total counter"
    for path in snapshot["paths"]:
        yield f'router_received_bytes_total{{path="{path["name"]}"}} {path["received_bytes"]}'
    for what in ("received", "refused"):
        yield f"# TYPE router_objects_{what}_total counter"
        for path in snapshot["paths"]:
            yield f'router_objects_{what}_total{{path="{path["name"]}"}} {path[what]}'
    for what in _COUNTS:
        yield f"# TYPE router_tasks_{what} gauge"
        for row in snapshot["destinations"]:
            yield f'router_tasks_{what}{{destination="{row["name"]}"}} {row[what]}'
    yield "# TYPE router_oldest_task_seconds gauge"
    for row in snapshot["destinations"]:
        yield f'router_oldest_task_seconds{{destination="{row["name"]}"}} {row["oldest_age_seconds"] or 0}'
    yield "# TYPE router_destination_up gauge"
    for row in snapshot["destinations"]:
        yield f'router_destination_up{{destination="{row["name"]}"}} {int(row["down_since"] is None)}'
    yield from _dimse(router)
    yield from _latencies(router)
    yield from _others(snapshot, router)
    yield from _prefetch(snapshot["prefetch"])
    yield from _file_drop(snapshot["file_drop"])


def _dimse(router: "Router") -> Iterator[str]:
    yield "# TYPE router_dimse_answers_total counter"
    for path, server in router.servers.items():
        for (operation, code), count in sorted(server.measures.answers.items()):
            labels = f'path="{path}",operation="{operation}",status="{code:04X}"'
            yield f"router_dimse_answers_total{{{labels}}} {count}"
    yield "# TYPE router_association_requests_total counter"
    for path, server in router.servers.items():
        for outcome, count in sorted(server.measures.associations.items()):
            yield f'router_association_requests_total{{path="{path}",outcome="{outcome}"}} {count}'


def _latencies(router: "Router") -> Iterator[str]:
    yield "# TYPE router_dimse_seconds histogram"
    for path, server in router.servers.items():
        for operation, histogram in sorted(server.measures.seconds.items()):
            yield from _histogram("router_dimse_seconds", f'path="{path}",operation="{operation}"', histogram)
    yield "# TYPE router_delivery_seconds histogram"
    for name, group in router.groups.items():
        yield from _histogram("router_delivery_seconds", f'destination="{name}"', group.seconds)
    yield "# TYPE router_cloud_seconds histogram"
    yield from _histogram("router_cloud_seconds", "", router.http.seconds)


def _histogram(name: str, labels: str, histogram: Histogram) -> Iterator[str]:
    count = 0
    for bound, count in histogram.cumulative():
        yield f'{name}_bucket{{{labels}{"," if labels else ""}le="{bound}"}} {count}'
    braces = f"{{{labels}}}" if labels else ""
    yield f"{name}_sum{braces} {histogram.total:.6f}"
    yield f"{name}_count{braces} {count}"


def _prefetch(found: dict[str, Any]) -> Iterator[str]:
    if not found["configured"]:
        return
    yield "# TYPE router_prefetch_triggers gauge"
    for state, count in found["triggers"].items():
        yield f'router_prefetch_triggers{{state="{state}"}} {count}'
    yield "# TYPE router_prefetch_messages_total counter"
    for code, count in sorted(found["messages"].items()):
        yield f'router_prefetch_messages_total{{code="{code}"}} {count}'
    for what in ("merged", "instances"):
        yield f"# TYPE router_prefetch_{what} gauge"
        yield f"router_prefetch_{what} {found[what]}"


def _file_drop(found: dict[str, Any]) -> Iterator[str]:
    if not found["configured"]:
        return
    for what, kind in (("unconfirmed", "gauge"), ("archived", "counter"), ("rejected", "counter")):
        name = f"router_file_drop_{what}" + ("_total" if kind == "counter" else "")
        yield f"# TYPE {name} {kind}"
        yield f"{name} {found[what]}"


def _others(snapshot: dict[str, Any], router: "Router") -> Iterator[str]:
    yield "# TYPE router_cloud_answers_total counter"
    for code, count in sorted(router.http.statuses.items()):
        yield f'router_cloud_answers_total{{status="{code}"}} {count}'
    yield "# TYPE router_associations gauge"
    for name, server in router.servers.items():
        yield f'router_associations{{path="{name}"}} {server.associations}'
    for name, kind, value in (
        ("token_renewals_total", "counter", snapshot["token"].get("renewals", 0)),
        ("spool_bytes", "gauge", snapshot["spool"]["bytes"]),
        ("spool_disk_percent", "gauge", snapshot["spool"]["disk_percent"]),
        ("conflicts_total", "counter", snapshot["conflicts"]),
        ("held_objects_total", "counter", snapshot["held"]),
        ("alarms", "gauge", len(snapshot["alarms"])),
    ):
        yield f"# TYPE router_{name} {kind}"
        yield f"router_{name} {value}"
