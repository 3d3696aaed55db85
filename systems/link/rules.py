"""Rules of a route in HTTP mode: which requests they take, what they do, and how often they have."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

_RULE_KEYS = frozenset({"name", "match", "action"})
_MATCH_KEYS = ("method", "path_regex", "body_contains", "every", "skip", "times")
_LONGEST_DELAY = 3600.0


class RuleError(ValueError):
    """A rule that cannot be set; the message says what to give."""


@dataclass(frozen=True, slots=True)
class Match:
    """Which requests a rule takes; `every`, `skip` and `times` count the requests that match the rest."""

    method: str | None = None
    path_regex: re.Pattern[str] | None = None
    body_contains: bytes | None = None
    every: int = 1
    skip: int = 0
    times: int | None = None

    def head(self, method: str, path: str) -> bool:
        """Whether method and path with query match."""
        return (self.method is None or self.method == method) and (
            self.path_regex is None or self.path_regex.search(path) is not None
        )


@dataclass(frozen=True, slots=True)
class Action:
    """What a rule does. `kind` is the action's name; the other members belong to the kinds that need them."""

    kind: str
    status: int = 0
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    seconds: float = 0.0
    after: bool = False
    count: int = 0


@dataclass(slots=True)
class Rule:
    """A rule and its counters: requests that matched, and those among them it acted on."""

    name: str
    match: Match
    action: Action
    source: Mapping[str, Any]
    matched: int = 0
    hits: int = 0

    @property
    def spent(self) -> bool:
        """Whether the rule has acted as often as it may."""
        return self.match.times is not None and self.hits >= self.match.times

    def count(self) -> bool:
        """Count a request that matches; returns whether the rule acts on it."""
        self.matched += 1
        past = self.matched - self.match.skip
        if past <= 0 or past % self.match.every or self.spent:
            return False
        self.hits += 1
        return True

    def document(self) -> dict[str, Any]:
        """Return the JSON form, with counters."""
        return {**self.source, "matched": self.matched, "hits": self.hits}


@dataclass
class RuleBook:
    """The rules of a route, in order; the first that acts is the one."""

    rules: list[Rule] = field(default_factory=list)

    def replace(self, document: object) -> None:
        """Put the rules of a JSON document in the place of all. Raises `RuleError`."""
        if not isinstance(document, list):
            raise RuleError("Rules are a JSON list.")
        self.rules = [_rule(item, number) for number, item in enumerate(document, 1)]

    def needs_body(self, method: str, path: str) -> bool:
        """Whether a rule can only be decided when the request's body was read."""
        return any(
            rule.match.body_contains is not None and not rule.spent and rule.match.head(method, path)
            for rule in self.rules
        )

    def choose(self, method: str, path: str, contains: Callable[[bytes], bool]) -> Rule | None:
        """Return the rule that acts on a request, counting it; `contains` looks into the request's body."""
        for rule in self.rules:
            if not rule.match.head(method, path):
                continue
            wanted = rule.match.body_contains
            if (wanted is None or (not rule.spent and contains(wanted))) and rule.count():
                return rule
        return None


def _rule(document: object, number: int) -> Rule:
    where = f"Rule {number}"
    if not isinstance(document, dict):
        raise RuleError(f"{where} must be a JSON object.")
    _known(document, _RULE_KEYS, where)
    name = document.get("name", f"rule-{number}")
    if not isinstance(name, str) or not name:
        raise RuleError(f"{where}: name must be a text.")
    where = f"Rule {number} ({name})"
    match, action = _match(document.get("match", {}), where), _action(document.get("action"), where)
    source = {"name": name, "match": document.get("match", {}), "action": document["action"]}
    return Rule(name, match, action, source)


def _match(document: object, where: str) -> Match:
    if not isinstance(document, dict):
        raise RuleError(f"{where}: match must be a JSON object.")
    _known(document, frozenset(_MATCH_KEYS), f"{where}: match")
    given = {key: value for key, value in document.items() if value is not None}
    for key in ("method", "path_regex", "body_contains"):
        if key in given and (not isinstance(given[key], str) or not given[key]):
            raise RuleError(f"{where}: {key} must be a text.")
    for key, least in (("every", 1), ("skip", 0), ("times", 0)):
        if key in given:
            _whole(given[key], least, f"{where}: {key}")
    try:
        pattern = re.compile(given["path_regex"]) if "path_regex" in given else None
    except re.error as error:
        raise RuleError(f"{where}: path_regex is no regular expression: {error}.") from error
    body = given["body_contains"].encode() if "body_contains" in given else None
    return Match(
        given.get("method"), pattern, body, given.get("every", 1), given.get("skip", 0), given.get("times")
    )


def _action(document: object, where: str) -> Action:
    if not isinstance(document, dict):
        raise RuleError(f"{where}: action must be a JSON object.")
    kinds = sorted(document.keys() & _ACTIONS.keys())
    if len(kinds) != 1:
        raise RuleError(f"{where}: action must have exactly one of {', '.join(_ACTIONS)}.")
    _known(document, frozenset({kinds[0]} | ({"when"} if kinds[0] == "delay" else set())), f"{where}: action")
    return _ACTIONS[kinds[0]](document, f"{where}: {kinds[0]}")


def _respond(document: dict[str, Any], where: str) -> Action:
    answer = document["respond"]
    if not isinstance(answer, dict):
        raise RuleError(f"{where} must be a JSON object with status, headers and body.")
    _known(answer, frozenset({"status", "headers", "body"}), where)
    status = _whole(answer.get("status"), 200, f"{where}: status")
    if status > 599:
        raise RuleError(f"{where}: status must be at most 599.")
    headers, body = answer.get("headers") or {}, answer.get("body") or ""
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise RuleError(f"{where}: headers must be an object of texts.")
    try:
        fields = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items())
    except UnicodeEncodeError as error:
        raise RuleError(f"{where}: headers must be Latin-1.") from error
    if any(b"\r" in part or b"\n" in part for pair in fields for part in pair):
        raise RuleError(f"{where}: headers must not hold line ends.")
    return Action("respond", status=status, headers=fields, body=_body(body, f"{where}: body"))


def _delay(document: dict[str, Any], where: str) -> Action:
    seconds = document["delay"]
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not 0 <= seconds <= _LONGEST_DELAY
    ):
        raise RuleError(f"{where} must be seconds, at most {_LONGEST_DELAY:g}.")
    return Action("delay", seconds=float(seconds), after=_when(document.get("when", "before"), where))


def _reset(document: dict[str, Any], where: str) -> Action:
    return Action("reset", after=_when(document["reset"], where))


def _truncate(document: dict[str, Any], where: str) -> Action:
    return Action("truncate_body", count=_whole(document["truncate_body"], 0, where))


def _replace(document: dict[str, Any], where: str) -> Action:
    return Action("replace_body", body=_body(document["replace_body"], where))


def _flag(kind: str) -> Callable[[dict[str, Any], str], Action]:
    def parse(document: dict[str, Any], where: str) -> Action:
        if document[kind] is not True:
            raise RuleError(f"{where} must be true.")
        return Action(kind)

    return parse


_ACTIONS: dict[str, Callable[[dict[str, Any], str], Action]] = {
    "respond": _respond,
    "delay": _delay,
    "reset": _reset,
    "pretend_stored": _flag("pretend_stored"),
    "hang_after_headers": _flag("hang_after_headers"),
    "truncate_body": _truncate,
    "flip_bit": _flag("flip_bit"),
    "replace_body": _replace,
}


def _when(value: object, where: str) -> bool:
    if value not in {"before", "after"}:
        raise RuleError(f'{where} must be "before" or "after".')
    return value == "after"


def _body(value: object, where: str) -> bytes:
    if not isinstance(value, str):
        raise RuleError(f"{where} must be a text.")
    return value.encode()


def _whole(value: object, least: int, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise RuleError(f"{where} must be a whole number of at least {least}.")
    return value


def _known(document: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    if unknown := sorted(document.keys() - known):
        raise RuleError(f"{where}: {unknown[0]} is not known; known are {', '.join(sorted(known))}.")
