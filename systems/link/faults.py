"""The faults of a route, as values: what they are called, what they need and what they mean for the listener."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, get_args

Direction = Literal["up", "down"]
"""`up` is from the client to the target, `down` the way back."""

_LONGEST_DELAY = 3600.0


class FaultError(ValueError):
    """A fault that cannot be set; the message says what to give."""


class Listening(Enum):
    """What a connection attempt meets."""

    OPEN = "it is accepted"
    CLOSED = "it is refused"
    STALLED = "it gets no answer"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a route; `seconds`, `bytes_per_second` and `count` belong to the kinds that need them."""

    kind: str = "pass"
    direction: str = "both"
    seconds: float = 0.0
    bytes_per_second: int = 0
    count: int = 0

    @property
    def listening(self) -> Listening:
        """What the listener does under this fault."""
        return {"refuse": Listening.CLOSED, "unanswered": Listening.STALLED}.get(self.kind, Listening.OPEN)

    @property
    def silent(self) -> bool:
        """Whether open connections stay and no byte passes."""
        return self.kind in {"blackhole", "unanswered"}

    @property
    def severs(self) -> bool:
        """Whether open connections are reset."""
        return self.kind in {"refuse", "reset"}

    def takes(self, direction: Direction) -> bool:
        """Whether the fault works in `direction`."""
        return self.direction in {"both", direction}

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        parameters = {name: getattr(self, _FIELDS.get(name, name)) for name in _PARAMETERS[self.kind]}
        return {"kind": self.kind, **parameters}


PASS = Fault()

_PARAMETERS: dict[str, tuple[str, ...]] = {
    "pass": (),
    "refuse": (),
    "blackhole": (),
    "reset": (),
    "unanswered": (),
    "delay": ("seconds", "direction"),
    "bandwidth": ("bytes_per_second", "direction"),
    "cut-after": ("bytes", "direction"),
}
_FIELDS = {"bytes": "count"}


def parse_fault(document: object) -> Fault:
    """Return the fault a JSON document asks for. Raises `FaultError`."""
    if not isinstance(document, dict):
        raise FaultError('A fault is a JSON object such as {"kind": "refuse"}.')
    kind = document.get("kind")
    if not isinstance(kind, str) or kind not in _PARAMETERS:
        raise FaultError(f"kind must be one of {', '.join(_PARAMETERS)}.")
    known = _PARAMETERS[kind]
    if unknown := sorted(document.keys() - {"kind", *known}):
        raise FaultError(f"{kind} has no parameter {unknown[0]}; it takes {', '.join(known) or 'none'}.")
    values: dict[str, Any] = {}
    for name in known:
        if name == "direction":
            values[name] = _direction(document.get(name, "both"))
        elif name not in document:
            raise FaultError(f"{kind} needs {name}.")
        else:
            values[_FIELDS.get(name, name)] = (
                _seconds(document[name]) if name == "seconds" else _count(kind, name, document)
            )
    return Fault(kind, **values)


def _direction(value: object) -> str:
    if value not in {"both", *get_args(Direction)}:
        raise FaultError("direction must be up, down or both.")
    return str(value)


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _LONGEST_DELAY:
        raise FaultError(f"seconds must be a number above 0 and at most {_LONGEST_DELAY:g}.")
    return float(value)


def _count(kind: str, name: str, document: dict[str, Any]) -> int:
    value, least = document[name], 0 if kind == "cut-after" else 1
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise FaultError(f"{name} must be a whole number of at least {least}.")
    return value
