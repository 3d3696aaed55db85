"""WADO-RS of studies, series and instances, and their deletion, as the catalogue has them."""

from io import BytesIO

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, generate_uid

from tests.dicom_service.conftest import Service, dataset, path_of, stored, stored_file

ORIGINAL = "application/dicom; transfer-syntax=*"
MULTIPART = 'multipart/related; type="application/dicom"'
OCTETS = 'multipart/related; type="application/octet-stream"'


def test_study_and_series_come_as_parts(service: Service) -> None:
    """WADO-001, WADO-002, WADO-027, WADO-028."""
    study = generate_uid()
    first, second = dataset(StudyInstanceUID=study), dataset(StudyInstanceUID=study)
    sent = [stored(service, first), stored(service, second)]

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
    stored(service, made)
    assert service.get(path_of(made, level), accept).status == status


def test_wildcard_on_an_instance_is_one_part_as_stored(service: Service) -> None:
    """WADO-008."""
    made = dataset()
    sent = stored(service, made)
    assert [content for _, content in service.get(path_of(made), "*/*").parts()] == [sent]


def test_several_instances_are_not_transcoded(service: Service) -> None:
    """WADO-024."""
    study = generate_uid()
    made = dataset(StudyInstanceUID=study)
    stored(service, made)
    stored(service, dataset(StudyInstanceUID=study))
    answer = service.get(path_of(made, "study"), MULTIPART)
    assert answer.status == 406
    assert b"1.2.840.10008.1.2.1" in answer.body
    assert b"transfer-syntax=*" in answer.body


@pytest.mark.parametrize("name", ["CT_small.dcm", "SC_rgb.dcm", "MR_small_implicit.dcm", "SC_rgb_2frame.dcm"])
def test_transcoding_to_jpeg_2000_and_back_keeps_the_pixels(service: Service, name: str) -> None:
    """WADO-019, WADO-020, WADO-051."""
    made, _ = stored_file(service, name)
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
    made, sent = stored_file(service, name)
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
    sent = stored(service, made, "1.2.840.10008.1.2.4.100")
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


def test_deletion_at_each_level(service: Service) -> None:
    """DEL-001 to DEL-012, DEL-020, STOW-128."""
    study, series = generate_uid(), generate_uid()
    one, two = (dataset(StudyInstanceUID=study, SeriesInstanceUID=series) for _ in range(2))
    other = dataset(StudyInstanceUID=study)
    sent = [stored(service, made) for made in (one, two, other)]

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
