"""What extended query tags find: old and new instances, at each level, and what they cannot index."""

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import needs, requirement
from suites.azure.data import Made, Maker
from suites.azure.stow import outcome, reasons, stored
from suites.azure.tags import CREATOR, Tags, element, private_path

pytestmark = [pytest.mark.azure, needs("extended-query-tags")]


def finds(web: DicomWeb, level: str, made: Made, **filters: str) -> int:
    """How many matches a search restricted to one study has."""
    answer = web.search(level, StudyInstanceUID=made.study, **filters)
    assert answer.status in (200, 204), answer.describe()
    return len(answer.json()) if answer.status == 200 else 0


@requirement("TAG-033", "TAG-034", "TAG-035")
def test_old_and_new(tags: Tags, make: Maker) -> None:
    """Instances from before and after the add are found, those without a value are not (TAG-033 to TAG-035)."""
    old, without = make(EthnicGroup="OLDER"), make(EthnicGroup="")
    assert stored(tags.web, old, without).status == 200
    tags.add(element("EthnicGroup", "study"), element("StationName", "instance"))
    new = make(EthnicGroup="NEWER", StationName="CT 1")
    assert stored(tags.web, new).status == 200
    assert finds(tags.web, "studies", old, EthnicGroup="OLDER") == 1
    assert finds(tags.web, "studies", old, EthnicGroup="NEWER") == 0
    assert finds(tags.web, "studies", new, EthnicGroup="NEWER") == 1
    assert finds(tags.web, "instances", new, StationName="CT 1") == 1
    assert finds(tags.web, "instances", old, StationName="CT 1") == 0
    for value in ("OLDER", "NEWER"):
        assert finds(tags.web, "studies", without, EthnicGroup=value) == 0


@requirement("TAG-036")
def test_levels(tags: Tags, make: Maker) -> None:
    """A study has one value, the latest that is not empty; a series one, an instance its own (TAG-036)."""
    values = ("FIRST", "SECOND", "")
    first = make(EthnicGroup="FIRST", StationName="FIRST", BodyPartExamined="FIRST")
    others = [make(like=first, EthnicGroup=v, StationName=v, BodyPartExamined=v) for v in values[1:]]
    before = [first, *others]
    tags.add(element("EthnicGroup", "study"))
    tags.add(element("StationName", "series"), element("BodyPartExamined", "instance"))
    for made in before:
        assert stored(tags.web, made).status == 200
    series = make(StudyInstanceUID=first.study, StationName="THIRD", EthnicGroup=None)
    assert stored(tags.web, series).status == 200
    for value, study, in_series, instances in (("FIRST", 0, 0, 1), ("SECOND", 1, 1, 1), ("THIRD", 0, 1, 0)):
        assert finds(tags.web, "studies", first, EthnicGroup=value) == study, value
        found = tags.web.search("series", study=first.study, StationName=value)
        assert (found.status == 200) == bool(in_series), f"{value}: {found.describe()}"
        assert finds(tags.web, "instances", first, BodyPartExamined=value) == instances, value


@requirement("TAG-036", "TAG-033")
def test_latest_after_reindex(tags: Tags, make: Maker) -> None:
    """A reindex leaves a study the value of the instance stored last (TAG-036, TAG-033)."""
    first = make(EthnicGroup="FIRST")
    second = make(like=first, EthnicGroup="SECOND")
    for made in (first, second, make(like=first, EthnicGroup=None)):
        assert stored(tags.web, made).status == 200
    tags.add(element("EthnicGroup", "study"))
    assert finds(tags.web, "studies", first, EthnicGroup="SECOND") == 1
    assert finds(tags.web, "studies", first, EthnicGroup="FIRST") == 0


@requirement("TAG-071")
def test_value_outlives_its_instance(tags: Tags, make: Maker) -> None:
    """A study keeps a value whose instance is deleted, until the last instance goes (TAG-071)."""
    kept = make(EthnicGroup=None)
    source = make(like=kept, EthnicGroup="OUTLIVES")
    tags.add(element("EthnicGroup", "study"))
    assert stored(tags.web, kept).status == stored(tags.web, source).status == 200
    assert tags.web.delete(*source.uids).status == 204
    assert finds(tags.web, "studies", kept, EthnicGroup="OUTLIVES") == 1
    assert tags.web.delete(*kept.uids).status == 204
    assert stored(tags.web, kept).status == 200
    assert finds(tags.web, "studies", kept, EthnicGroup="OUTLIVES") == 0, "it went with the last instance"


@requirement("TAG-064", "TAG-065")
def test_store_of_bad_value(tags: Tags, v1: DicomWeb, v2: DicomWeb, make: Maker) -> None:
    """A value the tag cannot index fails a v1 store and is left out of a v2 store with a warning (TAG-064, TAG-065)."""
    bad = make(raw={0x00101010: ("AS", b"foo ")})
    tags.add(element("PatientAge", "instance"))
    refusal = stored(v1, bad)
    assert outcome(refusal) == (409, [43264], []), refusal.describe()
    assert "(0010,1010)" in reasons(refusal)[0], refusal.describe()
    taken = stored(v2, bad)
    assert outcome(taken) == (202, [], [1]), taken.describe()
    assert "(0010,1010)" in reasons(taken)[0], taken.describe()
    assert finds(v2, "instances", bad, PatientAge="foo") == 0
    good = make(PatientAge="045Y")
    assert stored(v1, good).status == 200
    assert finds(v1, "instances", good, PatientAge="045Y") == 1


@requirement("TAG-064")
def test_store_before_the_tag(tags: Tags, v1: DicomWeb, make: Maker) -> None:
    """The tag is what makes the difference: without it the same v1 store is taken (TAG-064)."""
    assert stored(v1, make(raw={0x00101010: ("AS", b"foo ")})).status == 200
    tags.add(element("EthnicGroup", "study"))
    assert stored(v1, make(raw={0x00101010: ("AS", b"foo ")})).status == 200, "another tag checks nothing"


@requirement("TAG-072")
def test_private_value(tags: Tags, v2: DicomWeb, make: Maker) -> None:
    """A private tag finds what was stored through v2 after it was added (TAG-072)."""
    path = private_path()
    tags.add(element(path, "instance", "LO", CREATOR))
    number = int(path, 16)
    block = (number & 0xFFFF0000) | (number >> 8 & 0xFF)
    raw = {block: ("LO", CREATOR.encode() + b" " * (len(CREATOR) % 2)), number: ("LO", b"SECRET")}
    made, other = make(raw=raw), make()
    assert stored(v2, made, other).status == 200
    assert finds(v2, "instances", made, **{path: "SECRET"}) == 1
    assert finds(v2, "instances", made, **{path: "OTHER"}) == 0
    assert finds(v2, "instances", other, **{path: "SECRET"}) == 0
