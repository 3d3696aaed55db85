"""Transcoding: which files become which, and what else in them changes."""

from typing import Any

import pytest
from pydicom.uid import JPEG2000, JPEGBaseline8Bit, JPEGLossless

from fixtures.clients.dicomweb import DicomWeb
from fixtures.data import Run, make_series
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
    bodies,
    changed,
    colour,
    get,
    keep,
    only_part,
    read,
    same_samples,
    samples,
    undecodable,
    without_pixels,
)

J2K = f"; transfer-syntax={JPEG_2000_LOSSLESS}"
BIG_ENDIAN, RLE = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5"
LOSSLESS = (IMPLICIT_LE, EXPLICIT_LE, BIG_ENDIAN, JPEGLossless, JPEG_LOSSLESS, JPEG_2000_LOSSLESS, RLE)
LOSSY = (JPEGBaseline8Bit, JPEG2000)
# Decoders of lossy JPEG may round differently (ISO/IEC 10918-2 allows one level a sample).
ROUNDING = 2


@pytest.fixture(scope="module")
def grey(v2: DicomWeb, make: Maker) -> dict[str, Made]:
    """The same picture in every documented source syntax that is lossless, and 8 bits of it in the lossy ones."""
    made = {syntax: make(syntax=syntax) for syntax in LOSSLESS}
    eight: dict[str, Any] = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    pixels = bytes((row * 5 + column * 3) % 256 for row in range(32) for column in range(32))
    made |= {syntax: make(syntax=syntax, PixelData=pixels, **eight) for syntax in LOSSY}
    keep(v2, *made.values())
    return made


@pytest.fixture(scope="module")
def rgb(v2: DicomWeb, make: Maker) -> dict[str, Made]:
    """An RGB picture uncompressed and in JPEG 2000 Lossless."""
    made = {syntax: colour(make, syntax=syntax) for syntax in (EXPLICIT_LE, JPEG_2000_LOSSLESS)}
    keep(v2, *made.values())
    return made


def _sent(web: DicomWeb, made: Made, accept: str, syntax: str) -> bytes:
    """The file as sent, after checking that header and file say the syntax."""
    answer = get(web, made.path(), accept)
    assert (answer.status, answer.content_type) == (200, f"application/dicom; transfer-syntax={syntax}"), (
        answer.describe()
    )
    assert read(answer.body).file_meta.TransferSyntaxUID == syntax
    return answer.body


@requirement("WADO-019")
def test_jpeg_2000_to_explicit(web: DicomWeb, grey: dict[str, Made]) -> None:
    """JPEG 2000 Lossless is decompressed to the original pixels (WADO-019)."""
    made = grey[JPEG_2000_LOSSLESS]
    for accept in (DICOM, f"{DICOM}; transfer-syntax={EXPLICIT_LE}"):
        assert read(_sent(web, made, accept, EXPLICIT_LE)).PixelData == made.dataset.PixelData


@requirement("WADO-020")
def test_explicit_to_jpeg_2000(web: DicomWeb, grey: dict[str, Made]) -> None:
    """Explicit VR Little Endian is compressed without loss (WADO-020)."""
    made = grey[EXPLICIT_LE]
    sent = _sent(web, made, DICOM + J2K, JPEG_2000_LOSSLESS)
    assert same_samples(sent, made.part10)
    assert read(sent).PixelData != made.dataset.PixelData


@requirement("WADO-021")
@pytest.mark.parametrize("syntax", LOSSLESS)
def test_documented_lossless_sources(web: DicomWeb, grey: dict[str, Made], syntax: str) -> None:
    """Every documented lossless source becomes either target with its very pixels (WADO-021)."""
    made = grey[syntax]
    assert read(_sent(web, made, DICOM, EXPLICIT_LE)).PixelData == made.dataset.PixelData
    assert same_samples(_sent(web, made, DICOM + J2K, JPEG_2000_LOSSLESS), grey[EXPLICIT_LE].part10)


@requirement("WADO-021")
@pytest.mark.parametrize("syntax", LOSSY)
def test_documented_lossy_sources(web: DicomWeb, grey: dict[str, Made], syntax: str) -> None:
    """The lossy ones become either target with the pixels any decoder sees (WADO-021)."""
    made = grey[syntax]
    for accept, target in ((DICOM, EXPLICIT_LE), (DICOM + J2K, JPEG_2000_LOSSLESS)):
        assert same_samples(_sent(web, made, accept, target), made.part10, within=ROUNDING), target


@requirement("WADO-023")
def test_transcoding_impossible(web: DicomWeb, v2: DicomWeb, make: Maker) -> None:
    """What cannot be decoded is 406 with a sentence, and 200 with * (WADO-023)."""
    made = undecodable(make)
    keep(v2, made)
    for accept in (DICOM, DICOM_PARTS, DICOM + J2K):
        answer = get(web, made.path(), accept)
        assert (answer.status, answer.content_type.partition(";")[0]) == (406, "text/plain"), (
            answer.describe()
        )
        assert answer.body
    assert get(web, made.path(), DICOM + AS_STORED).body == made.part10


@requirement("WADO-024")
@pytest.mark.parametrize("level", ["study", "series"])
def test_several_instances_only_as_stored(web: DicomWeb, v2: DicomWeb, make: Maker, level: str) -> None:
    """More than one instance comes only with *, even in the syntax all of them have (WADO-024)."""
    made = make.series(2)
    keep(v2, *made)
    for accept, named in ((DICOM_PARTS, EXPLICIT_LE), (DICOM_PARTS + J2K, JPEG_2000_LOSSLESS)):
        answer = get(web, made[0].path(level), accept)
        assert answer.status == 406, answer.describe()
        assert named in answer.body.decode(), f"the message names the syntax: {answer.describe()}"
        assert "*" in answer.body.decode(), f"the message advises *: {answer.describe()}"
    files = sorted(one.part10 for one in made)
    assert bodies(get(web, made[0].path(level), DICOM_PARTS + AS_STORED)) == files


@requirement("WADO-025")
@pytest.mark.parametrize("level", ["study", "series"])
def test_one_instance_is_transcoded_at_any_level(web: DicomWeb, grey: dict[str, Made], level: str) -> None:
    """A study or series of one instance is transcoded like the instance (WADO-025)."""
    made = grey[JPEG_LOSSLESS]
    asked = (
        (DICOM_PARTS, EXPLICIT_LE),
        (f"{DICOM_PARTS}; transfer-syntax={EXPLICIT_LE}", EXPLICIT_LE),
        (DICOM_PARTS + J2K, JPEG_2000_LOSSLESS),
    )
    for accept, syntax in asked:
        part = only_part(get(web, made.path(level), accept))
        assert part.content_type == f"application/dicom; transfer-syntax={syntax}"
        assert same_samples(part.body, made.part10)


@requirement("WADO-050")
def test_without_pixel_data_the_data_set_is_encoded_anew(web: DicomWeb, v2: DicomWeb, make: Maker) -> None:
    """Without pixel data any acceptable syntax is 200, and the file says it (WADO-050)."""
    made = without_pixels(make, syntax=IMPLICIT_LE)
    keep(v2, made)
    for accept, syntax in ((DICOM, EXPLICIT_LE), (DICOM + J2K, JPEG_2000_LOSSLESS)):
        assert changed(made.part10, _sent(web, made, accept, syntax)) == set(), syntax


@requirement("WADO-051")
def test_nothing_but_pixels_changes(web: DicomWeb, v2: DicomWeb, make: Maker, this_run: Run) -> None:
    """A whole CT image, private elements and sequences included, differs in Pixel Data only (WADO-051)."""
    for number, syntax in enumerate((EXPLICIT_LE, JPEG_2000_LOSSLESS, JPEG_LOSSLESS), 1):
        scene = int(make.uid().rpartition(".")[2])
        (whole,) = make_series(this_run, scene, 1, number=number, transfer_syntax=syntax).instances
        uids = whole.fingerprint
        make.register(uids.study_instance_uid)
        made = Made(
            whole.dataset(),
            whole.part10,
            uids.study_instance_uid,
            uids.series_instance_uid,
            whole.sop_instance_uid,
        )
        keep(v2, made)
        for accept, target in ((DICOM, EXPLICIT_LE), (DICOM + J2K, JPEG_2000_LOSSLESS)):
            sent = _sent(web, made, accept, target)
            assert changed(made.part10, sent) <= {"PixelData"}, f"{syntax} to {target}"
            meta = read(sent).file_meta
            assert meta.MediaStorageSOPClassUID == made.dataset.SOPClassUID
        v2.delete(made.study)


@requirement("WADO-051")
def test_colour_says_how_it_is_compressed(web: DicomWeb, rgb: dict[str, Made]) -> None:
    """RGB becomes YBR_RCT in JPEG 2000 Lossless, with the transform used, and RGB again outside (WADO-051)."""
    plain = rgb[EXPLICIT_LE]
    sent = _sent(web, plain, DICOM + J2K, JPEG_2000_LOSSLESS)
    assert changed(plain.part10, sent) == {"PixelData", "PhotometricInterpretation"}
    assert (read(sent).PhotometricInterpretation, read(sent).PlanarConfiguration) == ("YBR_RCT", 0)
    assert _uses_component_transform(bytes(read(sent).PixelData))
    assert same_samples(sent, plain.part10)

    packed = rgb[JPEG_2000_LOSSLESS]
    back = _sent(web, packed, DICOM, EXPLICIT_LE)
    assert changed(packed.part10, back) == {"PixelData", "PhotometricInterpretation"}
    assert read(back).PhotometricInterpretation == "RGB"
    assert read(back).PixelData == packed.dataset.PixelData


def _uses_component_transform(pixel_data: bytes) -> bool:
    """The multiple component transformation byte of the COD marker segment (ISO/IEC 15444-1 A.6.1)."""
    return pixel_data[pixel_data.index(b"\xff\x52") + 8] == 1


@requirement("WADO-018")
def test_compressed_is_not_compressed_again(web: DicomWeb, grey: dict[str, Made]) -> None:
    """What is stored in the requested syntax comes as the stored bytes (WADO-018)."""
    for syntax in (JPEG_2000_LOSSLESS, EXPLICIT_LE):
        made = grey[syntax]
        assert _sent(web, made, f"{DICOM}; transfer-syntax={syntax}", syntax) == made.part10
    assert len(samples(grey[RLE].part10)) == 1
