"""Attribute matching against an oracle that works another way: dynamic programming, no regular expressions."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydicom import DataElement, Dataset

from systems.router.bridge.matching import is_universal, matches, matches_all, person_name_matches


def oracle(pattern: str, text: str) -> bool:
    """Wildcard matching by the table of prefixes."""
    reachable = {0}
    for character in pattern:
        if character == "*":
            reachable = set(range(min(reachable, default=len(text) + 1), len(text) + 1))
        else:
            reachable = {n + 1 for n in reachable if n < len(text) and character in {"?", text[n]}}
    return len(text) in reachable


letters = st.text(alphabet="abA.+(\\[^$ é\n", max_size=8).map(lambda text: text.replace("\\", "").strip())
patterns = st.text(alphabet="abA.+([^$é*?", max_size=8).map(str.strip)


def element(vr: str, value: object) -> DataElement:
    tag = {
        "LO": 0x00081030,
        "DA": 0x00080020,
        "TM": 0x00080030,
        "DT": 0x0008002A,
        "PN": 0x00100010,
        "UI": 0x0020000D,
    }
    return DataElement(tag.get(vr, 0x00091001), vr, value)


@given(patterns, letters)
def test_wildcards_match_as_the_oracle_says(pattern: str, text: str) -> None:
    key, found = element("LO", pattern), element("LO", text)
    assume(pattern.strip("*"))

    assert matches(key, found) == (oracle(pattern, text) and text != "")


words = st.text(alphabet="abAB.+($é", min_size=1, max_size=5)
wild = st.tuples(words, st.sampled_from("*?"), st.text(alphabet="abAB.+($é*?", max_size=3)).map("".join)


@given(wild, words)
def test_person_names_match_without_case(pattern: str, text: str) -> None:
    assert person_name_matches(pattern, text) == oracle(pattern.casefold(), text.casefold())


dates = st.dates().map(lambda day: day.strftime("%Y%m%d").rjust(8, "0"))


@given(st.none() | dates, st.none() | dates, dates)
def test_date_ranges_include_both_ends(first: str | None, last: str | None, day: str) -> None:
    assume(first or last)
    key = element("DA", f"{first or ''}-{last or ''}")

    assert matches(key, element("DA", day)) == ((first or "00000000") <= day <= (last or "99999999"))
    assert not matches(key, None)


seconds = st.integers(0, 86399)


def clock(second: int, precision: int) -> str:
    return f"{second // 3600:02}{second // 60 % 60:02}{second % 60:02}"[:precision]


@given(seconds, seconds, seconds, st.sampled_from([2, 4, 6]))
def test_time_ranges_reach_to_the_end_of_their_last_unit(
    first: int, last: int, moment: int, precision: int
) -> None:
    key = element("TM", f"{clock(first, precision)}-{clock(last, precision)}")
    unit = {2: 3600, 4: 60, 6: 1}[precision]

    inside = first // unit * unit <= moment < last // unit * unit + unit
    assert matches(key, element("TM", clock(moment, 6))) == inside


@pytest.mark.parametrize(
    ("key", "name", "expected"),
    [
        ("JULE", "Jule420^Schmeler639", True),
        ("schmeler", "Jule420^Schmeler639", True),
        ("ULE", "Jule420^Schmeler639", False),
        ("jule schm", "Jule420^Schmeler639", True),
        ("Jule420^Schmeler639", "JULE420^SCHMELER639^^^", True),
        ("Jule420^Other", "Jule420^Schmeler639", False),
        ("J*", "Other^Jule", False),
        ("*jule*", "Other^Jule", True),
        ("山田^太郎", "Yamada^Tarou=山田^太郎=やまだ^たろう", True),
        ("Mü*", "MÜLLER^X", True),
        ("Muller", "Müller", False),
    ],
)
def test_person_names(key: str, name: str, expected: bool) -> None:
    assert matches(element("PN", key), element("PN", name)) is expected


@pytest.mark.parametrize(
    ("vr", "key", "value", "expected"),
    [
        ("LO", "Chest", "CHEST", False),
        ("LO", "Chest ", "Chest", True),
        ("CS", ["CT", "MR"], ["MR", "PT"], True),
        ("CS", ["CT"], ["MR", "PT"], False),
        ("UI", ["1.2", "1.3"], "1.3", True),
        ("UI", "1.2", "1.20", False),
        ("IS", "7", "07", True),
        ("DS", "1.50", "1.5", True),
        ("DA", "2020.01.02", "20200102", True),
        ("DA", "20200102", "20200103", False),
        ("TM", "10", "100000", True),
        ("DT", "20200101-20200131", "20200131235959", True),
        ("DT", "2020-2021", "20220101", False),
        ("US", 5, 5, True),
        ("LO", "", None, True),
        ("LO", "**", None, True),
        ("LO", "?", None, False),
        ("LO", "x", "", False),
    ],
)
def test_single_and_listed_values(vr: str, key: object, value: object, expected: bool) -> None:
    found = None if value is None else element(vr, value)

    assert matches(element(vr, key), found) is expected


def test_sequences_match_by_their_items() -> None:
    wanted, other = Dataset(), Dataset()
    wanted.CodeValue, wanted.CodeMeaning = "T1", ""
    other.CodeValue = "T2"
    held = Dataset()
    held.CodeValue, held.CodeMeaning = "T1", "first"

    assert matches(element("SQ", [wanted]), element("SQ", [other, held]))
    assert not matches(element("SQ", [wanted]), element("SQ", [other]))
    assert not matches(element("SQ", [wanted]), None)
    assert is_universal(element("SQ", [Dataset()]))
    assert matches(element("SQ", []), None)


def test_all_keys_must_hold() -> None:
    candidate = Dataset()
    candidate.PatientID, candidate.Modality = "P1", "CT"

    assert matches_all([element("LO", "")], candidate)
    keys = Dataset()
    keys.PatientID, keys.Modality = "P*", "MR"
    assert not matches_all(keys, candidate)
    keys.Modality = "C?"
    assert matches_all(keys, candidate)
