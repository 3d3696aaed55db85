"""What an extended query tag has to be before it may be added."""

from typing import Any

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import needs, requirement
from suites.azure.tags import Element, Tags, element, private, private_path, refused

pytestmark = [pytest.mark.azure, needs("extended-query-tags")]

GOOD = element("EthnicGroup", "study")


def assert_refused(tags: Tags, bad: Any, *parts: str) -> None:
    """A request with this element is 400 with these parts of a text, and nothing of it is added."""
    beside = private()
    refused(tags.post([beside, bad]), *parts)
    assert tags.get(beside["path"]).status == 404, f"added beside a bad element (TAG-026): {bad}"


@requirement("TAG-004", "TAG-026")
@pytest.mark.parametrize("path", [None, "", "   "])
def test_path_missing(tags: Tags, path: str | None) -> None:
    """An element without path or with a blank one is 400 with its index (TAG-004, TAG-026)."""
    bad = {"level": "study", "path": path}
    text = "The field '[1].Path' in request body is invalid: The Dicom Tag Property Path must be specified"
    assert_refused(tags, bad, text, "must not be null, empty or whitespace")
    assert_refused(tags, {"level": "study"}, text)


@requirement("TAG-005")
def test_level_missing(tags: Tags) -> None:
    """An element without level is 400; of one that lacks both only the path is told (TAG-005)."""
    text = "The field '[1].Level' in request body is invalid: The Dicom Tag Property Level must be specified"
    assert_refused(tags, {"path": "EthnicGroup"}, text, "must not be null, empty or whitespace")
    answer = tags.post([{}])
    refused(answer, "[0].Path")
    assert b"[0].Level" not in answer.body, answer.describe()
    several = tags.post([{"path": "EthnicGroup"}, {"level": "study"}])
    refused(several)
    assert (b"[0].Level" in several.body) != (b"[1].Path" in several.body), several.describe()


@requirement("TAG-006")
def test_level_unknown(tags: Tags) -> None:
    """An unknown level is 400 with exactly this text; numbers are no levels (TAG-006)."""
    answer = tags.post([{"path": "00100040", "Level": "Studys"}])
    text = (
        "The field '$[0].Level' in request body is invalid: Expected value 'Studys' to be one of the following "
        "values: ['Instance', 'Series', 'Study']"
    )
    refused(answer)
    assert answer.body.decode() == text, answer.describe()
    lower = tags.post([{"path": "00100040", "level": "Studys"}])
    assert lower.body.decode().lower() == text.lower(), lower.describe()
    for level in (1, "1"):
        refused(tags.post([{"path": "EthnicGroup", "level": level}]))


@requirement("TAG-007", "TAG-008")
@pytest.mark.parametrize("body", [b"", b"null", b"[{", b'{"path":"EthnicGroup","level":"study"}', b"[]"])
def test_no_array(tags: Tags, body: bytes) -> None:
    """An empty array is missing tags; anything but an array is 400 (TAG-007, TAG-008)."""
    refused(tags.post(body), *(["tag(s) is missing"] if body == b"[]" else []))
    assert tags.get("EthnicGroup").status == 404


@requirement("TAG-009")
def test_content_type(tags: Tags) -> None:
    """A body that is not called JSON is 415 without text (TAG-009)."""
    for content_type in ("text/plain", "application/xml"):
        answer = tags.post([GOOD], content_type)
        assert (answer.status, answer.body) == (415, b""), answer.describe()
    assert tags.get("EthnicGroup").status == 404


@requirement("TAG-009")
@needs("open-source")
def test_content_type_kinds(tags: Tags) -> None:
    """No Content-Type and text/json are 415; +json types count as JSON (TAG-009)."""
    for content_type in (None, "text/json"):
        answer = tags.post([GOOD], content_type)
        assert (answer.status, answer.body) == (415, b""), answer.describe()
    for content_type in ("application/dicom+json", "application/json; charset=utf-8", "APPLICATION/JSON"):
        refused(tags.post([], content_type), "missing")


@requirement("TAG-010", "TAG-011")
@pytest.mark.parametrize("path", ["PatientId", "ethnicgroup", "0010216", "00091FFG", "Nonsense", "00100041"])
def test_path_unparsable(tags: Tags, path: str) -> None:
    """A path is a keyword in its letter case or the hex of a tag there is; dots are refused (TAG-010, TAG-011)."""
    assert_refused(tags, element(path, "study"), "cannot be parsed into a valid Dicom Tag")


@requirement("TAG-011")
@pytest.mark.parametrize("path", ["00400275.00400007", "RequestAttributesSequence.ScheduledProcedureStepID"])
def test_path_in_sequence(tags: Tags, path: str) -> None:
    """A tag inside a sequence is not supported (TAG-011)."""
    assert_refused(tags, element(path, "study"), "sequential tags", "not supported")


CORE = [
    *("StudyInstanceUID", "StudyDate", "StudyDescription", "AccessionNumber", "ReferringPhysicianName"),
    *("PatientName", "PatientID", "PatientBirthDate", "ModalitiesInStudy", "SeriesInstanceUID", "Modality"),
    *("PerformedProcedureStepStartDate", "ManufacturerModelName", "SOPInstanceUID"),
]


@requirement("TAG-012")
def test_core_tags(tags: Tags) -> None:
    """What is searchable without being added cannot be added (TAG-012)."""
    for keyword in CORE:
        assert_refused(tags, element(keyword, "study"), "already supported")
    assert_refused(tags, element("00100020", "study"), "already supported")


UNSUPPORTED = {
    "PatientWeight": "DS", "FrameIncrementPointer": "AT", "PatientComments": "LT", "PixelData": "OB",
    "FloatPixelData": "OF", "DoubleFloatPixelData": "OD", "LongPrimitivePointIndexList": "OL",
    "RedPaletteColorLookupTableData": "OW", "ReferencedStudySequence": "SQ", "InstitutionAddress": "ST",
    "LongCodeValue": "UC", "RetrieveURL": "UR", "TextValue": "UT", "ExtendedOffsetTable": "OV",
}  # fmt: skip


@requirement("TAG-014", "TAG-015")
def test_unsupported_vrs(tags: Tags) -> None:
    """DS, sequences, long texts and bulk data are not supported, whether the VR is given or not (TAG-014, TAG-015)."""
    for keyword, vr in UNSUPPORTED.items():
        assert_refused(tags, element(keyword, "study"), "not supported")
        assert_refused(tags, element(keyword, "study", vr), "not supported")
    for vr in ("SV", "UN", "UV", "AT"):
        assert_refused(tags, element(private_path(), "study", vr, "CREATOR"), "not supported")


@requirement("TAG-016", "TAG-017")
def test_wrong_vr(tags: Tags) -> None:
    """A VR that is none is invalid; one that is not the tag's own is named with the right one (TAG-016, TAG-017)."""
    assert_refused(tags, element("EthnicGroup", "study", "XX"), "VR", "invalid")
    assert_refused(tags, element("EthnicGroup", "study", "LO"), "LO", "SH")


@requirement("TAG-019", "TAG-020", "TAG-021", "TAG-022", "TAG-023")
def test_private_creators(tags: Tags) -> None:
    """A creator belongs to private tags and to them alone, and has to be an LO; so do VRs (TAG-019 to TAG-023)."""
    path = private_path()
    assert_refused(tags, element("EthnicGroup", "study", None, "CREATOR"), "private creator", "not empty")
    assert_refused(tags, element(path, "study", "LO"), "private creator", "missing")
    assert_refused(tags, element(path, "study", "LO", "X" * 65))
    assert_refused(tags, element(path, "study", "LO", "A\nB"))
    reservation = f"{path[:4]}0011"
    assert_refused(tags, element(reservation, "study", "LO", "CREATOR"))
    assert_refused(tags, element(path, "study", None, "CREATOR"), "vr", "missing")
    tags.add(element(path, "study", "LO", "X" * 64), element(reservation, "study", "LO"))
    assert tags.one(path)["privateCreator"] == "X" * 64
    assert "privateCreator" not in tags.one(reservation)


@requirement("TAG-024")
def test_path_twice(tags: Tags) -> None:
    """The same path twice in a request is 400, in whatever letter case (TAG-024)."""
    path = f"11ab{private_path()[4:]}"
    both = [element(path, "study", "LO", "CREATOR"), element(path.upper(), "series", "LO", "CREATOR")]
    refused(tags.post(both), "specified before")
    assert tags.get(path).status == 404


@requirement("TAG-069")
def test_unknown_members(tags: Tags) -> None:
    """Members nobody knows are ignored, blank vr and creator count as absent (TAG-069)."""
    given: Element = {**GOOD, "colour": "red", "vr": " ", "privateCreator": None}
    tags.add(given)
    assert tags.one("EthnicGroup")["vr"] == "SH"


@requirement("TAG-003", "TAG-018")
def test_spelling(tags: Tags, web: DicomWeb) -> None:
    """Names of members, level and VR are taken in any letter case (TAG-003, TAG-018)."""
    tags.add({"path": "00102160", "LEVEL": "STUDY", "Vr": "sh"})
    found = tags.one("EthnicGroup")
    assert (found["path"], found["level"], found["vr"]) == ("00102160", "study", "SH"), web.version
