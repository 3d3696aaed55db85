"""Searching: where results take their values from when the instances of a study disagree."""

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import requirement
from suites.azure.data import Made, Maker
from suites.azure.searching import SOP_UID, find, keep, nested, studies, uids, values


@pytest.fixture(scope="module")
def divided(v2: DicomWeb, make: Maker) -> list[Made]:
    """Three instances of one series, stored in this order, with different study and series values; the last lacks some."""
    first = make(
        StudyDescription="old", AccessionNumber="OLD", PatientSex="F", ManufacturerModelName="Model old"
    )
    second = make(
        like=first,
        StudyDescription="new",
        AccessionNumber="NEW",
        PatientSex="M",
        ManufacturerModelName="Model new",
    )
    third = make(
        like=first,
        StudyDescription="",
        AccessionNumber=None,
        PatientSex="O",
        ManufacturerModelName="",
        Modality="CT",
    )
    for made in (first, second, third):
        keep(v2, made)
    return [first, second, third]


def _own(made: Made, more: str = "") -> str:
    return f"PatientID={made.dataset.PatientID}{more}"


@requirement("QIDO-099")
def test_the_latest_stored_value_is_searched(web: DicomWeb, divided: list[Made]) -> None:
    """Of several values of a study or series only the one stored last matches; empty and missing ones count not (QIDO-099)."""
    first = divided[0]
    assert studies(web, _own(first, "&StudyDescription=new")) == {first.study}
    assert studies(web, _own(first, "&StudyDescription=old")) == set()
    assert studies(web, _own(first, "&AccessionNumber=NEW")) == {first.study}
    assert studies(web, _own(first, "&AccessionNumber=OLD")) == set()
    assert len(find(web, "/series", _own(first, "&ManufacturerModelName=Model%20new"))) == 1
    assert find(web, "/series", _own(first, "&ManufacturerModelName=Model%20old")) == []
    found = find(web, "/instances", _own(first, "&StudyDescription=new&ManufacturerModelName=Model%20new"))
    assert len(found) == 3, "the index of study and series holds for each instance"


@requirement("QIDO-100")
def test_v2_values_from_index_or_newest_instance(v2: DicomWeb, divided: list[Made]) -> None:
    """Indexed attributes alone come from the index; one other, and all come from the newest instance (QIDO-100)."""
    (item,) = find(v2, "/studies", _own(divided[0]))
    assert (values(item, "StudyDescription"), values(item, "AccessionNumber")) == (["new"], ["NEW"])
    (item,) = find(v2, "/studies", _own(divided[0], "&includefield=PatientSex"))
    assert values(item, "PatientSex") == ["O"]
    assert (values(item, "StudyDescription"), values(item, "AccessionNumber")) == ([], None), (
        "of the newest instance"
    )
    (item,) = find(v2, "/studies", _own(divided[0], "&includefield=PatientSex,NumberOfStudyRelatedInstances"))
    assert values(item, "PatientSex") == ["O"]
    assert (values(item, "StudyDescription"), values(item, "AccessionNumber")) == (["new"], ["NEW"])
    assert values(item, "NumberOfStudyRelatedInstances") == [3]


@requirement("QIDO-100")
def test_v2_series_values_from_index_or_newest_instance(v2: DicomWeb, divided: list[Made]) -> None:
    """The same holds for series attributes and the count of the series (QIDO-100)."""
    path = nested(divided[0])[0]
    shown = {
        "": ["Model new"],
        "includefield=NumberOfSeriesRelatedInstances": ["Model new"],
        "includefield=PatientSex": [],
        "includefield=PatientSex,NumberOfSeriesRelatedInstances": ["Model new"],
    }
    for query, expected in shown.items():
        (item,) = find(v2, path, query)
        assert values(item, "ManufacturerModelName") == expected, query


@requirement("QIDO-100")
def test_v2_series_attribute_of_a_study(v2: DicomWeb, make: Maker) -> None:
    """An indexed series attribute included on /studies is that of the newest instance's series (QIDO-100)."""
    first = make(Modality="CT")
    second = make(PatientID=first.dataset.PatientID, StudyInstanceUID=first.study, Modality="MR")
    third = make(like=first, Modality="CT")
    for made, expected in ((first, "CT"), (second, "MR"), (third, "CT")):
        keep(v2, made)
        (item,) = find(v2, "/studies", _own(first, "&includefield=Modality,SeriesInstanceUID"))
        assert values(item, "Modality") == [expected]
        assert values(item, "SeriesInstanceUID") == [made.series]


@requirement("QIDO-100")
def test_v2_empty_patient_id(v2: DicomWeb, make: Maker) -> None:
    """A study with empty values leaves them out, but shows its empty PatientID without Value (QIDO-100)."""
    made = make(PatientID="", AccessionNumber="", StudyDescription="")
    keep(v2, made)
    (item,) = find(v2, "/studies", f"StudyInstanceUID={made.study}")
    assert values(item, "PatientID") == []
    assert (values(item, "AccessionNumber"), values(item, "StudyDescription")) == (None, None)
    assert values(item, "StudyDate") == ["20230405"]


@requirement("QIDO-101")
def test_v1_values_are_those_of_the_newest_instance(v1: DicomWeb, divided: list[Made]) -> None:
    """On v1 results show the newest instance, with the index over it when a count is asked for (QIDO-101)."""
    (item,) = find(v1, "/studies", _own(divided[0], "&StudyDescription=new"))
    assert values(item, "StudyDescription") == [], "found through the index, shown from the instance"
    assert values(item, "AccessionNumber") is None
    assert values(item, "PatientSex") == ["O"]
    (item,) = find(
        v1, "/studies", _own(divided[0], "&StudyDescription=new&includefield=NumberOfStudyRelatedInstances")
    )
    assert (values(item, "StudyDescription"), values(item, "AccessionNumber")) == (["new"], ["NEW"])
    assert values(item, "PatientSex") == ["O"]
    path = nested(divided[0])[0]
    (item,) = find(v1, path, "ManufacturerModelName=Model%20new")
    assert values(item, "ManufacturerModelName") == []
    (item,) = find(v1, path, "ManufacturerModelName=Model%20new&includefield=NumberOfSeriesRelatedInstances")
    assert values(item, "ManufacturerModelName") == ["Model new"]


@requirement("QIDO-102")
def test_instances_show_their_own_values(web: DicomWeb, divided: list[Made]) -> None:
    """Instance results show what each instance holds, not the latest of its study (QIDO-102)."""
    for path, query in (
        ("/instances", _own(divided[0], "&includefield=StudyDescription,PatientSex,ManufacturerModelName")),
        (nested(divided[0])[2], "includefield=StudyDescription,PatientSex,ManufacturerModelName"),
    ):
        shown = {uid: item for item in find(web, path, query) for uid in uids([item], SOP_UID)}
        of = [shown[made.instance] for made in divided]
        assert [values(item, "StudyDescription") for item in of] == [["old"], ["new"], []]
        assert [values(item, "PatientSex") for item in of] == [["F"], ["M"], ["O"]]
        assert [values(item, "ManufacturerModelName") for item in of] == [["Model old"], ["Model new"], []]


@requirement("QIDO-106")
def test_index_after_a_partial_delete(web: DicomWeb, make: Maker) -> None:
    """Deleting the instance that gave the latest value does not bring an earlier one back (QIDO-106)."""
    first = make(StudyDescription="before")
    second = make(like=first, StudyDescription="after")
    for made in (first, second):
        keep(web, made)
    assert web.delete(*second.uids).status == 204
    assert studies(web, _own(first, "&StudyDescription=after")) == {first.study}
    assert studies(web, _own(first, "&StudyDescription=before")) == set()


@requirement("QIDO-107")
def test_attribute_that_failed_validation(v1: DicomWeb, v2: DicomWeb, make: Maker) -> None:
    """A bad date stored on v2 is not searchable until another instance brings a good one (QIDO-107)."""
    made = make(raw={0x00080020: ("DA", b"20231301")})
    keep(v2, made)
    for web in (v1, v2):
        assert studies(web, _own(made)) == {made.study}, "found by its other attributes"
        assert studies(web, _own(made, "&StudyDate=00010101-")) == set()
    (item,) = find(v2, "/studies", _own(made))
    assert values(item, "StudyDate") is None
    keep(v2, make(like=made, StudyDate="20231201"))
    for web in (v1, v2):
        assert studies(web, _own(made, "&StudyDate=20231201")) == {made.study}


@requirement("QIDO-109")
def test_v1_several_values_of_a_single_valued_attribute(v1: DicomWeb, make: Maker) -> None:
    """On v1 it is found by its first value; results show all, or with a count the indexed one (QIDO-109)."""
    made = make(raw={0x00081030: ("LO", b"first\\second")})
    keep(v1, made)
    assert studies(v1, _own(made, "&StudyDescription=first")) == {made.study}
    for value in ("second", "first%5Csecond"):
        assert studies(v1, _own(made, f"&StudyDescription={value}")) == set()
    (item,) = find(v1, "/studies", _own(made, "&StudyDescription=first"))
    assert values(item, "StudyDescription") == ["first", "second"]
    (item,) = find(
        v1, "/studies", _own(made, "&StudyDescription=first&includefield=NumberOfStudyRelatedInstances")
    )
    assert values(item, "StudyDescription") == ["first"], "QIDO-101: the index over the instance"


@requirement("QIDO-130")
def test_v2_several_values_of_a_single_valued_attribute(v2: DicomWeb, make: Maker) -> None:
    """On v2 it is stored with a warning and neither searchable nor shown (QIDO-130)."""
    made = make(raw={0x00081030: ("LO", b"first\\second")})
    answer = v2.store([made.part10])
    assert (answer.status, answer.stored) == (202, (made.instance,)), answer.describe()
    for value in ("first", "second", "first%5Csecond"):
        assert studies(v2, _own(made, f"&StudyDescription={value}")) == set()
    assert studies(v2, _own(made)) == {made.study}, "found by its other attributes"
    for query in ("", "&includefield=PatientSex"):
        (item,) = find(v2, "/studies", _own(made, query))
        assert values(item, "StudyDescription") is None


@requirement("QIDO-124", "QIDO-085")
def test_study_counts_on_series_searches(v1: DicomWeb, v2: DicomWeb, divided: list[Made]) -> None:
    """Study counts appear on series searches on v2 only, and only beside indexed attributes (QIDO-124, QIDO-085)."""
    study_counts = ("ModalitiesInStudy", "NumberOfStudyRelatedInstances")
    fields = f"includefield={','.join(study_counts)}"
    for path, query in (("/series", _own(divided[0], "&")), (nested(divided[0])[0], "")):
        (item,) = find(v2, path, f"{query}{fields}")
        assert [values(item, name) for name in study_counts] == [["CT"], [3]]
        (item,) = find(v2, path, f"{query}{fields},PatientSex")
        assert [values(item, name) for name in study_counts] == [None, None], "one attribute is not indexed"
        (item,) = find(v1, path, f"{query}{fields}")
        assert [values(item, name) for name in study_counts] == [None, None]
    (item,) = find(v2, "/series", _own(divided[0], "&ModalitiesInStudy=CT"))
    assert values(item, "ModalitiesInStudy") == ["CT"]
    (item,) = find(v1, "/series", _own(divided[0], "&ModalitiesInStudy=CT"))
    assert values(item, "ModalitiesInStudy") is None


@requirement("QIDO-124")
def test_series_count_on_studies_and_instances(
    v1: DicomWeb, v2: DicomWeb, divided: list[Made], make: Maker
) -> None:
    """On /studies the series count is that of the newest instance's series, on instance searches none (QIDO-124)."""
    name = "NumberOfSeriesRelatedInstances"
    (item,) = find(v2, "/studies", _own(divided[0], f"&includefield={name}"))
    assert values(item, name) == [3]
    (item,) = find(v2, "/studies", _own(divided[0], f"&includefield={name},PatientSex"))
    assert values(item, name) is None
    (item,) = find(v1, "/studies", _own(divided[0], f"&includefield={name}"))
    assert values(item, name) is None
    counts = "NumberOfSeriesRelatedInstances,NumberOfStudyRelatedInstances,ModalitiesInStudy"
    for web in (v1, v2):
        for path, query in (("/instances", _own(divided[0], "&")), (nested(divided[0])[2], "")):
            for item in find(web, path, f"{query}includefield={counts}"):
                assert all(values(item, each) is None for each in counts.split(","))
    holding = make(NumberOfSeriesRelatedInstances=77)
    keep(v2, holding)
    (item,) = find(v2, "/instances", _own(holding, f"&includefield={name}"))
    assert values(item, name) == [77], "what the stored instance itself holds"
