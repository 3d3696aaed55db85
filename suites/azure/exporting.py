"""Exports as tests make them, and the container they go to.

The container is that of CONFORMANCE_EXPORT_CONTAINER, a URI with a shared access signature that may read and write; where
it is not set, one made in the storage account that the reference service has built in.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from fixtures.clients.answers import Response, expect
from fixtures.clients.dicomweb import DicomWeb
from fixtures.clients.http import HttpClient
from fixtures.evidence.exchange import Recorder
from fixtures.waiting import eventually
from suites.azure.data import Made
from suites.azure.service import Service

VARIABLE = "CONFORMANCE_EXPORT_CONTAINER"
ACCOUNT = "devstoreaccount1"
CONNECTION = "UseDevelopmentStorage=true"

Json = dict[str, Any]


@dataclass(frozen=True)
class Container:
    """A blob container: `uri` is how an export names it, `http` and `query` are how its blobs are read."""

    uri: str
    http: HttpClient
    path: str
    query: str = ""
    name: str = ""

    @property
    def destination(self) -> Json:
        """The settings of an export that goes here."""
        return {"blobContainerUri": self.uri}

    def blob(self, name: str) -> Response:
        """Read a blob."""
        return self.http.request("GET", f"{self.path}/{name}", query=self.query)

    def lines(self, name: str) -> list[Json]:
        """The JSON objects of a blob that has one a line."""
        answer = expect(f"blob {name}", self.blob(name))
        return [json.loads(line) for line in answer.body.decode().splitlines() if line.strip()]


@contextmanager
def container(service: Service, name: str) -> Iterator[Container]:
    """The container for a module's exports."""
    given = os.environ.get(VARIABLE)
    if given:
        parts = urlsplit(given)
        http = HttpClient(f"{parts.scheme}://{parts.netloc}", recorder=Recorder())
        yield Container(given, http, parts.path, parts.query, parts.path.strip("/"))
        return
    http, path = service.http("owner"), f"/{ACCOUNT}/{name}"
    expect("making a container", http.request("PUT", path, query="restype=container"), 201)
    yield Container(f"{http.base_url}{path}", http, path, name=name)
    expect("removing the container", http.request("DELETE", path, query="restype=container"), 202)


def body(values: object, settings: Mapping[str, Any], **other: Any) -> Json:
    """The body of an export; `other` replaces members."""
    source = {"type": "identifiers", "settings": {"values": values}}
    return {"source": source, "destination": {"type": "azureBlob", "settings": dict(settings)}, **other}


def post(web: DicomWeb, content: object, *, content_type: str | None = "application/json") -> Response:
    """POST /export with a JSON value, or with these very bytes."""
    sent = content if isinstance(content, bytes) else json.dumps(content).encode()
    headers = [("Content-Type", content_type)] if content_type else []
    return web.request("POST", "/export", headers=headers, body=sent)


def finished(web: DicomWeb, started: Response) -> Json:
    """The operation of an export, once it has ended."""
    assert started.status == 202, started.describe()
    identifier = started.json()["id"]

    def state() -> Json | None:
        answer = web.request("GET", f"/operations/{identifier}")
        assert answer.status in (200, 202), answer.describe()
        found: Json = answer.json()
        return found if answer.status == 200 else None

    return eventually(state, within=60, because=f"export {identifier} should end") or {}


def place(identifier: str, made: Made) -> str:
    """Where an instance is written (EXP-013)."""
    return f"{identifier}/results/{made.study}/{made.series}/{made.instance}.dcm"
