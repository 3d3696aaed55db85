"""Requests of each kind, with the data action each needs, and tokens made to measure."""

import base64
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from fixtures.clients.answers import Response
from fixtures.clients.dicomweb import AS_STORED, DICOM_JSON, OCTETS
from fixtures.clients.http import HttpClient
from suites.azure.data import Made
from suites.azure.service import Service

OWNER, READER = "DICOM Data Owner", "DICOM Data Reader"
JSON = (("Accept", DICOM_JSON),)


@dataclass(frozen=True)
class Call:
    """One request below the version segment, and the data action it needs (AUTH-018 to AUTH-022)."""

    name: str
    method: str
    path: str
    action: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def by(self, http: HttpClient, version: str = "v2") -> Response:
        """Send it."""
        return http.request(self.method, f"/{version}{self.path}", headers=self.headers, body=self.body)

    def at(self, path: str) -> "Call":
        """The same at another path."""
        return replace(self, path=path)


def storing(made: Made) -> list[Call]:
    """Store, without and with the study in the path."""
    headers = (*JSON, ("Content-Type", "application/dicom"))
    paths = {"store": "/studies", "store into study": made.path("study")}
    return [Call(name, "POST", path, "write", headers, made.part10) for name, path in paths.items()]


def retrieving(made: Made) -> list[Call]:
    """Every WADO resource of an instance."""
    found = []
    for level in ("study", "series", "instance"):
        path = made.path(level)
        found.append(Call(f"retrieve {level}", "GET", path, "read", (("Accept", AS_STORED),)))
        found.append(Call(f"metadata of {level}", "GET", f"{path}/metadata", "read", JSON))
    image = (("Accept", "image/jpeg"),)
    path = made.path()
    return [
        *found,
        Call("frames", "GET", f"{path}/frames/1", "read", (("Accept", OCTETS),)),
        Call("rendered", "GET", f"{path}/rendered", "read", image),
        Call("rendered frame", "GET", f"{path}/frames/1/rendered", "read", image),
    ]


def searching(made: Made) -> list[Call]:
    """The six searches, each restricted to the instance's own study."""
    own = f"?StudyInstanceUID={made.study}"
    return [
        Call(f"search {path.rpartition('/')[2]} in {path}", "GET", f"{path}{query}", "read", JSON)
        for path, query in (
            ("/studies", own),
            ("/series", own),
            ("/instances", own),
            (f"{made.path('study')}/series", ""),
            (f"{made.path('study')}/instances", ""),
            (f"{made.path('series')}/instances", ""),
        )
    ]


def feeding() -> list[Call]:
    """The change feed."""
    return [
        Call("change feed", "GET", "/changefeed?limit=1", "read"),
        Call("latest change", "GET", "/changefeed/latest", "read"),
    ]


def deleting(made: Made) -> list[Call]:
    """Delete, from the instance up."""
    return [
        Call(f"delete {level}", "DELETE", made.path(level), "delete")
        for level in ("instance", "series", "study")
    ]


def minted(service: Service, *, signed: str = "current", **claims: Any) -> HttpClient:
    """Somebody whose token has these claims instead of the owner's; None leaves one out. Needs `identity-admin`."""
    owner = service.deployment.identity.applications["owner"]
    token = service.identity_admin.mint(claims, sign_with=signed, client_id=owner.client_id)
    return bearing(service, token)


def bearing(service: Service, token: str) -> HttpClient:
    """Somebody with this very token."""
    return service.anonymous.with_token(lambda: token)


def in_seconds(seconds: float) -> int:
    """The time so many seconds from now, as tokens write it."""
    return int(time.time() + seconds)


def with_claims(token: str, **claims: Any) -> str:
    """A token whose payload was changed after it was signed."""
    head, payload, signature = token.split(".")
    document = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    changed = base64.urlsafe_b64encode(json.dumps(document | claims).encode()).decode().rstrip("=")
    return f"{head}.{changed}.{signature}"


def challenge(answer: Response) -> dict[str, str]:
    """The scheme (under `scheme`) and the parameters of WWW-Authenticate; every value is quoted."""
    scheme, _, rest = answer.header("WWW-Authenticate").partition(" ")
    pairs: Iterable[str] = (part for part in rest.split('"') if part.strip(" ,"))
    flat = [part.strip(" ,=") for part in pairs]
    return {"scheme": scheme, **dict(zip(flat[::2], flat[1::2], strict=False))}
