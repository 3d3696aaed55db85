"""Errors of extended query tags: values stored through v1 that a tag added later cannot index."""

import re
from datetime import UTC, datetime

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import needs, requirement
from suites.azure.data import Made, Maker, Raw
from suites.azure.stow import stored
from suites.azure.tags import Tags, element, refused

pytestmark = [pytest.mark.azure, needs("extended-query-tags")]

BAD_AGE: Raw = {0x00101010: ("AS", b"foo ")}


@pytest.fixture
def bad(v1: DicomWeb, make: Maker) -> list[Made]:
    """Three instances of one study, two with an age that is none, stored through v1."""
    first = make(raw=BAD_AGE)
    made = [first, make(like=first, raw=BAD_AGE), make(like=first, PatientAge="045Y")]
    for one in made:
        assert stored(v1, one).status == 200
    return made


def own(tags: Tags, path: str, made: list[Made]) -> list[dict[str, str]]:
    """The errors of a tag in one study."""
    answer = tags.get(f"{path}/errors", limit=200)
    assert answer.status == 200, answer.describe()
    return [error for error in answer.json() if error["studyInstanceUid"] == made[0].study]


@requirement("TAG-043", "TAG-044", "TAG-045", "TAG-046", "TAG-047", "TAG-049")
def test_errors(tags: Tags, bad: list[Made]) -> None:
    """Each instance that cannot be indexed is one error; the tag is ready and disabled (TAG-043 to TAG-049)."""
    state = tags.add(element("PatientAge", "instance")).json()
    assert state["status"] in ("succeeded", "completed"), "faulty values do not fail the operation (TAG-044)"
    tag = tags.one("PatientAge")
    assert (tag["status"], tag["queryStatus"]) == ("ready", "disabled"), tag
    href = f"{tags.web.http.base_url}/{tags.web.version}/extendedquerytags/{tag['path']}/errors"
    everything = tags.get("PatientAge/errors", limit=200).json()
    assert tag["errors"] == {"count": len(everything), "href": href}, tag
    errors = own(tags, "PatientAge", bad)
    seen = sorted(error["sopInstanceUid"] for error in errors)
    assert seen == sorted(one.instance for one in bad[:2]), "one error an instance (TAG-047)"
    members = {
        "partitionName",
        "studyInstanceUid",
        "seriesInstanceUid",
        "sopInstanceUid",
        "createdTime",
        "errorMessage",
    }
    assert all(set(error) == members for error in errors), errors
    assert {error["partitionName"] for error in errors} == {"Microsoft.Default"}, errors
    for error in errors:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?", error["createdTime"]), (
            f"TAG-049: {error}"
        )
        made_at = datetime.fromisoformat(error["createdTime"][:26]).replace(tzinfo=UTC)
        assert abs((datetime.now(UTC) - made_at).total_seconds()) < 3600, f"a UTC instant (TAG-049): {error}"


@requirement("TAG-047")
def test_order_and_paging(tags: Tags, bad: list[Made]) -> None:
    """Errors are in ascending time and paged (TAG-047)."""
    tags.add(element("PatientAge", "study"))
    whole = tags.get("PatientAge/errors", limit=200).json()
    assert len(whole) >= len(bad[:2])
    times = [error["createdTime"] for error in whole]
    assert times == sorted(times), times
    pages = [tags.get("PatientAge/errors", limit=1, offset=place).json() for place in range(2)]
    assert [error for page in pages for error in page] == whole[:2]
    for name, value in [("limit", 0), ("limit", 201), ("offset", -1)]:
        refused(tags.get("PatientAge/errors", **{name: value}), name)


@requirement("TAG-048")
def test_messages(tags: Tags, v1: DicomWeb, make: Maker) -> None:
    """A message says what kind of fault it is, never the value (TAG-048)."""
    raws: list[Raw] = [
        {0x00101010: ("AS", b"SECRET")},
        {0x00080023: ("DA", b"SECRETED")},
        {0x00080033: ("LO", b"SECRET")},
    ]
    for raw in raws:
        made = make(raw=raw)
        assert stored(v1, made).status == 200
    tags.add(*(element(keyword) for keyword in ("PatientAge", "ContentDate", "ContentTime")))
    messages: list[str] = []
    for keyword in ("PatientAge", "ContentDate", "ContentTime"):
        found = tags.get(f"{keyword}/errors", limit=200).json()
        assert found, keyword
        assert all(error["errorMessage"] and "SECRET" not in error["errorMessage"] for error in found), found
        messages.append(found[-1]["errorMessage"])
    assert len(set(messages)) == 3, f"three kinds of faults: {messages}"


@requirement("TAG-045")
def test_none_from_v2(tags: Tags, v2: DicomWeb, make: Maker) -> None:
    """The same value stored through v2 is no error: it is not in the metadata (TAG-045)."""
    made = [make(raw=BAD_AGE)]
    assert stored(v2, *made).status == 202
    tags.add(element("PatientAge", "instance"))
    assert own(tags, "PatientAge", made) == []


@requirement("TAG-051")
def test_deleted_with_the_instance(tags: Tags, bad: list[Made]) -> None:
    """Deleting an instance takes its error; the tag stays disabled (TAG-051)."""
    tags.add(element("PatientAge", "instance"))
    before = tags.one("PatientAge")["errors"]["count"]
    assert tags.web.delete(*bad[0].uids).status == 204
    assert [error["sopInstanceUid"] for error in own(tags, "PatientAge", bad)] == [bad[1].instance]
    assert tags.one("PatientAge")["errors"]["count"] == before - 1
    assert tags.web.delete(bad[0].study).status == 204
    assert own(tags, "PatientAge", bad) == []
    assert tags.one("PatientAge")["queryStatus"] == "disabled"


@requirement("TAG-053")
def test_enabled_again(tags: Tags, bad: list[Made]) -> None:
    """Enabled in spite of errors it finds the rest, and says by a header that some are missing (TAG-053)."""
    tags.add(element("PatientAge", "instance"), element("EthnicGroup", "instance"))
    wanted = {"StudyInstanceUID": bad[0].study, "PatientAge": "045Y"}
    refused(tags.web.search("instances", **wanted), "disabled")
    assert tags.patch("PatientAge", {"queryStatus": "enabled"}).status == 200
    answer = tags.web.search("instances", **wanted)
    assert [one["00080018"]["Value"] for one in answer.json()] == [[bad[2].instance]], answer.describe()
    assert answer.header("erroneous-dicom-attributes") == "PatientAge", answer.describe()
    sound = tags.web.search("instances", StudyInstanceUID=bad[0].study, EthnicGroup="NONE")
    assert (sound.status, sound.header("erroneous-dicom-attributes")) == (204, ""), sound.describe()
    assert tags.patch("PatientAge", {"queryStatus": "disabled"}).status == 200
    refused(tags.web.search("instances", **wanted), "disabled")
