"""curl as a client: every request of Microsoft's curl tutorial, with the options it gives."""

from pathlib import Path

import pytest

from fixtures.clients.dicomweb import DICOM_JSON, DicomWeb
from fixtures.traceability import requirement
from suites.azure.data import Maker
from suites.azure.service import VERSIONS, Service
from suites.azure.witness.curl import Curl
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

JSON = ("Accept", DICOM_JSON)
RELATED = ("Content-Type", 'multipart/related; type="application/dicom"')


@pytest.fixture(params=VERSIONS)
def curl(request: pytest.FixtureRequest, service: Service, tmp_path: Path) -> Curl:
    """Curl at each API version in turn."""
    return Curl(service, request.param, tmp_path)


@pytest.fixture(scope="module")
def sample(v2: DicomWeb, make: Maker) -> Sample:
    """The tutorial's study, stored."""
    return stored_sample(v2, make)


@requirement("STOW-137", "STOW-001", "STOW-002", "STOW-013", "STOW-118")
@pytest.mark.parametrize("in_study", [False, True])
def test_store_form(curl: Curl, v2: DicomWeb, make: Maker, in_study: bool) -> None:
    """Curl stores files with --form below a multipart/related header of the caller's (STOW-137).

    curl adds the boundary by itself, unquoted, and a Content-Disposition with name and file name to each part.
    """
    sample = sample_of(make)
    files = [curl.file(f"{number}.dcm", one.part10) for number, one in enumerate(sample.all)]
    forms = [f"file{number}=@{file};type=application/dicom" for number, file in enumerate(files)]
    path = LEVELS["study"].format(**sample.names) if in_study else "/studies"
    arguments = [word for form in forms for word in ("--form", form)]
    answer = curl("POST", path, "--location", *arguments, headers=[JSON, RELATED])
    assert_stored(answer, *sample.all)
    assert sorted(v2.retrieve(sample.triangle.study)) == sorted(one.part10 for one in sample.all)


@requirement("STOW-010", "STOW-117")
def test_store_binary(curl: Curl, v2: DicomWeb, make: Maker) -> None:
    """Curl stores one file with --data-binary, and asks before it sends so much (STOW-010, STOW-117)."""
    made = sample_of(make).triangle
    data = f"@{curl.file('one.dcm', made.part10)}"
    headers = [JSON, ("Content-Type", "application/dicom")]
    assert_stored(curl("POST", "/studies", "--location", "--data-binary", data, headers=headers), made)
    assert v2.retrieve(*made.uids) == [made.part10]


@requirement("WADO-001", "WADO-002", "WADO-017")
@pytest.mark.parametrize("level", ["study", "series"])
def test_retrieve(curl: Curl, sample: Sample, level: str) -> None:
    """Curl retrieves all files of a study or series as they were stored (WADO-001, WADO-002)."""
    answer = curl("GET", LEVELS[level].format(**sample.names), headers=[("Accept", ALL_AS_STORED)])
    assert_files(answer, *sample.within(level))


@requirement("WADO-003", "WADO-005")
def test_retrieve_instance(curl: Curl, sample: Sample) -> None:
    """Curl retrieves one file as it was stored (WADO-003, WADO-005)."""
    answer = curl("GET", LEVELS["instance"].format(**sample.names), headers=[("Accept", ONE_AS_STORED)])
    assert (answer.status, answer.body == sample.triangle.part10) == (200, True), answer.describe()


@requirement("META-001", "META-002", "META-003", "META-004")
@pytest.mark.parametrize("level", LEVELS)
def test_metadata(curl: Curl, sample: Sample, level: str) -> None:
    """Curl retrieves the metadata of each level (META-001 to META-004)."""
    answer = curl("GET", LEVELS[level].format(**sample.names) + "/metadata", headers=[JSON])
    assert_metadata(answer, *sample.within(level))


@requirement("FRAME-001", "FRAME-004", "FRAME-005")
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", "*"])
def test_frame(curl: Curl, sample: Sample, syntax: str) -> None:
    """Curl retrieves a frame with each of the tutorial's Accept headers (FRAME-001, FRAME-005)."""
    path = LEVELS["instance"].format(**sample.names) + "/frames/1"
    assert_frame(curl("GET", path, headers=[("Accept", FRAMES + syntax)]), sample.triangle)


@requirement("QIDO-001", "QIDO-002", "QIDO-003", "QIDO-004", "QIDO-005", "QIDO-006")
@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.path)
def test_search(curl: Curl, sample: Sample, search: Search) -> None:
    """Curl finds exactly the object asked for by its UID on the six resources (QIDO-001 to QIDO-006)."""
    path = search.path.format(**sample.names)
    answer = curl("GET", f"{path}?{search.parameter}={sample.names[search.name]}", headers=[JSON])
    assert_found(answer, search, sample)


@requirement("DEL-001", "DEL-002", "DEL-003", "DEL-005", "DEL-007", "DEL-016")
def test_delete(curl: Curl, v2: DicomWeb, make: Maker) -> None:
    """Curl deletes an instance, then what is left of its series, then of the study (DEL-001 to DEL-007)."""
    sample = stored_sample(v2, make)
    left = {"instance": [sample.square, sample.circle], "series": [sample.circle], "study": []}
    for level, remaining in left.items():
        answer = curl("DELETE", LEVELS[level].format(**sample.names))
        assert (answer.status, answer.body) == (204, b""), f"{level}: {answer.describe()}"
        metadata = v2.metadata(sample.triangle.study)
        found = [item["00080018"]["Value"][0] for item in metadata.json()] if remaining else []
        assert metadata.status == (200 if remaining else 404), f"{level}: {metadata.describe()}"
        assert sorted(found) == sorted(one.instance for one in remaining), f"after the {level}"
