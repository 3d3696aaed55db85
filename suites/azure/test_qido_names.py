"""Searching: person names exactly and fuzzily, accents, quotes and padding."""

from urllib.parse import quote

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import Profile, requirement
from fixtures.waiting import eventually
from suites.azure.data import Made, Maker
from suites.azure.searching import ask, find, keep, nested, refused, studies

_NAMES = {
    "john": ("John^Doe", "Referrer^Rita"),
    "tä": ("Tä^Smith", "Ödön^Ursula"),
    "middle": ("Johnson^Mary^Ann", "Doe^John"),
    "groups": ("Yamada^Tarou=山田^太郎", "Referrer^Rita"),
    "quoted": ('Quo"te^Q', "Referrer^Rita"),
}
People = dict[str, Made]


@pytest.fixture(scope="module")
def people(v2: DicomWeb, make: Maker, profile: Profile) -> People:
    """Studies with one patient id and many names; waits until the full text index has them (QIDO-076)."""
    patient = make.patient_id()
    made = {
        which: make(
            PatientID=patient, PatientName=name, ReferringPhysicianName=physician, StudyDescription="Tä study"
        )
        for which, (name, physician) in _NAMES.items()
    }
    keep(v2, *made.values())
    everybody = {made["john"].study, made["middle"].study}
    eventually(
        lambda: studies(v2, f"{_own(made)}&fuzzymatching=true&PatientName=John") == everybody,
        within=profile.bounds.settle,
        because="stored names should be found by fuzzy matching",
    )
    return made


def _own(people: People) -> str:
    return f"PatientID={people['john'].dataset.PatientID}"


def _found(web: DicomWeb, people: People, query: str) -> set[str]:
    names = {made.study: which for which, made in people.items()}
    return {names[study] for study in studies(web, f"{_own(people)}&{query}")}


def _fuzzy(web: DicomWeb, people: People, value: str, keyword: str = "PatientName") -> set[str]:
    return _found(web, people, f"fuzzymatching=true&{keyword}={quote(value)}")


@requirement("QIDO-054")
def test_exact_person_name(web: DicomWeb, people: People) -> None:
    """Without fuzzymatching a name is the whole stored value, letter case and accents aside (QIDO-054)."""
    for value in ("John^Doe", "JOHN^DOE", "john^doe"):
        assert _found(web, people, f"PatientName={quote(value)}") == {"john"}
    for value in ("Ta^Smith", "tä^smith", "TÄ^SMITH", "TA^smith"):
        assert _found(web, people, f"PatientName={quote(value)}") == {"tä"}, "QIDO-054: accents do not count"
    for value in ("John", "Doe", "John Doe", "John^", "Doe^John", "JohnDoe", "Johnson"):
        assert _found(web, people, f"PatientName={quote(value)}") == set(), f"{value} is no whole name"
    assert _found(web, people, "ReferringPhysicianName=doe%5Ejohn") == {"middle"}
    assert _found(web, people, f"ReferringPhysicianName={quote('Odon^Ursula')}") == {"tä"}


@requirement("QIDO-055")
def test_accents_count_in_other_strings(web: DicomWeb, people: People) -> None:
    """In attributes other than person names accents are significant (QIDO-055)."""
    assert _found(web, people, f"StudyDescription={quote('tä study')}") == set(people)
    assert _found(web, people, "StudyDescription=Ta%20study") == set()


@requirement("QIDO-071")
def test_fuzzy_prefix_of_any_word(web: DicomWeb, people: People) -> None:
    """A fuzzy value is a prefix of any word of the name, not a part from its middle (QIDO-071)."""
    assert _fuzzy(web, people, "joh") == {"john", "middle"}
    assert _fuzzy(web, people, "do") == {"john"}
    assert _fuzzy(web, people, "Doe") == {"john"}
    assert _fuzzy(web, people, "Ann") == {"middle"}
    assert _fuzzy(web, people, "ohn") == set()
    assert _fuzzy(web, people, "Does") == set()


@requirement("QIDO-072")
def test_fuzzy_phrase_of_prefixes(web: DicomWeb, people: People) -> None:
    """Several words are prefixes of adjacent words in that order; ^ and = separate stored words (QIDO-072)."""
    assert _fuzzy(web, people, "jo do") == {"john"}
    assert _fuzzy(web, people, "John Doe") == {"john"}
    assert _fuzzy(web, people, "Doe John") == set(), "not in that order"
    assert _fuzzy(web, people, "John Ann") == set(), "not adjacent"
    assert _fuzzy(web, people, "mar an") == {"middle"}
    assert _fuzzy(web, people, "Yamada Tarou") == {"groups"}
    assert _fuzzy(web, people, "Tar") == {"groups"}


@requirement("QIDO-073")
def test_fuzzy_ignores_case_and_accents(web: DicomWeb, people: People) -> None:
    """Fuzzy matching ignores letter case and accents, of the name and of the filter (QIDO-073)."""
    for value in ("TA", "ta", "tä", "TÄ sm", "ta SMITH"):
        assert _fuzzy(web, people, value) >= {"tä"}, value
        assert "john" not in _fuzzy(web, people, value)
    assert _fuzzy(web, people, "JÖHN") >= {"john"}, "an accent in the filter counts as little"


@requirement("QIDO-074")
def test_fuzzy_applies_to_person_names_only(web: DicomWeb, people: People) -> None:
    """Both person names are fuzzy, all other filters stay exact (QIDO-074)."""
    assert _fuzzy(web, people, "Doe", "ReferringPhysicianName") == {"middle"}
    assert _fuzzy(web, people, "odon", "00080090") == {"tä"}
    assert _found(web, people, "fuzzymatching=true&StudyDescription=T%C3%A4") == set()
    assert _found(web, people, "fuzzymatching=true&StudyDescription=T%C3%A4%20study") == set(people)
    assert studies(web, f"fuzzymatching=true&{_own(people)[:-1]}&PatientName=John") == set()
    own = _own(people)
    assert len(find(web, "/instances", f"{own}&fuzzymatching=true&PatientName=joh")) == 2
    assert len(find(web, nested(people["john"])[0], "fuzzymatching=true&Modality=CT")) == 1
    assert find(web, nested(people["john"])[0], "fuzzymatching=true&Modality=C") == []


@requirement("QIDO-075")
def test_quote_in_a_fuzzy_value(web: DicomWeb, people: People) -> None:
    """A double quote in a fuzzy name answers 400 naming tag and character; without fuzzymatching it matches (QIDO-075)."""
    value = quote('Quo"te^Q')
    for keyword in ("PatientName", "ReferringPhysicianName"):
        answer = ask(web, "/studies", f"{_own(people)}&fuzzymatching=true&{keyword}={value}")
        refused(answer, keyword, '"')
    assert _found(web, people, f"PatientName={value}") == {"quoted"}
    assert _found(web, people, f"fuzzymatching=false&PatientName={value}") == {"quoted"}


@requirement("QIDO-076")
def test_a_new_name_is_found_in_time(web: DicomWeb, make: Maker, profile: Profile) -> None:
    """A just stored name is found by fuzzy matching at once or soon, and exactly at once (QIDO-076)."""
    made = make(PatientName="Freshly^Stored")
    keep(web, made)
    own = f"PatientID={made.dataset.PatientID}"
    assert studies(web, f"{own}&PatientName=freshly%5Estored") == {made.study}
    eventually(
        lambda: studies(web, f"{own}&fuzzymatching=true&PatientName=fresh") == {made.study},
        within=profile.bounds.settle,
        because="the full text index should catch up",
    )


@requirement("QIDO-110")
@pytest.mark.parametrize("padding", [b"", b"\0", b"\0\0\0"])
def test_null_padding(v2: DicomWeb, make: Maker, padding: bytes) -> None:
    """Values stored with and without trailing nulls are found by filters with and without one (QIDO-110)."""
    made = make(raw={0x00080050: ("SH", b"NULLED" + padding + b"\0" * (len(padding) % 2))})
    keep(v2, made)
    own = f"PatientID={made.dataset.PatientID}"
    for sent in ("NULLED", "NULLED%00", "nulled%00%00"):
        assert studies(v2, f"{own}&AccessionNumber={sent}") == {made.study}, sent
    assert studies(v2, f"{own}&AccessionNumber=NULLE%00") == set()
