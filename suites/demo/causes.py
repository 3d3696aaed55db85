"""Failures of the cloud by operation, and how the router's log must name each of them (CLAIM-ROUTER-10)."""

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fixtures.clients import link
from fixtures.world import World

STORES: Mapping[str, str] = {
    "400": "HTTP 400",
    "401 for every token": "HTTP 401",
    "403": "HTTP 403",
    "409 without a body": "without a reason",
    "409 with reason 43264": "43264",
    "409 with reason 272": "272",
    "413": "HTTP 413",
    "429": "HTTP 429",
    "500": "HTTP 500",
    "503 with an HTML body": "HTTP 503",
    "200 with a body that is no JSON": "did not say",
    "reset before the cloud has it": "no answer|reset|disconnected|closed",
}
"""Outcomes of `World.cloud_outcomes` in which the cloud does not store, and what names each."""


@dataclass(frozen=True)
class Cause:
    """What the link does to a read of the cloud, and what names it in the log."""

    name: str
    action: link.Action
    named: str
    path: str = "/(studies|series|instances)"


def reads(body: str) -> tuple[Cause, ...]:
    """The failures of a search; `body` is what the cloud adds in words."""
    coded = [
        Cause(str(code), link.respond(code, body), f"answered {code}") for code in (400, 401, 403, 429, 503)
    ]
    return (
        *coded,
        Cause("no JSON", link.replace_body(body), "not JSON"),
        Cause("reset", link.reset("before"), "no answer"),
    )


@dataclass(frozen=True)
class Told:
    """A line of the router's log."""

    level: str
    message: str


def now() -> dt.datetime:
    """The present, as `told_since` takes it."""
    return dt.datetime.now(dt.UTC)


def told_since(world: World, began: dt.datetime) -> list[Told]:
    """The router's warnings and errors since then, from its log of JSON lines."""
    return [
        Told(line["level"], line["message"])
        for line in _lines(world.control.logs("router"))
        if line["level"] in ("warning", "error", "critical")
        and dt.datetime.fromisoformat(line["time"]) >= began
    ]


def naming(lines: list[Told], *patterns: str) -> list[str]:
    """The messages in which all of the patterns are found."""
    return [
        line.message
        for line in lines
        if all(re.search(each, line.message, re.IGNORECASE) for each in patterns)
    ]


def _lines(text: str) -> Iterator[Mapping[str, Any]]:
    for line in text.splitlines():
        if line.startswith("{"):
            yield json.loads(line)
