"""QIDO-RS and the change feed; the ids are those of requirements/azure-query-feed-tags.yaml."""

from typing import Any
from urllib.parse import quote

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from tests.dicom_service.conftest import Service, dataset, part10, path_of

JSON = "application/dicom+json"


def _store(service: Service, *, version: str = "v2", **attributes: Any) -> Dataset:
    made = dataset(**attributes)
    assert service.store(part10(made), version=version).status in (200, 202)
    return made


def _uids(service: Service, query: str, version: str = "v2") -> set[str]:
    answer = service.get(f"/{version}/studies?{query}", JSON)
    assert answer.status in (200, 204), answer.body
    return {item["0020000D"]["Value"][0] for item in answer.json()} if answer.status == 200 else set()


def test_the_six_resources_answer(service: Service) -> None:
    """QIDO-001 to QIDO-009, QIDO-083, QIDO-084."""
    made = _store(service)
    study, series = path_of(made, "study"), path_of(made, "series")
    uid = f"StudyInstanceUID={made.StudyInstanceUID}"
    answers = [
        f"/v2/studies?{uid}",
        f"/v2/series?{uid}",
        f"/v2/instances?{uid}",
        f"{study}/series",
        f"{study}/instances",
    ]
    for path in [*answers, f"{series}/instances"]:
        answer = service.get(path, JSON)
        assert answer.status == 200, path
        assert answer.headers["content-type"].startswith(JSON)
        (item,) = answer.json()
        assert item["0020000D"]["Value"] == [made.StudyInstanceUID]
    assert "0020000E" in item
    missing = service.get("/v2/studies/1.2.3.4/series", JSON)
    assert (missing.status, missing.body) == (204, b"")


def test_default_attributes_differ_by_version(service: Service) -> None:
    """QIDO-077 to QIDO-082."""
    made = _store(service)
    uid = f"StudyInstanceUID={made.StudyInstanceUID}"
    keys = {version: set(service.get(f"/{version}/studies?{uid}").json()[0]) for version in ("v1", "v2")}
    assert keys["v2"] == {
        "00080020", "00080050", "00080090", "00081030", "00100010", "00100020", "00100030", "0020000D",
    }  # fmt: skip
    assert keys["v1"] == (keys["v2"] - {"00081030"}) | {"00080005", "00080030", "00100040", "00200010"}
    series = path_of(made, "study") + "/series"
    assert set(service.get(series).json()[0]) == {"0020000D", "0020000E", "00080060", "00081090"}
    instance = path_of(made, "series", "v1") + "/instances"
    expected = {
        "00080005",
        "00080016",
        "00080018",
        "0020000D",
        "0020000E",
        "00200013",
        "00280010",
        "00280011",
        "00280100",
    }
    assert set(service.get(instance).json()[0]) == expected


def test_every_study_filter_finds_its_study_and_no_other(service: Service) -> None:
    """QIDO-036 to QIDO-044, QIDO-051 to QIDO-056."""
    marker = generate_uid()[-12:]
    mine = _store(
        service, PatientID=f"ID{marker}", PatientName=f"Müller{marker}^Jörg", AccessionNumber=marker,
        StudyDescription=f"Desc {marker}", ReferringPhysicianName=f"Refer{marker}", PatientBirthDate="19010203",
        StudyDate="19550607", Modality="ZZ",
    )  # fmt: skip
    _store(
        service, PatientID=f"ID{marker}X", PatientName=f"Muller{marker}x^Jorg", AccessionNumber=f"{marker}X"
    )
    hits = [
        f"PatientID=id{marker}", f"00100020=ID{marker}", f"PatientName={quote('MULLER')}{marker}^jorg",
        f"AccessionNumber={marker}", f"StudyDescription=desc {marker}".replace(" ", "%20"),
        f"ReferringPhysicianName=REFER{marker}", f"PatientBirthDate=19010203&PatientID=ID{marker}",
        f"StudyDate=19550607&PatientID=ID{marker}", f"ModalitiesInStudy=zz&PatientID=ID{marker}",
        f"StudyInstanceUID={mine.StudyInstanceUID}", f"PatientID=ID{marker}%00",
    ]  # fmt: skip
    for query in hits:
        assert _uids(service, query) == {mine.StudyInstanceUID}, query
    for query in [
        f"PatientID=ID{marker[:-1]}*",
        f"PatientID={marker}",
        f"ModalitiesInStudy=CT&PatientID=ID{marker}",
    ]:
        assert _uids(service, query) == set(), query


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("18900102", True),
        ("18900101-18900103", True),
        ("18900102-18900102", True),
        ("18900103-", False),
        ("-18900102", True),
        ("-18900101", False),
    ],
)
def test_date_ranges(service: Service, query: str, found: bool) -> None:
    """QIDO-059, QIDO-061 to QIDO-063, QIDO-067."""
    made = _store(service, StudyDate="18900102")
    none = _store(service, StudyDate="")
    seen = _uids(service, f"StudyDate={query}&limit=200")
    assert (made.StudyInstanceUID in seen) is found
    assert none.StudyInstanceUID not in seen


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("zim", True),
        ("Wil", True),
        ("zimmer%20wil", True),
        ("wil%20zim", False),
        ("immer", False),
        ("ZIMMÉR", True),
    ],
)
def test_fuzzy_matching(service: Service, query: str, found: bool) -> None:
    """QIDO-071 to QIDO-074."""
    made = _store(service, PatientName="Zimmerlé^Wilhelm")
    seen = _uids(service, f"FuzzyMatching=TRUE&PatientName={quote(query, safe='%')}")
    assert (made.StudyInstanceUID in seen) is found
    assert made.StudyInstanceUID not in _uids(service, f"PatientName={quote(query, safe='%')}")


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("studies?limit=0", 400, "Limit"),
        ("studies?limit=201", 400, "Limit"),
        ("studies?limit=abc", 400, "Limit"),
        ("studies?limit=", 400, "Limit"),
        ("studies?offset=-1", 400, "Offset"),
        ("studies?fuzzymatching=1", 400, "FuzzyMatching"),
        ("studies?foo=1", 400, "unknown query parameter 'foo'"),
        ("studies?patientid=1", 400, "unknown query parameter"),
        ("studies?0020,000D=1", 400, "unknown query parameter"),
        ("studies?00091FFG=1", 400, "unknown query parameter"),
        ("studies?Modality=CT", 400, "AttributeId Modality is not queryable"),
        ("studies?00080201=1", 400, "not queryable"),
        ("series?SOPInstanceUID=1", 400, "not queryable"),
        ("studies/1.2/series?StudyInstanceUID=1.2", 400, "not queryable"),
        ("studies/1.2/series/1.3/instances?Modality=CT", 400, "not queryable"),
        ("studies?PatientID=a&PatientID=b", 400, "Duplicate AttributeId"),
        ("studies?PatientID=a&00100020=b", 400, "more than once using different ID formats"),
        ("studies?PatientID=%20", 400, "empty string value is not supported"),
        ("studies?StudyDate=20190231", 400, "Date value '20190231' is invalid for attribute 'StudyDate'"),
        (
            "studies?00080020=NotAValidStudyDate",
            400,
            "'NotAValidStudyDate' is invalid for attribute 'StudyDate'",
        ),
        ("studies?StudyDate=-", 400, "both parts of the range cannot be empty"),
        ("studies?StudyDate=20200102-20200101", 400, "20200102-20200101"),
        ("studies?includefield=nothing", 400, "IncludeField has unknown attribute 'nothing'"),
        ("studies?includefield=", 400, "IncludeField has unknown attribute"),
        ("studies?includefield=all,PatientID", 400, "cannot be combined"),
        ('studies?fuzzymatching=true&PatientName="', 400, '"'),
        ("studies/x/series", 400, "StudyInstanceUid"),
        ("studies?x=%3c", 400, "invalid characters"),
        ("studies?StudyInstanceUID=abc", 204, ""),
        ("studies?StudyInstanceUID=1.2,1.3", 204, ""),
        ("studies?offset=9223372036854775807", 204, ""),
    ],
)
def test_bad_searches_say_what_is_wrong(service: Service, path: str, status: int, text: str) -> None:
    """QIDO-010, QIDO-016 to QIDO-035, QIDO-045 to QIDO-060, QIDO-075, QIDO-089, QIDO-092."""
    answer = service.get(f"/v2/{path}", JSON)
    assert answer.status == status
    assert text in answer.body.decode()


@pytest.mark.parametrize(
    ("accept", "status"), [(None, 406), ("application/dicom", 406), ("bad", 406), ("*/*", 400)]
)
def test_accept_is_checked_between_controls_and_filters(
    service: Service, accept: str | None, status: int
) -> None:
    """QIDO-011 to QIDO-013, QIDO-123."""
    assert service.get("/v2/studies?foo=1", accept).status == status
    assert service.get("/v2/studies?limit=0", accept).status == 400


def test_pages_visit_every_match_once(service: Service) -> None:
    """QIDO-018 to QIDO-020, QIDO-103."""
    patient = generate_uid()[-20:]
    made = [_store(service, PatientID=patient).StudyInstanceUID for _ in range(4)]
    pages = [
        service.get(f"/v2/studies?PatientID={patient}&limit=1&offset={offset}").json()[0]["0020000D"][
            "Value"
        ][0]
        for offset in range(4)
    ]
    assert pages == made[::-1]
    assert service.get(f"/v2/studies?PatientID={patient}&offset=4").status == 204
    assert len(service.get(f"/v2/studies?PatientID={patient}&limit=3").json()) == 3


def test_limit_counts_studies_not_instances(service: Service) -> None:
    """QIDO-018 at study level: instances of one study do not use up the page."""
    patient, study = generate_uid()[-20:], generate_uid()
    first = _store(service, PatientID=patient)
    for _ in range(3):
        _store(service, PatientID=patient, StudyInstanceUID=study)
    assert _uids(service, f"PatientID={patient}&limit=2") == {first.StudyInstanceUID, study}


def test_includefield_as_ohif_sends_it(service: Service) -> None:
    """QIDO-086, QIDO-094 to QIDO-097: a comma list in one parameter, counts and modalities."""
    study = generate_uid()
    _store(service, StudyInstanceUID=study, Modality="CT")
    last = _store(service, StudyInstanceUID=study, Modality="MR")
    query = f"?limit=101&offset=0&fuzzymatching=false&includefield=00081030,00080060,00080090,00100030&StudyInstanceUID={study}"
    assert service.get("/v2/studies" + query).json()[0]["00080060"]["Value"] == ["MR"]
    counts = (
        f"?StudyInstanceUID={study}&includefield=NumberOfStudyRelatedInstances&includefield=ModalitiesInStudy"
    )
    for version in ("v1", "v2"):
        item = service.get(f"/{version}/studies{counts}").json()[0]
        assert item["00201208"] == {"vr": "IS", "Value": [2]}
        assert item["00080061"] == {"vr": "CS", "Value": ["CT", "MR"]}
    service.request("DELETE", path_of(last))
    assert service.get(f"/v2/studies{counts}").json()[0]["00201208"]["Value"] == [1]


def test_the_index_holds_the_latest_values_and_instances_their_own(service: Service) -> None:
    """QIDO-099, QIDO-100, QIDO-102, STOW-124."""
    study = generate_uid()
    first = _store(service, StudyInstanceUID=study, StudyDescription="old", PatientWeight=70)
    _store(service, StudyInstanceUID=study, StudyDescription="new")
    last = _store(service, StudyInstanceUID=study, StudyDescription="")
    assert _uids(service, f"StudyInstanceUID={study}&StudyDescription=new") == {study}
    assert _uids(service, f"StudyInstanceUID={study}&StudyDescription=old") == set()
    shown = service.get(f"/v2/studies?StudyInstanceUID={study}").json()[0]
    assert shown["00081030"]["Value"] == ["new"]
    from_newest = service.get(f"/v2/studies?StudyInstanceUID={study}&includefield=PatientSex").json()[0]
    assert from_newest["00081030"] == {"vr": "LO"}
    again = service.get(f"/v2/studies?StudyInstanceUID={study}&includefield=PatientSex,00201208").json()[0]
    assert again["00081030"]["Value"] == ["new"]
    items = {
        item["00080018"]["Value"][0]: item
        for item in service.get(f"/v2/instances?StudyInstanceUID={study}").json()
    }
    assert items[first.SOPInstanceUID]["00081030"]["Value"] == ["old"]
    assert items[last.SOPInstanceUID]["00081030"] == {"vr": "LO"}


def test_a_value_with_a_warning_is_not_searchable_until_corrected(service: Service) -> None:
    """QIDO-107, STOW-110."""
    study = generate_uid()
    made = dataset(StudyInstanceUID=study)
    made["StudyDate"]._value = "1"
    service.store(part10(made))
    assert _uids(service, f"StudyInstanceUID={study}") == {study}
    assert "00080020" not in service.get(f"/v2/studies?StudyInstanceUID={study}").json()[0]
    _store(service, StudyInstanceUID=study, StudyDate="20210304")
    assert _uids(service, f"StudyInstanceUID={study}&StudyDate=20210304") == {study}
