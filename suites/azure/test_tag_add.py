"""Adding extended query tags: the answer, the operation, the list, and what cannot be added twice."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from fixtures.clients.answers import Response
from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import needs, requirement
from suites.azure.tags import Tags, element, ended, operation, private, private_path, refused, tries

pytestmark = [pytest.mark.azure, needs("extended-query-tags")]

SUPPORTED = {
    "RetrieveAETitle": "AE", "PatientAge": "AS", "BodyPartExamined": "CS", "ContentDate": "DA",
    "AcquisitionDateTime": "DT", "DiffusionBValue": "FD", "ExaminedBodyThickness": "FL", "InstanceNumber": "IS",
    "InstitutionName": "LO", "OperatorsName": "PN", "EthnicGroup": "SH", "ReferencePixelX0": "SL",
    "TagAngleSecondAxis": "SS", "ContentTime": "TM", "FrameOfReferenceUID": "UI", "SimpleFrameList": "UL", "Rows": "US",
}  # fmt: skip


@requirement("TAG-001", "TAG-002", "OPS-004")
def test_answer(tags: Tags) -> None:
    """An add is 202 with a reference of its operation, and with the same Location (TAG-001, TAG-002, OPS-004)."""
    answer = tags.post([private(), private("study")])
    assert answer.status == 202, answer.describe()
    assert answer.content_type.startswith("application/json"), answer.describe()
    reference = answer.json()
    assert len(reference["id"]) == 32, reference
    assert set(reference["id"]) <= set("0123456789abcdef"), reference
    base = f"{tags.web.http.base_url}/{tags.web.version}"
    assert reference["href"] == f"{base}/operations/{reference['id']}"
    assert answer.header("Location") == reference["href"], answer.describe()
    ended(tags.web, reference["id"])


@requirement("TAG-013", "TAG-018", "TAG-038", "TAG-040")
def test_every_vr(tags: Tags) -> None:
    """Tags of every supported VR are added, take the dictionary's VR and are listed in their order (TAG-013, TAG-038)."""
    tags.add(*(element(keyword) for keyword in SUPPORTED))
    listed = tags.get(limit=200)
    assert listed.status == 200, listed.describe()
    own = {tags.one(keyword)["path"]: vr for keyword, vr in SUPPORTED.items()}
    assert all(path == path.upper() and len(path) == 8 for path in own), own
    found = {tag["path"]: tag for tag in listed.json() if tag["path"] in own}
    assert list(found) == list(own), "the order in which they were added (TAG-038)"
    assert {path: tag["vr"] for path, tag in found.items()} == own
    for path, tag in found.items():
        assert set(tag) == {"path", "vr", "level", "status", "queryStatus"}, f"{path}: {tag} (TAG-040)"
        assert tags.one(path) == tag


@requirement("TAG-031", "TAG-032")
def test_state(tags: Tags) -> None:
    """A tag starts as adding and enabled, with its operation, and is ready without one (TAG-031, TAG-032)."""
    path = private_path()
    identifier = tags.start(element(path, "study", "LO", "CREATOR"))
    early = tags.one(path)
    assert early["queryStatus"] == "enabled", early
    if early["status"] == "adding":
        assert early["operation"]["id"] == identifier, early
        assert early["operation"]["href"].endswith(f"/operations/{identifier}"), early
    ended(tags.web, identifier)
    late = tags.one(path)
    assert (late["status"], late["queryStatus"]) == ("ready", "enabled"), late
    assert "operation" not in late, late


@requirement("TAG-037", "OPS-010", "OPS-012", "OPS-013", "OPS-018")
def test_operation_result(tags: Tags, v1: DicomWeb, v2: DicomWeb) -> None:
    """The operation names its tags that are left, in the version of the reader (TAG-037, OPS-010 to OPS-013, OPS-018)."""
    first, second = private(), private()
    state = tags.add(first, second).json()
    assert state["type"] == "reindex", state
    assert state["percentComplete"] == 100, state
    assert "results" not in state, state
    for reader in (v1, v2):
        base = f"{reader.http.base_url}/{reader.version}/extendedquerytags"
        seen = operation(reader, state["operationId"]).json()["resources"]
        assert seen == [f"{base}/{first['path']}", f"{base}/{second['path']}"], seen
    assert tags.delete(first["path"]).status == 204
    assert len(operation(v2, state["operationId"]).json()["resources"]) == 1
    assert tags.delete(second["path"]).status == 204
    assert operation(v2, state["operationId"]).json()["resources"] == []


@requirement("TAG-026", "TAG-027")
def test_there_already(tags: Tags) -> None:
    """A tag that is there is 409, and nothing else of the request is added (TAG-026, TAG-027)."""
    there, other = private(), private()
    tags.add(there)
    refused(tags.post([other, there]), "already exist", status=409)
    assert tags.get(other["path"]).status == 404
    tags.add(other)


@requirement("TAG-025")
def test_keyword_and_hex(tags: Tags) -> None:
    """One tag by keyword and by hex in one request is an error, and nothing is added (TAG-025)."""
    answer = tags.post([element("EthnicGroup", "study"), element("00102160", "study")])
    assert answer.status >= 400, answer.describe()
    assert tags.get("EthnicGroup").status == 404


@requirement("TAG-070")
def test_private_path_alone(tags: Tags) -> None:
    """A private tag is known by its path, whoever its creator (TAG-070)."""
    path = private_path()
    one, other = (element(path, "study", "LO", creator) for creator in ("FIRST", "SECOND"))
    refused(tags.post([one, other]), "specified before")
    tags.add(one)
    refused(tags.post([other]), "already exist", status=409)
    assert tags.one(path)["privateCreator"] == "FIRST"
    assert tags.patch(path, {"queryStatus": "disabled"}).status == 200
    assert tags.get(f"{path}/errors").json() == []
    assert tags.delete(path).status == 204


@requirement("TAG-029", "TAG-030")
def test_too_many(tags: Tags) -> None:
    """More than 128 tags in all are refused, before it is looked whether one is there, and none is added (TAG-029)."""
    there = private()
    tags.add(there)
    many = [there, *(private() for _ in range(128))]
    answer = tags.post(many)
    assert answer.status in (503, 400), (
        f"{answer.describe()} (TAG-030: 503 by the code, 400 by the documentation)"
    )
    assert "max allowed count '128'" in answer.body.decode(), answer.describe()
    assert tags.get(many[1]["path"]).status == 404


@requirement("TAG-028")
def test_while_one_runs(tags: Tags) -> None:
    """While a reindex runs another add is 409 with the place of the running one, whatever the tag (TAG-028)."""
    with ThreadPoolExecutor(4) as pool:
        for _ in tries():
            asked = [
                [private()],
                [private()],
                [element("PatientName", "study")],
                [element("PatientName", "study")],
            ]
            answers = list(pool.map(tags.post, asked))
            for answer in answers:
                if answer.status == 202:
                    ended(tags.web, answer.json()["id"])
            running = [answer for answer in answers if answer.status == 409]
            if running:
                break
    assert running, "no add met a running reindex"
    started = {answer.json()["id"] for answer in answers if answer.status == 202}
    assert_names_the_running(running, started)


def assert_names_the_running(refusals: list[Response], started: set[str]) -> None:
    """Each refusal names an operation that was running, in its text and its Location."""
    for answer in refusals:
        assert answer.content_type.startswith("text/plain"), answer.describe()
        assert "re-index" in answer.body.decode().lower(), answer.describe()
        named = answer.header("Location").rpartition("/")[2]
        assert named in started, answer.describe()
        assert named in answer.body.decode().replace("-", ""), answer.describe()
