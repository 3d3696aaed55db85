"""Requests of real clients, and bodies too large for memory."""

import re
import threading
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import numpy as np
import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from tests.dicom_service.conftest import Service, Starter, dataset, part10, path_of

MULTIPART = 'multipart/related; type="application/dicom"; transfer-syntax=*'


def _client(service: Service) -> Any:
    return DICOMwebClient(f"http://127.0.0.1:{service.port}/v2")


def test_dicomweb_client_stores_searches_and_retrieves(service: Service) -> None:
    client = _client(service)
    made = pydicom.dcmread(str(get_testdata_file("MR_small.dcm")))
    made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID = (generate_uid() for _ in range(3))
    uids = made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID

    client.store_instances([made])

    (found,) = client.search_for_studies(
        search_filters={"StudyInstanceUID": uids[0]}, fields=["StudyDescription"]
    )
    assert found["0020000D"]["Value"] == [uids[0]]
    assert len(client.search_for_instances(study_instance_uid=uids[0])) == 1
    assert client.retrieve_instance_metadata(*uids)["00080018"]["Value"] == [uids[2]]
    assert np.array_equal(client.retrieve_instance(*uids).pixel_array, made.pixel_array)
    (retrieved,) = client.retrieve_study(uids[0])
    assert retrieved.SOPInstanceUID == uids[2]
    (frame,) = client.retrieve_instance_frames(
        *uids, frame_numbers=[1], media_types=("application/octet-stream",)
    )
    assert frame == made.PixelData
    client.delete_study(uids[0])
    assert client.search_for_studies(search_filters={"StudyInstanceUID": uids[0]}) == []


@pytest.mark.parametrize(
    "accept",
    [
        "multipart/related; type=application/octet-stream; transfer-syntax=*",
        'multipart/related; type="application/octet-stream"; transfer-syntax="*"',
        "multipart/related; type=application/octet-stream; transfer-syntax=*; transfer-syntax=*",
    ],
)
def test_ohif_reads_frames_and_metadata(service: Service, accept: str) -> None:
    made = dataset()
    service.store(part10(made))
    ((head, frame),) = service.get(f"{path_of(made)}/frames/1", accept).parts()
    assert head == "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
    assert frame == made.PixelData
    query = f"includefield=0008103E%2C00080021&StudyInstanceUID={made.StudyInstanceUID}"
    assert service.get(f"/v2/series?{query}", "application/dicom+json").status == 200
    assert service.get(f"{path_of(made, 'series')}/metadata", "application/dicom+json").status == 200


def test_every_file_of_pydicom_is_stored_kept_and_described(service: Service) -> None:
    """Whatever a modality writes: accepted files come back byte for byte and have metadata."""
    stored = 0
    for path in sorted((Path(pydicom.__file__).parent / "data" / "test_files").rglob("*.dcm")):
        sent = path.read_bytes()
        if len(sent) > 2_000_000:
            continue
        answer = service.store(sent)
        assert answer.status in (200, 202, 409), path.name
        for item in answer.json().get("00081199", {}).get("Value", []):
            stored += 1
            url = item["00081190"]["Value"][0].split(str(service.port), 1)[1]
            assert service.get(url, "application/dicom; transfer-syntax=*").body == sent, path.name
            assert service.get(url + "/metadata").status == 200, path.name
            assert service.get(url + "/rendered", "image/png").status in (200, 404, 406), path.name
            service.request("DELETE", url)
    assert stored > 60


def test_large_studies_are_streamed(starter: Starter) -> None:
    """A request or study of many times the allowed memory grows the service by a fraction of it."""
    service = starter(":memory:")
    study = generate_uid()
    pixels = bytes(24 << 20)
    files = [
        part10(dataset(StudyInstanceUID=study, Rows=4096, Columns=3072, PixelData=pixels)) for _ in range(5)
    ]
    service.store(part10(dataset()))
    service.get("/v2/studies")
    before = _peak(service)

    assert service.store(*files).status == 200
    parts = service.get(f"/v2/studies/{study}", MULTIPART).parts()

    assert sorted(len(content) for _, content in parts) == sorted(map(len, files))
    assert _peak(service) - before < 60 << 20


def _peak(service: Service) -> int:
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found.group(1)) * 1024


def test_readers_and_writers_at_once(service: Service) -> None:
    """What is acknowledged is found at once by every resource, whoever else is writing."""
    problems: list[str] = []

    def work() -> None:
        for _ in range(8):
            made = dataset()
            statuses = [
                service.store(part10(made)).status,
                service.get(path_of(made), MULTIPART).status,
                service.get(path_of(made) + "/metadata").status,
                service.get(f"/v2/instances?SOPInstanceUID={made.SOPInstanceUID}").status,
                service.request("DELETE", path_of(made, "study")).status,
                service.get(path_of(made, "series"), MULTIPART).status,
            ]
            if statuses != [200, 200, 200, 200, 204, 404]:
                problems.append(str(statuses))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def test_chunked_body_is_stored(service: Service) -> None:
    """A body without Content-Length, as clients send large ones."""
    import http.client

    made = dataset()
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    body = cast("Any", BytesIO(part10(made)))
    headers = {"Accept": "*/*", "Content-Type": "application/dicom", "Transfer-Encoding": "chunked"}
    connection.request("POST", "/v2/studies", body, headers, encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()
