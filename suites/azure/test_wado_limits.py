"""The size up to which the service works on images: 100 MiB a file, exactly that included."""

from dataclasses import dataclass, replace

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import requirement
from suites.azure.data import Made, Maker
from suites.azure.wado import AS_STORED, DICOM, EXPLICIT_LE, FRAME, IMPLICIT_LE, get, keep, read

LIMIT = 104857600
SIDE = 1024
FRAME_SIZE = SIDE * SIDE
FRAMES = 99
_PIXELS = bytes(range(256)) * (FRAME_SIZE // 256) * FRAMES


@dataclass(frozen=True)
class Sized:
    """Two Implicit VR files of the same 99 frames: of the limit exactly, and two bytes larger."""

    within: Made
    beyond: Made


@pytest.fixture(scope="module")
def sized(v2: DicomWeb, make: Maker) -> Sized:
    """Both files, stored once."""
    found = []
    for size in (LIMIT, LIMIT + 2):
        made = _of_size(make, size)
        assert len(made.part10) == size
        keep(v2, made)
        # Two files of 100 MiB need not be held while the tests run.
        found.append(replace(made, part10=b""))
    return Sized(*found)


def _of_size(make: Maker, size: int) -> Made:
    """A file of this many bytes: a private element before the pixel data fills it up."""
    empty = _clip(make, b"")
    return _clip(make, bytes(size - len(empty.part10)), like=empty)


def _clip(make: Maker, filling: bytes, like: Made | None = None) -> Made:
    return make(
        syntax=IMPLICIT_LE,
        raw={0x00290010: ("LO", "CONFORMANCE"), 0x00291010: ("OB", filling)},
        StudyInstanceUID=like.study if like else make.study_uid(),
        SOPInstanceUID=like.instance if like else make.uid(),
        SeriesInstanceUID=like.series if like else make.uid(),
        PatientID=like.dataset.PatientID if like else make.patient_id(),
        NumberOfFrames=FRAMES,
        Rows=SIDE,
        Columns=SIDE,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelData=_PIXELS,
    )


@requirement("WADO-026", "LIM-005", "LIM-006")
def test_transcoding_limit(v1: DicomWeb, v2: DicomWeb, sized: Sized) -> None:
    """A file of 100 MiB is transcoded, a larger one is 406 and comes with * (WADO-026, LIM-005, LIM-006)."""
    for web in (v1, v2):
        answer = get(web, sized.within.path(), DICOM)
        assert answer.content_type == f"{DICOM}; transfer-syntax={EXPLICIT_LE}", answer.describe()
        assert read(answer.body).PixelData == _PIXELS
        refused = get(web, sized.beyond.path(), DICOM)
        assert (refused.status, b"*" in refused.body) == (406, True), f"it advises *: {refused.describe()}"
        original = get(web, sized.beyond.path(), DICOM + AS_STORED)
        assert (original.status, len(original.body)) == (200, LIMIT + 2), original.describe()


@requirement("LIM-005", "LIM-006")
def test_limit_of_frames(v1: DicomWeb, v2: DicomWeb, sized: Sized) -> None:
    """Frames that need transcoding have the limit, frames as stored have none (LIM-005, LIM-006)."""
    within, beyond = sized.within.path(), sized.beyond.path()
    cases = ((within, FRAME, 200), (beyond, FRAME, 406), (beyond, FRAME + AS_STORED, 200))
    for web in (v1, v2):
        for path, accept, status in cases:
            answer = get(web, f"{path}/frames/99", accept)
            assert answer.status == status, f"{accept}: {answer.describe()}"
            assert status != 200 or answer.body == _PIXELS[:FRAME_SIZE], accept


@requirement("REND-015", "LIM-005", "REND-017")
def test_rendering_limit(v1: DicomWeb, v2: DicomWeb, sized: Sized) -> None:
    """A file of 100 MiB is rendered, a larger one is 406, even for a frame it lacks (REND-015, REND-017)."""
    cases = (
        (sized.within, "frames/99/rendered", 200),
        (sized.within, "frames/100/rendered", 404),
        (sized.beyond, "rendered", 406),
        (sized.beyond, "frames/100/rendered", 406),
    )
    for web in (v1, v2):
        for made, tail, status in cases:
            answer = get(web, f"{made.path()}/{tail}", "image/jpeg")
            assert answer.status == status, f"{tail}: {answer.describe()}"
