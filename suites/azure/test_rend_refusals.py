"""Rendering requests that are refused, each beside one that is served."""

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import requirement
from suites.azure.data import Made, Maker
from suites.azure.wado import clip, get, keep, undecodable, without_pixels

JPEG, PNG = "image/jpeg", "image/png"


@pytest.fixture(scope="module")
def made(v2: DicomWeb, make: Maker) -> Made:
    """An instance of three frames."""
    three = clip(make, 3, rows=16, columns=16)
    keep(v2, three)
    return three


@pytest.fixture(scope="module")
def both(made: Made) -> tuple[str, str]:
    """The paths of the rendered instance and of a rendered frame."""
    return f"{made.path()}/rendered", f"{made.path()}/frames/2/rendered"


@requirement("REND-005")
@pytest.mark.parametrize("accept", ["*/*", "image/*"])
def test_wildcards(web: DicomWeb, both: tuple[str, str], accept: str) -> None:
    """Wildcards, which most tools send by themselves, are 406 (REND-005)."""
    for path in both:
        assert get(web, path, accept).status == 406
        assert get(web, path, PNG).status == 200


@requirement("REND-006")
def test_several_types(web: DicomWeb, both: tuple[str, str]) -> None:
    """More than one type is 406, even of good ones and in lines of their own (REND-006)."""
    for path in both:
        for accept in (
            (f"{PNG}, {JPEG}",),
            (PNG, JPEG),
            (f"{PNG}, text/plain",),
            (f"{JPEG}, {JPEG}; q=0.5",),
        ):
            assert get(web, path, *accept).status == 406, accept
        assert get(web, path, JPEG).status == 200


@requirement("REND-007")
@pytest.mark.parametrize(
    "accept",
    ["image/gif", "image/jp2", "application/dicom", "application/octet-stream", "text/html", "image/webp"],
)
def test_other_types(web: DicomWeb, both: tuple[str, str], accept: str) -> None:
    """Only JPEG and PNG are rendered (REND-007)."""
    for path in both:
        assert get(web, path, accept).status == 406
        assert get(web, path, JPEG).status == 200


@requirement("REND-009")
@pytest.mark.parametrize("quality", ["0", "101", "-1", "2147483647"])
def test_quality_out_of_range(web: DicomWeb, both: tuple[str, str], quality: str) -> None:
    """Quality is 1 to 100, also for PNG (REND-009)."""
    for path in both:
        for accept in (JPEG, PNG):
            answer = get(web, path, accept, query=f"quality={quality}")
            assert answer.status == 400, answer.describe()
            assert get(web, path, accept, query="quality=100").status == 200


@requirement("REND-010")
@pytest.mark.parametrize("quality", ["abc", "", "50.5", "2147483648", "1e2"])
def test_quality_is_no_number(web: DicomWeb, both: tuple[str, str], quality: str) -> None:
    """A quality that is no 32-bit integer is 400 before all other checks (REND-010)."""
    for path in (*both, "/studies/x/series/x/instances/x/rendered"):
        answer = get(web, path, "image/gif", query=f"quality={quality}")
        assert answer.status == 400, answer.describe()
        assert b"uality" in answer.body, f"it names the parameter: {answer.describe()}"
    assert get(web, both[0], PNG).status == 200


@requirement("REND-011")
def test_frame_beyond_the_last(web: DicomWeb, made: Made) -> None:
    """A frame that is not there is 404 (REND-011)."""
    for number, status in ((3, 200), (4, 404), (2147483647, 404)):
        answer = get(web, f"{made.path()}/frames/{number}/rendered", PNG)
        assert answer.status == status, f"{number}: {answer.describe()}"


@requirement("REND-012")
@pytest.mark.parametrize("frame", ["0", "-1", "1,2", "abc", "2147483648", "1.5"])
def test_frames_that_cannot_be(web: DicomWeb, made: Made, frame: str) -> None:
    """Frame zero, negative ones, lists and words are 400 (REND-012)."""
    answer = get(web, f"{made.path()}/frames/{frame}/rendered", PNG)
    assert answer.status == 400, answer.describe()
    assert get(web, f"{made.path()}/frames/1/rendered", PNG).status == 200


@requirement("REND-013")
def test_no_pixel_data(web: DicomWeb, v2: DicomWeb, make: Maker) -> None:
    """Without pixel data there is nothing to render: 404 (REND-013)."""
    bare = without_pixels(make)
    keep(v2, bare)
    for path in (f"{bare.path()}/rendered", f"{bare.path()}/frames/1/rendered"):
        assert get(web, path, PNG).status == 404, path


@requirement("REND-016")
def test_unknown_instance_and_bad_uids(web: DicomWeb, make: Maker, made: Made) -> None:
    """What is not stored there is 404, a malformed UID 400 (REND-016)."""
    series = made.path("series")
    elsewhere = f"/studies/{make.uid()}/series/{made.series}/instances/{made.instance}"
    for tail in ("rendered", "frames/1/rendered"):
        assert get(web, f"{series}/instances/{make.uid()}/{tail}", PNG).status == 404
        assert get(web, f"{elsewhere}/{tail}", PNG).status == 404
        assert get(web, f"{series}/instances/abc/{tail}", PNG).status == 400
        assert get(web, f"/studies/1.2./series/1/instances/1/{tail}", PNG).status == 400
        assert get(web, f"{made.path()}/{tail}", PNG).status == 200


@requirement("REND-017")
def test_order_of_checks(web: DicomWeb, v2: DicomWeb, make: Maker, made: Made) -> None:
    """UID, frame, quality, Accept, existence, pixel data, decoding: the first that applies decides (REND-017)."""
    nowhere = f"{made.path('series')}/instances/{make.uid()}"
    uid = get(web, "/studies/x/series/1/instances/1/frames/0/rendered", "image/gif", query="quality=0")
    assert (uid.status, b"StudyInstanceUid" in uid.body) == (400, True), uid.describe()
    frame = get(web, f"{nowhere}/frames/0/rendered", "image/gif", query="quality=0")
    assert (frame.status, b"uality" in frame.body) == (400, False), (
        f"the frame, not the quality: {frame.describe()}"
    )
    quality = get(web, f"{nowhere}/frames/1/rendered", "image/gif", query="quality=0")
    assert (quality.status, b"uality" in quality.body) == (400, True), quality.describe()
    assert get(web, f"{nowhere}/frames/9/rendered", "image/gif").status == 406
    assert get(web, f"{nowhere}/frames/9/rendered", PNG).status == 404
    broken = undecodable(make)
    keep(v2, broken)
    assert get(web, f"{broken.path()}/frames/9/rendered", PNG).status == 404
    assert get(web, f"{broken.path()}/frames/1/rendered", PNG).status == 406
