"""Extended query tags and operations as tests use them: what is added is deleted again, whatever happens."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fixtures.clients.answers import Response
from fixtures.clients.dicomweb import DicomWeb
from fixtures.waiting import eventually

JSON = "application/json"
CREATOR = "CONFORMANCE TESTS"
_WITHIN = 60.0  # OPS-021: seconds to minutes, for a few instances
_TRIES = 30

Element = dict[str, Any]


def element(path: str, level: str = "instance", vr: str | None = None, creator: str | None = None) -> Element:
    """One element of an add request; None leaves a member out."""
    given = {"path": path, "level": level, "vr": vr, "privateCreator": creator}
    return {name: value for name, value in given.items() if value is not None}


def private_path() -> str:
    """The path of a private tag that nobody else uses."""
    return f"{0x1101 + 2 * secrets.randbelow(0x1000):04X}{0x1000 + secrets.randbelow(0xE000):04X}"


def private(level: str = "instance", vr: str = "LO") -> Element:
    """A private tag that nobody else uses, which no stored instance has."""
    return element(private_path(), level, vr, CREATOR)


class Tags:
    """The tag resource of one API version; `close` deletes what was added."""

    def __init__(self, web: DicomWeb) -> None:
        self.web = web
        self._added: dict[str, None] = {}

    def post(self, body: Any, content_type: str | None = JSON) -> Response:
        """An add request with this body, JSON unless it is bytes; what it adds is deleted at the end."""
        headers = [("Content-Type", content_type)] if content_type is not None else []
        answer = self.web.request("POST", "/extendedquerytags", headers=headers, body=encoded(body))
        if answer.status == 202:
            self._added |= dict.fromkeys(one.get("path") or one["Path"] for one in body)
        return answer

    def start(self, *elements: Element) -> str:
        """Add tags; returns the operation's id at once."""
        answer = self.post(list(elements))
        assert answer.status == 202, f"adding {elements}: {answer.describe()}"
        identifier: str = answer.json()["id"]
        return identifier

    def add(self, *elements: Element) -> Response:
        """Add tags and wait until they are ready; returns the operation's last answer."""
        return ended(self.web, self.start(*elements))

    def get(self, path: str = "", **query: int | str) -> Response:
        """GET the list, a tag or what lies below it."""
        return self.web.request(
            "GET",
            f"/extendedquerytags{below(path)}",
            query=[(name, str(value)) for name, value in query.items()],
        )

    def one(self, path: str) -> dict[str, Any]:
        """A tag that is there."""
        answer = self.get(path)
        assert answer.status == 200, answer.describe()
        found: dict[str, Any] = answer.json()
        return found

    def patch(self, path: str, body: Any, content_type: str | None = JSON) -> Response:
        """Change a tag."""
        headers = [("Content-Type", content_type)] if content_type is not None else []
        return self.web.request("PATCH", f"/extendedquerytags/{path}", headers=headers, body=encoded(body))

    def delete(self, path: str) -> Response:
        """Delete a tag."""
        return self.web.request("DELETE", f"/extendedquerytags/{path}")

    def close(self) -> None:
        """Delete everything that was added and is still there."""
        for path in self._added:
            answer = self.delete(path)
            assert answer.status in (204, 404), f"clean-up of tag {path}: {answer.describe()}"


@contextmanager
def tags_of(web: DicomWeb) -> Iterator[Tags]:
    """The tags of a test or module."""
    tags = Tags(web)
    try:
        yield tags
    finally:
        tags.close()


def below(path: str) -> str:
    """A path below a resource, empty for the resource itself."""
    return f"/{path}" if path else ""


def encoded(body: Any) -> bytes:
    """The body of a request: bytes as they are, anything else as JSON."""
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def operation(web: DicomWeb, identifier: str) -> Response:
    """The state of an operation."""
    return web.request("GET", f"/operations/{identifier}")


def ended(web: DicomWeb, identifier: str) -> Response:
    """The answer of an operation that has ended well."""

    def answer() -> Response | None:
        seen = operation(web, identifier)
        assert seen.status in (200, 202), seen.describe()
        return seen if seen.status == 200 else None

    last = eventually(answer, within=_WITHIN, because=f"operation {identifier} should end")
    assert last is not None
    assert last.json()["status"] in ("succeeded", "completed"), last.describe()
    return last


def refused(answer: Response, *parts: str, status: int = 400) -> None:
    """A refusal whose text has these parts, in any letter case."""
    text = answer.body.decode()
    assert answer.status == status, answer.describe()
    for part in parts:
        assert part.lower() in text.lower(), f"{part!r} is not in {answer.describe()}"


def tries() -> range:
    """How often a test may try to meet an operation that runs only for moments."""
    return range(_TRIES)
