"""Metadata and their ETags as the catalogue has them."""

from tests.dicom_service.conftest import Service, dataset, path_of, stored, stored_file


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
    stored(service, made)

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
        made, _ = stored_file(service, name)
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
    stored(service, made)
    path = path_of(made, "study") + "/metadata"
    etag = service.get(path).headers["etag"]

    unchanged = service.get(path, **{"If-None-Match": etag})
    assert (unchanged.status, unchanged.body) == (304, b"")
    assert "etag" not in unchanged.headers
    assert service.get(path, **{"If-None-Match": f'"{etag}"'}).status == 200
    second = dataset(StudyInstanceUID=made.StudyInstanceUID)
    stored(service, second)
    changed = service.get(path, **{"If-None-Match": etag})
    assert changed.status == 200
    service.request("DELETE", path_of(second))
    assert service.get(path, **{"If-None-Match": changed.headers["etag"]}).status == 200
    assert service.get("/v2/studies/1.2.9/metadata", **{"If-None-Match": etag}).status == 404
