"""STOW-RS as the catalogue has it; the ids are those of requirements/azure-store-retrieve.yaml."""

from typing import Any

import pytest
from pydicom.uid import ImplicitVRLittleEndian, generate_uid

from tests.dicom_service.conftest import Service, dataset, failures, part10, path_of, reasons, warnings

ORIGINAL = "application/dicom; transfer-syntax=*"


def test_stored_instance_comes_back_byte_for_byte(service: Service) -> None:
    """STOW-031, STOW-039, STOW-040, STOW-117."""
    made = dataset()
    sent = part10(made)

    answer = service.store(sent)

    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/dicom+json")
    assert answer.headers["api-supported-versions"] == "1.0-prerelease, 1, 2"
    item = answer.json()["00081199"]["Value"][0]
    assert item["00081150"] == {"vr": "UI", "Value": [made.SOPClassUID]}
    assert item["00741048"] == {"vr": "SQ"}
    url = item["00081190"]["Value"][0]
    assert url == f"http://127.0.0.1:{service.port}{path_of(made)}"
    assert service.get(path_of(made), ORIGINAL).body == sent


def test_multipart_store_keeps_order_and_accounts_for_every_part(service: Service) -> None:
    """STOW-013, STOW-025, STOW-026, STOW-032, STOW-048."""
    first, second = dataset(), dataset()

    answer = service.store(part10(first), b"rubbish", part10(second))

    assert answer.status == 202
    stored = [item["00081155"]["Value"][0] for item in answer.json()["00081199"]["Value"]]
    assert stored == [first.SOPInstanceUID, second.SOPInstanceUID]
    assert answer.json()["00081198"]["Value"] == [{"00081197": {"vr": "US", "Value": [43264]}}]


def test_store_under_a_study_refuses_instances_of_others(service: Service) -> None:
    """STOW-002, STOW-038, STOW-059, STOW-060."""
    mine, other = dataset(), dataset()

    answer = service.store(part10(mine), part10(other), study=mine.StudyInstanceUID)

    assert answer.status == 202
    assert failures(answer) == [43264]
    assert answer.json()["00081190"]["Value"][0].endswith(f"/v2/studies/{mine.StudyInstanceUID}")
    assert any("does not match the specified StudyInstanceUid." in reason for reason in reasons(answer))
    assert service.get(path_of(other), ORIGINAL).status == 404


@pytest.mark.parametrize("version", ["v1", "v2", "v1.0-prerelease"])
def test_duplicate_is_a_conflict_and_changes_nothing(service: Service, version: str) -> None:
    """STOW-062, STOW-063, STOW-044."""
    made = dataset(PatientName="First^Copy")
    sent = part10(made)
    made.PatientName = "Second^Copy"

    assert failures(service.store(sent, sent, version=version)) == [45070]
    answer = service.store(part10(made), version=version)

    assert (answer.status, failures(answer)) == (409, [45070])
    assert "00741048" not in answer.json()["00081198"]["Value"][0]
    assert service.get(path_of(made), ORIGINAL).body == sent


@pytest.mark.parametrize(
    "keyword", ["SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientID"]
)
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_missing_required_attribute_fails_the_instance(service: Service, keyword: str, version: str) -> None:
    """STOW-049 to STOW-053, STOW-057."""
    made = dataset()
    tag = made[keyword].tag
    delattr(made, keyword)
    shown = f"({tag.group:04x},{tag.element:04x})"

    answer = service.store(part10(made), version=version)

    assert (answer.status, failures(answer)) == (409, [43264])
    assert reasons(answer) == [f"DICOM100: {shown} - The required tag '{shown}' is missing."]


def test_empty_patient_id_depends_on_the_version(service: Service) -> None:
    """STOW-054, STOW-055."""
    reason = "DICOM100: (0010,0020) - The required tag '(0010,0020)' is missing."
    made = dataset(PatientID="")
    assert service.store(part10(made), version="v1").status == 409

    answer = service.store(part10(made), version="v2")

    assert (answer.status, warnings(answer), reasons(answer)) == (202, [1], [reason])
    assert "00100020" not in service.get(path_of(made) + "/metadata").json()[0]
    found = service.get(f"/v2/studies?StudyInstanceUID={made.StudyInstanceUID}").json()[0]
    assert found["00100020"] == {"vr": "LO"}


def test_empty_patient_id_never_overwrites(service: Service) -> None:
    """STOW-056."""
    study, series = generate_uid(), generate_uid()
    for value in ("", "123", ""):
        made = dataset(StudyInstanceUID=study, SeriesInstanceUID=series, PatientID=value)
        service.store(part10(made))
    assert service.get(f"/v2/studies?StudyInstanceUID={study}").json()[0]["00100020"]["Value"] == ["123"]


def test_bad_study_date_fails_v1_and_warns_v2(service: Service) -> None:
    """STOW-080, STOW-083, STOW-089, STOW-093, STOW-096."""
    made = dataset()
    made["StudyDate"]._value = "NotAValidStudyDate"
    sent = part10(made)

    refused = service.store(sent, version="v1")
    assert (refused.status, failures(refused)) == (409, [43264])
    assert reasons(refused) == [
        (
            "DICOM100: (0008,0020) - Dicom element 'StudyDate' failed validation for VR 'DA': "
            "Value cannot be parsed as a valid date."
        )
    ]

    warned = service.store(sent)
    assert (warned.status, warnings(warned)) == (202, [1])
    assert reasons(warned) == [
        (
            'DICOM100: (0008,0020) - Content "NotAValidStudyDate" does not validate VR DA: '
            "one of the date values does not match the pattern YYYYMMDD"
        )
    ]
    assert "00080020" not in service.get(path_of(made) + "/metadata").json()[0]
    assert service.get(path_of(made), ORIGINAL).body == sent


def test_implicit_vr_is_remarked(service: Service) -> None:
    """STOW-111 to STOW-113, STOW-121."""
    answers = {}
    for version in ("v1", "v2"):
        made = dataset()
        made.add_new(0x00090010, "LO", "MAKER")
        made.add_new(0x00091001, "LO", "private")
        answers[version] = service.store(part10(made, ImplicitVRLittleEndian), version=version)
    assert {version: (answer.status, warnings(answer)) for version, answer in answers.items()} == {
        "v1": (200, [45063]),
        "v2": (202, [45063]),
    }
    described = service.get(path_of(made) + "/metadata").json()[0]
    assert described["00090010"] == {"vr": "LO", "Value": ["MAKER"]}
    assert "00091001" not in described


def test_multi_valued_indexed_attribute_gets_a_warning_header(service: Service) -> None:
    """STOW-088, STOW-106."""
    made = dataset()
    made["StudyDescription"]._value = ["first", "second"]

    answer = service.store(part10(made), version="v1")

    assert answer.status == 200
    assert answer.headers["warning"].startswith("299 127.0.0.1: ")
    assert service.get("/v1/studies?StudyDescription=first").status == 200
    assert service.get("/v1/studies?StudyDescription=second").status == 204


def test_cut_file_is_stored_as_sent(service: Service) -> None:
    """STOW-132: a success status does not prove that the file was complete."""
    made = dataset()
    cut = part10(made)[:-40]

    assert service.store(cut).status == 200
    assert service.get(path_of(made), ORIGINAL).body == cut
    assert service.get(path_of(made) + "/metadata").json()[0]["00280010"]["Value"] == [8]
    assert service.get(path_of(made) + "/frames/1").status in (404, 406)


@pytest.mark.parametrize("data", [b"", b"DICM", b"\0" * 131, b"x" * 500, b"\0" * 128 + b"DICM"])
def test_what_cannot_be_parsed_has_only_a_reason_code(service: Service, data: bytes) -> None:
    """STOW-023, STOW-026."""
    answer = service.store(data)
    assert answer.status == 409
    assert answer.json() == {
        "00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [43264]}}]}
    }


def test_file_without_preamble_is_stored(service: Service) -> None:
    """STOW-133."""
    made = dataset()
    bare = part10(made)[132:]
    assert service.store(bare).status == 200
    assert service.get(path_of(made), ORIGINAL).body == bare


@pytest.mark.parametrize(
    ("attributes", "version", "status"),
    [
        ({"SOPInstanceUID": "abc.123"}, "v2", 409),
        ({"SOPInstanceUID": "1." * 32 + "1"}, "v1", 409),
        ({"SOPClassUID": "not.a.uid"}, "v1", 200),
        ({"SOPClassUID": "not.a.uid"}, "v2", 409),
        ({"PatientID": "a\tb"}, "v2", 409),
        ({"PatientID": "x" * 65}, "v2", 409),
        ({"PatientID": "x" * 65}, "v1", 409),
        ({"SeriesDescription": "a\tb"}, "v1", 200),
    ],
)
def test_what_fails_an_instance(
    service: Service, attributes: dict[str, Any], version: str, status: int
) -> None:
    """STOW-071, STOW-077 to STOW-081, STOW-091, LIM-008."""
    made = dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, "")
        made[keyword]._value = value
    assert service.store(part10(made), version=version).status == status


def test_padded_uids_are_the_same_uid(service: Service) -> None:
    """STOW-068, STOW-075, WADO-038."""
    made = dataset()
    made["StudyInstanceUID"]._value = made.StudyInstanceUID + " "
    study = made["StudyInstanceUID"].value.strip()
    assert service.store(part10(made)).status == 200
    for path in (study, study + "%20"):
        assert service.get(f"/v2/studies/{path}/metadata").status == 200
    made["StudyInstanceUID"]._value = study
    assert failures(service.store(part10(made))) == [45070]
