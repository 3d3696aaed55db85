"""The library dicomweb-client (Imaging Data Commons) as a client: its own requests, headers and parsing.

What the service answers is judged elsewhere by the suite's own requests: this library hides statuses.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import requirement
from suites.azure.data import Made, Maker
from suites.azure.service import VERSIONS, Service
from suites.azure.updates import opened
from suites.azure.witness.sample import Sample, sample_of, stored_sample

pytestmark = pytest.mark.azure

STUDY, SERIES, INSTANCE = "0020000D", "0020000E", "00080018"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
AS_STORED = (("application/dicom", "*"),)


@pytest.fixture(params=VERSIONS)
def client(request: pytest.FixtureRequest, service: Service) -> Iterator[Any]:
    """The library at each API version in turn."""
    cloud = service.deployment.cloud
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(cloud.ca_file) if cloud.ca_file else True
        session.headers["Authorization"] = f"Bearer {service.tokens('owner')()}"
        yield DICOMwebClient(f"{cloud.url}/{request.param}", session=session)


@pytest.fixture(scope="module")
def sample(v2: DicomWeb, make: Maker) -> Sample:
    """A study, stored."""
    return stored_sample(v2, make)


def assert_same(found: Iterable[Dataset], *made: Made) -> None:
    """Exactly these instances, each with its patient and its pixels."""
    seen = {str(one.SOPInstanceUID): one for one in found}
    assert seen.keys() == {one.instance for one in made}
    for one in made:
        assert seen[one.instance].PatientID == one.dataset.PatientID, one.instance
        assert seen[one.instance].PixelData == one.dataset.PixelData, one.instance


def assert_found(found: Iterable[dict[str, Any]], tag: str, *expected: str) -> None:
    """Exactly these objects, by a UID."""
    assert sorted(item[tag]["Value"][0] for item in found) == sorted(expected)


@requirement("STOW-137", "STOW-008", "STOW-013")
@pytest.mark.parametrize("in_study", [False, True])
def test_store(client: Any, v2: DicomWeb, make: Maker, in_study: bool) -> None:
    """`store_instances` stores three data sets, in chunks and with a quoted boundary (STOW-137, STOW-008).

    What it returns is not judged: it reads the answer only when its Content-Type has no charset, and Microsoft's has.
    """
    sample = sample_of(make)
    sent = [opened(one.part10) for one in sample.all]
    client.store_instances(sent, study_instance_uid=sample.triangle.study if in_study else None)
    assert_same(map(opened, v2.retrieve(sample.triangle.study)), *sample.all)


@requirement("WADO-001", "WADO-002", "WADO-003", "WADO-017")
def test_retrieve(client: Any, sample: Sample) -> None:
    """`retrieve_study`, `..._series` and `..._instance` read all of what is stored (WADO-001 to WADO-003)."""
    study, series, instance = sample.triangle.uids
    assert_same(client.retrieve_study(study, media_types=AS_STORED), *sample.all)
    assert_same(client.retrieve_series(study, series, media_types=AS_STORED), *sample.within("series"))
    assert_same([client.retrieve_instance(study, series, instance)], sample.triangle)


@requirement("WADO-016", "WADO-024", "WADO-025")
def test_retrieve_by_default(client: Any, v2: DicomWeb, make: Maker, sample: Sample) -> None:
    """The library names no transfer syntax for a study: one instance is converted, several are refused (WADO-024).

    What its users report of Microsoft's service: ask for `transfer-syntax=*` (dicomweb-client, issue 82).
    """
    made = make(syntax=JPEG_2000)
    assert v2.store([made.part10]).status == 200
    (found,) = client.retrieve_study(made.study)
    assert found.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert found.PixelData == made.dataset.PixelData
    with pytest.raises(requests.HTTPError, match="406"):
        client.retrieve_study(sample.triangle.study)
    assert_same(client.retrieve_study(sample.triangle.study, media_types=AS_STORED), *sample.all)


@requirement("META-001", "META-002", "META-003")
def test_metadata(client: Any, sample: Sample) -> None:
    """`retrieve_..._metadata` reads the metadata of each level, for pydicom too (META-001 to META-003)."""
    study, series, instance = sample.triangle.uids
    assert_found(client.retrieve_study_metadata(study), INSTANCE, *(one.instance for one in sample.all))
    in_series = [one.instance for one in sample.within("series")]
    assert_found(client.retrieve_series_metadata(study, series), INSTANCE, *in_series)
    one = Dataset.from_json(client.retrieve_instance_metadata(study, series, instance))
    assert (one.SOPInstanceUID, one.PatientName) == (instance, sample.triangle.dataset.PatientName)


@requirement("FRAME-001", "REND-001", "REND-002", "REND-003")
def test_frames_and_pictures(client: Any, sample: Sample) -> None:
    """Frames and rendered images come for the media types the caller names (FRAME-001, REND-001 to REND-003)."""
    uids = sample.triangle.uids
    octets = (("application/octet-stream", "*"),)
    (frame,) = client.retrieve_instance_frames(*uids, frame_numbers=[1], media_types=octets)
    assert frame == sample.triangle.dataset.PixelData
    picture = client.retrieve_instance_rendered(*uids, media_types=("image/jpeg",))
    assert picture.startswith(b"\xff\xd8\xff"), "no JPEG"
    picture = client.retrieve_instance_frames_rendered(*uids, frame_numbers=[1], media_types=("image/png",))
    assert picture.startswith(b"\x89PNG"), "no PNG"


@requirement("QIDO-001", "QIDO-002", "QIDO-003", "QIDO-004", "QIDO-005", "QIDO-006")
def test_search(client: Any, v2: DicomWeb, make: Maker, sample: Sample) -> None:
    """The searches of the library find the study's objects on all six resources and no other's (QIDO-001 to QIDO-006)."""
    other = stored_sample(v2, make)
    study, series, _ = sample.triangle.uids
    own = {"StudyInstanceUID": study}
    all_of_study = [one.instance for one in sample.all]
    in_study = {sample.triangle.series, sample.circle.series}
    assert_found(client.search_for_studies(search_filters=own), STUDY, study)
    assert_found(client.search_for_series(search_filters=own), SERIES, *in_study)
    assert_found(client.search_for_series(study), SERIES, *in_study)
    assert_found(client.search_for_instances(search_filters=own), INSTANCE, *all_of_study)
    assert_found(client.search_for_instances(study), INSTANCE, *all_of_study)
    in_series = [one.instance for one in sample.within("series")]
    assert_found(client.search_for_instances(study, series), INSTANCE, *in_series)
    patient = {"PatientID": other.triangle.dataset.PatientID}
    assert_found(client.search_for_studies(search_filters=patient), STUDY, other.triangle.study)


@requirement("QIDO-018", "QIDO-019", "QIDO-020")
def test_search_in_pages(client: Any, v2: DicomWeb, make: Maker) -> None:
    """`get_remaining` asks page after page until there is no more, and misses none (QIDO-018 to QIDO-020)."""
    made = make.series(5)
    assert v2.store([one.part10 for one in made]).status == 200
    found = client.search_for_instances(made[0].study, limit=2, get_remaining=True)
    assert_found(found, INSTANCE, *(one.instance for one in made))


@requirement("DEL-001", "DEL-002", "DEL-003", "QIDO-008")
def test_delete(client: Any, v2: DicomWeb, make: Maker) -> None:
    """`delete_...` removes instance, series and study; a search for nothing is an empty list (DEL-001 to DEL-003)."""
    sample = stored_sample(v2, make)
    study, series, instance = sample.triangle.uids
    client.delete_instance(study, series, instance)
    left = [sample.square.instance, sample.circle.instance]
    assert_found(client.search_for_instances(study), INSTANCE, *left)
    client.delete_series(study, series)
    assert_found(client.search_for_instances(study), INSTANCE, sample.circle.instance)
    client.delete_study(study)
    assert client.search_for_studies(search_filters={"StudyInstanceUID": study}) == []
    assert v2.metadata(study).status == 404
