"""Retrieving the version that was first stored, and the latest, of a study that was updated."""

from dataclasses import dataclass

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import requirement
from suites.azure.data import Made, Maker
from suites.azure.wado import (
    AS_STORED,
    DICOM,
    DICOM_PARTS,
    EXPLICIT_LE,
    FRAME,
    FRAME_PARTS,
    JPEG_2000_LOSSLESS,
    JPEG_LOSSLESS,
    bodies,
    get,
    keep,
    read,
    renamed,
    same_samples,
)

STORED, BETWEEN, LATEST = "First^Name", "Second^Name", "Third^Name"
LEVELS = ("study", "series", "instance")
PARTS = DICOM_PARTS + AS_STORED


@dataclass(frozen=True)
class Updated:
    """A study of two instances that was updated twice, and what it was."""

    one: Made
    two: Made


@pytest.fixture(scope="module")
def updated(v2: DicomWeb, make: Maker) -> Updated:
    """The study, stored and updated once for all tests here."""
    one = make(PatientName=STORED, syntax=JPEG_LOSSLESS)
    two = make(like=one, PatientName=STORED)
    keep(v2, one, two)
    for name in (BETWEEN, LATEST):
        renamed(v2, one, name)
    return Updated(one, two)


def _names(web: DicomWeb, path: str, accept: str, original: str | None = None) -> set[str]:
    headers = {} if original is None else {"msdicom_request_original": original}
    return {str(read(file).PatientName) for file in bodies(get(web, path, accept, **headers))}


@requirement("WADO-040")
@pytest.mark.parametrize("level", LEVELS)
def test_latest_and_original(web: DicomWeb, updated: Updated, level: str) -> None:
    """The latest version comes by itself, the file as first stored when asked for (WADO-040)."""
    expected = [updated.one] if level == "instance" else [updated.one, updated.two]
    path = updated.one.path(level)
    assert _names(web, path, PARTS) == {LATEST}
    original = get(web, path, PARTS, msdicom_request_original="true")
    assert bodies(original) == sorted(made.part10 for made in expected)


@requirement("WADO-041")
def test_values_of_the_header(web: DicomWeb, updated: Updated) -> None:
    """Only true, in any letter case, asks for the original (WADO-041)."""
    path = updated.one.path()
    for value in ("true", "TRUE", "True"):
        assert _names(web, path, PARTS, value) == {STORED}, value
    for value in ("false", "", "1", "yes", "original"):
        assert _names(web, path, PARTS, value) == {LATEST}, value


@requirement("WADO-043")
def test_original_is_transcoded(web: DicomWeb, updated: Updated) -> None:
    """Either version can be transcoded (WADO-043)."""
    made = updated.one
    for syntax in (EXPLICIT_LE, JPEG_2000_LOSSLESS):
        for value, name in (("true", STORED), ("false", LATEST)):
            accept = f"{DICOM}; transfer-syntax={syntax}"
            answer = get(web, made.path(), accept, msdicom_request_original=value)
            assert answer.content_type == accept, answer.describe()
            sent = read(answer.body)
            assert (sent.file_meta.TransferSyntaxUID, str(sent.PatientName)) == (syntax, name)
            assert same_samples(answer.body, made.part10)


@requirement("WADO-044")
@pytest.mark.parametrize("level", LEVELS)
def test_first_and_latest_only(web: DicomWeb, updated: Updated, level: str) -> None:
    """After two updates the version between can no longer be had (WADO-044)."""
    path = updated.one.path(level)
    assert [_names(web, path, PARTS, value) for value in ("true", "false")] == [{STORED}, {LATEST}]


@requirement("FRAME-022")
def test_frames_after_an_update(web: DicomWeb, updated: Updated) -> None:
    """Frames are those that were stored, with and without the header (FRAME-022)."""
    native = updated.two
    for value in ("true", "false"):
        answer = get(web, f"{native.path()}/frames/1", FRAME + AS_STORED, msdicom_request_original=value)
        assert (answer.status, answer.body) == (200, native.dataset.PixelData), answer.describe()
        packed = get(web, f"{updated.one.path()}/frames/1", FRAME_PARTS, msdicom_request_original=value)
        assert bodies(packed) == [updated.one.dataset.PixelData]


@requirement("REND-018")
def test_rendering_ignores_the_header(web: DicomWeb, updated: Updated) -> None:
    """Rendered images are of the latest version, header or not, updated or not (REND-018)."""
    for made in (updated.one, updated.two):
        path = f"{made.path()}/rendered"
        with_header = get(web, path, "image/png", msdicom_request_original="true")
        assert (with_header.status, with_header.content_type) == (200, "image/png"), with_header.describe()
        assert with_header.body == get(web, path, "image/png").body
