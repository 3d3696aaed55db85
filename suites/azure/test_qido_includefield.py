"""Searching: includefield, and the attributes that are counted instead of stored."""

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import requirement
from suites.azure.data import Made, Maker
from suites.azure.searching import TOP, ask, find, keep, key, nested, refused, values

_PRIVATE = {0x00091010: ("LO", b"private value ")}


@pytest.fixture(scope="module")
def study(v2: DicomWeb, make: Maker) -> list[Made]:
    """A study with a CT series of two instances and a newer MR series of one; the newest has a private attribute."""
    first, second = make.series(2, BodyPartExamined="HEAD")
    third = make(
        PatientID=first.dataset.PatientID,
        StudyInstanceUID=first.study,
        Modality="MR",
        BodyPartExamined="KNEE",
        raw={0x00090010: ("LO", b"MAKER "), **_PRIVATE},
    )
    for made in (first, second, third):
        keep(v2, made)
    return [first, second, third]


def _own(study: list[Made], more: str = "") -> str:
    return f"PatientID={study[0].dataset.PatientID}{more}"


@requirement("QIDO-086")
def test_includefield_by_keyword_or_hex(web: DicomWeb, study: list[Made]) -> None:
    """Includefield takes keywords and hex, repeated and in comma lists with blanks, and adds to the defaults (QIDO-086)."""
    (plain,) = find(web, "/studies", _own(study))
    wanted = {key("BodyPartExamined"), key("PatientSex"), key("StationName"), key("StudyID")}
    for fields in (
        "includefield=BodyPartExamined&includefield=PatientSex&includefield=StudyID",
        "includefield=BodyPartExamined,PatientSex,StudyID",
        "includefield=00180015,00100040,00200010",
        "includefield=BodyPartExamined%20,%20PatientSex%20,00200010",
        "includefield=BodyPartExamined,00100040&includefield=StudyID",
    ):
        (item,) = find(web, "/studies", _own(study, f"&{fields}"))
        assert set(item) == set(plain) | (wanted - {key("StationName")}), fields


@requirement("QIDO-087")
def test_includefield_of_any_attribute(web: DicomWeb, study: list[Made]) -> None:
    """Any attribute can be included; studies and series show the newest instance's value (QIDO-087)."""
    fields = "includefield=SOPInstanceUID,BodyPartExamined,Modality,InstanceNumber,00090010,00091010"
    (item,) = find(web, "/studies", _own(study, f"&{fields}"))
    assert values(item, "SOPInstanceUID") == [study[2].instance]
    assert values(item, "BodyPartExamined") == ["KNEE"]
    assert values(item, "Modality") == ["MR"]
    assert item["00091010"]["Value"] == ["private value"]
    assert item["00090010"]["Value"] == ["MAKER"]
    for series in find(web, nested(study[0])[0], fields):
        newest = study[1] if values(series, "SeriesInstanceUID") == [study[0].series] else study[2]
        assert values(series, "SOPInstanceUID") == [newest.instance]
        assert values(series, "InstanceNumber") == [newest.dataset.InstanceNumber]
        assert ("00091010" in series) is (newest is study[2])


@requirement("QIDO-088")
def test_includefield_of_an_absent_attribute(web: DicomWeb, study: list[Made]) -> None:
    """An included attribute that the data lacks is absent; the others are there (QIDO-088)."""
    for path in TOP + nested(study[0]):
        query = _own(study, "&") if path in TOP else ""
        for item in find(web, path, f"{query}includefield=StationName,BodyPartExamined,00111010"):
            assert not {key("StationName"), "00111010"} & set(item), path
            assert key("BodyPartExamined") in item, path


@requirement("QIDO-089")
@pytest.mark.parametrize(
    ("field", "named"),
    [
        ("foo", "foo"), ("bodypartexamined", "bodypartexamined"), ("0018,0015", "0018"), ("00080003", "00080003"),
        ("", ""), ("%20", ""), ("PatientID,,PatientSex", ""), ("PatientID,foo", "foo"),
        ("RequestAttributesSequence.00400009", ""), ("00400275.00400009", ""),
    ],
)  # fmt: skip
def test_unknown_includefield(web: DicomWeb, study: list[Made], field: str, named: str) -> None:
    """An includefield that names no attribute, an empty one and a sequence path answer 400 (QIDO-089)."""
    phrases = () if "." in field else ("IncludeField", "unknown attribute", named)
    for path in TOP + nested(study[0]):
        refused(ask(web, path, f"includefield={field}"), *phrases)
    assert (
        ask(web, "/studies", _own(study, "&includefield=BodyPartExamined,RequestAttributesSequence")).status
        == 200
    )


@requirement("QIDO-092")
@pytest.mark.parametrize(
    "fields", ["all,PatientSex", "PatientSex,all", "ALL&includefield=PatientSex", "all,foo"]
)
def test_all_mixed_with_others(web: DicomWeb, study: list[Made], fields: str) -> None:
    """includefield=all together with any other field answers 400 (QIDO-092)."""
    refused(ask(web, "/studies", f"includefield={fields}"), "cannot be combined with", "all")
    assert ask(web, "/studies", _own(study, "&includefield=all")).status == 200


@requirement("QIDO-094")
def test_number_of_study_related_instances(web: DicomWeb, study: list[Made]) -> None:
    """On /studies the number of the study's instances is counted when asked for (QIDO-094)."""
    for field in ("NumberOfStudyRelatedInstances", "00201208"):
        (item,) = find(web, "/studies", _own(study, f"&includefield={field}"))
        assert item["00201208"] == {"vr": "IS", "Value": [3]}
    (item,) = find(web, "/studies", _own(study))
    assert "00201208" not in item, "it is no default"


@requirement("QIDO-095")
def test_number_of_series_related_instances(web: DicomWeb, study: list[Made]) -> None:
    """On the two series searches the number of the series' instances is counted when asked for (QIDO-095)."""
    for path, query in (("/series", _own(study, "&")), (nested(study[0])[0], "")):
        found = find(web, path, f"{query}includefield=NumberOfSeriesRelatedInstances")
        counts = {item["0020000E"]["Value"][0]: item["00201209"] for item in found}
        assert counts == {
            study[0].series: {"vr": "IS", "Value": [2]},
            study[2].series: {"vr": "IS", "Value": [1]},
        }


@requirement("QIDO-096")
def test_modalities_in_study_are_returned(web: DicomWeb, study: list[Made]) -> None:
    """On /studies ModalitiesInStudy, filtered on or included, has each modality of the series once (QIDO-096)."""
    for query in (
        "ModalitiesInStudy=MR",
        "ModalitiesInStudy=ct",
        "includefield=ModalitiesInStudy",
        "includefield=00080061,StudyID",
    ):
        (item,) = find(web, "/studies", _own(study, f"&{query}"))
        assert item["00080061"]["vr"] == "CS"
        assert sorted(item["00080061"]["Value"]) == ["CT", "MR"], query
    (item,) = find(web, "/studies", _own(study))
    assert "00080061" not in item


@requirement("QIDO-097")
def test_counts_follow_deletes(web: DicomWeb, make: Maker) -> None:
    """After the deletion of one of three instances both counts drop by one (QIDO-097)."""
    made = make.series(3)
    keep(web, *made)
    own = f"PatientID={made[0].dataset.PatientID}"

    def counts() -> tuple[list[int], list[int]]:
        (study,) = find(web, "/studies", f"{own}&includefield=NumberOfStudyRelatedInstances")
        (series,) = find(web, "/series", f"{own}&includefield=NumberOfSeriesRelatedInstances")
        return study["00201208"]["Value"], series["00201209"]["Value"]

    assert counts() == ([3], [3])
    assert web.delete(*made[1].uids).status == 204
    assert counts() == ([2], [2])


@requirement("QIDO-098")
def test_other_counts_are_not_computed(web: DicomWeb, study: list[Made], make: Maker) -> None:
    """NumberOfStudyRelatedSeries is shown only where the stored file holds it (QIDO-098)."""
    (item,) = find(web, "/studies", _own(study, "&includefield=NumberOfStudyRelatedSeries"))
    assert key("NumberOfStudyRelatedSeries") not in item, "the study has two series; they are not counted"
    made = make(NumberOfStudyRelatedSeries=42)
    keep(web, made)
    own = f"PatientID={made.dataset.PatientID}"
    (item,) = find(web, "/studies", f"{own}&includefield=NumberOfStudyRelatedSeries")
    assert values(item, "NumberOfStudyRelatedSeries") == [42]
