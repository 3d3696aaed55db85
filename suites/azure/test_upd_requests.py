"""What a bulk update may ask for, and what is refused before anything starts."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fixtures.clients.answers import Response
from fixtures.clients.dicomweb import DICOM_JSON, DicomWeb
from fixtures.traceability import requirement
from suites.azure.data import Made, Maker
from suites.azure.stow import stored
from suites.azure.tags import JSON, ended, refused, tries
from suites.azure.updates import Model, ask, metadata, model, values

pytestmark = pytest.mark.azure

UPDATABLE = {
    "PatientName": "New^Name", "PatientID": "NEW-ID", "IssuerOfPatientID": "ISSUER", "TypeOfPatientID": "TEXT",
    "OtherPatientIDs": "OTHER", "OtherPatientNames": "Other^Name", "PatientBirthName": "Birth^Name",
    "PatientMotherBirthName": "Mother^Name", "MedicalRecordLocator": "SHELF 1", "PatientAge": "045Y",
    "Occupation": "PAINTER", "ConfidentialityConstraintOnPatientDataDescription": "NONE",
    "PatientBirthDate": "19800229", "PatientBirthTime": "101112", "PatientSex": "O", "QualityControlSubject": "NO",
    "PatientSize": "1.75", "PatientWeight": "75.5", "PatientAddress": "Road 1", "MilitaryRank": "NONE",
    "BranchOfService": "NONE", "CountryOfResidence": "Iceland", "RegionOfResidence": "North",
    "PatientTelephoneNumbers": "123", "EthnicGroup": "GROUP", "PatientReligiousPreference": "NONE",
    "PatientComments": "A comment", "ResponsiblePerson": "Keeper^The", "ResponsiblePersonRole": "OWNER",
    "ResponsibleOrganization": "Zoo", "PatientSpeciesDescription": "Cat", "PatientBreedDescription": "Siamese",
    "BreedRegistrationNumber": "B-1", "ReferringPhysicianName": "Refer^New", "AccessionNumber": "NEW-ACC",
    "StudyDescription": "New description",
}  # fmt: skip
UNSUPPORTED: Model = {
    "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
    "00080060": {"vr": "CS", "Value": ["MR"]},
    "00080020": {"vr": "DA", "Value": ["20240101"]},
    "00081110": {"vr": "SQ", "Value": []},
    "11010010": {"vr": "LO", "Value": ["CREATOR"]},
}


@pytest.fixture(scope="module")
def study(v2: DicomWeb, make: Maker) -> Made:
    """A study of one instance."""
    made = make(PatientName="Before^Update")
    assert stored(v2, made).status == 200
    return made


def body(web: DicomWeb, content: bytes, content_type: str | None = JSON) -> Response:
    """A request whose body is these bytes."""
    headers = [("Content-Type", content_type)] if content_type else []
    return web.request("POST", "/studies/$bulkUpdate", headers=headers, body=content)


@requirement("UPD-001", "UPD-003", "UPD-009")
def test_every_attribute(v2: DicomWeb, make: Maker) -> None:
    """Each of the updatable attributes is changed; the answer is a reference without Location (UPD-001, UPD-003, UPD-009)."""
    made = make()
    assert stored(v2, made).status == 200
    answer = ask(v2, [made.study], model(**UPDATABLE), segment="$BULKUPDATE")
    assert answer.status == 202, answer.describe()
    assert not answer.header("Location"), answer.describe()
    reference = answer.json()
    assert reference["href"] == f"{v2.http.base_url}/v2/operations/{reference['id']}", reference
    ended(v2, reference["id"])
    after = metadata(v2, made.path("study"))
    for keyword, value in UPDATABLE.items():
        seen = values(after, keyword)[0]
        shown = seen["Alphabetic"] if isinstance(seen, dict) else str(seen)
        assert shown == value, keyword


@requirement("UPD-002")
def test_not_on_v1(v1: DicomWeb, v2: DicomWeb, study: Made) -> None:
    """v1 has no bulk update, and starts none (UPD-002)."""
    answer = ask(v1, [study.study], model(PatientName="On^V1"))
    assert answer.status == 404, answer.describe()
    assert values(metadata(v2, study.path("study")), "PatientName") == [{"Alphabetic": "Before^Update"}]


@requirement("UPD-004", "UPD-005", "UPD-006")
def test_studies(v2: DicomWeb, make: Maker) -> None:
    """One to 50 studies are named, each by a UID (UPD-004, UPD-005, UPD-006)."""
    changes = model(PatientID="X")
    missing: list[Any] = [None, []]
    for studies in missing:
        refused(ask(v2, studies, changes), "StudyInstanceUids")
    refused(body(v2, json.dumps({"changeDataset": changes}).encode()), "StudyInstanceUids")
    unknown = [make.uid() for _ in range(51)]
    refused(ask(v2, unknown, changes), "50")
    for bad in ("not a uid", "", "1.2.x"):
        refused(ask(v2, [unknown[0], bad], changes))
    answer = ask(v2, unknown[:50], changes)
    assert answer.status == 202, answer.describe()
    assert ended(v2, answer.json()["id"]).json()["results"]["studyProcessed"] == 50


@requirement("UPD-007", "UPD-029")
def test_broken_bodies(v2: DicomWeb, study: Made) -> None:
    """Without a change data set, with broken DICOM JSON or as another media type nothing starts (UPD-007, UPD-029)."""
    whole = {"studyInstanceUids": [study.study], "changeDataset": model(PatientName="No^Update")}
    refused(body(v2, json.dumps({"studyInstanceUids": [study.study]}).encode()), "ChangeDataset")
    broken: list[Any] = [
        None,
        "text",
        [],
        {"00100010": "text"},
        {"00100010": {"Value": [{"Alphabetic": "No^Vr"}]}},
        {"00100010": {"vr": "PN", "Value": "No^Array"}},
        {"Nonsense": {"vr": "PN"}},
    ]
    for changes in broken:
        refused(ask(v2, [study.study], changes))
    for content in (b"", b"null", b"{", json.dumps(whole).encode()[:-2]):
        refused(body(v2, content))
    for content_type in ("text/plain", "application/xml"):
        answer = body(v2, json.dumps(whole).encode(), content_type)
        assert answer.status in (400, 415), answer.describe()
    assert values(metadata(v2, study.path("study")), "PatientName") == [{"Alphabetic": "Before^Update"}]


def comments(answer: Response) -> list[str]:
    """The texts of a refused change data set."""
    assert answer.status == 400, answer.describe()
    items = answer.json()["00741048"]
    assert items["vr"] == "SQ", answer.describe()
    return [item["00000902"]["Value"][0] for item in items["Value"]]


@requirement("UPD-010", "UPD-011")
def test_refused_attributes(v2: DicomWeb, study: Made) -> None:
    """Unsupported and invalid attributes are named one by one, and nothing is changed (UPD-010, UPD-011)."""
    changes = {
        **UNSUPPORTED,
        **model(PatientName="No^Update", PatientBirthDate="yesterday", PatientID="X" * 65),
    }
    answer = ask(v2, [study.study], changes)
    found = comments(answer)
    assert answer.content_type.startswith("application/json"), answer.describe()
    for tag in ("0020,000d", "0008,0060", "0008,0020", "0008,1110", "1101,0010"):
        assert f"DICOM100: ({tag}) - Updating the tag is not supported" in found, found
    for tag in ("0010,0030", "0010,0020"):
        assert [text for text in found if text.startswith(f"DICOM100: ({tag}) - ")], found
    assert len(found) == 7, found
    dicom = ask(v2, [study.study], changes, accept=DICOM_JSON)
    assert dicom.content_type.startswith(DICOM_JSON), dicom.describe()
    assert comments(dicom) == found
    assert values(metadata(v2, study.path("study")), "PatientName") == [{"Alphabetic": "Before^Update"}]


@requirement("UPD-012")
def test_one_at_a_time(v2: DicomWeb, make: Maker) -> None:
    """While an update runs another one is 409 with its id, and without Location (UPD-012)."""
    series = make.series(8)
    assert stored(v2, *series).status == 200
    changes = model(PatientComments="Again")
    with ThreadPoolExecutor(3) as pool:
        for _ in tries():
            answers = list(pool.map(lambda _: ask(v2, [series[0].study], changes), range(3)))
            started = [answer.json()["id"] for answer in answers if answer.status == 202]
            for identifier in started:
                ended(v2, identifier)
            running = [answer for answer in answers if answer.status != 202]
            if running:
                break
    assert running, "no update met a running one"
    for answer in running:
        refused(answer, "update", status=409)
        assert any(one in answer.body.decode().replace("-", "") for one in started), answer.describe()
        assert not answer.header("Location"), answer.describe()
