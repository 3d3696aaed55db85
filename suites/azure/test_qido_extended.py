"""Searching by extended query tags: where, when, what is returned, and what indexing errors change."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import needs, requirement
from fixtures.traceability.verdicts import blocked
from suites.azure import extended
from suites.azure.data import Made, Maker
from suites.azure.extended import Own
from suites.azure.searching import SOP_UID, ask, find, keep, nested, refused, uids
from suites.azure.tags import ended, tags_of, tries

pytestmark = needs("extended-query-tags")

_HEADER = "erroneous-dicom-attributes"


@dataclass(frozen=True)
class Levels:
    """A tag of each level, an instance that holds them all and one that holds none."""

    study: Own
    series: Own
    instance: Own
    wanted: Made
    other: Made


@pytest.fixture(scope="module")
def levels(v2: DicomWeb, make: Maker) -> Iterator[Levels]:
    """The tags of three levels with their instances."""
    study, series, instance = (extended.own("LO", level) for level in ("study", "series", "instance"))
    wanted = extended.holding(make, {study: "of study", series: "of series", instance: "of instance"})
    other = make()
    with tags_of(v2) as tags:
        keep(v2, wanted, other)
        extended.add(tags, study, series, instance)
        yield Levels(study, series, instance, wanted, other)


@requirement("QIDO-116", "QIDO-117")
def test_where_tags_are_searchable(web: DicomWeb, levels: Levels) -> None:
    """A tag is searchable where core attributes of its level are, named by hex without creator (QIDO-116, QIDO-117)."""
    series, of_study, of_series = nested(levels.wanted)
    everywhere = ("/studies", "/series", "/instances", series, of_study, of_series)
    allowed = {
        levels.study: everywhere[:3],
        levels.series: ("/series", "/instances", series, of_study),
        levels.instance: ("/instances", of_study, of_series),
    }
    for tag, paths in allowed.items():
        for path in everywhere:
            query = f"{tag.path}=of%20{tag.level}"
            if path not in paths:
                refused(ask(web, path, query), "not queryable")
                continue
            found = find(web, path, query)
            assert {item["0020000D"]["Value"][0] for item in found} == {levels.wanted.study}, (
                f"{path}?{query}"
            )
            assert find(web, path, f"{tag.path}=of%20nobody") == []
        lower = find(web, paths[0], f"{tag.path.lower()}=of%20{tag.level}")
        assert len(lower) == 1, "hex digits in either case"


@requirement("QIDO-118")
def test_the_tag_is_returned_when_it_is_a_filter(web: DicomWeb, levels: Levels) -> None:
    """A tag used as filter is in the results, and is no default otherwise (QIDO-118)."""
    own = f"PatientID={levels.wanted.dataset.PatientID}"
    for tag, path in (
        (levels.study, "/studies"),
        (levels.series, "/series"),
        (levels.instance, "/instances"),
    ):
        (item,) = find(web, path, f"{own}&{tag.path}=OF%20{tag.level}")
        assert item[tag.path] == {"vr": "LO", "Value": [f"of {tag.level}"]}
        (item,) = find(web, path, own)
        assert tag.path not in item
        (item,) = find(web, path, f"{own}&includefield=all")
        assert tag.path not in item


@requirement("QIDO-113", "QIDO-115")
def test_tag_with_indexing_errors(v1: DicomWeb, v2: DicomWeb, make: Maker) -> None:
    """Errors disable a tag: searches are refused until it is enabled, then carry a header (QIDO-113, QIDO-115)."""
    bad_tag, good_tag = extended.own("DA"), extended.own("DA")
    bad = extended.holding(make, {bad_tag: "20231301", good_tag: "20230101"})
    good = extended.holding(make, {bad_tag: "20230102", good_tag: "20230102"}, like=bad)
    keep(v1, bad, good)
    sent = f"PatientID={bad.dataset.PatientID}&{bad_tag.path.lower()}=20230102"
    with tags_of(v2) as tags:
        extended.add(tags, bad_tag, good_tag)
        assert tags.one(bad_tag.path)["queryStatus"] == "disabled"
        for web in (v1, v2):
            refused(ask(web, "/instances", sent), "disabled")
        assert tags.patch(bad_tag.path, {"queryStatus": "Enabled"}).status == 200
        for web in (v1, v2):
            answer = ask(web, "/instances", sent)
            assert answer.status == 200, answer.describe()
            assert uids(answer.json(), SOP_UID) == [good.instance]
            assert answer.header(_HEADER) == bad_tag.path.lower(), "as the client wrote it"
            empty = ask(web, "/instances", sent.replace("=20230102", "=19000101"))
            assert (empty.status, empty.header(_HEADER)) == (204, bad_tag.path.lower())
            both = ask(web, "/instances", f"{sent}&{good_tag.path}=20230102")
            assert (both.status, both.header(_HEADER)) == (200, bad_tag.path.lower())
            clean = ask(web, "/instances", f"PatientID={bad.dataset.PatientID}&{good_tag.path}=20230102")
            assert (clean.status, clean.header(_HEADER, "absent")) == (200, "absent")
        assert tags.patch(bad_tag.path, {"queryStatus": "Disabled"}).status == 200
        refused(ask(v2, "/instances", sent), "disabled")


@requirement("QIDO-114")
def test_tag_that_is_still_being_added(web: DicomWeb, levels: Levels) -> None:
    """A filter on a tag that is adding answers 400 as not queryable, on one that is ready 200 or 204 (QIDO-114)."""
    seen = 0
    with tags_of(web) as tags:
        for _ in tries():
            tag = extended.own("LO")
            identifier = tags.start(tag.element)
            answer = ask(web, "/instances", f"PatientID={levels.wanted.dataset.PatientID}&{tag.path}=x")
            # Only what is still adding afterwards was surely adding while it was searched.
            if tags.one(tag.path)["status"] == "adding":
                refused(answer, "not queryable")
                seen += 1
            ended(web, identifier)
            assert ask(web, "/instances", f"{tag.path}=x").status == 204
            if seen:
                return
    blocked("no tag was met while it was being added: the re-index ended before the first request")
