"""Storing: the attributes an instance cannot do without, and the study it has to belong to."""

from typing import Any

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import requirement
from suites.azure import stow
from suites.azure.data import Made, Maker
from suites.azure.stow import items, kept, metadata, outcome, reasons, stored

PATIENT_ID = 0x00100020
_TAGS = {
    "SOPClassUID": 0x00080016,
    "StudyInstanceUID": 0x0020000D,
    "SeriesInstanceUID": 0x0020000E,
    "SOPInstanceUID": 0x00080018,
    "PatientID": PATIENT_ID,
}


def _missing(tag: int) -> str:
    shown = f"({tag >> 16:04x},{tag & 0xFFFF:04x})"
    return f"DICOM100: {shown} - The required tag '{shown}' is missing."


def _without(make: Maker, keyword: str, how: str) -> Made:
    tag = _TAGS[keyword]
    if how == "absent":
        gone: dict[str, Any] = {keyword: None}
        return make(**gone)
    value = "" if how == "empty" else f"{make.uid()}\\{make.uid()}"
    return make(raw={tag: ("UI", value)})


@requirement("STOW-049", "STOW-050", "STOW-051", "STOW-052", "STOW-057")
@pytest.mark.parametrize("how", ["absent", "empty", "several"])
@pytest.mark.parametrize(
    "keyword", ["SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
)
def test_uid_that_is_missing(web: DicomWeb, make: Maker, keyword: str, how: str) -> None:
    """Without one of the four UIDs, with it empty or with two of it, an instance fails (STOW-049 to 052, 057)."""
    made = _without(make, keyword, how)
    answer = stored(web, made)
    assert stow.refused(answer.response) == (409, [43264]), answer.describe()
    assert _missing(_TAGS[keyword]) in reasons(answer), "STOW-057"
    item = items(answer, "00081198")[0]
    if keyword != "SOPInstanceUID":
        assert item["00081155"]["Value"] == [made.instance]
    elif how == "several":
        assert item["00081155"]["Value"] == [made.instance.split("\\")[0]], "STOW-052: the first of them"
    else:
        assert "00081155" not in item, "STOW-052"
    assert outcome(stored(web, make())) == (200, [], []), "the same instance with its UIDs"


@requirement("STOW-053")
def test_patient_id_absent(web: DicomWeb, make: Maker) -> None:
    """Without the element Patient ID an instance fails under both versions (STOW-053)."""
    made = make(PatientID=None)
    answer = stored(web, made)
    assert (outcome(answer), reasons(answer)) == ((409, [43264], []), [_missing(PATIENT_ID)])
    assert kept(web, made) is None


@requirement("STOW-054")
@pytest.mark.parametrize("value", ["", "   ", "one\\two"])
def test_patient_id_empty_v1(v1: DicomWeb, make: Maker, value: str) -> None:
    """v1 refuses a Patient ID that is empty, blank or multi-valued as missing (STOW-054)."""
    made = make(raw={PATIENT_ID: ("LO", value)})
    answer = stored(v1, made)
    assert (outcome(answer), reasons(answer)) == ((409, [43264], []), [_missing(PATIENT_ID)])
    assert kept(v1, made) is None


@requirement("STOW-055")
@pytest.mark.parametrize("value", ["", "   "])
def test_patient_id_empty_v2(v2: DicomWeb, make: Maker, value: str) -> None:
    """v2 stores an empty Patient ID with one warning, and leaves it out of metadata (STOW-055)."""
    made = make(raw={PATIENT_ID: ("LO", value)})
    answer = stored(v2, made)
    assert (outcome(answer), reasons(answer)) == ((202, [], [1]), [_missing(PATIENT_ID)])
    assert "00100020" not in metadata(v2, made)
    assert kept(v2, made) == made.part10


@requirement("STOW-056", "STOW-124")
def test_empty_patient_id_never_overwrites(v2: DicomWeb, make: Maker) -> None:
    """The study takes a Patient ID that comes later and keeps it when an empty one follows (STOW-056, STOW-124)."""
    first = make(raw={PATIENT_ID: ("LO", "")})
    known = make.patient_id()
    seen: list[Any] = []
    for made in (first, make(like=first, PatientID=known), make(like=first, raw={PATIENT_ID: ("LO", "")})):
        assert stored(v2, made).status in (200, 202)
        found = v2.search("studies", StudyInstanceUID=first.study).json()
        seen.append(found[0].get("00100020", {}).get("Value"))
    assert seen == [None, [known], [known]]
    assert v2.search("studies", PatientID=known).json()[0]["0020000D"]["Value"] == [first.study]


@requirement("STOW-058")
@pytest.mark.parametrize(
    ("gone", "named"),
    [
        (
            ["SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientID"],
            "SOPClassUID",
        ),
        (["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientID"], "StudyInstanceUID"),
        (["SeriesInstanceUID", "SOPInstanceUID", "PatientID"], "SeriesInstanceUID"),
        (["SOPInstanceUID", "PatientID"], "SOPInstanceUID"),
    ],
)
def test_first_failure_only(web: DicomWeb, make: Maker, gone: list[str], named: str) -> None:
    """An instance that lacks several required attributes shows the first one only (STOW-058)."""
    absent: dict[str, Any] = dict.fromkeys(gone)
    answer = stored(web, make(**absent))
    assert reasons(answer) == [_missing(_TAGS[named])]


@requirement("STOW-058")
def test_study_mismatch_stands_before_patient_id(web: DicomWeb, make: Maker) -> None:
    """The study is compared after the UIDs and before the Patient ID (STOW-058)."""
    other = make.uid()
    mismatch = reasons(stored(web, make(PatientID=None), study=other))
    assert [reason[:21] for reason in mismatch] == ["DICOM100: (0020,000d)"]
    nameless = reasons(stored(web, make(SOPInstanceUID=None), study=other))
    assert [reason[:21] for reason in nameless] == ["DICOM100: (0008,0018)"]


@requirement("STOW-059", "STOW-060", "STOW-057")
def test_study_mismatch(web: DicomWeb, make: Maker) -> None:
    """An instance of another study fails with a reason on (0020,000d); hosted systems may say 43265 (STOW-059, 060, 057)."""
    mine, other = make(), make()
    answer = stored(web, mine, other, study=mine.study)
    assert (answer.status, answer.stored) == (202, (mine.instance,)), answer.describe()
    assert answer.failed[other.instance] in (43264, 43265), answer.describe()
    text = "The StudyInstanceUid in the payload does not match the specified StudyInstanceUid."
    assert reasons(answer) == [f"DICOM100: (0020,000d) - {text}"]
    assert stow.refused(stored(web, other, study=mine.study).response)[0] == 409
    assert kept(web, other) is None


@requirement("STOW-061")
def test_study_match_is_tolerant(web: DicomWeb, make: Maker) -> None:
    """Trailing spaces on either side do not make another study (STOW-061)."""
    plain = make()
    assert stored(web, plain, study=plain.study + "%20").status == 200
    uid = make.uid()
    padded = make(raw={0x0020000D: ("UI", (uid + "  ")[: len(uid) + 2 - len(uid) % 2].encode())})
    assert stored(web, padded, study=padded.study).status == 200
    assert stored(web, make(), study=padded.study).status == 409, "another study is still another"


@requirement("STOW-069")
def test_failed_store_leaves_nothing(web: DicomWeb, make: Maker) -> None:
    """An instance that failed is in no retrieval and no search (STOW-069)."""
    made = make(PatientID=None)
    assert stored(web, made).status == 409
    assert web.metadata(*made.uids).status == 404
    assert web.metadata(made.study).status == 404
    assert web.search("instances", StudyInstanceUID=made.study).status == 204
    good = make(like=made, SOPInstanceUID=made.instance, PatientID=make.patient_id())
    assert stored(web, good).status == 200, "the same UIDs are free for a good instance"
