"""What a reconciliation is asked, and what it finds."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

from systems.router.errors import ConfigError
from systems.router.objects import Identity
from systems.router.store.model import Location

_KEYS: Final = frozenset({"since", "until", "studies", "deep", "repair", "signed_off_by"})


class Kind(Enum):
    """What is wrong with an instance at a destination."""

    MISSING = "missing"
    EXTRA = "extra"
    DIFFERS = "differs"
    DEAD = "dead-lettered"
    NOT_COMPARED = "not compared"


@dataclass(frozen=True, slots=True)
class Request:
    """The period is that of reception, in seconds since the epoch; without `studies` all of it is compared.

    `deep` reads every copy back and compares its bytes; `repair` puts what is missing back into its queue.
    """

    since: float = 0.0
    until: float = 1e12
    studies: tuple[str, ...] = ()
    deep: bool = False
    repair: bool = False
    signed_off_by: str = ""

    @classmethod
    def from_json(cls, body: object) -> "Request":
        """Read `{"since", "until", "studies", "deep", "repair", "signed_off_by"}`, all optional.

        Raises:
            ConfigError: the message names the key.

        """
        if not isinstance(body, dict):
            raise ConfigError("a reconciliation is asked for by a JSON object")
        for key in body:
            if key not in _KEYS:
                raise ConfigError(f"{key}: is not known; known keys: {', '.join(sorted(_KEYS))}")
        studies = body.get("studies", [])
        if not isinstance(studies, list) or not all(isinstance(uid, str) and _is_uid(uid) for uid in studies):
            raise ConfigError("studies: must be a list of Study Instance UIDs")
        name = body.get("signed_off_by", "")
        if not isinstance(name, str) or len(name) > 200:
            raise ConfigError("signed_off_by: must be a name of at most 200 characters")
        request = cls(
            _moment("since", body.get("since"), 0.0),
            _moment("until", body.get("until"), 1e12),
            tuple(studies),
            _flag(body, "deep"),
            _flag(body, "repair"),
            name,
        )
        if request.since >= request.until:
            raise ConfigError("until: must be later than since")
        return request

    def to_json(self) -> dict[str, Any]:
        """As `from_json` reads it."""
        return {
            "since": self.since,
            "until": self.until,
            "studies": list(self.studies),
            "deep": self.deep,
            "repair": self.repair,
            "signed_off_by": self.signed_off_by,
        }


def _flag(body: dict[str, Any], key: str) -> bool:
    value = body.get(key, False)
    if not isinstance(value, bool):
        raise ConfigError(f"{key}: must be true or false")
    return value


def _moment(key: str, value: object, default: float) -> float:
    """Seconds since the epoch, or ISO 8601 text; a time without a zone is UTC."""
    if value is None:
        return default
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise ConfigError(f"{key}: {value!r} is no date or time such as 2026-01-31T08:00") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _is_uid(text: str) -> bool:
    return 0 < len(text) <= 64 and text.isascii() and all(part.isdigit() for part in text.split("."))


@dataclass(frozen=True, slots=True)
class Expected:
    """An instance of the ledger and, by destination, the state of its task."""

    object_id: int
    identity: Identity
    digest: str
    size: int
    location: Location | None
    states: dict[str, int]


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference; `action` says what a repair did about it."""

    destination: str
    kind: Kind
    study_instance_uid: str
    sop_instance_uid: str
    reason: str = ""
    action: str = ""

    def to_json(self) -> dict[str, str]:
        """A row of the report."""
        return {
            "destination": self.destination,
            "kind": self.kind.value,
            "study_instance_uid": self.study_instance_uid,
            "sop_instance_uid": self.sop_instance_uid,
            "reason": self.reason,
            "action": self.action,
        }


@dataclass(slots=True)
class Tally:
    """What was counted at one destination: expected = present + missing + waiting + dead-lettered + not compared.

    `unread` are those present whose content a deep comparison could not read, because the destination offers no way.
    """

    expected: int = 0
    present: int = 0
    missing: int = 0
    waiting: int = 0
    dead_lettered: int = 0
    not_compared: int = 0
    differs: int = 0
    extra: int = 0
    put_back: int = 0
    unread: int = 0
