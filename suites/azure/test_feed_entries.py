"""The change feed: what an entry tells, and what each change adds."""

import re
from dataclasses import dataclass

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import needs, requirement
from suites.azure import feed
from suites.azure.conftest import SpecialService
from suites.azure.data import Made, Maker
from suites.azure.feed import FEED, LATEST, Entry, Mark
from suites.azure.searching import keep

pytestmark = needs("change-feed")


@dataclass(frozen=True)
class History:
    """What happened: `again` was stored, deleted and stored again, `gone` stored and deleted, `kept` stored."""

    before: Mark
    again: Made
    gone: Made
    kept: Made

    def entries(self, web: DicomWeb, *made: Made, metadata: bool = False) -> list[Entry]:
        """The feed of these instances."""
        return feed.of(feed.since(web, self.before, metadata=metadata), *made)


@pytest.fixture(scope="module")
def history(v1: DicomWeb, v2: DicomWeb, make: Maker) -> History:
    """A small history, one change after the other, the second half through the other version."""
    before = feed.mark(v2)
    again = make(PatientName="First^Version")
    gone, kept = make(like=again), make(like=again)
    keep(v2, again)
    keep(v2, gone)
    assert v2.delete(*again.uids).status == 204
    changed = make(like=again, SOPInstanceUID=again.instance, PatientName="Second^Version")
    keep(v1, changed)
    assert v1.delete(*gone.uids).status == 204
    keep(v1, kept)
    return History(before, changed, gone, kept)


@requirement("FEED-001")
def test_feed_resource(web: DicomWeb, history: History) -> None:
    """The feed answers 200 with a JSON array, an empty one where nothing is; Accept is not enforced (FEED-001)."""
    beyond = "offset=4611686018427387904" if web.version == "v1" else "startTime=9999-12-31T00:00:00Z"
    for path in (FEED, LATEST):
        for accept in (
            None,
            "application/json",
            "application/xml",
            "application/dicom+json",
            "image/png",
            "*/*",
        ):
            answer = feed.ask(web, path=path, accept=accept)
            assert answer.status == 200, f"{path} with Accept {accept}: {answer.describe()}"
            assert answer.content_type.split(";")[0].lower() == "application/json"
            assert isinstance(answer.json(), list if path == FEED else dict)
    answer = feed.ask(web, beyond)
    assert (answer.status, answer.json()) == (200, []), "never 204"
    assert history.entries(web, history.kept)


@requirement("FEED-002", "FEED-041")
def test_latest_right_after_each_change(web: DicomWeb, make: Maker) -> None:
    """Latest is one entry object and tells the store or delete just made (FEED-002, FEED-041)."""
    made = make()
    for action in ("Create", "Delete"):
        if action == "Create":
            keep(web, made)
        else:
            assert web.delete(*made.uids).status == 204
        answer = feed.ask(web, path=LATEST)
        assert answer.status == 200, answer.describe()
        assert answer.content_type.split(";")[0].lower() == "application/json"
        entry = answer.json()
        assert (entry["action"], entry["sopInstanceUid"]) == (action, made.instance)


@needs("control")
@requirement("FEED-003")
def test_latest_on_an_empty_store(special_service: SpecialService, make: Maker) -> None:
    """Latest of a service in which nothing ever happened answers an empty 204, and 200 after a store (FEED-003)."""
    with special_service() as own:
        both = [own.web(version=version) for version in ("v1", "v2")]
        for web in both:
            answer = feed.ask(web, path=LATEST)
            assert (answer.status, answer.body) == (204, b""), answer.describe()
            assert feed.read(web) == []
        keep(both[0], make())
        for web in both:
            assert feed.ask(web, path=LATEST).json()["sequence"] == 1, "FEED-019: it begins at 1"


@requirement("FEED-004", "FEED-006")
def test_members(web: DicomWeb, history: History) -> None:
    """Entries have exactly the named members; nulls are left out (FEED-004, FEED-006)."""
    always = {
        "sequence", "partitionName", "studyInstanceUid", "seriesInstanceUid", "sopInstanceUid", "action", "timestamp",
        "state",
    }  # fmt: skip
    everything = history.entries(web, history.again, history.gone, history.kept, metadata=True)
    assert len(everything) == 6
    for entry in everything:
        expected = always | ({"metadata"} if entry["state"] != "Deleted" else set())
        assert set(entry) - {"filePath"} == expected
        assert isinstance(entry["sequence"], int)
        if "filePath" in entry:
            assert re.fullmatch(r"DICOM/[^/]+/\d+_\d+\.dcm", entry["filePath"]), (
                "only with a blob store of one's own"
            )
    uids = [
        [entry[name] for name in ("studyInstanceUid", "seriesInstanceUid", "sopInstanceUid")]
        for entry in everything
    ]
    assert uids[0] == list(history.again.uids)


@requirement("FEED-005")
def test_partition_name(web: DicomWeb, history: History) -> None:
    """Without partitions every entry is of Microsoft.Default (FEED-005)."""
    entries = history.entries(web, history.again, history.gone, history.kept)
    assert {entry["partitionName"] for entry in entries} == {"Microsoft.Default"}


@requirement("FEED-007", "FEED-008", "FEED-011", "FEED-012")
def test_actions_and_states(web: DicomWeb, history: History) -> None:
    """States follow what became of the instance, and are spelled with capitals (FEED-007, FEED-008, FEED-011, FEED-012)."""
    assert feed.told(history.entries(web, history.again)) == [
        ("Create", "Replaced"), ("Delete", "Replaced"), ("Create", "Current"),
    ], "FEED-012: create, delete, create"  # fmt: skip
    assert feed.told(history.entries(web, history.gone)) == [("Create", "Deleted"), ("Delete", "Deleted")]
    assert feed.told(history.entries(web, history.kept)) == [("Create", "Current")]


@requirement("FEED-009")
def test_create_entries(web: DicomWeb, make: Maker) -> None:
    """Each stored instance adds one Create entry, a failed one of the same store none (FEED-009)."""
    before = feed.mark(web)
    first, second = make.series(2)
    foreign = make()
    answer = web.store([first.part10, foreign.part10, second.part10], study=first.study)
    assert set(answer.stored) == {first.instance, second.instance}, answer.describe()
    assert web.store([first.part10]).status == 409
    entries = feed.of(feed.since(web, before), first, second, foreign)
    assert sorted(entry["sopInstanceUid"] for entry in entries) == sorted([first.instance, second.instance])
    assert set(feed.told(entries)) == {("Create", "Current")}


@requirement("FEED-010")
def test_delete_entries(web: DicomWeb, make: Maker) -> None:
    """Deleting a study, series or instance adds one Delete entry an instance (FEED-010)."""
    made = make.series(4)
    other = make(PatientID=made[0].dataset.PatientID, StudyInstanceUID=made[0].study)
    keep(web, *made, other)
    for target, gone in (
        (made[0].uids, [made[0]]),
        ((made[0].study, other.series), [other]),
        ((made[0].study,), made[1:]),
    ):
        before = feed.mark(web)
        assert web.delete(*target).status == 204
        entries = feed.of(feed.since(web, before), *made, other)
        assert sorted(entry["sopInstanceUid"] for entry in entries) == sorted(one.instance for one in gone)
        assert set(feed.told(entries)) == {("Delete", "Deleted")}


@requirement("FEED-014", "FEED-016", "FEED-017")
def test_metadata_of_entries(web: DicomWeb, history: History) -> None:
    """Existing instances have metadata by default, that of their current version; deleted ones never (FEED-014, FEED-016, FEED-017)."""
    size = "limit=100" if web.version == "v1" else "limit=200"
    query = f"{size}&offset={history.before.sequence}"
    if web.version == "v2":
        query = size + (
            f"&startTime={history.before.timestamp}".replace("+", "%2B") if history.before.timestamp else ""
        )
    page = feed.ask(web, query).json()
    for entry in feed.of(page, history.again):
        assert entry["metadata"]["00100010"]["Value"] == [{"Alphabetic": "Second^Version"}], entry["state"]
        assert "7FE00010" not in entry["metadata"], "without bulk data"
    kept, again, gone = (feed.of(page, one) for one in (history.kept, history.again, history.gone))
    assert [entry["metadata"]["00080018"]["Value"] for entry in kept] == [[history.kept.instance]]
    assert len(again) == 3
    assert [("metadata" in entry) for entry in gone] == [False, False]


@requirement("FEED-015", "FEED-042")
def test_metadata_off(web: DicomWeb, make: Maker) -> None:
    """includeMetadata=false leaves it out on both resources, the name in any letter case (FEED-015, FEED-042)."""
    made = make()
    keep(web, made)
    assert "metadata" in feed.ask(web, path=LATEST).json()
    for name in ("includeMetadata", "includemetadata", "INCLUDEMETADATA"):
        latest = feed.ask(web, f"{name}=false", path=LATEST).json()
        assert latest["sopInstanceUid"] == made.instance
        assert "metadata" not in latest, name
        page = feed.ask(web, f"{name}=FALSE&LIMIT=3&Offset=0").json()
        assert len(page) == 3
        assert all("metadata" not in entry for entry in page), name


@requirement("FEED-044")
def test_one_feed_for_both_versions(v1: DicomWeb, v2: DicomWeb, history: History) -> None:
    """Both versions tell the same entries with the same numbers, whoever made the change (FEED-044)."""
    made = (history.again, history.gone, history.kept)
    assert history.entries(v1, *made) == history.entries(v2, *made)
    assert len(history.entries(v1, *made)) == 6
