"""Searching for work items: which filters there are and what they match (PS3.18 section 11.9)."""

from typing import Any

import pytest

from fixtures.clients.dicomweb import DICOM_JSON
from fixtures.traceability import requirement
from suites.azure.workitems import CODE, WorkItems, first, key, refused

pytestmark = pytest.mark.azure

_REQUEST: dict[str, Any] = {
    "StudyInstanceUID": "1.2.3",
    "AccessionNumber": "ACC1",
    "IssuerOfAccessionNumberSequence": (),
    "OrderPlacerIdentifierSequence": (),
    "OrderFillerIdentifierSequence": (),
    "RequestedProcedureID": "RP1",
    "RequestedProcedureDescription": (),
    "RequestedProcedureCodeSequence": (),
}
_START = "ScheduledProcedureStepStartDateTime"
_STATIONS = ("Name", "Class", "GeographicLocation")


class Pair:
    """Two work items of one patient that differ in everything that can be searched for."""

    def __init__(self, items: WorkItems) -> None:
        self.items = items
        self.patient = items.make.patient_id()
        self.study = items.uid()
        self.wanted = self._made("Zorro^Diego", self.study, "ACC1", "RP1", "STATION", "20240102093000.5")
        self.other = self._made("Other^Name", items.uid(), "ACC2", "RP2", "ELSE", "20240103")

    def _made(self, name: str, study: str, accession: str, procedure: str, station: str, start: str) -> str:
        code = {**CODE, "CodeValue": station}
        stations = {f"ScheduledStation{kind}CodeSequence": [code] for kind in _STATIONS}
        request = {**_REQUEST, "AccessionNumber": accession, "RequestedProcedureID": procedure}
        return self.items.new(
            PatientID=self.patient,
            PatientName=name,
            StudyInstanceUID=study,
            ReferencedRequestSequence=[request],
            **stations,
            **{_START: start},
        )

    def found(self, *filters: tuple[str, str]) -> list[str]:
        """Which of the two a search finds."""
        return self.items.found(("PatientID", self.patient), *filters)


@pytest.fixture(scope="module")
def pair(items: WorkItems) -> Pair:
    """Two work items to tell apart."""
    made = Pair(items)
    assert made.found() == [made.other, made.wanted], "both, the newest first"
    return made


@requirement("UPS-058")
def test_matches_and_none(items: WorkItems, pair: Pair) -> None:
    """200 with a DICOM JSON array, 204 when nothing matches (UPS-058)."""
    answer = items.search(PatientID=pair.patient)
    assert answer.status == 200, answer.describe()
    assert answer.content_type.startswith(DICOM_JSON)
    assert isinstance(answer.json(), list)
    none = items.search(PatientID=items.make.patient_id())
    assert (none.status, none.body) == (204, b""), none.describe()


@requirement("UPS-059", "UPS-060")
def test_searchable_attributes(items: WorkItems, pair: Pair) -> None:
    """Each searchable attribute finds its item and not the other, by keyword and by tag (UPS-059, UPS-060)."""
    filters = {
        "PatientName": "Zorro^Diego",
        "StudyInstanceUID": pair.study,
        _START: "20240102093000.5",
        "ReferencedRequestSequence.AccessionNumber": "ACC1",
        "ReferencedRequestSequence.RequestedProcedureID": "RP1",
        **{f"ScheduledStation{kind}CodeSequence.CodeValue": "STATION" for kind in _STATIONS},
    }
    for name, value in filters.items():
        by_tag = ".".join(key(part) for part in name.split("."))
        assert pair.found((name, value)) == [pair.wanted], name
        assert pair.found((by_tag, value)) == [pair.wanted], by_tag
        assert pair.found((by_tag.lower(), value)) == [pair.wanted], by_tag.lower()
    assert items.found(PatientID=pair.patient, ProcedureStepState="SCHEDULED") == [pair.other, pair.wanted]
    assert items.found(PatientID=pair.patient, ProcedureStepState="CANCELED") == []


@requirement("UPS-060", "UPS-061")
def test_paths(pair: Pair) -> None:
    """Tags and keywords mix; three parts, or a sequence alone, are 400 (UPS-060, UPS-061)."""
    assert pair.found(("0040A370.AccessionNumber", "ACC1")) == [pair.wanted]
    deep = "ReferencedRequestSequence.RequestedProcedureCodeSequence.CodeValue"
    for name in (deep, "ReferencedRequestSequence", "AccessionNumber", "PatientID.CodeValue"):
        refused(pair.items.search_pairs([(name, "ACC1")]), 400, because=name)


@requirement("UPS-059", "UPS-061")
@pytest.mark.parametrize(
    "name", ["Modality", "SOPInstanceUID", "00080018", "ProcedureStepLabel", "PatientSex", "NoSuchName"]
)
def test_not_searchable(items: WorkItems, name: str) -> None:
    """Another attribute or an unknown name is 400 and says so (UPS-059, UPS-061)."""
    answer = items.search_pairs([(name, "CT")])
    refused(answer, 400, f"AttributeId {name} is not queryable")
    assert answer.content_type.startswith("text/plain"), answer.describe()


@requirement("UPS-062")
@pytest.mark.parametrize(
    ("value", "matches"),
    [
        ("20240102093000.5", True),
        ("20240102093000.500000", True),
        ("20240102093000", False),
        ("20240102", False),
        ("20240102-20240103", True),
        ("20240101-20240102", False),
        ("20240102093000.5-20240102093000.5", True),
        ("2024-2025", True),
        ("202401-202402", True),
        ("20240102-", True),
        ("2024010210-", False),
        ("-20240102", False),
        ("-20240102093001", True),
    ],
)
def test_moments(pair: Pair, value: str, matches: bool) -> None:
    """A value is a moment and a range inclusive, missing parts being their first moment (UPS-062)."""
    assert (pair.wanted in pair.found((_START, value))) is matches, value


@requirement("UPS-062")
def test_ends_of_ranges(pair: Pair) -> None:
    """Of two items a range finds the one that lies in it (UPS-062)."""
    assert pair.found((_START, "20240103")) == [pair.other]
    assert pair.found((_START, "20240103-")) == [pair.other]
    assert pair.found((_START, "-20240102235959")) == [pair.wanted]
    assert pair.found((_START, "20240102-20240103")) == [pair.other, pair.wanted]


@requirement("UPS-062")
@pytest.mark.parametrize(
    "value",
    [
        "-",
        "20240103-20240102",
        "20240102093000+0100",
        "2024-01-02",
        "yesterday",
        "20241301",
        "20240102093000.1234567",
    ],
)
def test_no_moments(items: WorkItems, value: str) -> None:
    """A lone hyphen, a range backwards, an offset or other text is 400 (UPS-062)."""
    refused(items.search_pairs([(_START, value)]), 400)


@requirement("UPS-062")
def test_offset_of_the_stored_value(items: WorkItems) -> None:
    """An offset in the stored value is ignored for matching (UPS-062)."""
    uid = items.new(**{_START: "20240102093000+0500"})
    patient = first(items.get(uid), "PatientID")
    assert items.found(("PatientID", patient), (_START, "20240102093000")) == [uid]
    assert items.found(("PatientID", patient), (_START, "20240102043000")) == []


@requirement("UPS-063")
def test_fuzzy(pair: Pair) -> None:
    """Fuzzy matching finds beginnings of words of the name; without it the whole name counts (UPS-063)."""
    for value in ("zor", "Die", "Zorro", "zor die"):
        assert pair.found(("PatientName", value), ("fuzzymatching", "true")) == [pair.wanted], value
        assert pair.found(("PatientName", value)) == [], f"{value} is not the whole name"
    for value in ("orro", "Diegos"):
        assert pair.found(("PatientName", value), ("fuzzymatching", "true")) == [], value


@requirement("UPS-064", "UPS-065")
def test_paging(items: WorkItems) -> None:
    """Pages follow each other without gap or repetition, the newest first (UPS-064, UPS-065)."""
    patient = items.make.patient_id()
    made = [items.new(PatientID=patient) for _ in range(5)]
    newest_first = made[::-1]
    assert items.found(PatientID=patient) == newest_first
    pages = [items.found(PatientID=patient, limit=2, offset=offset) for offset in (0, 2, 4, 6)]
    assert pages == [newest_first[:2], newest_first[2:4], newest_first[4:], []]
    assert items.found(PatientID=patient, limit=1) == newest_first[:1]
    assert items.found(PatientID=patient, limit=200) == newest_first


@requirement("UPS-064")
@pytest.mark.parametrize(
    ("name", "value"),
    [("limit", "500"), ("limit", "201"), ("limit", "0"), ("limit", "-1"), ("limit", "x"), ("offset", "-1")],
)
def test_bad_paging(items: WorkItems, name: str, value: str) -> None:
    """A limit outside 1 to 200 or an offset below 0 is 400 (UPS-064)."""
    refused(items.search(**{name: value}), 400, f"'{name.capitalize()}'")


@requirement("UPS-064")
def test_text_of_a_large_limit(items: WorkItems) -> None:
    """The text names parameter and bounds (UPS-064)."""
    text = "The query parameter 'Limit' is invalid. The field Limit must be between 1 and 200."
    assert items.search(limit=500).body.decode() == text


@requirement("UPS-076")
def test_bad_filters(items: WorkItems, pair: Pair) -> None:
    """Empty values, repetitions, quotes and unknown fields are 400 in plain text (UPS-076)."""
    twice = [("PatientID", "A"), ("PatientID", "B")]
    spelled = [("PatientID", "A"), ("00100020", "A")]
    quoted = [("PatientName", 'Zor"ro'), ("fuzzymatching", "true")]
    bad: list[tuple[list[tuple[str, str]], str]] = [
        ([("PatientID", "")], "empty string"),
        (twice, "Duplicate AttributeId"),
        (spelled, "specified more than once"),
        (quoted, ""),
        ([("includefield", "NoSuchName")], ""),
    ]
    for pairs, text in bad:
        answer = items.search_pairs(pairs)
        refused(answer, 400, text, because=str(pairs))
        assert answer.content_type.startswith("text/plain"), answer.describe()
    assert pair.found(("includefield", "PatientSex")) == [pair.other, pair.wanted]
