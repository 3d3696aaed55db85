"""The report of a reconciliation: JSON for machines, text for the person who signs."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import orjson

from systems.router.reconcile.model import Tally


def report(
    job: Mapping[str, Any], tallies: Mapping[str, Tally], findings: int, findings_sha256: str, version: str
) -> dict[str, Any]:
    """The summary; `sha256` covers all of it but itself, keys sorted, and through `findings_sha256` every finding."""
    summary: dict[str, Any] = {
        "id": job["id"],
        "state": job["state"],
        "router_version": version,
        "request": job["request"],
        "started": job["started"],
        "finished": job["finished"],
        "studies": job["studies"],
        "instances": job["instances"],
        "destinations": [{"name": name, **asdict(tally)} for name, tally in tallies.items()],
        "agrees": job["state"] == "done" and not findings,
        "findings": findings,
        "findings_sha256": findings_sha256,
        "signed_off_by": job["request"]["signed_off_by"],
    }
    return summary | {"sha256": digest(summary)}


def digest(summary: Mapping[str, Any]) -> str:
    """SHA-256 of a report without its `sha256`."""
    covered = {key: value for key, value in summary.items() if key != "sha256"}
    return hashlib.sha256(orjson.dumps(covered, option=orjson.OPT_SORT_KEYS)).hexdigest()


def text(summary: Mapping[str, Any]) -> str:
    """The report to read and to sign."""
    request = summary["request"]
    lines = [
        f"Reconciliation {summary['id']}: {_verdict(summary)}",
        f"Received from {_moment(request['since'])} to {_moment(request['until'])}"
        + (f", {len(request['studies'])} named studies" if request["studies"] else ""),
        f"{summary['studies']} studies, {summary['instances']} instances in the ledger; "
        + (
            "copies read back and compared, where the destination gives them"
            if request["deep"]
            else "compared by UID, content not read back"
        ),
        "",
    ]
    for row in summary["destinations"]:
        lines.append(
            f"{row['name']}: {row['expected']} expected, {row['present']} there, {row['missing']} missing"
        )
        others = ("extra", "differs", "waiting", "dead_lettered", "not_compared", "put_back", "unread")
        lines += [f"    {row[name]} {name.replace('_', ' ')}" for name in others if row[name]]
    lines += [
        "",
        f"Findings: {summary['findings']}, SHA-256 {summary['findings_sha256']}",
        f"Report SHA-256 {summary['sha256']}",
        f"Router {summary['router_version']}, finished {_moment(summary['finished'])}",
        f"Signed off by: {summary['signed_off_by'] or '______________________'}",
    ]
    return "\n".join(lines) + "\n"


def _verdict(summary: Mapping[str, Any]) -> str:
    if summary["state"] != "done":
        return f"{summary['state']}, not everything could be compared"
    return "ledger and destinations agree" if summary["agrees"] else "there are differences"


def _moment(seconds: float | None) -> str:
    if not seconds:
        return "the beginning"
    return "now" if seconds >= 1e12 else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
