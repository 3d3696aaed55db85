"""The library requests as a client: every request of Microsoft's Python tutorial, coded as it says."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import requests
from urllib3.filepost import choose_boundary, encode_multipart_formdata

from fixtures.clients.answers import Response
from fixtures.clients.dicomweb import DICOM_JSON, DicomWeb
from fixtures.traceability import requirement
from suites.azure.data import Made, Maker
from suites.azure.service import VERSIONS, Service
from suites.azure.stow import DUPLICATE, refused
from suites.azure.witness.sample import Sample, sample_of, stored_sample
from suites.azure.witness.tutorial import (
    ALL_AS_STORED,
    FRAMES,
    LEVELS,
    ONE_AS_STORED,
    SEARCHES,
    Search,
    assert_files,
    assert_found,
    assert_frame,
    assert_metadata,
    assert_stored,
)

pytestmark = pytest.mark.azure

_SECONDS = 60
JSON = {"Accept": DICOM_JSON}


class Tutorial:
    """The tutorial's `requests.session()` and base address."""

    def __init__(self, service: Service, version: str, session: requests.Session) -> None:
        cloud = service.deployment.cloud
        self._base = f"{cloud.url}/{version}"
        self._token = service.tokens("owner")
        self._session = session
        session.trust_env = False  # a CA bundle or proxy of the environment is not the run's
        session.verify = str(cloud.ca_file) if cloud.ca_file else True

    def __call__(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        *,
        body: bytes | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Response:
        """Send it, and what was answered; requests adds its own User-Agent, Accept-Encoding and Connection."""
        sent = {**headers, "Authorization": f"Bearer {self._token()}"}
        answer = self._session.request(
            method, self._base + path, data=body, headers=sent, params=params, timeout=_SECONDS
        )
        return Response(answer.status_code, tuple(answer.headers.items()), answer.content, answer.reason)


@pytest.fixture(params=VERSIONS)
def client(request: pytest.FixtureRequest, service: Service) -> Iterator[Tutorial]:
    """A session at each API version in turn."""
    with requests.Session() as session:
        yield Tutorial(service, request.param, session)


@pytest.fixture(scope="module")
def sample(v2: DicomWeb, make: Maker) -> Sample:
    """The tutorial's study, stored."""
    return stored_sample(v2, make)


def encoded(*made: Made) -> tuple[bytes, str]:
    """Body and content type as the tutorial makes them: form data of urllib3 under another name, without `type`."""
    boundary = choose_boundary()
    fields: dict[str, Any] = {
        f"file{number}": ("dicomfile", one.part10, "application/dicom") for number, one in enumerate(made)
    }
    body, _ = encode_multipart_formdata(fields, boundary)
    return body, f"multipart/related; boundary={boundary}"


@requirement("STOW-137", "STOW-001", "STOW-002", "STOW-013", "STOW-118")
@pytest.mark.parametrize("in_study", [False, True])
def test_store_form(client: Tutorial, v2: DicomWeb, make: Maker, in_study: bool) -> None:
    """Several files, encoded as form data and sent as multipart/related, are stored (STOW-137)."""
    sample = sample_of(make)
    body, content_type = encoded(*sample.all)
    path = LEVELS["study"].format(**sample.names) if in_study else "/studies"
    assert_stored(client("POST", path, {**JSON, "Content-Type": content_type}, body=body), *sample.all)
    assert sorted(v2.retrieve(sample.triangle.study)) == sorted(one.part10 for one in sample.all)


@requirement("STOW-010", "STOW-062", "STOW-117")
def test_store_binary_twice(client: Tutorial, v2: DicomWeb, make: Maker) -> None:
    """One file in the body is stored; the second time it is a conflict, as the tutorial says (STOW-010, STOW-062)."""
    made = make()
    headers = {**JSON, "Content-Type": "application/dicom"}
    assert_stored(client("POST", "/studies", headers, body=made.part10), made)
    again = client("POST", "/studies", headers, body=made.part10)
    assert refused(again) == (409, [DUPLICATE]), again.describe()
    assert v2.retrieve(*made.uids) == [made.part10]


@requirement("WADO-001", "WADO-002", "WADO-017")
@pytest.mark.parametrize("level", ["study", "series"])
def test_retrieve(client: Tutorial, sample: Sample, level: str) -> None:
    """All files of a study or series come as they were stored, and pydicom reads them (WADO-001, WADO-002)."""
    answer = client("GET", LEVELS[level].format(**sample.names), {"Accept": ALL_AS_STORED})
    assert_files(answer, *sample.within(level))


@requirement("WADO-003", "WADO-005")
def test_retrieve_instance(client: Tutorial, sample: Sample) -> None:
    """One file comes as it was stored (WADO-003, WADO-005)."""
    answer = client("GET", LEVELS["instance"].format(**sample.names), {"Accept": ONE_AS_STORED})
    assert (answer.status, answer.body == sample.triangle.part10) == (200, True), answer.describe()


@requirement("META-001", "META-002", "META-003", "META-004")
@pytest.mark.parametrize("level", LEVELS)
def test_metadata(client: Tutorial, sample: Sample, level: str) -> None:
    """The metadata of each level comes for all its instances (META-001 to META-004)."""
    answer = client("GET", LEVELS[level].format(**sample.names) + "/metadata", JSON)
    assert_metadata(answer, *sample.within(level))


@requirement("FRAME-001", "FRAME-004")
@pytest.mark.parametrize(
    "accept", [FRAMES + "*", 'multipart/related; type="application/octet-stream";'], ids=["any", "default"]
)
def test_frame(client: Tutorial, sample: Sample, accept: str) -> None:
    """The frame comes with any transfer syntax and without one, behind a trailing semicolon (FRAME-001, FRAME-004)."""
    path = LEVELS["instance"].format(**sample.names) + "/frames/1"
    assert_frame(client("GET", path, {"Accept": accept}), sample.triangle)


@requirement("QIDO-001", "QIDO-002", "QIDO-003", "QIDO-004", "QIDO-005", "QIDO-006")
@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.path)
def test_search(client: Tutorial, sample: Sample, search: Search) -> None:
    """Exactly the object asked for by its UID is found on the six resources (QIDO-001 to QIDO-006)."""
    path = search.path.format(**sample.names)
    answer = client("GET", path, JSON, params={search.parameter: sample.names[search.name]})
    assert_found(answer, search, sample)


@requirement("DEL-001", "DEL-002", "DEL-003", "DEL-010", "DEL-016")
def test_delete(client: Tutorial, v2: DicomWeb, make: Maker) -> None:
    """Instance, series and study are deleted with 204, and what is gone is 404 (DEL-001 to DEL-003, DEL-010)."""
    sample = stored_sample(v2, make)
    for level in ("instance", "series", "study"):
        path = LEVELS[level].format(**sample.names)
        answer = client("DELETE", path, {})
        assert (answer.status, answer.body) == (204, b""), f"{level}: {answer.describe()}"
        assert client("DELETE", path, {}).status == 404, level
    assert v2.metadata(sample.triangle.study).status == 404
