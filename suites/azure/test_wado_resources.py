"""Retrieving studies, series and instances as they were stored."""

from dataclasses import dataclass

import pytest

from fixtures.clients.dicomweb import DicomWeb, parts
from fixtures.traceability import requirement
from suites.azure.data import Made, Maker
from suites.azure.wado import (
    AS_STORED,
    DICOM,
    DICOM_PARTS,
    EXPLICIT_LE,
    IMPLICIT_LE,
    JPEG_2000_LOSSLESS,
    JPEG_LOSSLESS,
    MPEG2,
    bodies,
    changed,
    get,
    keep,
    only_part,
    read,
    undecodable,
    without_pixels,
)

DEFLATED = "1.2.840.10008.1.2.1.99"
BUT_PIXELS = f"{DICOM_PARTS}; transfer-syntax=*"


@dataclass(frozen=True)
class Shelf:
    """A study of two series (two instances and one), another study of the same patient, each in its own syntax."""

    one: Made
    two: Made
    other_series: Made
    other_study: Made

    @property
    def study(self) -> list[bytes]:
        """The files of the study."""
        return sorted(made.part10 for made in (self.one, self.two, self.other_series))


@pytest.fixture(scope="module")
def shelf(v2: DicomWeb, make: Maker) -> Shelf:
    """Four instances, stored once for all tests here."""
    one = make()
    two = make(like=one, syntax=JPEG_LOSSLESS)
    series = make(syntax=JPEG_2000_LOSSLESS, StudyInstanceUID=one.study, PatientID=one.dataset.PatientID)
    other = make(PatientID=one.dataset.PatientID)
    keep(v2, one, two, series, other)
    return Shelf(one, two, series, other)


@requirement("WADO-001", "WADO-017", "WADO-030")
def test_study_has_every_instance_and_no_other(web: DicomWeb, shelf: Shelf) -> None:
    """A study is all of its instances byte for byte, in any order (WADO-001, WADO-017, WADO-030)."""
    answer = get(web, shelf.one.path("study"), BUT_PIXELS)
    assert answer.content_type.startswith("multipart/related")
    assert bodies(answer) == shelf.study
    assert bodies(get(web, shelf.other_study.path("study"), BUT_PIXELS)) == [shelf.other_study.part10]


@requirement("WADO-002")
def test_series_has_its_instances_only(web: DicomWeb, shelf: Shelf) -> None:
    """A series is its instances and none of the study's other series (WADO-002)."""
    assert bodies(get(web, shelf.one.path("series"), BUT_PIXELS)) == sorted(
        [shelf.one.part10, shelf.two.part10]
    )
    assert bodies(get(web, shelf.other_series.path("series"), BUT_PIXELS)) == [shelf.other_series.part10]


@requirement("WADO-003", "WADO-006", "WADO-018")
def test_instance_as_one_part(web: DicomWeb, shelf: Shelf) -> None:
    """An instance is one part; in the stored syntax the stored bytes (WADO-003, WADO-006, WADO-018)."""
    assert only_part(get(web, shelf.one.path(), DICOM_PARTS)).body == shelf.one.part10
    accept = f"{DICOM_PARTS}; transfer-syntax={JPEG_2000_LOSSLESS}"
    assert only_part(get(web, shelf.other_series.path(), accept)).body == shelf.other_series.part10


@requirement("WADO-005")
def test_instance_as_the_whole_body(web: DicomWeb, shelf: Shelf) -> None:
    """Single part: the file is the body, and Content-Type names its syntax (WADO-005)."""
    for made, syntax in ((shelf.one, EXPLICIT_LE), (shelf.two, JPEG_LOSSLESS)):
        answer = get(web, made.path(), DICOM + AS_STORED)
        assert (answer.status, answer.body) == (200, made.part10), answer.describe()
        assert answer.content_type == f"application/dicom; transfer-syntax={syntax}"


@requirement("WADO-027", "WADO-028", "WADO-029")
def test_parts_are_labelled_one_by_one(web: DicomWeb, shelf: Shelf) -> None:
    """No type parameter on the whole; each part has one header, with its own syntax (WADO-027 to WADO-029)."""
    answer = get(web, shelf.one.path("study"), BUT_PIXELS)
    head, _, boundary = answer.content_type.partition("; boundary=")
    assert head == "multipart/related"
    assert boundary
    assert ";" not in boundary, "WADO-027: no type parameter"
    for part in parts(answer):
        syntax = read(part.body).file_meta.TransferSyntaxUID
        headers = [(name.lower(), value) for name, value in part.headers]
        assert headers == [("content-type", f"application/dicom; transfer-syntax={syntax}")]


@requirement("WADO-033", "WADO-034", "WADO-035")
def test_unknown_resources(web: DicomWeb, make: Maker, shelf: Shelf) -> None:
    """What is not stored, or is stored elsewhere, is 404 at every level (WADO-033 to WADO-035)."""
    one, other, nobody = shelf.one, shelf.other_study, make.uid()
    paths = (
        f"/studies/{nobody}",
        f"/studies/{one.study}/series/{nobody}",
        f"/studies/{one.study}/series/{other.series}",
        f"{one.path('series')}/instances/{nobody}",
        f"{one.path('series')}/instances/{shelf.other_series.instance}",
        f"/studies/{other.study}/series/{one.series}/instances/{one.instance}",
    )
    for path in paths:
        answer = get(web, path, BUT_PIXELS)
        assert answer.status == 404, f"{path}: {answer.describe()}"
    assert get(web, one.path(), BUT_PIXELS).status == 200


@requirement("WADO-036")
@pytest.mark.parametrize("bad", ["abc", "1.2.x", "1.2.", "1" * 65, "1.2-3"])
def test_invalid_uids(web: DicomWeb, shelf: Shelf, bad: str) -> None:
    """A malformed UID is 400 at every level (WADO-036)."""
    for path in (
        f"/studies/{bad}",
        f"/studies/{shelf.one.study}/series/{bad}",
        f"{shelf.one.path('series')}/instances/{bad}",
    ):
        answer = get(web, path, BUT_PIXELS)
        assert answer.status == 400, f"{path}: {answer.describe()}"


@requirement("WADO-036")
@pytest.mark.parametrize("odd", ["1.2.03", "1..2", "1" * 64])
def test_odd_uids_are_only_unknown(web: DicomWeb, odd: str) -> None:
    """Leading zeros, empty components and 64 characters are not refused (WADO-036)."""
    assert get(web, f"/studies/{odd}", BUT_PIXELS).status == 404


@requirement("WADO-038")
def test_trailing_spaces_in_the_path(web: DicomWeb, shelf: Shelf) -> None:
    """UIDs match with and without trailing spaces (WADO-038)."""
    one = shelf.one
    for path in (
        f"/studies/{one.study}%20/series/{one.series}/instances/{one.instance}",
        f"/studies/{one.study}%20%20/series/{one.series}%20/instances/{one.instance}%20",
    ):
        assert only_part(get(web, path, BUT_PIXELS)).body == one.part10


@requirement("WADO-038")
def test_trailing_spaces_of_the_stored_uid(web: DicomWeb, v2: DicomWeb, make: Maker) -> None:
    """A UID that was stored padded with a space is found with and without it (WADO-038)."""
    study = make.study_uid()
    made = make(StudyInstanceUID=None, raw={0x0020000D: ("UI", study.encode() + b" " * (2 - len(study) % 2))})
    keep(v2, made)
    rest = f"/series/{made.series}/instances/{made.instance}"
    for path in (f"/studies/{study}{rest}", f"/studies/{study}%20{rest}"):
        assert only_part(get(web, path, BUT_PIXELS)).body == made.part10


@requirement("WADO-039")
def test_original_without_pixel_data(web: DicomWeb, v2: DicomWeb, make: Maker) -> None:
    """Instances without pixel data come back as stored at every level (WADO-039)."""
    made = without_pixels(make)
    keep(v2, made)
    for level in ("study", "series", "instance"):
        assert bodies(get(web, made.path(level), BUT_PIXELS)) == [made.part10], level


@requirement("WADO-017", "WADO-029")
def test_original_of_what_cannot_be_decoded(web: DicomWeb, v2: DicomWeb, make: Maker) -> None:
    """With * a file that no server can decode comes back byte for byte, and its part says its syntax (WADO-017)."""
    made = undecodable(make)
    keep(v2, made)
    for level in ("study", "series", "instance"):
        part = only_part(get(web, made.path(level), BUT_PIXELS))
        assert (part.body, part.content_type) == (made.part10, f"application/dicom; transfer-syntax={MPEG2}")


@requirement("WADO-045")
def test_no_conditions_and_no_ranges(web: DicomWeb, shelf: Shelf) -> None:
    """Files carry no ETag, ignore If-None-Match and come whole in spite of Range (WADO-045)."""
    path = shelf.one.path()
    plain = get(web, path, DICOM + AS_STORED)
    assert plain.header("ETag") == ""
    for headers in ({"If_None_Match": "*"}, {"If_None_Match": '"1"'}, {"Range": "bytes=0-9"}):
        answer = get(web, path, DICOM + AS_STORED, **headers)
        assert (answer.status, answer.body) == (200, shelf.one.part10), f"{headers}: {answer.describe()}"
        frame = get(web, f"{path}/frames/1", "application/octet-stream; transfer-syntax=*", **headers)
        assert (frame.status, frame.header("ETag")) == (200, ""), f"{headers}: {frame.describe()}"
        assert len(frame.body) == len(shelf.one.dataset.PixelData)


@requirement("WADO-046")
def test_deflated_comes_back_as_it_is(web: DicomWeb, v2: DicomWeb, make: Maker) -> None:
    """A deflated file is stored and returned as is with * (WADO-046)."""
    made = make(syntax=DEFLATED)
    keep(v2, made)
    answer = get(web, made.path(), DICOM + AS_STORED)
    assert (answer.status, answer.body) == (200, made.part10), answer.describe()
    assert answer.content_type == f"application/dicom; transfer-syntax={DEFLATED}"


@requirement("WADO-042")
@pytest.mark.parametrize("value", ["true", "TRUE", "false", "", "1"])
def test_original_of_a_never_updated_instance(web: DicomWeb, shelf: Shelf, value: str) -> None:
    """Asking for the original of what was never updated gives the only version (WADO-042)."""
    for level, whole in (("instance", [shelf.one.part10]), ("study", shelf.study)):
        answer = get(web, shelf.one.path(level), BUT_PIXELS, msdicom_request_original=value)
        assert bodies(answer) == whole, f"{level}: {answer.describe()}"


@requirement("WADO-022")
def test_implicit_becomes_explicit(web: DicomWeb, v2: DicomWeb, make: Maker) -> None:
    """Without a parameter an Implicit VR file is sent as Explicit VR Little Endian, its values unchanged (WADO-022)."""
    made = make(syntax=IMPLICIT_LE)
    keep(v2, made)
    answer = get(web, made.path(), DICOM)
    assert answer.content_type == f"application/dicom; transfer-syntax={EXPLICIT_LE}", answer.describe()
    assert read(answer.body).file_meta.TransferSyntaxUID == EXPLICIT_LE
    assert changed(made.part10, answer.body) == set()
    assert get(web, made.path(), DICOM + AS_STORED).body == made.part10
