"""What went over a route in HTTP mode: one entry an exchange, bounded, without tokens."""

import base64
import binascii
import json
import re
from collections import deque
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

from systems.link.messages import Head

_KEPT = 20_000
_TOKEN_IN_QUERY = re.compile(r"([?&](?:access_token|token|code|client_secret)=)[^&]*", re.IGNORECASE)


@dataclass(slots=True)
class Entry:
    """One exchange. Sizes are of the bodies' content in bytes.

    `status` is what the client got and `target_status` what the target answered, each `None` without an answer.
    `outcome` is "answered", "reset" (by a rule), "truncated", "hung", "no answer" (the target gave none), "broken"
    (the client left, or one side ended in the middle of a message) or "open" (not yet over).
    """

    time: str
    method: str
    path: str
    client_id: str | None
    sequence: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    status: int | None = None
    target_status: int | None = None
    rule: str | None = None
    outcome: str = "open"
    seconds: float = 0.0
    sop_instance_uids: list[str] = field(default_factory=list)


class Journal:
    """The last exchanges, numbered in the order they ended. A gap in the numbers shows that older ones were dropped."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=_KEPT)
        self._sequence = count(1)

    def add(self, entry: Entry) -> None:
        """Number an entry and keep it."""
        entry.sequence = next(self._sequence)
        self._entries.append(entry)

    def since(self, sequence: int) -> list[dict[str, Any]]:
        """Return the entries after a sequence number."""
        return [asdict(entry) for entry in self._entries if entry.sequence > sequence]

    def clear(self) -> None:
        """Forget the entries; numbers go on."""
        self._entries.clear()


def new_entry(head: Head) -> Entry:
    """Return the entry of a request that has just begun."""
    return Entry(
        time=datetime.now(UTC).isoformat(timespec="milliseconds"),
        method=head.method,
        path=_TOKEN_IN_QUERY.sub(r"\1...", head.target),
        client_id=_client_id(head.value(b"authorization")),
    )


def _client_id(authorization: bytes) -> str | None:
    """Return which application a bearer token was issued to, unverified; the token itself is not kept."""
    parts = authorization.partition(b" ")[2].strip().split(b".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + b"=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return None
    client = claims.get("azp", claims.get("appid")) if isinstance(claims, dict) else None
    return client if isinstance(client, str) else None
