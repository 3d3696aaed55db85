"""Identity: a bearer token in a generic client is enough (CLAIM-AUTH-08)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from fixtures.clients import multipart
from fixtures.clients.answers import Response
from fixtures.clients.dicomweb import DICOM_JSON
from fixtures.data import Study
from fixtures.evidence.fingerprint import fingerprint, same
from fixtures.traceability import needs, requirement
from fixtures.world import World
from suites.azure.service import Service
from suites.azure.witness.curl import Curl
from suites.demo.signing_in import link_http

pytestmark = pytest.mark.demo

FILES = 'multipart/related; type="application/dicom"; transfer-syntax=*'
UNQUOTED = "multipart/related; type=application/dicom; transfer-syntax=*"
Headers = list[tuple[str, str]]


@dataclass(frozen=True)
class Step:
    """One request: what it is for, and what it says."""

    name: str
    method: str
    path: str
    accept: str
    content_type: str = ""
    body: bytes = b""

    @property
    def headers(self) -> Headers:
        """The minimal set but Host and Authorization."""
        given = [("Accept", self.accept)]
        return [*given, ("Content-Type", self.content_type)] if self.content_type else given


def _steps(study: Study) -> list[Step]:
    content_type, body = multipart.encode([i.part10 for i in study.instances])
    own = f"/studies/{study.study_instance_uid}"
    return [
        Step("store", "POST", "/studies", DICOM_JSON, content_type, body),
        Step("search", "GET", f"/studies?StudyInstanceUID={study.study_instance_uid}", DICOM_JSON),
        Step("retrieve", "GET", own, FILES),
        Step("retrieve, unquoted type", "GET", own, UNQUOTED),
        Step("metadata", "GET", f"{own}/metadata", DICOM_JSON),
        Step("change feed", "GET", "/changefeed/latest", "application/json"),
        Step("tags", "GET", "/extendedquerytags", "application/json"),
    ]


@requirement("CLAIM-AUTH-08")
@needs("http-interposer", "change-feed")
def test_plain_requests_with_a_token_are_enough(world: World, tmp_path: Path) -> None:
    """Store, search, retrieval, change feed and tags with Host, Authorization, Accept and Content-Type; curl gets the same.

    CLAIM-AUTH-08: the statuses are those on record at the link.
    """
    plain, curled = world.sized_studies(count=2, instances=2, matrix=16)
    world.register([plain, curled])
    version = world.deployment.cloud.version
    bare = link_http(world, user_agent=None).with_token(world.owner)
    curl = Curl(_through_link(world), version, tmp_path)

    def by_hand(step: Step) -> Response:
        return bare.request(step.method, f"/{version}{step.path}", headers=step.headers, body=step.body)

    def by_curl(step: Step) -> Response:
        body = ["--data-binary", f"@{curl.file('request', step.body)}"] if step.body else []
        # curl would say who it is.
        return curl(step.method, step.path, "--user-agent", "", *body, headers=step.headers)

    statuses = {
        name: _played(world, study, ask)
        for name, study, ask in (("by hand", plain, by_hand), ("curl", curled, by_curl))
    }
    assert statuses["by hand"] == statuses["curl"], statuses
    world.expect("cloud", [plain, curled])
    world.evidence.note(
        f"{len(statuses['curl'])} operations by hand and by curl, with Host, Authorization, Accept and Content-Type only: "
        "the same statuses at the link, the same data sets."
    )


def _played(world: World, study: Study, ask: Callable[[Step], Response]) -> dict[str, int | None]:
    """Take every step; the statuses that the link has recorded, by step. What is retrieved must be what was made."""
    seen: dict[str, int | None] = {}
    for step in _steps(study):
        mark = world.link_mark()
        answer = ask(step)
        assert answer.status == 200, f"{step.name}: {answer.describe()} {answer.body[:300]!r}"
        (exchange,) = world.link_since(mark)
        assert exchange.status == answer.status, (
            f"{step.name}: {exchange.status} at the link, {answer.status} here"
        )
        seen[step.name] = exchange.status
        if step.name.startswith("retrieve"):
            _expect_same(
                study, [p.body for p in multipart.read(answer.header("Content-Type"), [answer.body])]
            )
    return seen


@requirement("CLAIM-AUTH-08")
@needs("http-interposer")
def test_dicomweb_client_works_with_the_token_alone(world: World) -> None:
    """The library dicomweb-client, given the URL and the token, stores, searches and retrieves.

    CLAIM-AUTH-08.
    """
    study = world.series(instances=2, matrix=16)
    world.register([study])
    uid = study.study_instance_uid
    mark = world.link_mark()
    with _library(world) as client:
        client.store_instances([dcmread(DicomBytesIO(i.part10)) for i in study.instances])
        (found,) = client.search_for_studies(search_filters={"StudyInstanceUID": uid})
        assert found["0020000D"]["Value"] == [uid]
        assert len(client.retrieve_study_metadata(uid)) == len(study.instances)
        client.retrieve_study(uid, media_types=(("application/dicom", "*"),))
    assert [(e.method, e.status) for e in world.link_since(mark)] == [("POST", 200), *[("GET", 200)] * 3]
    world.expect("cloud", [study])


@requirement("CLAIM-AUTH-08")
def test_token_counts_in_its_own_header_only(world: World) -> None:
    """The token in the query or in another header is none: 401; in Authorization it lets the same request in.

    CLAIM-AUTH-08.
    """
    token, path = world.owner(), f"/{world.deployment.cloud.version}/studies?limit=1"
    accept = ("Accept", DICOM_JSON)
    assert world.with_token(token).request("GET", path, headers=[accept]).status in (200, 204)
    for name, where, headers in (
        ("X-Authorization", path, [("X-Authorization", f"Bearer {token}")]),
        ("X-MS-TOKEN-AAD-ACCESS-TOKEN", path, [("X-MS-TOKEN-AAD-ACCESS-TOKEN", token)]),
        ("the query", f"{path}&access_token={token}", []),
    ):
        answer = world.anonymous.request("GET", where, headers=[accept, *headers])
        assert answer.status == 401, f"the token in {name}: {answer.status}"


def _expect_same(study: Study, files: list[bytes]) -> None:
    made = {i.sop_instance_uid: i.fingerprint for i in study.instances}
    seen = {one.sop_instance_uid: one for one in map(fingerprint, files)}
    assert seen.keys() == made.keys()
    assert all(same(made[uid], seen[uid]) for uid in made)


def _through_link(world: World) -> Service:
    """The service as its callers on premises reach it."""
    deployment = world.deployment
    url = f"https://{world.link_endpoint.routes['cloud']}"
    endpoints = replace(deployment.endpoints, cloud=replace(deployment.cloud, url=url))
    return Service(replace(deployment, endpoints=endpoints), world.recorder)


@contextmanager
def _library(world: World) -> Iterator[DICOMwebClient]:
    cloud = world.deployment.cloud
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(cloud.ca_file) if cloud.ca_file else True
        session.headers["Authorization"] = f"Bearer {world.owner()}"
        url = f"https://{world.link_endpoint.routes['cloud']}/{cloud.version}"
        yield DICOMwebClient(url, session=session)
