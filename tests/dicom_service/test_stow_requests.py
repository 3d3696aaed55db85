"""Headers, multipart bodies and sizes of store requests."""

from typing import Any

import pytest

from tests.dicom_service.conftest import Service, dataset, failures, part10, path_of

DICOM = {"Content-Type": "application/dicom"}
ORIGINAL = "application/dicom; transfer-syntax=*"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Accept": "application/dicom+json"}, 200),
        ({"Accept": "application/dicom"}, 406),
        ({"Accept": None}, 406),
        ({"Accept": "nonsense"}, 406),
        ({"Accept": "image/png, application/*;q=0.1"}, 200),
        ({"Content-Type": "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"}, 415),
        ({"Content-Type": "application/json"}, 415),
        ({"Content-Type": None}, 415),
        ({"Content-Type": "multipart/related"}, 415),
        ({"Content-Type": "multipart/related; boundary=b; start=x"}, 400),
    ],
)
def test_headers_decide_before_the_body(
    service: Service, headers: dict[str, str | None], status: int
) -> None:
    """STOW-005 to STOW-017."""
    made = dataset()

    answer = service.request("POST", "/v2/studies", part10(made), {**DICOM, **headers})

    assert answer.status == status
    assert service.get(path_of(made), ORIGINAL).status == (200 if status == 200 else 404)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"--b--\r\n", 204),
        (b"--b\r\n\r\n--b--\r\n", 204),
        (b"--b\r\nContent-Type: application/dicom\r\n\r\n\r\n--b--", 409),
        (b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--", 415),
        (b"--b\r\nContent-Type: application/dicom; a=b\r\n\r\nx\r\n--b--", 415),
        (b"", 400),
        (b"no boundary here", 400),
        (b"--b\r\n" + b"X-H: y\r\n" * 17 + b"\r\nx\r\n--b--", 400),
        (b"--b\r\nContent-Type: application/dicom\r\n\r\ncut", 204),
    ],
)
def test_odd_multipart_bodies(service: Service, body: bytes, status: int) -> None:
    """STOW-018, STOW-022, STOW-024, STOW-027, STOW-028, LIM-007."""
    answer = service.request("POST", "/v2/studies", body, {"Content-Type": "multipart/related; boundary=b"})
    assert answer.status == status


def test_part_of_a_wrong_type_stores_nothing_of_the_request(service: Service) -> None:
    """STOW-018, STOW-019, STOW-020, STOW-137."""
    made = dataset()
    good = b"preamble\r\n--b\r\nContent-Disposition: form-data; name=a\r\n\r\n" + part10(made)
    content_type = {"Content-Type": 'multipart/related; type="application/dicom"; boundary="b"'}

    refused = service.request("POST", "/v2/studies", good + b"\r\n--b\r\n\r\nx\r\n--b--", content_type)
    assert refused.status == 415
    assert service.get(path_of(made), ORIGINAL).status == 404
    assert service.request("POST", "/v2/studies", good + b"\r\n--b--", content_type).status == 200


def test_large_file_is_kept_in_a_file_of_its_own(service: Service) -> None:
    """STOW-117 and LIM-006 beyond what is received in memory."""
    made = dataset(Rows=1024, Columns=1024, PixelData=bytes(2 << 20))
    small = dataset(StudyInstanceUID=made.StudyInstanceUID)
    sent = [part10(made), part10(small)]

    assert service.store(*sent).status == 200
    assert service.get(path_of(made), ORIGINAL).body == sent[0]
    parts = service.get(
        path_of(made, "study"), 'multipart/related; type="application/dicom"; transfer-syntax=*'
    ).parts()
    assert sorted(content for _, content in parts) == sorted(sent)
    assert failures(service.store(sent[0])) == [45070]
    assert service.request("DELETE", path_of(made, "study")).status == 204


def test_file_above_the_limit_is_refused(starter: Any) -> None:
    """STOW-029, STOW-030, ERR-006."""
    service = starter(":memory:", "--max-file-size", "2000")
    small, large = dataset(), dataset(Rows=64, Columns=64, PixelData=bytes(8192))
    answer = service.store(part10(small), part10(large))
    assert answer.status == 413
    assert b"2000" in answer.body
    assert service.store(part10(large)).status == 413
    assert service.get("/v2/studies").status == 204
    assert service.store(part10(small)).status == 200
