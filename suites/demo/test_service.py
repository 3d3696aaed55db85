"""The cloud's service keeps what it promises: store, search and retrieve, change feed, extended query tags.

CLAIM-INTEGRITY-04 to 06. Each record of its conformance statement is decided in suites/azure.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.data import Study
from fixtures.traceability import needs, requirement
from fixtures.world import World
from suites.azure import feed
from suites.azure.data import Made, Maker
from suites.azure.extended import own
from suites.azure.feed import FEED, Entry, Mark
from suites.azure.service import VERSIONS
from suites.azure.stow import stored
from suites.azure.tags import Tags, element, refused, tags_of
from suites.azure.updates import update
from suites.azure.witness.sample import sample_of
from suites.azure.witness.steps import STEPS, ByOwnRequests, walk
from suites.demo.service import maker_in, service_of

pytestmark = pytest.mark.demo

PAGES = (1, 3, 7, 100)
_BAD_AGE = {0x00101010: ("AS", b"foo ")}
VALIDATION_FAILURE, DUPLICATE = 43264, 45070


@pytest.fixture
def make(world: World) -> Iterator[Maker]:
    """Instances of the test's own."""
    with maker_in(world) as maker:
        yield maker


@requirement("CLAIM-INTEGRITY-04")
@pytest.mark.parametrize("version", VERSIONS)
def test_the_service_stores_finds_and_returns(world: World, make: Maker, version: str) -> None:
    """The Basic Path by the suite's own requests: store, retrieve, search on six resources, delete, as documented.

    CLAIM-INTEGRITY-04.
    """
    web = service_of(world).web(version=version)
    sample = sample_of(make)
    assert walk(ByOwnRequests(web), sample) == STEPS
    first = sample.circle
    assert stored(web, first).status == 200
    again = stored(web, first)
    assert (again.status, list(again.failed.values())) == (409, [DUPLICATE]), "a duplicate is not stored"
    bad = make(like=first, PatientID=None)
    answer = stored(web, bad)
    assert (answer.status, list(answer.failed.values())) == (409, [VALIDATION_FAILURE]), (
        f"an instance without a Patient ID was answered {answer.status}"
    )
    assert web.retrieve(first.study) == [first.part10], "a refused instance was kept"
    refused(web.search("studies", StudyInstanceUID=first.study, PatientAge="045Y"))
    none = web.search("studies", StudyInstanceUID=make.uid())
    assert (none.status, none.body) == (204, b""), f"a search for nothing: {none.describe()}"
    world.evidence.note(
        f"{version}: {len(STEPS)} steps of the Basic Path answered as documented; a duplicate and an invalid "
        "instance were refused with 409, an unsupported search with 400."
    )


@requirement("CLAIM-INTEGRITY-05")
@needs("change-feed")
def test_the_change_feed_tells_every_change_once(world: World, make: Maker) -> None:
    """Stores, repeats, refusals, an update and deletes by all paths: the feed has each change once, in order, by UIDs.

    CLAIM-INTEGRITY-05.
    """
    service = service_of(world)
    web = service.web(version="v2")
    direct, routed, bridged = world.sized_studies(count=3, instances=2)
    start = feed.mark(web)
    _store_by_all_paths(world, direct, routed, bridged)
    assert stored(web, make(PatientID=None)).status == 409, "an invalid instance was stored"
    again = direct.instances[0]
    assert web.delete(*_uids(direct)[0]).status == 204
    assert world.cloud.store([again]).status in (200, 202)
    update(web, routed.study_instance_uid, PatientName="After^Update")
    assert web.delete(bridged.study_instance_uid).status == 204
    expected = {
        _uids(direct)[0]: [("Create", "Replaced"), ("Delete", "Replaced"), ("Create", "Current")],
        _uids(direct)[1]: [("Create", "Current")],
        **{uids: [("Create", "Replaced"), ("Update", "Current")] for uids in _uids(routed)},
        **{uids: [("Create", "Deleted"), ("Delete", "Deleted")] for uids in _uids(bridged)},
    }
    for version in VERSIONS:
        entries = feed.since(service.web(version=version), start)
        _assert_told(entries, expected)
        _assert_in_order(entries)
        _assert_pages(service.web(version=version), start, entries)
        latest = feed.ask(service.web(version=version), "includeMetadata=false", path=feed.LATEST).json()
        assert latest == entries[-1], f"{version}: latest is not the last entry"
    world.evidence.note(
        f"{len(entries)} changes by four paths are in the feed, each once and in order, in pages of "
        f"{', '.join(map(str, PAGES))}; {3 * 2} repeats and a refused store left no entry."
    )


def _store_by_all_paths(world: World, direct: Study, routed: Study, bridged: Study) -> None:
    """Past the router, by dual delivery and by the bridge; then each again, which must change nothing."""
    world.store_in_cloud([direct])
    assert world.send([routed], "intake").all_success
    assert world.send([bridged], "bridge").all_success
    world.expect("cloud", [direct, routed, bridged], second_look=False)
    assert world.cloud.store(direct.instances).status == 409, "a repeated store must be a conflict"
    assert world.send([routed], "intake").all_success
    assert world.send([bridged], "bridge").all_success
    world.settle_router()


def _uids(study: Study) -> list[tuple[str, str, str]]:
    prints = [instance.fingerprint for instance in study.instances]
    return [(one.study_instance_uid, one.series_instance_uid, one.sop_instance_uid) for one in prints]


def _named(entry: Entry) -> tuple[str, str, str]:
    return entry["studyInstanceUid"], entry["seriesInstanceUid"], entry["sopInstanceUid"]


def _assert_told(
    entries: Sequence[Entry], expected: dict[tuple[str, str, str], list[tuple[str, str]]]
) -> None:
    told: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    for entry in entries:
        told.setdefault(_named(entry), []).append((entry["action"], entry["state"]))
    wrong = {uids: (told.get(uids), wanted) for uids, wanted in expected.items() if told.get(uids) != wanted}
    assert not wrong, f"the feed tells otherwise (told, expected): {wrong}"
    others = told.keys() - expected.keys()
    assert not others, f"changes nobody made: {sorted(others)[:5]}"


def _assert_in_order(entries: Sequence[Entry]) -> None:
    for before, after in pairwise(entries):
        assert before["sequence"] < after["sequence"], f"sequence numbers do not ascend: {before}, {after}"
        assert feed.ticks(before["timestamp"]) <= feed.ticks(after["timestamp"]), (
            f"time stamps descend: {before}, {after}"
        )


def _assert_pages(web: DicomWeb, start: Mark, entries: Sequence[Entry]) -> None:
    """Read page by page with several sizes: every entry once, whatever the size."""
    wanted = [entry["sequence"] for entry in entries]
    for size in PAGES:
        seen = [n for n in _paged(web, start, size, wanted[-1]) if n > start.sequence]
        assert seen == wanted, f"{web.version}: pages of {size} give {seen}, not {wanted}"


def _paged(web: DicomWeb, start: Mark, size: int, last: int) -> Iterator[int]:
    """The sequence numbers on all pages of one size: v1 counts numbers from the mark, v2 entries since its time."""
    by_number = web.version == "v1"
    offset = start.sequence if by_number else 0
    while True:
        query = [("offset", str(offset)), ("limit", str(size)), ("includeMetadata", "false")]
        if not by_number and start.timestamp is not None:
            query.append(("startTime", start.timestamp))
        answer = feed.ask(web, query, path=FEED)
        assert answer.status == 200, answer.describe()
        page = answer.json()
        assert len(page) <= size, f"a page of {size} has {len(page)} entries"
        yield from (entry["sequence"] for entry in page)
        offset += size
        if offset >= last if by_number else not page:
            return


@requirement("CLAIM-INTEGRITY-06")
@needs("extended-query-tags")
def test_extended_query_tags_find_old_and_new(world: World, make: Maker) -> None:
    """Standard and private tags at each level are added, listed, read, switched, searched by and deleted.

    CLAIM-INTEGRITY-06. A private tag finds what came after it: of older instances no VR is known (TAG-072).
    """
    service = service_of(world)
    web = service.web(version="v2")
    private = [own("LO", level) for level in ("study", "series", "instance")]
    standard = {"EthnicGroup": "studies", "StationName": "series", "PatientAge": "instances"}
    old = make(EthnicGroup="OLD", StationName="OLD", PatientAge="045Y")
    bad = make(raw=_BAD_AGE)
    assert stored(web, old).status == 200
    assert stored(service.web(version="v1"), bad).status == 200, "v1 keeps a value that no tag indexes yet"
    levels = {"studies": "study", "series": "series", "instances": "instance"}
    wanted = [element(keyword, levels[where]) for keyword, where in standard.items()]
    wanted += [one.element for one in private]
    with tags_of(web) as tags:
        assert tags.add(*wanted).json()["status"] in ("succeeded", "completed")
        raw = {tag: value for one in private for tag, value in one.raw("NEW").items()}
        new = make(raw=raw, EthnicGroup="NEW", StationName="NEW", PatientAge="050Y")
        assert stored(web, new).status == 200
        _assert_listed(tags, wanted)
        _assert_errors(tags, bad)
        for keyword, where in standard.items():
            assert tags.patch(keyword, {"queryStatus": "enabled"}).status == 200
            for made in (old, new):
                value = str(made.dataset[keyword].value)
                assert _found(web, where, made, keyword, value) == 1, f"{keyword} does not find {value}"
            assert _found(web, where, old, keyword, str(new.dataset[keyword].value)) == 0
        for one, where in zip(private, standard.values(), strict=True):
            assert _found(web, where, new, one.path, "NEW") == 1, f"the private tag {one.path} finds nothing"
            assert _found(web, where, new, one.path, "OTHER") == 0
        again = tags.post(wanted[:1])
        assert again.status == 409, f"adding again: {again.describe()}"
        paths = [*standard, *(one.path for one in private)]
        for path, where in zip(paths, [*standard.values()] * 2, strict=True):
            _assert_switched_and_deleted(tags, path, where, new)
    world.evidence.note(
        "Six extended query tags, standard and private at study, series and instance level, found old and new data; "
        "searches by them are refused once they are disabled or deleted."
    )


def _found(web: DicomWeb, where: str, made: Made, name: str, value: str) -> int:
    answer = web.search(where, StudyInstanceUID=made.study, **{name: value})
    assert answer.status in (200, 204), f"{where} by {name}: {answer.describe()}"
    return len(answer.json()) if answer.status == 200 else 0


def _assert_listed(tags: Tags, wanted: Sequence[dict[str, str]]) -> None:
    listed = {row["path"]: row for row in tags.get(limit=200).json()}
    for given in wanted:
        one = tags.one(given["path"])
        assert listed.get(one["path"]) == one, f"list and get disagree on {given['path']}"
        assert (one["level"], one["status"]) == (given["level"], "ready"), one


def _assert_errors(tags: Tags, bad: Made) -> None:
    answer = tags.get("PatientAge/errors", limit=200)
    assert answer.status == 200, answer.describe()
    named = [row["sopInstanceUid"] for row in answer.json()]
    assert bad.instance in named, "the value that cannot be indexed is not among the tag's errors"
    assert tags.one("PatientAge")["queryStatus"] == "disabled", "a tag with errors is switched off"


def _assert_switched_and_deleted(tags: Tags, path: str, where: str, made: Made) -> None:
    search = {"StudyInstanceUID": made.study, path: "NEW" if path != "PatientAge" else "050Y"}
    assert tags.web.search(where, **search).status == 200
    assert tags.patch(path, {"queryStatus": "disabled"}).json()["queryStatus"] == "disabled"
    refused(tags.web.search(where, **search))
    assert tags.delete(path).status == 204
    assert tags.get(path).status == 404
    refused(tags.web.search(where, **search))
