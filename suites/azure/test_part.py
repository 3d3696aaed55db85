"""Data partitions, switched off and on (PART-001 to PART-014)."""

from collections.abc import Iterator
from itertools import count

import pytest

from fixtures.clients.answers import Response
from fixtures.clients.dicomweb import DICOM_JSON, DicomWeb
from fixtures.traceability import needs, requirement
from suites.azure import callers
from suites.azure.conftest import SpecialService
from suites.azure.data import Made, Maker
from suites.azure.service import VERSIONS, Service

pytestmark = pytest.mark.azure

DEFAULT = "Microsoft.Default"
JSON = [("Accept", DICOM_JSON)]
_NAMES = count(1)


@pytest.fixture(scope="module")
def partitioned(special_service: SpecialService) -> Iterator[Service]:
    """A service with partitions; everything in it goes with it."""
    with special_service("--partitions") as own:
        yield own


@pytest.fixture
def name() -> str:
    """A partition nobody has had before."""
    return f"Part-{next(_NAMES)}_of.tests"


def within(service: Service, name: str, version: str = "v2") -> DicomWeb:
    """The owner in one partition."""
    return DicomWeb(service.http(), version=f"{version}/partitions/{name}")


def names(service: Service, version: str = "v2") -> list[str]:
    """All partitions."""
    answer = service.http().request("GET", f"/{version}/partitions")
    assert answer.status == 200, answer.describe()
    return [entry["partitionName"] for entry in answer.json()]


def assert_refused(answer: Response, *parts: str) -> None:
    """A 400 whose sentence has these parts."""
    assert answer.status == 400, answer.describe()
    for part in parts:
        assert part.lower() in answer.body.decode().lower(), answer.describe()


def partition_calls(made: Made) -> list[callers.Call]:
    """One call of every kind that lies in a partition."""
    return [
        *callers.storing(made),
        *callers.retrieving(made),
        *callers.searching(made),
        *callers.deleting(made),
    ]


@requirement("PART-001")
@pytest.mark.parametrize("version", VERSIONS)
def test_off_by_default(service: Service, version: str) -> None:
    """Without partitions their list is 400 and says that the feature is disabled (PART-001)."""
    assert_refused(service.http().request("GET", f"/{version}/partitions"), "disabled")


@requirement("PART-002")
@pytest.mark.parametrize("version", VERSIONS)
def test_partition_path_when_off(service: Service, make: Maker, version: str) -> None:
    """Without partitions every path with one, the default's too, is 400 with the same sentence (PART-002)."""
    made, web = make(), service.web(version=version)
    same = service.http().request("GET", f"/{version}/partitions").body
    for name in ("any", DEFAULT):
        for call in partition_calls(made):
            answer = call.at(f"/partitions/{name}{call.path}").by(service.http(), version)
            assert (answer.status, answer.body) == (400, same), f"{call.name}: {answer.describe()}"
    assert web.metadata(made.study).status == 404, "nothing was stored"
    assert web.store([made.part10]).status == 200


@needs("control")
@requirement("PART-003")
@pytest.mark.parametrize("version", VERSIONS)
def test_unpartitioned_path_when_on(partitioned: Service, make: Maker, name: str, version: str) -> None:
    """With partitions, a path that lacks one is 400 and misses PartitionName; the feed has none (PART-003)."""
    made = make()
    assert within(partitioned, name, version).store([made.part10]).status == 200
    for call in partition_calls(made):
        assert_refused(call.by(partitioned.http(), version), "PartitionName")
    assert within(partitioned, name, version).retrieve(*made.uids) == [made.part10]
    assert partitioned.web(version=version).change_feed().status == 200


@needs("control")
@requirement("PART-004", "PART-005")
@pytest.mark.parametrize("version", VERSIONS)
def test_list(partitioned: Service, make: Maker, name: str, version: str) -> None:
    """The list has key, name and time of each partition and always the default one under key 1 (PART-004, PART-005)."""
    assert name not in names(partitioned, version)
    assert within(partitioned, name, version).store([make().part10]).status == 200
    answer = partitioned.http().request("GET", f"/{version}/partitions")
    assert answer.content_type.partition(";")[0] == "application/json"
    entries = answer.json()
    for entry in entries:
        assert entry.keys() == {"partitionKey", "partitionName", "createdDate"}
        assert isinstance(entry["partitionKey"], int)
        assert entry["createdDate"][10] == "T"
    keys = {entry["partitionName"]: entry["partitionKey"] for entry in entries}
    assert keys[DEFAULT] == 1
    assert keys[name] > 1
    assert len(set(keys.values())) == len(entries)


@needs("control")
@requirement("PART-005")
def test_default_partition_from_the_start(special_service: SpecialService) -> None:
    """A service in which nothing was ever stored lists the default partition: never 204 (PART-005)."""
    with special_service("--partitions") as own:
        assert names(own) == [DEFAULT]


@needs("control")
@requirement("PART-007", "PART-008")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("in_study", [False, True])
def test_store_makes_a_partition(
    partitioned: Service, make: Maker, name: str, version: str, in_study: bool
) -> None:
    """STOW to a new name makes the partition; its Retrieve URLs have it and work (PART-007, PART-008)."""
    made, web = make(), within(partitioned, name, version)
    answer = web.store([made.part10], study=made.study if in_study else None)
    assert answer.status == 200, answer.describe()
    assert name in names(partitioned, version)
    url = answer.retrieve_urls[made.instance]
    assert url.endswith(f"/{version}/partitions/{name}{made.path()}"), url
    if in_study:
        of_study = answer.response.json()["00081190"]["Value"][0]
        assert of_study.endswith(f"/{version}/partitions/{name}{made.path('study')}"), of_study
    assert web.retrieve(*made.uids) == [made.part10]


@needs("control")
@requirement("PART-009")
@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_else_makes_a_partition(partitioned: Service, make: Maker, name: str, version: str) -> None:
    """Any other request that names an unknown partition is 400 and leaves it unknown (PART-009)."""
    made = make()
    for call in partition_calls(made)[2:]:
        answer = call.at(f"/partitions/{name}{call.path}").by(partitioned.http(), version)
        assert_refused(answer, "not exist")
    assert name not in names(partitioned, version)


@needs("control", "open-source")
@requirement("PART-016")
def test_refused_store_makes_a_partition(partitioned: Service, make: Maker, name: str) -> None:
    """A store that names a new partition and is then refused leaves it behind, but not after a 415 (PART-016)."""
    body = make().part10
    path, dicom = f"/v2/partitions/{name}-{{}}/studies", ("Content-Type", "application/dicom")
    for number, headers, status in (
        (1, [("Accept", "text/html"), dicom], 406),
        (2, [*JSON, ("Content-Type", "text/plain")], 415),
        (3, [*JSON, dicom], 409),
    ):
        sent = body if status != 409 else b"no file at all"
        answer = partitioned.http().request("POST", path.format(number), headers=headers, body=sent)
        assert answer.status == status, answer.describe()
    known = names(partitioned)
    assert f"{name}-1" in known
    assert f"{name}-2" not in known
    assert f"{name}-3" in known


@needs("control")
@requirement("PART-010")
@pytest.mark.parametrize(
    ("bad", "twin"),
    [("a" * 65, "a" * 64), ("a%20b", "a-b"), ("a*b", "a.b"), ("a:b", "a_b"), ("%C3%A4", "A"), ("a%2Bb", "0")],
)
def test_names(partitioned: Service, make: Maker, bad: str, twin: str) -> None:
    """Names have 1 to 64 letters, digits, dots, hyphens and underscores; others are 400, on STOW too (PART-010)."""
    made = make()
    for call in (*callers.storing(made), *callers.searching(made)):
        answer = call.at(f"/partitions/{bad}{call.path}").by(partitioned.http())
        assert_refused(answer, "invalid")
    assert within(partitioned, twin).store([made.part10]).status == 200
    assert twin in names(partitioned)


@needs("control")
@requirement("PART-011", "PART-012", "PART-013")
def test_same_instance_twice(partitioned: Service, make: Maker, name: str) -> None:
    """Two partitions hold, render and delete their own copies of the same UIDs (PART-011, PART-012, PART-013)."""
    first = make(PatientName="First^Copy")
    second = make(
        StudyInstanceUID=first.study,
        SeriesInstanceUID=first.series,
        SOPInstanceUID=first.instance,
        PatientName="Second^Copy",
        PixelData=b"\x00\x70" * 1024,
    )
    one, other = within(partitioned, name), within(partitioned, f"{name}-other")
    assert one.store([first.part10]).status == other.store([second.part10]).status == 200
    assert one.store([first.part10]).status == 409, "in its own partition it is there already"
    for web, made in ((one, first), (other, second)):
        assert web.retrieve(*made.uids) == [made.part10]
        assert web.retrieve(made.study) == [made.part10]
        found = web.metadata(made.study).json()
        assert [item["00100010"]["Value"][0]["Alphabetic"] for item in found] == [
            str(made.dataset.PatientName)
        ]
    pictures = [web.rendered(*first.uids, accept="image/png") for web in (one, other)]
    assert [picture.status for picture in pictures] == [200, 200]
    assert pictures[0].body != pictures[1].body, "each shows its own pixels"

    assert one.delete(first.study).status == 204
    assert one.metadata(first.study).status == 404
    assert other.retrieve(*second.uids) == [second.part10]


@needs("control")
@requirement("PART-014", "QIDO-122")
def test_no_search_spans_partitions(partitioned: Service, make: Maker, name: str) -> None:
    """Each of the six searches sees only its partition, and none is possible over all (PART-014, QIDO-122)."""
    here, there = make(), make()
    assert within(partitioned, name).store([here.part10]).status == 200
    assert within(partitioned, f"{name}-other").store([there.part10]).status == 200
    for made, expected in ((here, 200), (there, 204)):
        for call in callers.searching(made):
            answer = call.at(f"/partitions/{name}{call.path}").by(partitioned.http())
            assert answer.status == expected, f"{call.name}: {answer.describe()}"
    found = within(partitioned, name).search("instances").json()
    assert [item["00080018"]["Value"][0] for item in found] == [here.instance]


@needs("control")
@requirement("PART-014")
@pytest.mark.parametrize(("method", "path"), [("POST", ""), ("PUT", "/x"), ("DELETE", "/x"), ("PATCH", "/x")])
def test_no_management(partitioned: Service, method: str, path: str) -> None:
    """No call makes, renames or deletes a partition (PART-014)."""
    answer = partitioned.http().request(method, f"/v2/partitions{path}", headers=JSON, body=b"{}")
    assert answer.status in (404, 405), answer.describe()
    assert names(partitioned)[0] == DEFAULT


@needs("control")
@requirement("FEED-005", "FEED-043")
def test_feed_spans_partitions(partitioned: Service, service: Service, make: Maker, name: str) -> None:
    """The feed is read without a partition, spans all and names each entry's (FEED-043, FEED-005)."""
    made = make()
    for partition in (name, f"{name}-other"):
        assert within(partitioned, partition).store([made.part10]).status == 200
    entries = partitioned.web().change_feed_all()
    mine = [entry["partitionName"] for entry in entries if entry["sopInstanceUid"] == made.instance]
    assert mine == [name, f"{name}-other"]
    assert partitioned.http().request("GET", f"/v2/partitions/{name}/changefeed").status == 404
    assert service.web().store([made.part10]).status == 200
    entry = service.web().change_feed_latest().json()
    assert entry["partitionName"] == DEFAULT, "without partitions everything is in the default one"
