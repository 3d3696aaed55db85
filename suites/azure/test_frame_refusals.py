"""Frame requests that are refused, each beside one that is served."""

from urllib.parse import unquote

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import requirement
from suites.azure.data import Made, Maker
from suites.azure.wado import AS_STORED, FRAME, FRAME_PARTS, bodies, clip, get, keep

SINGLE, SEVERAL = FRAME + AS_STORED, FRAME_PARTS + AS_STORED


@pytest.fixture(scope="module")
def made(v2: DicomWeb, make: Maker) -> Made:
    """An instance of three frames."""
    three = clip(make)
    keep(v2, three)
    return three


@pytest.fixture(scope="module")
def nowhere(make: Maker) -> str:
    """The path of an instance that is not stored."""
    return f"/studies/{make.uid()}/series/{make.uid()}/instances/{make.uid()}"


@requirement("FRAME-009")
def test_several_frames_need_a_multipart_answer(web: DicomWeb, made: Made, nowhere: str) -> None:
    """A single-part Accept with more than one number is 400, wherever the instance is (FRAME-009)."""
    for path in (made.path(), nowhere):
        for numbers in ("1,2", "1,1", "1,9"):
            for accept in (SINGLE, FRAME):
                answer = get(web, f"{path}/frames/{numbers}", accept)
                assert answer.status == 400, f"{numbers}: {answer.describe()}"
    assert get(web, f"{made.path()}/frames/1,2", SEVERAL).status == 200
    assert get(web, f"{made.path()}/frames/1,2", "*/*").status == 200
    assert get(web, f"{made.path()}/frames/1", SINGLE).status == 200


@requirement("FRAME-011")
@pytest.mark.parametrize(
    "kind", ["application/dicom", "image/jpeg", "image/png", "text/plain", "application/dicom+json"]
)
def test_other_media_types(web: DicomWeb, made: Made, kind: str) -> None:
    """Only octets and image/jp2 can be asked for (FRAME-011)."""
    path = f"{made.path()}/frames/1"
    for accept in (kind, f'multipart/related; type="{kind}"', f"{kind}; transfer-syntax=*"):
        assert get(web, path, accept).status == 406, accept
    assert get(web, path, FRAME).status == 200


@requirement("FRAME-012")
def test_frame_beyond_the_last(web: DicomWeb, v2: DicomWeb, make: Maker, made: Made) -> None:
    """A number beyond the last frame is 404 and nothing is sent, whatever else is asked for (FRAME-012)."""
    for numbers in ("4", "1,4", "2147483647"):
        for accept in (SEVERAL, FRAME_PARTS):
            answer = get(web, f"{made.path()}/frames/{numbers}", accept)
            assert answer.status == 404, f"{numbers}: {answer.describe()}"
            assert bytes(made.dataset.PixelData[:25]) not in answer.body
    assert get(web, f"{made.path()}/frames/3", SEVERAL).status == 200
    single = make()
    keep(v2, single)
    assert get(web, f"{single.path()}/frames/1", SEVERAL).status == 200, (
        "without Number of Frames there is one"
    )
    assert get(web, f"{single.path()}/frames/2", SEVERAL).status == 404


@requirement("FRAME-013")
def test_zero_and_negative_frames(web: DicomWeb, made: Made, nowhere: str) -> None:
    """Frames are numbered from 1, whatever the instance (FRAME-013)."""
    for path in (made.path(), nowhere):
        for numbers in ("0", "-1", "1,0", "2,-1"):
            for accept in (SEVERAL, "text/plain"):
                answer = get(web, f"{path}/frames/{numbers}", accept)
                assert answer.status == 400, f"{numbers}: {answer.describe()}"
    assert get(web, f"{made.path()}/frames/1", SEVERAL).status == 200


@requirement("FRAME-014")
@pytest.mark.parametrize("numbers", ["abc", "1,x", "1,,2", "1,", ",1", "1.5", "2147483648", "1;2", "0x1"])
def test_unreadable_lists(web: DicomWeb, made: Made, numbers: str) -> None:
    """What is no list of 32-bit integers is 400 before any other check, and says so (FRAME-014)."""
    for path, accept in ((made.path(), SEVERAL), ("/studies/x/series/x/instances/x", "text/plain")):
        answer = get(web, f"{path}/frames/{numbers}", accept)
        assert answer.status == 400, answer.describe()
        assert answer.body.startswith(b"The query parameter 'frames' is invalid."), answer.describe()


@requirement("FRAME-014", "FRAME-002")
@pytest.mark.parametrize("numbers", ["%201", "1%20", "1,%203%20", "%203%20%2C1"])
def test_spaces_around_numbers(web: DicomWeb, made: Made, numbers: str) -> None:
    """Spaces around a number are ignored (FRAME-014)."""
    plain = unquote(numbers).replace(" ", "")
    expected = bodies(get(web, f"{made.path()}/frames/{plain}", SEVERAL))
    assert len(expected) == len(plain.split(","))
    assert bodies(get(web, f"{made.path()}/frames/{numbers}", SEVERAL)) == expected


@requirement("FRAME-015")
def test_unknown_instance(web: DicomWeb, make: Maker, made: Made, nowhere: str) -> None:
    """Frames of what is not stored there are 404 (FRAME-015)."""
    elsewhere = f"/studies/{make.uid()}/series/{made.series}/instances/{made.instance}"
    for path in (nowhere, elsewhere, f"{made.path('series')}/instances/{make.uid()}"):
        for accept in (SEVERAL, FRAME):
            assert get(web, f"{path}/frames/1", accept).status == 404, path


@requirement("FRAME-023")
def test_frames_after_deletion(v2: DicomWeb, make: Maker) -> None:
    """After DELETE frames that nobody had read are gone (FRAME-023: those that were read may be served for five minutes)."""
    deleted, kept = clip(make), clip(make)
    keep(v2, deleted, kept)
    assert v2.delete(*deleted.uids).status == 204
    assert get(v2, f"{deleted.path()}/frames/1", SEVERAL).status == 404
    assert get(v2, f"{kept.path()}/frames/1", SEVERAL).status == 200
