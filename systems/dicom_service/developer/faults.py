"""Rules that make chosen requests slow or fail, as a gateway or an overloaded service would."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from systems.dicom_service.web.problems import BadRequest

LONGEST_DELAY = 600.0
"""Seconds."""
_STATUSES = range(400, 600)
_MATCH_KEYS = frozenset({"method", "path_regex", "every", "skip", "times"})
_ACTION_KEYS = frozenset({"delay", "status", "headers", "body"})


@dataclass(slots=True)
class FaultRule:
    """Acts on every nth matching request after the first `skip`, at most `times` times."""

    name: str
    method: str | None
    path: re.Pattern[str]
    every: int
    skip: int
    times: int | None
    delay: float
    status: int | None
    headers: tuple[tuple[str, str], ...]
    body: str
    matched: int = field(default=0)
    hits: int = field(default=0)

    def bites(self, method: str, path: str) -> bool:
        """Return whether the rule acts on this request, and count it."""
        if (self.method is not None and self.method != method) or self.path.search(path) is None:
            return False
        self.matched += 1
        after = self.matched - self.skip
        if after < 1 or (after - 1) % self.every or (self.times is not None and self.hits >= self.times):
            return False
        self.hits += 1
        return True


def parse(value: Any) -> list[FaultRule]:
    """Return the rules of a JSON list; raises `BadRequest` that names rule and key."""
    if not isinstance(value, list):
        raise BadRequest("The rules must be a JSON list.")
    return [_rule(entry, number) for number, entry in enumerate(value, 1)]


def _rule(entry: Any, number: int) -> FaultRule:
    if not isinstance(entry, dict):
        raise BadRequest(f"Rule {number} is no JSON object.")
    name = str(entry.get("name", f"rule {number}"))
    match, action = entry.get("match", {}), entry.get("action", {})
    _only(entry, frozenset({"name", "match", "action"}), name)
    _only(match, _MATCH_KEYS, name)
    _only(action, _ACTION_KEYS, name)
    delay, status = action.get("delay", 0), action.get("status")
    if not isinstance(delay, int | float) or isinstance(delay, bool) or not 0 <= delay <= LONGEST_DELAY:
        raise BadRequest(f"{name}: delay must be 0 to {LONGEST_DELAY:g} seconds.")
    if status is not None and status not in _STATUSES:
        raise BadRequest(f"{name}: status must be 400 to 599.")
    if status is None and not delay:
        raise BadRequest(f"{name}: the action needs a delay, a status or both.")
    return FaultRule(
        name=name,
        method=_text(match, "method", name),
        path=_pattern(_text(match, "path_regex", name) or "", name),
        every=_count(match, "every", 1, 1, name),
        skip=_count(match, "skip", 0, 0, name),
        times=_count(match, "times", 1, 0, name) if match.get("times") is not None else None,
        delay=float(delay),
        status=status,
        headers=_headers(action.get("headers", {}), name),
        body=_text(action, "body", name) or "",
    )


def _only(value: Any, keys: frozenset[str], name: str) -> None:
    if not isinstance(value, dict):
        raise BadRequest(f"{name}: match and action are JSON objects.")
    unknown = sorted(set(value) - keys)
    if unknown:
        raise BadRequest(f"{name}: {unknown[0]} is unknown; there are {', '.join(sorted(keys))}.")


def _text(value: dict[str, Any], key: str, name: str) -> str | None:
    found = value.get(key)
    if found is not None and not isinstance(found, str):
        raise BadRequest(f"{name}: {key} must be text.")
    return found


def _count(value: dict[str, Any], key: str, default: int, least: int, name: str) -> int:
    found = value.get(key, default)
    if not isinstance(found, int) or isinstance(found, bool) or found < least:
        raise BadRequest(f"{name}: {key} must be a number from {least} on.")
    return found


def _pattern(text: str, name: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise BadRequest(f"{name}: path_regex is no regular expression: {error}.") from error


def _headers(value: Any, name: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise BadRequest(f"{name}: headers is a JSON object of texts.")
    return tuple(value.items())


def shown(rules: Sequence[FaultRule]) -> list[dict[str, Any]]:
    """Return name and counters of the rules."""
    return [{"name": rule.name, "matched": rule.matched, "hits": rule.hits} for rule in rules]
