"""The change feed of updated studies and of partitions; searches in both."""

from collections.abc import Iterator

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import needs, requirement
from suites.azure import feed
from suites.azure.conftest import SpecialService
from suites.azure.data import Made, Maker
from suites.azure.searching import SOP_UID, STUDY_UID, TOP, find, keep, nested, uids
from suites.azure.service import VERSIONS, Service
from suites.azure.tags import JSON, encoded, ended

_PARTITIONS = ("Feed-one", "Feed-two")


def _update(web: DicomWeb, study: str, name: str) -> None:
    """Change the patient's name in a study and wait for the end of the operation."""
    body = {
        "studyInstanceUids": [study],
        "changeDataset": {"00100010": {"vr": "PN", "Value": [{"Alphabetic": name}]}},
    }
    answer = web.request("POST", "/studies/$bulkUpdate", headers=[("Content-Type", JSON)], body=encoded(body))
    assert answer.status == 202, answer.describe()
    ended(web, answer.json()["id"])


@needs("change-feed")
@requirement("FEED-013", "FEED-041")
def test_update_entries(v1: DicomWeb, v2: DicomWeb, make: Maker) -> None:
    """An update adds one Update entry an instance, seen on both versions; earlier ones are replaced (FEED-013, FEED-041)."""
    first, second = make.series(2, PatientName="Before^Update")
    other = make()
    before = feed.mark(v2)
    keep(v2, first, second, other)
    _update(v2, first.study, "After^Update")
    latest = feed.ask(v2, path=feed.LATEST).json()
    assert (latest["action"], latest["studyInstanceUid"]) == ("Update", first.study)
    for web in (v1, v2):
        entries = feed.since(web, before, metadata=True)
        for made in (first, second):
            own = feed.of(entries, made)
            assert feed.told(own) == [("Create", "Replaced"), ("Update", "Current")]
            names = [entry["metadata"]["00100010"]["Value"] for entry in own]
            assert names == [[{"Alphabetic": "After^Update"}]] * 2, "FEED-017: that of the current version"
        assert feed.told(feed.of(entries, other)) == [("Create", "Current")]


@requirement("QIDO-119")
def test_an_update_moves_instances_up(v2: DicomWeb, make: Maker) -> None:
    """An updated instance counts as the newest in the order of instance searches (QIDO-119)."""
    old = make()
    new = make(PatientID=old.dataset.PatientID)
    for made in (old, new):
        keep(v2, made)
    own = f"PatientID={old.dataset.PatientID}&limit=1"
    assert uids(find(v2, "/instances", own), SOP_UID) == [new.instance]
    _update(v2, old.study, "Moved^Up")
    assert uids(find(v2, "/instances", own), SOP_UID) == [old.instance]
    assert uids(find(v2, "/instances", f"{own}&offset=1"), SOP_UID) == [new.instance]


@pytest.fixture(scope="module")
def partitioned(special_service: SpecialService) -> Iterator[Service]:
    """A service with partitions; everything in it goes with it."""
    with special_service("--partitions") as own:
        yield own


@pytest.fixture(scope="module")
def stored(partitioned: Service, make: Maker) -> tuple[Made, dict[str, Made]]:
    """One instance in both partitions, and one of its own in each, in the same study."""
    shared = make()
    apart = {name: make(like=shared) for name in _PARTITIONS}
    for name in _PARTITIONS:
        keep(_within(partitioned, name, "v2"), shared, apart[name])
    return shared, apart


def _within(service: Service, partition: str, version: str) -> DicomWeb:
    return DicomWeb(service.http(), version=f"{version}/partitions/{partition}")


@needs("control")
@requirement("QIDO-122")
@pytest.mark.parametrize("version", VERSIONS)
def test_searches_see_their_partition(
    partitioned: Service, stored: tuple[Made, dict[str, Made]], version: str
) -> None:
    """All six searches exist below a partition and see only what lies there (QIDO-122)."""
    shared, apart = stored
    own = f"PatientID={shared.dataset.PatientID}"
    series, of_study, of_series = nested(shared)
    for name in _PARTITIONS:
        web = _within(partitioned, name, version)
        for path in (*TOP[:2], series):
            found = find(web, path, own if path in TOP else "")
            assert uids(found, STUDY_UID) == [shared.study], f"{name}{path}: once, not once a partition"
        for path in (TOP[2], of_study, of_series):
            found = find(web, path, own if path in TOP else "")
            assert sorted(uids(found, SOP_UID)) == sorted([shared.instance, apart[name].instance]), (
                f"{name}{path}"
            )
        (study,) = find(web, "/studies", f"{own}&includefield=NumberOfStudyRelatedInstances")
        assert study["00201208"]["Value"] == [2]


@needs("control", "change-feed")
@requirement("FEED-043")
@pytest.mark.parametrize("version", VERSIONS)
def test_feed_spans_all_partitions(
    partitioned: Service, stored: tuple[Made, dict[str, Made]], version: str
) -> None:
    """The feed lies at the base URI only and names the partition of each entry (FEED-043)."""
    shared, apart = stored
    base = partitioned.web(version=version)
    entries = feed.since(base, feed.Mark(0, None))
    assert [entry["partitionName"] for entry in feed.of(entries, shared)] == list(_PARTITIONS)
    for name, made in apart.items():
        assert [entry["partitionName"] for entry in feed.of(entries, made)] == [name]
    assert {state for _, state in feed.told(entries)} == {"Current"}, "two partitions, two instances"
    for path in (feed.FEED, feed.LATEST):
        answer = feed.ask(_within(partitioned, _PARTITIONS[0], version), path=path)
        assert answer.status == 404, answer.describe()
        assert feed.ask(base, path=path).status == 200
