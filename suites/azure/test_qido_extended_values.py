"""Searching by extended query tags: the forms of values by VR."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import needs, requirement
from suites.azure import extended
from suites.azure.data import Made, Maker
from suites.azure.extended import Own
from suites.azure.searching import SOP_UID, ask, find, keep, refused, uids
from suites.azure.tags import tags_of

pytestmark = needs("extended-query-tags")

_VRS = ("DA", "DT", "TM", "IS", "SL", "SS", "UL", "US", "FL", "FD", "PN", "LO", "UI")
_ROWS: dict[str, dict[str, str | float]] = {
    "first": {
        "DA": "20200101", "DT": "20200101000000", "TM": "100000", "IS": "03", "SL": -70000, "SS": -3, "UL": 70000,
        "US": 3, "FL": 1.5, "FD": -2.25, "PN": "Sörensen^Åse", "LO": "A value", "UI": "1.2.3",
    },
    "second": {
        "DA": "20200615", "DT": "20200615101112.123456", "TM": "101112.5", "IS": "7", "SL": 4, "SS": 4, "UL": 4,
        "US": 4, "FL": 0.25, "FD": 4.0, "PN": "Tester^Tom", "LO": "Another value", "UI": "1.2.3.4",
    },
    "noon": {"TM": "120000"},
    "after noon": {"TM": "120001"},
    "midnight": {"TM": "000000"},
}  # fmt: skip
_NUMBERS = ("IS", "SL", "SS", "UL", "US", "FL", "FD")


@dataclass(frozen=True)
class Table:
    """Instances of one series by name, and the tag of each VR."""

    tag: dict[str, Own]
    made: dict[str, Made]

    def found(self, web: DicomWeb, vr: str, value: str, more: str = "") -> set[str]:
        """The instances that a filter on the tag of this VR finds."""
        named = {made.instance: name for name, made in self.made.items()}
        query = f"PatientID={self.made['first'].dataset.PatientID}&{self.tag[vr].path}={value}{more}"
        return {named[uid] for uid in uids(find(web, "/instances", query), SOP_UID)}


@pytest.fixture(scope="module")
def table(v2: DicomWeb, make: Maker) -> Iterator[Table]:
    """One instance-level tag of each VR, and five instances with values for some of them."""
    tag = {vr: extended.own(vr) for vr in _VRS}
    made: dict[str, Made] = {}
    for name, row in _ROWS.items():
        values = {tag[vr]: value for vr, value in row.items()}
        made[name] = extended.holding(make, values, like=made.get("first"))
    with tags_of(v2) as tags:
        keep(v2, *list(made.values())[:2])
        extended.add(tags, *tag.values())
        keep(v2, *list(made.values())[2:])
        yield Table(tag, made)


def _all_refused(web: DicomWeb, table: Table, vr: str, values: tuple[str, ...]) -> None:
    for value in values:
        refused(ask(web, "/instances", f"{table.tag[vr].path}={value}"))


@requirement("QIDO-066")
def test_ranges_on_dates(web: DicomWeb, table: Table) -> None:
    """Extended tags of VR DA, DT and TM take ranges, open ones too (QIDO-066)."""
    assert table.found(web, "DA", "20200101-20200615") == {"first", "second"}
    assert table.found(web, "DA", "20200102-") == {"second"}
    assert table.found(web, "DA", "-20200614") == {"first"}
    assert table.found(web, "DT", "-2020") == {"first"}
    assert table.found(web, "TM", "10-101112") == {"first"}
    _all_refused(web, table, "DA", ("2020", "-", "20200615-20200101"))


@requirement("QIDO-068")
def test_date_times(web: DicomWeb, table: Table) -> None:
    """A DT filter may be shortened and then means its first instant (QIDO-068)."""
    for value in (
        "2020",
        "202001",
        "20200101",
        "2020010100",
        "202001010000",
        "20200101000000",
        "20200101000000.0",
    ):
        assert table.found(web, "DT", value) == {"first"}, value
    assert table.found(web, "DT", "20200615101112.123456") == {"second"}
    for value in ("20200615", "20200615101112", "20200615101112.123", "2021"):
        assert table.found(web, "DT", value) == set(), f"{value} means its first instant only"
    assert table.found(web, "DT", "2020-2021") == {"first", "second"}
    assert table.found(web, "DT", "20200101-20200615") == {"first"}


@requirement("QIDO-068")
def test_bad_date_times(web: DicomWeb, table: Table) -> None:
    """Other text and every UTC offset answer 400; of an unescaped + the text tells why (QIDO-068)."""
    _all_refused(
        web, table, "DT", ("abc", "20201301", "2020010124", "20200101000000.1234567", "2020-01-01", "-")
    )
    _all_refused(web, table, "DT", ("20200101000000%2B0100", "20200101000000-0100"))
    refused(ask(web, "/instances", f"{table.tag['DT'].path}=20200101000000+0100"), "offset")
    assert table.found(web, "DT", "20200101000000") == {"first"}


@requirement("QIDO-069", "QIDO-129")
def test_times(web: DicomWeb, table: Table) -> None:
    """TM takes HH down to HHmmss.FFFFFF, exactly; midnight is never found (QIDO-069, QIDO-129)."""
    for value in ("10", "1000", "100000", "100000.000000"):
        assert table.found(web, "TM", value) == {"first"}, value
    assert table.found(web, "TM", "101112.5") == {"second"}
    assert table.found(web, "TM", "101112") == set()
    assert table.found(web, "TM", "10-12") == {"first", "second", "noon"}, (
        "12 includes 12:00:00 and nothing later"
    )
    assert table.found(web, "TM", "12-") == {"noon", "after noon"}
    for value in ("000000", "00", "00-01", "-01"):
        assert table.found(web, "TM", value) == set(), "QIDO-129: midnight is not indexed"
    _all_refused(web, table, "TM", ("25", "1", "10:00", "1060", "abc", "-", "12-10"))


@requirement("QIDO-070", "QIDO-126")
def test_numbers(web: DicomWeb, table: Table) -> None:
    """Integers and decimals are compared as numbers; other text answers 400 (QIDO-070, QIDO-126)."""
    first = {"IS": ("3", "03", "0003"), "SL": ("-70000",), "SS": ("-3",), "UL": ("70000",), "US": ("3", "03"),
             "FL": ("1.5", "1.50"), "FD": ("-2.25",)}  # fmt: skip
    for vr, written in first.items():
        for value in written:
            assert table.found(web, vr, value) == {"first"}, f"{vr} {value}"
    for vr, value in {"IS": "7", "SL": "4", "SS": "4", "UL": "4", "US": "4", "FL": "0.25", "FD": "4"}.items():
        assert table.found(web, vr, value) == {"second"}, f"{vr} {value}"
    for vr in ("SL", "SS", "UL", "US"):
        for value in ("abc", "1.5"):
            refused(ask(web, "/instances", f"{table.tag[vr].path}={value}"), value)
    for vr in ("FL", "FD"):
        refused(ask(web, "/instances", f"{table.tag[vr].path}=abc"), "abc")
    _all_refused(web, table, "IS", ("abc",))


@requirement("QIDO-127")
def test_missing_numbers_are_zero(web: DicomWeb, table: Table) -> None:
    """An instance without the numeric attribute is found by 0; other VRs are not indexed then (QIDO-127)."""
    lacking = {"noon", "after noon", "midnight"}
    for vr in _NUMBERS:
        assert table.found(web, vr, "0") == lacking, vr
    for vr in ("DA", "DT"):
        assert table.found(web, vr, "00010101-") == {"first", "second"}, vr


@requirement("QIDO-127")
def test_a_missing_number_replaces_that_of_the_series(v2: DicomWeb, make: Maker) -> None:
    """A later instance that lacks a series-level number sets it to 0; a text stays (QIDO-127)."""
    number, text = extended.own("US", "series"), extended.own("LO", "series")
    first = extended.holding(make, {number: 12, text: "stays"})
    later = make(like=first)
    own = f"PatientID={first.dataset.PatientID}"

    def series(tag: Own, value: str) -> int:
        return len(find(v2, "/series", f"{own}&{tag.path}={value}"))

    with tags_of(v2) as tags:
        extended.add(tags, number, text)
        keep(v2, first)
        assert (series(number, "12"), series(number, "0"), series(text, "stays")) == (1, 0, 1)
        keep(v2, later)
        assert (series(number, "12"), series(number, "0"), series(text, "stays")) == (0, 1, 1)


@requirement("QIDO-074")
def test_fuzzy_person_names(web: DicomWeb, table: Table) -> None:
    """Extended tags of VR PN are fuzzy, others stay exact (QIDO-074)."""
    assert table.found(web, "PN", quote("soren as"), "&fuzzymatching=true") == {"first"}
    assert table.found(web, "PN", "test", "&fuzzymatching=true") == {"second"}
    assert table.found(web, "PN", "test") == set()
    assert table.found(web, "PN", quote("SORENSEN^ASE")) == {"first"}, "whole value, without case and accents"
    assert table.found(web, "LO", "Another", "&fuzzymatching=true") == set()
    assert table.found(web, "LO", "another%20value", "&fuzzymatching=true") == {"second"}
    assert table.found(web, "UI", "1.2.3") == {"first"}
    refused(ask(web, "/instances", f"{table.tag['PN'].path}=a%22b&fuzzymatching=true"), '"')
