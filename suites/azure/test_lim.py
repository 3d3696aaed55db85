"""Limits: request and part sizes, numbers and UID lengths (LIM-002 to LIM-008; LIM-001 is in test_err_bodies)."""

import hashlib
from collections.abc import Iterator

import pytest

from fixtures.clients.dicomweb import DICOM_JSON, ONE_AS_STORED, DicomWeb
from fixtures.traceability import needs, requirement
from suites.azure.data import Made, Maker
from suites.azure.service import Service
from suites.azure.stow import DICOM, RELATED, VALIDATION_FAILURE, post

pytestmark = pytest.mark.azure

LARGEST_REQUEST = 2147483647
LARGEST_IMAGE_WORK = 104857600
J2K = "1.2.840.10008.1.2.4.90"


@pytest.fixture(scope="module")
def large(v2: DicomWeb, make: Maker) -> Made:
    """One image of just over 100 MiB."""
    made = make(Rows=7300, Columns=7300, PixelData=bytes(range(100)) * (7300 * 73 * 2))
    assert len(made.part10) > LARGEST_IMAGE_WORK
    assert v2.store([made.part10], single_part=True).status == 200
    return made


@requirement("LIM-002")
@pytest.mark.parametrize(("content_type", "status"), [(RELATED, 413), (DICOM, 400)])
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_announced_size(service: Service, content_type: str, status: int, version: str) -> None:
    """A Content-Length above the limit is refused before the body is sent: 413 multipart, 400 single (LIM-002)."""
    http = service.anonymous.with_token(service.tokens("owner"))
    headers = [("Accept", DICOM_JSON), ("Content-Type", content_type)]
    announced = ("Content-Length", str(LARGEST_REQUEST + 1))
    answer = http.request("POST", f"/{version}/studies", headers=[*headers, announced])
    http.close()
    assert answer.status == status, answer.describe()
    assert post(service.web(version=version), b"", content_type).status != status, "the size is the reason"


@needs("large-files")
@requirement("LIM-003")
@pytest.mark.timeout(600)
def test_large_file(v2: DicomWeb, make: Maker) -> None:
    """A file of 1.7 GB is stored and comes back whole (LIM-003)."""
    rows, columns, frames = 1000, 1000, 850
    pixels = bytes(range(250)) * (rows * columns * 2 // 250)
    small = make(Rows=rows, Columns=columns, NumberOfFrames=frames, PixelData=b"")
    head = small.part10[:-4] + (len(pixels) * frames).to_bytes(4, "little")

    def body() -> Iterator[bytes]:
        yield head
        for _ in range(frames):
            yield pixels

    sent, seen = hashlib.sha256(), hashlib.sha256()
    for piece in body():
        sent.update(piece)
    headers = [("Accept", DICOM_JSON), ("Content-Type", DICOM)]
    assert v2.http.request("POST", "/v2/studies", headers=headers, body=body()).status == 200
    with v2.http.stream("GET", f"/v2{small.path()}", headers=[("Accept", ONE_AS_STORED)]) as streamed:
        for piece in streamed.chunks:
            seen.update(piece)
    assert seen.hexdigest() == sent.hexdigest()


@requirement("LIM-004")
@pytest.mark.parametrize("number", [300])
def test_many_instances_in_one_request(web: DicomWeb, make: Maker, number: int) -> None:
    """Some hundred instances in one request are all stored and each appears once in the answer (LIM-004)."""
    made = make.series(number, Rows=2, Columns=2, PixelData=b"\0" * 8)
    answer = web.store([one.part10 for one in made])
    assert answer.status == 200, answer.describe()
    uids = sorted(one.instance for one in made)
    assert sorted(answer.stored) == uids
    found = web.metadata(made[0].study).json()
    assert sorted(item["00080018"]["Value"][0] for item in found) == uids


@requirement("LIM-005")
@pytest.mark.timeout(120)
def test_no_image_work_on_large_files(web: DicomWeb, large: Made, make: Maker) -> None:
    """Transcoding and rendering a file above 100 MiB is 406; the sentence advises transfer-syntax=* (LIM-005)."""
    small = make()
    assert web.store([small.part10]).status == 200
    for suffix, accept in (("", f"application/dicom; transfer-syntax={J2K}"), ("/rendered", "image/jpeg")):
        refused = web.get(large.path() + suffix, accept=accept)
        assert refused.status == 406, refused.describe()
        assert suffix or b"transfer-syntax=*" in refused.body, refused.describe()
        assert web.get(small.path() + suffix, accept=accept).status == 200


@requirement("LIM-006")
@pytest.mark.timeout(120)
def test_large_files_as_stored(v2: DicomWeb, large: Made) -> None:
    """As they are stored, large files are retrieved whole, in their study and by themselves (LIM-006)."""
    assert v2.retrieve(*large.uids) == [large.part10]
    assert v2.retrieve(large.study) == [large.part10]
    named = v2.get(large.path(), accept="application/dicom; transfer-syntax=1.2.840.10008.1.2.1")
    assert (named.status, named.body == large.part10) == (200, True), (
        "the syntax it is stored in is no transcoding"
    )


@requirement("LIM-007")
@pytest.mark.parametrize(
    ("extra", "status"),
    [
        ([f"X-{number}: v" for number in range(15)], 200),
        ([f"X-{number}: v" for number in range(16)], 400),
        (["X-Long: " + "v" * 15000], 200),
        (["X-Long: " + "v" * 16384], 400),
    ],
    ids=["16 headers", "17 headers", "under 16 KiB", "over 16 KiB"],
)
def test_part_headers(web: DicomWeb, make: Maker, extra: list[str], status: int) -> None:
    """A part has at most 16 headers and 16 KiB of them (LIM-007)."""
    made = make()
    head = "\r\n".join(["--frontier", f"Content-Type: {DICOM}", *extra, "", ""]).encode()
    answer = post(web, head + made.part10 + b"\r\n--frontier--\r\n", RELATED)
    assert answer.status == status, answer.describe()
    if status == 200:
        assert web.retrieve(*made.uids) == [made.part10]
    else:
        assert web.metadata(made.study).status == 404


@requirement("LIM-008")
def test_length_of_uids(web: DicomWeb, make: Maker) -> None:
    """UIDs have at most 64 characters: in a path (400) and in an instance (43264) (LIM-008)."""
    base = make.uid()
    exact = base + "." + "1" * (63 - len(base))
    for uid, status in ((exact, 404), (exact + "%20", 404), (exact + "1", 400)):
        for uids in ((uid,), ("1.2", uid), ("1.2", "1.3", uid)):
            assert web.metadata(*uids).status == status, f"{len(uid)} characters: {uids}"

    fits, over = make(SOPInstanceUID=exact), make(SOPInstanceUID=exact + "1")
    padded = make(raw={0x00080018: ("UI", (exact[:-1] + "2  ").encode())})
    for made in (fits, padded):
        assert web.store([made.part10]).status == 200
        assert web.retrieve(*made.uids) == [made.part10]
    answer = web.store([over.part10])
    assert (answer.status, list(answer.failed.values())) == (409, [VALIDATION_FAILURE]), answer.describe()
    assert web.metadata(over.study).status == 404
