"""The library requests as a client: every request of Microsoft's Python tutorial, coded as it says."""

from collections.abc import Iterator

import pytest
import requests

from fixtures.clients.dicomweb import DICOM_JSON, DicomWeb
from fixtures.traceability import requirement
from suites.azure.data import Maker
from suites.azure.service import VERSIONS, Service
from suites.azure.stow import DUPLICATE, refused
from suites.azure.witness.python import Tutorial, encoded
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

JSON = {"Accept": DICOM_JSON}


@pytest.fixture(params=VERSIONS)
def client(request: pytest.FixtureRequest, service: Service) -> Iterator[Tutorial]:
    """A session at each API version in turn."""
    with requests.Session() as session:
        yield Tutorial(service, request.param, session)


@pytest.fixture(scope="module")
def sample(v2: DicomWeb, make: Maker) -> Sample:
    """The tutorial's study, stored."""
    return stored_sample(v2, make)


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
