"""Work items: media types, the form of error texts and the order of checks."""

import json
from typing import Any

import pytest

from fixtures.clients.answers import Response
from fixtures.clients.dicomweb import DICOM_JSON
from fixtures.traceability import requirement
from suites.azure.workitems import WorkItems, model, refused

pytestmark = pytest.mark.azure

_WRONG_TYPES = ("application/json", "application/dicom", "text/plain", "multipart/related; boundary=x")
_CLAIM = {"TransactionUID": "1.2.3", "ProcedureStepState": "IN PROGRESS"}


@requirement("UPS-002")
@pytest.mark.parametrize("content_type", _WRONG_TYPES)
def test_content_type(items: WorkItems, content_type: str) -> None:
    """Bodies of another type than DICOM JSON are 415, whatever they are for (UPS-002)."""
    uid = items.new()
    body: Any = [model(_CLAIM)]
    requests = [
        ("POST", ""),
        ("POST", f"/{uid}"),
        ("PUT", f"/{uid}/state"),
        ("POST", f"/{uid}/cancelrequest"),
    ]
    for method, path in requests:
        refused(items.send(method, path, body, content_type=content_type), 415, because=f"{method} {path}")
    assert items.state(uid) == "SCHEDULED"
    twin = items.send("PUT", f"/{uid}/state", body, content_type=f"{DICOM_JSON}; charset=utf-8")
    assert twin.status == 200, twin.describe()


@requirement("UPS-003")
@pytest.mark.parametrize("accept", [None, "application/dicom", "text/html", "image/png"])
def test_accept_is_checked(items: WorkItems, accept: str | None) -> None:
    """Create, retrieve and search answer 406 unless DICOM JSON is accepted (UPS-003)."""
    uid = items.uid()
    refused(items.create(items.payload(), uid, accept=accept), 406)
    items.new()
    headers = [("Accept", accept)] if accept else []
    for path in (f"/workitems/{items.made[-1]}", "/workitems"):
        refused(items.web.request("GET", path, headers=headers), 406, because=path)
    assert items.web.get(f"/workitems/{uid}", accept=DICOM_JSON).status == 404, "refused and not created"


@requirement("UPS-003")
@pytest.mark.parametrize("accept", [DICOM_JSON, "application/json", "*/*", "application/*"])
def test_accept_that_covers_json(items: WorkItems, accept: str) -> None:
    """Wider types cover it; the answer is DICOM JSON or JSON (UPS-003)."""
    uid = items.uid()
    assert items.create(items.payload(), uid, accept=accept).status == 201
    assert items.web.get(f"/workitems/{uid}", accept=accept).status == 200


@requirement("UPS-003")
@pytest.mark.parametrize("accept", [None, "application/dicom", "text/html"])
def test_accept_is_not_checked(items: WorkItems, accept: str | None) -> None:
    """Update, state change and cancel request take any Accept (UPS-003)."""
    cancelled, claimed = items.new(), items.new()
    answers = [
        items.update(claimed, {"ProcedureStepLabel": "New"}, accept=accept),
        items.change_state(claimed, "IN PROGRESS", items.uid(), accept=accept),
        items.send("POST", f"/{cancelled}/cancelrequest", [{}], accept=accept),
    ]
    assert [answer.status for answer in answers] == [200, 200, 202]


def _is_bare(answer: Response) -> None:
    assert answer.content_type.startswith("text/plain"), answer.describe()
    assert answer.body, "a sentence says why"
    assert not answer.body.startswith(b'"'), answer.describe()
    assert not answer.header("Warning"), answer.headers


def _is_quoted(answer: Response) -> None:
    assert answer.content_type.startswith(DICOM_JSON), answer.describe()
    text = answer.json()
    assert isinstance(text, str), answer.describe()
    assert text, answer.describe()


@requirement("UPS-004")
def test_bare_text(items: WorkItems) -> None:
    """What fails before the work item logic, or in a search, is plain text without a warning (UPS-004)."""
    uid = items.new()
    for answer in (
        items.send("POST", "", b"{}", query=items.uid()),
        items.send("POST", "", [items.payload(SOPInstanceUID=items.uid())], query=items.uid()),
        items.web.get("/workitems/1.2.x", accept=DICOM_JSON),
        items.send("POST", f"/{uid}", [{}], query="1.2.x"),
        items.send("PUT", "/1.2.x/state", [model(_CLAIM)]),
        items.search(Modality="CT"),
        items.search(limit=500),
    ):
        refused(answer, 400)
        _is_bare(answer)


@requirement("UPS-004")
def test_quoted_text(items: WorkItems) -> None:
    """Outcomes of create, cancel request and retrieve are JSON strings (UPS-004)."""
    uid = items.new()
    unknown = items.uid()
    answers = [
        (409, items.create(items.payload(), uid)),
        (400, items.create(items.payload(PatientSex=None), items.uid())),
        (404, items.cancel(unknown)),
        (404, items.web.get(f"/workitems/{unknown}", accept=DICOM_JSON)),
    ]
    for status, answer in answers:
        refused(answer, status)
        _is_quoted(answer)


@requirement("UPS-004")
@pytest.mark.parametrize("accept", [None, "*/*", "text/plain", DICOM_JSON, "application/json"])
def test_text_by_accept(items: WorkItems, accept: str | None) -> None:
    """Outcomes of update and state change are quoted for those who accept JSON, else plain (UPS-004)."""
    unknown = items.uid()
    update = items.update(unknown, {"ProcedureStepLabel": "New"}, accept=accept)
    change = items.change_state(unknown, "IN PROGRESS", items.uid(), accept=accept)
    assert update.status in (400, 404), update.describe()
    refused(change, 404)
    for answer in (update, change):
        if accept in (DICOM_JSON, "application/json"):
            assert answer.content_type.startswith(accept), answer.describe()
            assert isinstance(answer.json(), str), answer.describe()
        else:
            assert answer.content_type.startswith("text/plain"), answer.describe()
            assert not answer.body.startswith(b'"'), answer.describe()


@requirement("UPS-077")
def test_order_of_checks_before(items: WorkItems) -> None:
    """Content type before body, body before Accept, Accept before UIDs (UPS-077)."""
    text, bad_uid = "text/plain", "1.2.x"
    assert items.send("POST", "", b"{", content_type=text, accept=None).status == 415
    assert items.send("POST", "", b"{", accept=None, query=bad_uid).status == 400
    assert items.send("POST", "", [items.payload()], accept=None, query=bad_uid).status == 406
    assert items.send("POST", "", [items.payload()], query=bad_uid).status == 400
    assert items.web.request("GET", f"/workitems/{bad_uid}").status == 406
    assert items.web.request("GET", "/workitems", query=[("limit", "0")]).status == 400, "binding comes first"


@requirement("UPS-077")
def test_order_of_checks_within(items: WorkItems) -> None:
    """Create: rules before existence. Update: state before rules. State change: target before existence (UPS-077)."""
    uid, unknown = items.new(), items.uid()
    refused(items.create(items.payload(PatientSex=None), uid), 400, "(0010,0040)")
    assert items.cancel(uid).status == 202
    late = items.update(uid, {"PatientSex": "M"})
    assert late.status in (400, 409), late.describe()
    refused(late, late.status, "already", because="the state, not the forbidden attribute")
    refused(items.change_state(unknown, "SCHEDULED", items.uid()), 400)
    refused(items.change_state(unknown, "IN PROGRESS", items.uid()), 404)
    assert json.loads(items.cancel(unknown).body) == "The workitem instance is not found."
