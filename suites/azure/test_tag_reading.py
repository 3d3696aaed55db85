"""Reading, switching and deleting extended query tags."""

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import needs, requirement
from suites.azure.data import Maker
from suites.azure.service import Service
from suites.azure.tags import Tags, element, ended, operation, private, private_path, refused, tries

pytestmark = [pytest.mark.azure, needs("extended-query-tags")]

BAD_PATHS = ("PatientId", "0010216", "00400275.00400007")


@requirement("TAG-038", "TAG-039")
def test_list(tags: Tags) -> None:
    """The list is paged by limit and offset, in the order in which the tags were added (TAG-038, TAG-039)."""
    tags.add(private(), private())
    whole = tags.get(limit=200).json()
    assert len(whole) >= 2, whole
    singly = [tags.get(limit=1, offset=place).json() for place in range(len(whole))]
    assert [page for pages in singly for page in pages] == whole
    beyond = tags.get(offset=len(whole))
    assert (beyond.status, beyond.json()) == (200, []), beyond.describe()
    for name, value in [("limit", "0"), ("limit", "201"), ("limit", "x"), ("offset", "-1"), ("offset", "x")]:
        refused(tags.web.request("GET", "/extendedquerytags", query=[(name, value)]), name)


@requirement("TAG-040")
def test_one(tags: Tags) -> None:
    """A tag is read by keyword or hex, whatever the letter case of the hex (TAG-040)."""
    path = f"11AB{private_path()[4:]}"
    tags.add(element("EthnicGroup", "study"), element(path, "series", "LO", "CREATOR"))
    by_keyword = tags.one("EthnicGroup")
    assert by_keyword == tags.one("00102160")
    assert (by_keyword["path"], by_keyword["vr"], by_keyword["level"]) == ("00102160", "SH", "study"), (
        by_keyword
    )
    found = tags.one(path.lower())
    assert (found["path"], found["privateCreator"], found["level"]) == (path, "CREATOR", "series"), found


@requirement("TAG-041", "TAG-050", "TAG-057", "TAG-060")
def test_unknown(tags: Tags) -> None:
    """A tag nobody added is 404 with its path in hex; so is a core tag (TAG-041, TAG-050, TAG-057, TAG-060)."""
    for path, shown in (("EthnicGroup", "00102160"), ("PatientID", "00100020")):
        refused(tags.get(path), shown, status=404)
        refused(tags.get(f"{path}/errors"), shown, status=404)
        refused(tags.patch(path, {"queryStatus": "enabled"}), shown, status=404)
        refused(tags.delete(path), shown, status=404)


@requirement("TAG-042")
@pytest.mark.parametrize("path", BAD_PATHS)
def test_bad_path(tags: Tags, path: str) -> None:
    """A path that names no tag is 400 for every method (TAG-042)."""
    refused(tags.get(path))
    refused(tags.get(f"{path}/errors"))
    refused(tags.patch(path, {"queryStatus": "enabled"}))
    refused(tags.delete(path))


@requirement("TAG-052", "TAG-043", "TAG-046")
def test_patch(tags: Tags) -> None:
    """The query status is taken in any letter case and shown in lower case, however often (TAG-052)."""
    path = private_path()
    tags.add(element(path, "study", "LO", "CREATOR"))
    for given in ("Disabled", "disabled", "ENABLED", "enabled", "eNaBled"):
        answer = tags.patch(path, {"queryStatus": given})
        assert answer.status == 200, answer.describe()
        assert answer.json()["queryStatus"] == given.lower(), answer.describe()
        assert answer.json() == tags.one(path)
    assert tags.patch(path, {"QUERYSTATUS": "disabled"}).json()["queryStatus"] == "disabled", "API-007"
    assert "errors" not in tags.one(path), "no instance has the tag, so none is wrong (TAG-043)"
    errors = tags.get(f"{path}/errors")
    assert (errors.status, errors.json()) == (200, []), errors.describe()


@requirement("TAG-054", "TAG-055", "TAG-056")
def test_patch_refused(tags: Tags) -> None:
    """Only queryStatus with one of its two words is taken (TAG-054, TAG-055, TAG-056)."""
    path = private_path()
    tags.add(element(path, "study", "LO", "CREATOR"))
    for value in ("off", "", 1, True, "Enabled "):
        refused(tags.patch(path, {"queryStatus": value}), "Disabled", "Enabled")
    for body in (b"{}", b'{"queryStatus":null}', b"null", b"", b"[]", b"{"):
        refused(tags.patch(path, body))
    refused(tags.patch(path, {"queryStatus": "disabled", "colour": "red"}), "not supported", "colour")
    answer = tags.patch(path, {"colour": "red"})
    refused(answer, "queryStatus")
    assert b"colour" not in answer.body, answer.describe()
    assert tags.one(path)["queryStatus"] == "enabled", "a refused change changes nothing"


@requirement("TAG-068")
def test_patch_content_type(tags: Tags) -> None:
    """A change is JSON by its Content-Type; the body is looked at before the path, the path before the tag (TAG-068)."""
    path = private_path()
    tags.add(element(path, "study", "LO", "CREATOR"))
    wanted = {"queryStatus": "enabled"}
    for content_type in ("application/json", "text/json", "application/anything+json"):
        assert tags.patch(path, wanted, content_type).status == 200, content_type
    for other in ("text/plain", "application/xml", None):
        assert tags.patch(path, wanted, other).status == 415, other
    refused(tags.patch("PatientId", {}), "queryStatus")
    refused(tags.patch("PatientId", wanted), "PatientId")


@requirement("TAG-059", "TAG-060", "TAG-062", "TAG-063")
def test_delete(tags: Tags, make: Maker) -> None:
    """Deleting takes the tag and its index at once, not the images; it may come again (TAG-059 to TAG-063)."""
    made = make(EthnicGroup="DELETED")
    assert tags.web.store([made.part10]).status == 200
    own = {"StudyInstanceUID": made.study, "EthnicGroup": "DELETED"}
    tags.add(element("EthnicGroup", "study"))
    assert tags.web.search("studies", **own).status == 200
    answer = tags.delete("EthnicGroup")
    assert (answer.status, answer.body) == (204, b""), answer.describe()
    assert tags.get("EthnicGroup").status == 404
    refused(tags.web.search("studies", **own), "EthnicGroup", "not queryable")
    assert tags.web.retrieve(*made.uids) == [made.part10], "the images stay"
    refused(tags.delete("EthnicGroup"), status=404)
    tags.add(element("EthnicGroup", "instance"))
    assert tags.one("EthnicGroup")["level"] == "instance"
    assert tags.web.search("instances", **own).status == 200
    assert tags.web.search("studies", **own).status == 400, "now a tag of instances"


@requirement("TAG-058", "TAG-061")
def test_while_adding(tags: Tags) -> None:
    """A tag can be changed and deleted while it is being added; the operation ends well (TAG-058, TAG-061)."""
    early = {"patched": False, "deleted": False}
    for _ in tries():
        kept, gone = private(), private()
        identifier = tags.start(kept, gone)
        changed = tags.patch(kept["path"], {"queryStatus": "disabled"})
        assert (changed.status, changed.json()["queryStatus"]) == (200, "disabled"), changed.describe()
        early["patched"] |= changed.json()["status"] == "adding"
        running = operation(tags.web, identifier).status == 202
        assert tags.delete(gone["path"]).status == 204
        early["deleted"] |= running
        ended(tags.web, identifier)
        assert tags.get(gone["path"]).status == 404, "the operation must not bring it back"
        found = tags.one(kept["path"])
        assert (found["status"], found["queryStatus"]) == ("ready", "disabled"), found
        tags.delete(kept["path"])
        if all(early.values()):
            return


@requirement("TAG-066")
def test_both_versions(tags: Tags, service: Service) -> None:
    """A tag added in one version is there in both (TAG-066)."""
    path = private_path()
    tags.add(element(path, "study", "LO", "CREATOR"))
    seen = [Tags(service.web(version=version)).one(path) for version in ("v1", "v2")]
    assert seen[0] == seen[1], seen


@requirement("TAG-066", "OPS-020")
def test_base_uri_only(v2: DicomWeb) -> None:
    """Tags and operations have no path below a partition (TAG-066, OPS-020)."""
    unknown = "0" * 32
    for path in ("extendedquerytags", "extendedquerytags/EthnicGroup", f"operations/{unknown}"):
        answer = v2.request("GET", f"/partitions/Microsoft.Default/{path}")
        assert answer.status == 404, f"{path}: {answer.describe()}"
    assert v2.request("GET", "/extendedquerytags").status == 200
