"""Orthanc's DICOMweb client as a client: an archive that stores to the service, searches it and fetches from it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.evidence.exchange import Recorder
from fixtures.evidence.fingerprint import fingerprint, same
from fixtures.traceability import requirement
from suites.azure.data import Made, Maker
from suites.azure.service import VERSIONS, Service
from suites.azure.witness.orthanc import OrthancClient, running_orthanc
from suites.azure.witness.sample import Sample, sample_of, stored_sample

pytestmark = pytest.mark.azure

JPEG_2000 = "1.2.840.10008.1.2.4.90"


@pytest.fixture(scope="module")
def archive(
    service: Service, recorder: Recorder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OrthancClient]:
    """An Orthanc of the module's own, which trusts the service's certificate."""
    folder: Path = tmp_path_factory.mktemp("orthanc")
    ca_file = service.deployment.cloud.ca_file
    with running_orthanc(folder, root="/dicom-web/", https_ca_file=ca_file) as url:
        yield OrthancClient(url, recorder)


@pytest.fixture(params=VERSIONS)
def client(request: pytest.FixtureRequest, archive: OrthancClient, service: Service) -> OrthancClient:
    """The archive, empty, with the service at each API version in turn as its server."""
    archive.empty()
    archive.know(service, request.param)
    return archive


def assert_has(client: OrthancClient, *made: Made) -> None:
    """The archive has exactly these instances, element by element as they were made."""
    seen = {one.sop_instance_uid: one for one in map(fingerprint, client.files())}
    assert seen.keys() == {one.instance for one in made}
    for one in made:
        assert same(fingerprint(one.part10), seen[one.instance]), f"{one.instance} was altered on its way"


@requirement("STOW-137", "STOW-001", "STOW-013", "STOW-040")
def test_store(client: OrthancClient, v2: DicomWeb, make: Maker) -> None:
    """Orthanc stores three instances by STOW-RS; the service has them as they were made (STOW-001, STOW-013)."""
    sample = sample_of(make)
    compressed = make(like=sample.triangle, syntax=JPEG_2000)
    sent = (*sample.all, compressed)
    assert client.stow(*(client.receive(one.part10) for one in sent)) == len(sent)
    kept = {one.sop_instance_uid: one for one in map(fingerprint, v2.retrieve(sample.triangle.study))}
    assert kept.keys() == {one.instance for one in sent}
    for one in sent:
        assert same(fingerprint(one.part10), kept[one.instance]), f"{one.instance} was altered on its way"


@requirement("QIDO-001", "QIDO-002", "QIDO-003", "QIDO-004", "QIDO-005", "QIDO-006")
def test_search(client: OrthancClient, v2: DicomWeb, make: Maker) -> None:
    """Orthanc finds by QIDO-RS what is there, and nothing of another study, on all six resources (QIDO-001 to QIDO-006).

    A search for nothing is left out: Orthanc cannot read the 204 that Microsoft's service answers (QIDO-008).
    """
    sample, _ = stored_sample(v2, make), stored_sample(v2, make)
    study, series, _ = sample.triangle.uids
    both = sorted({sample.triangle.series, sample.circle.series})
    whole = sorted(one.instance for one in sample.all)
    assert client.search("/studies", "0020000D", StudyInstanceUID=study) == [study]
    assert sorted(client.search("/series", "0020000E", StudyInstanceUID=study)) == both
    assert sorted(client.search("/instances", "00080018", StudyInstanceUID=study)) == whole
    assert sorted(client.search(f"/studies/{study}/series", "0020000E")) == both
    assert sorted(client.search(f"/studies/{study}/instances", "00080018")) == whole
    found = client.search(f"/studies/{study}/series/{series}/instances", "00080018")
    assert sorted(found) == sorted(one.instance for one in sample.within("series"))


@requirement("WADO-001", "WADO-002", "WADO-003", "WADO-006", "WADO-017")
@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_retrieve(client: OrthancClient, v2: DicomWeb, make: Maker, level: str) -> None:
    """Orthanc fetches a study, series or instance by WADO-RS into its archive, unaltered (WADO-001 to WADO-003)."""
    sample: Sample = stored_sample(v2, make)
    resource = dict(zip(("Study", "Series", "Instance"), sample.triangle.uids, strict=True))
    named = {"study": 1, "series": 2, "instance": 3}[level]
    expected = sample.within(level)
    assert client.retrieve(**dict(list(resource.items())[:named])) == len(expected)
    assert_has(client, *expected)


@requirement("WADO-017", "WADO-029")
def test_retrieve_compressed(client: OrthancClient, v2: DicomWeb, make: Maker) -> None:
    """A study of two transfer syntaxes arrives in both, because Orthanc asks for `transfer-syntax=*` (WADO-029)."""
    native = make()
    compressed = make(like=native, syntax=JPEG_2000)
    assert v2.store([native.part10, compressed.part10]).status == 200
    assert client.retrieve(Study=native.study) == 2
    assert_has(client, native, compressed)


@requirement("DEL-001", "DEL-002", "DEL-003")
def test_delete(client: OrthancClient, v2: DicomWeb, make: Maker) -> None:
    """Orthanc deletes an instance, a series and a study at the service, and nothing else (DEL-001 to DEL-003)."""
    sample = stored_sample(v2, make)
    study, series, instance = sample.triangle.uids
    names = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": instance}
    left = {"Instance": [sample.square.instance, sample.circle.instance], "Series": [sample.circle.instance]}
    for level, remaining in left.items():
        client.delete(level, **names)
        found = [item["00080018"]["Value"][0] for item in v2.metadata(study).json()]
        assert sorted(found) == sorted(remaining), f"after the {level.lower()}"
    client.delete("Study", StudyInstanceUID=study)
    assert v2.metadata(study).status == 404
