"""WADO-RS, frames, metadata, rendering and deletion as the catalogue has them."""

from io import BytesIO

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, generate_uid

from tests.dicom_service.conftest import Service, dataset, part10, path_of

ORIGINAL = "application/dicom; transfer-syntax=*"
MULTIPART = 'multipart/related; type="application/dicom"'
OCTETS = 'multipart/related; type="application/octet-stream"'


def _stored(service: Service, made: Dataset, syntax: str = "1.2.840.10008.1.2.1") -> bytes:
    sent = part10(made, syntax)
    assert service.store(sent).status in (200, 202)
    return sent


def _file(service: Service, name: str) -> tuple[Dataset, bytes]:
    """Store a file of pydicom under UIDs of its own."""
    made = pydicom.dcmread(str(get_testdata_file(name)))
    made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID = (generate_uid() for _ in range(3))
    if not made.get("PatientID"):
        made.PatientID = "P"
    out = BytesIO()
    made.save_as(out)
    assert service.store(out.getvalue()).status in (200, 202)
    return made, out.getvalue()


def test_study_and_series_come_as_parts(service: Service) -> None:
    """WADO-001, WADO-002, WADO-027, WADO-028."""
    study = generate_uid()
    first, second = dataset(StudyInstanceUID=study), dataset(StudyInstanceUID=study)
    sent = [_stored(service, first), _stored(service, second)]

    answer = service.get(path_of(first, "study"), f"{MULTIPART}; transfer-syntax=*")

    assert answer.headers["content-type"].startswith("multipart/related; boundary=")
    assert sorted(content for _, content in answer.parts()) == sorted(sent)
    assert {head for head, _ in answer.parts()} == {"application/dicom; transfer-syntax=1.2.840.10008.1.2.1"}
    assert [content for _, content in service.get(path_of(first, "series"), MULTIPART).parts()] == [sent[0]]


@pytest.mark.parametrize(
    ("level", "accept", "status"),
    [
        ("study", ORIGINAL, 406),
        ("study", "*/*", 406),
        ("study", MULTIPART, 200),
        ("study", 'multipart/related; type="*/*"', 200),
        ("instance", None, 406),
        ("instance", "application/dicom", 200),
        ("instance", "multipart/related; type=application/dicom; transfer-syntax=*", 200),
        ("instance", 'multipart/related; type="application/dicom"; transfer-syntax="*"', 200),
        ("instance", "multipart/related", 406),
        ("instance", "application/octet-stream", 406),
        ("instance", "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.70", 406),
        ("instance", "bad, application/dicom", 200),
    ],
)
def test_accept_decides(service: Service, level: str, accept: str | None, status: int) -> None:
    """WADO-004 to WADO-015, WADO-047, WADO-049."""
    made = dataset()
    _stored(service, made)
    assert service.get(path_of(made, level), accept).status == status


def test_wildcard_on_an_instance_is_one_part_as_stored(service: Service) -> None:
    """WADO-008."""
    made = dataset()
    sent = _stored(service, made)
    assert [content for _, content in service.get(path_of(made), "*/*").parts()] == [sent]


def test_several_instances_are_not_transcoded(service: Service) -> None:
    """WADO-024."""
    study = generate_uid()
    made = dataset(StudyInstanceUID=study)
    _stored(service, made)
    _stored(service, dataset(StudyInstanceUID=study))
    answer = service.get(path_of(made, "study"), MULTIPART)
    assert answer.status == 406
    assert b"1.2.840.10008.1.2.1" in answer.body
    assert b"transfer-syntax=*" in answer.body


@pytest.mark.parametrize("name", ["CT_small.dcm", "SC_rgb.dcm", "MR_small_implicit.dcm", "SC_rgb_2frame.dcm"])
def test_transcoding_to_jpeg_2000_and_back_keeps_the_pixels(service: Service, name: str) -> None:
    """WADO-019, WADO-020, WADO-051."""
    made, _ = _file(service, name)
    accept = f"application/dicom; transfer-syntax={JPEG2000Lossless}"

    compressed = pydicom.dcmread(BytesIO(service.get(path_of(made), accept).body))

    assert compressed.file_meta.TransferSyntaxUID == JPEG2000Lossless
    assert np.array_equal(compressed.pixel_array, made.pixel_array)
    assert compressed.PhotometricInterpretation == ("YBR_RCT" if made.SamplesPerPixel == 3 else "MONOCHROME2")
    assert _changed(made, compressed) <= {"PixelData", "PhotometricInterpretation"}
    compressed.SOPInstanceUID = generate_uid()
    again = BytesIO()
    compressed.save_as(again)
    assert service.store(again.getvalue()).status in (200, 202)
    plain = pydicom.dcmread(BytesIO(service.get(path_of(compressed), "application/dicom").body))
    assert plain.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert np.array_equal(plain.pixel_array, made.pixel_array)
    assert plain.PhotometricInterpretation == made.PhotometricInterpretation


def _changed(before: Dataset, after: Dataset) -> set[str]:
    tags = {element.tag for element in before} | {element.tag for element in after}
    return {
        pydicom.datadict.keyword_for_tag(tag) or str(tag)
        for tag in tags
        if tag not in before or tag not in after or before[tag].value != after[tag].value
    }


@pytest.mark.parametrize(
    "name",
    [
        "JPEG2000.dcm",
        "SC_jpeg_no_color_transform.dcm",
        "MR_small_RLE.dcm",
        "JPEG-LL.dcm",
        "ExplVR_BigEnd.dcm",
        "MR_small_bigendian.dcm",
        "image_dfl.dcm",
    ],
)
def test_documented_syntaxes_become_explicit_little_endian(service: Service, name: str) -> None:
    """WADO-021, WADO-046."""
    made, sent = _file(service, name)
    assert service.get(path_of(made), ORIGINAL).body == sent
    plain = pydicom.dcmread(BytesIO(service.get(path_of(made), "application/dicom").body))
    assert plain.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    if "PixelData" in made:
        assert np.array_equal(plain.pixel_array, made.pixel_array)


def test_what_cannot_be_decoded_is_406_but_original_is_200(service: Service) -> None:
    """WADO-017, WADO-023, FRAME-017, FRAME-018, REND-014."""
    made = dataset()
    made.PixelData = pydicom.encaps.encapsulate([b"\0\0\1\xba" * 30])
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    sent = _stored(service, made, "1.2.840.10008.1.2.4.100")
    refused = service.get(path_of(made), "application/dicom")
    assert refused.status == 406
    assert refused.headers["content-type"].startswith("text/plain")
    assert service.get(path_of(made), ORIGINAL).body == sent
    assert service.get(path_of(made) + "/frames/1", OCTETS).status == 406
    assert (
        service.get(path_of(made) + "/frames/1", f"{OCTETS}; transfer-syntax=*").parts()[0][1]
        == b"\0\0\1\xba" * 30
    )
    assert service.get(path_of(made) + "/rendered", "image/png").status == 406


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2/studies/1.2.3.4.5", 404),
        ("/v2/studies/abc", 400),
        ("/v2/studies/1.2.", 400),
        ("/v2/studies/" + "1" * 65, 400),
        ("/v2/studies/1.02..3", 404),
        ("/v2/studies/1.2.3/series/1.2.3", 404),
        ("/v2/studies/1.2.3/series/x", 400),
        ("/v2/studies/1.2.3/bulkdata", 404),
    ],
)
def test_unknown_and_invalid_uids(service: Service, path: str, status: int) -> None:
    """WADO-033 to WADO-036, ERR-004, ERR-013, ERR-019."""
    answer = service.get(path, f"{MULTIPART}; transfer-syntax=*")
    assert answer.status == status
    if "abc" in path:
        assert b"StudyInstanceUid" in answer.body
        assert b"'UI'" in answer.body


def _multi_frame(frames: int = 3) -> Dataset:
    pixels = np.arange(frames * 5 * 5, dtype=np.uint8)
    return dataset(NumberOfFrames=frames, Rows=5, Columns=5, BitsAllocated=8, BitsStored=8, HighBit=7,
                   PixelData=pixels.tobytes() + b"\0")  # fmt: skip


def test_frames_in_the_order_asked_for(service: Service) -> None:
    """FRAME-001 to FRAME-003, FRAME-019, FRAME-024."""
    made = _multi_frame()
    _stored(service, made)
    parts = service.get(path_of(made) + "/frames/3,1%2C3", f"{OCTETS}; transfer-syntax=*").parts()
    assert [content for _, content in parts] == [
        made.PixelData[50:75],
        made.PixelData[:25],
        made.PixelData[50:75],
    ]
    assert parts[0][0] == "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"


@pytest.mark.parametrize(
    ("frames", "accept", "status"),
    [
        ("1", "application/octet-stream; transfer-syntax=*", 200),
        ("1,1", "application/octet-stream; transfer-syntax=*", 400),
        ("1,2", "*/*", 200),
        ("4", OCTETS, 404),
        ("1,4", "*/*", 404),
        ("0", OCTETS, 400),
        ("-1", OCTETS, 400),
        ("abc", OCTETS, 400),
        ("1,", OCTETS, 400),
        ("9999999999", OCTETS, 400),
        ("1", None, 406),
        ("1", "application/dicom", 406),
        ("1", "image/jp2", 406),
        ("1", f"{OCTETS}; transfer-syntax={JPEG2000Lossless}", 406),
        ("1", 'multipart/related; type="application/octet-stream"; transfer-syntax="*"', 200),
        ("1", "multipart/related; type=application/octet-stream; transfer-syntax=*", 200),
    ],
)
def test_frame_lists_and_accepts(service: Service, frames: str, accept: str | None, status: int) -> None:
    """FRAME-004 to FRAME-014, and what OHIF sends."""
    made = _multi_frame()
    _stored(service, made)
    assert service.get(f"{path_of(made)}/frames/{frames}", accept).status == status


def test_jpeg_2000_frames_are_bare_codestreams(service: Service) -> None:
    """FRAME-006."""
    made, _ = _file(service, "SC_rgb.dcm")
    parts = service.get(path_of(made) + "/frames/1", 'multipart/related; type="image/jp2"').parts()
    assert parts[0][0] == f"image/jp2; transfer-syntax={JPEG2000Lossless}"
    assert parts[0][1].startswith(b"\xff\x4f\xff\x51")
    assert np.array_equal(np.asarray(Image.open(BytesIO(parts[0][1]))), made.pixel_array)


def test_compressed_frames_are_decompressed_by_default(service: Service) -> None:
    """FRAME-004, FRAME-020."""
    made, _ = _file(service, "MR_small_RLE.dcm")
    raw = service.get(path_of(made) + "/frames/1", OCTETS).parts()[0][1]
    assert np.array_equal(
        np.frombuffer(raw, made.pixel_array.dtype).reshape(made.pixel_array.shape), made.pixel_array
    )


def test_frames_without_pixel_data_are_missing(service: Service) -> None:
    """FRAME-016, REND-013, STOW-116, WADO-050."""
    made = dataset(PixelData=None)
    _stored(service, made)
    assert service.get(path_of(made) + "/frames/1", OCTETS).status == 404
    assert service.get(path_of(made) + "/rendered", "image/png").status == 404
    assert service.get(path_of(made), f"application/dicom; transfer-syntax={JPEG2000Lossless}").status == 200


def test_metadata_leaves_out_bulk_data(service: Service) -> None:
    """META-001 to META-004, META-010 to META-015."""
    made = dataset(
        ImageType=["ORIGINAL", "", "X"],
        PatientName="Doe^Jane^^=漢字",
        PatientWeight="70.50",
        PatientComments="",
    )
    made.add_new(0x00070008, "LO", "Private Tag")
    made.add_new(0x00280009, "AT", 0x00181063)
    _stored(service, made)

    answer = service.get(path_of(made, "study") + "/metadata", "application/dicom+json")

    assert answer.headers["content-type"].startswith("application/dicom+json")
    (described,) = answer.json()
    assert described["00080008"]["Value"] == ["ORIGINAL", None, "X"]
    assert described["00100010"]["Value"] == [{"Alphabetic": "Doe^Jane^^", "Ideographic": "漢字"}]
    assert described["00101030"] == {"vr": "DS", "Value": [70.5]}
    assert described["00104000"] == {"vr": "LT", "Value": [None]}
    assert described["00070008"] == {"vr": "LO", "Value": ["Private Tag"]}
    assert described["00280009"] == {"vr": "AT", "Value": ["00181063"]}
    assert not {"7FE00010", "00020010"} & described.keys()


def test_metadata_agrees_with_pydicom(service: Service) -> None:
    """META-010 to META-015 over real files: the same values as pydicom's own DICOM JSON."""
    for name in (
        "CT_small.dcm",
        "MR_small.dcm",
        "examples_overlay.dcm",
        "liver_1frame.dcm",
        "rtplan.dcm",
        "waveform_ecg.dcm",
    ):
        made, _ = _file(service, name)
        (described,) = service.get(path_of(made) + "/metadata").json()
        for element in made:
            if (
                element.VR not in {"OB", "OD", "OF", "OL", "OV", "OW", "UN", "SQ", "PN", "DS"}
                and element.tag.element
            ):
                seen = described.get(f"{element.tag:08X}")
                if seen is None or element.is_empty:
                    continue
                assert seen["vr"] == element.VR
                assert len(seen["Value"]) == element.VM
        assert described["0020000D"]["Value"] == [made.StudyInstanceUID]


def test_etag_follows_the_content(service: Service) -> None:
    """META-018 to META-025, META-029."""
    made = dataset()
    _stored(service, made)
    path = path_of(made, "study") + "/metadata"
    etag = service.get(path).headers["etag"]

    unchanged = service.get(path, **{"If-None-Match": etag})
    assert (unchanged.status, unchanged.body) == (304, b"")
    assert "etag" not in unchanged.headers
    assert service.get(path, **{"If-None-Match": f'"{etag}"'}).status == 200
    second = dataset(StudyInstanceUID=made.StudyInstanceUID)
    _stored(service, second)
    changed = service.get(path, **{"If-None-Match": etag})
    assert changed.status == 200
    service.request("DELETE", path_of(second))
    assert service.get(path, **{"If-None-Match": changed.headers["etag"]}).status == 200
    assert service.get("/v2/studies/1.2.9/metadata", **{"If-None-Match": etag}).status == 404


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        ("rendered", None, 200),
        ("rendered", "image/png", 200),
        ("rendered", "*/*", 406),
        ("rendered", "image/png, image/jpeg", 406),
        ("rendered", "image/gif", 406),
        ("rendered?quality=1", "image/jpeg", 200),
        ("rendered?quality=0", "image/png", 400),
        ("rendered?quality=101", "image/png", 400),
        ("rendered?quality=abc", "image/gif", 400),
        ("frames/3/rendered", "image/png", 200),
        ("frames/4/rendered", "image/png", 404),
        ("frames/0/rendered", "image/png", 400),
        ("frames/1,2/rendered", "image/png", 400),
    ],
)
def test_rendering(service: Service, path: str, accept: str | None, status: int) -> None:
    """REND-001 to REND-012."""
    made = _multi_frame()
    _stored(service, made)
    answer = service.get(f"{path_of(made)}/{path}", accept)
    assert answer.status == status
    if status == 200:
        assert answer.headers["content-type"] == (accept or "image/jpeg")
        assert Image.open(BytesIO(answer.body)).size == (5, 5)


@pytest.mark.parametrize(
    "name",
    ["CT_small.dcm", "SC_rgb.dcm", "examples_palette.dcm", "JPEG2000.dcm", "SC_jpeg_no_color_transform.dcm"],
)
def test_real_images_render(service: Service, name: str) -> None:
    """REND-003, REND-008."""
    made, _ = _file(service, name)
    best, worst = (service.get(f"{path_of(made)}/rendered?quality={q}", "image/jpeg").body for q in (100, 1))
    assert len(worst) <= len(best)
    png = Image.open(BytesIO(service.get(path_of(made) + "/rendered", "image/png").body))
    assert png.size == (made.Columns, made.Rows)
    assert len(np.unique(np.asarray(png.convert("L")))) > 8


def test_deletion_at_each_level(service: Service) -> None:
    """DEL-001 to DEL-012, DEL-020, STOW-128."""
    study, series = generate_uid(), generate_uid()
    one, two = (dataset(StudyInstanceUID=study, SeriesInstanceUID=series) for _ in range(2))
    other = dataset(StudyInstanceUID=study)
    sent = [_stored(service, made) for made in (one, two, other)]

    deleted = service.request("DELETE", path_of(one))
    assert (deleted.status, deleted.body) == (204, b"")
    assert service.get(path_of(one), ORIGINAL).status == 404
    assert service.get(path_of(two), ORIGINAL).status == 200
    assert b"instance" in service.request("DELETE", path_of(one)).body
    assert service.request("DELETE", path_of(two)).status == 204
    assert service.request("DELETE", path_of(two, "series")).status == 404
    assert service.request("DELETE", path_of(other, "series")).status == 204
    assert service.request("DELETE", path_of(one, "study")).status == 404
    assert service.get(f"/v2/studies?StudyInstanceUID={study}").status == 204
    assert service.store(sent[0]).status == 200
    assert service.request("DELETE", path_of(one, "study")).status == 204
    assert service.request("DELETE", "/v2/studies/abc").status == 400
