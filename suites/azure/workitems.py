"""Work items as tests write them: payloads by keyword, requests by hand, and what an answer must be."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from pydicom.datadict import dictionary_VR, tag_for_keyword

from fixtures.clients.answers import Response
from fixtures.clients.dicomweb import DICOM_JSON, DicomWeb
from suites.azure.data import Maker

Model = dict[str, Any]
CODE = {"CodeValue": "C1", "CodingSchemeDesignator": "99TEST", "CodeMeaning": "A meaning"}
EMPTY: tuple[()] = ()
INSTANCES = {
    "TypeOfInstances": "DICOM",
    "StudyInstanceUID": "1.2.3",
    "SeriesInstanceUID": "1.2.3.4",
    "ReferencedSOPSequence": [
        {"ReferencedSOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "ReferencedSOPInstanceUID": "1.2.3.4.5"}
    ],
    "DICOMRetrievalSequence": [{"RetrieveAETitle": "ARCHIVE"}],
}
PERFORMED = {
    "PerformedStationNameCodeSequence": [CODE],
    "PerformedProcedureStepStartDateTime": "20240102100000",
    "PerformedWorkitemCodeSequence": [CODE],
    "PerformedProcedureStepEndDateTime": "20240102103000",
    "OutputInformationSequence": [INSTANCES],
}
CANCELLED = {
    "ProcedureStepCancellationDateTime": "20240102100000",
    "ProcedureStepDiscontinuationReasonCodeSequence": [CODE],
}
# UPS-013 to UPS-015: what every create request has to hold.
COMPLETE: Mapping[str, Any] = {
    "TransactionUID": EMPTY,
    "ScheduledProcedureStepPriority": "MEDIUM",
    "ProcedureStepLabel": "Reading",
    "ScheduledProcedureStepStartDateTime": "20240102093000",
    "InputReadinessState": "READY",
    "ScheduledProcessingParametersSequence": EMPTY,
    "ScheduledStationNameCodeSequence": EMPTY,
    "ScheduledStationClassCodeSequence": EMPTY,
    "ScheduledStationGeographicLocationCodeSequence": EMPTY,
    "ScheduledWorkitemCodeSequence": EMPTY,
    "CommentsOnTheScheduledProcedureStep": EMPTY,
    "InputInformationSequence": EMPTY,
    "PatientName": "Conformance^Work",
    "IssuerOfPatientID": EMPTY,
    "IssuerOfPatientIDQualifiersSequence": EMPTY,
    "OtherPatientIDsSequence": EMPTY,
    "PatientBirthDate": "19700101",
    "PatientSex": "F",
    "AdmissionID": "ADM1",
    "IssuerOfAdmissionIDSequence": [{}],
    "AdmittingDiagnosesDescription": "None",
    "AdmittingDiagnosesCodeSequence": [CODE],
    "ReferencedRequestSequence": EMPTY,
    "ProcedureStepProgressInformationSequence": EMPTY,
    "UnifiedProcedureStepPerformedProcedureSequence": EMPTY,
}


def key(keyword: str) -> str:
    """The DICOM JSON key of a keyword."""
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return f"{tag:08X}"


def shown(keyword: str) -> str:
    """The tag as texts of this service name it."""
    return f"({key(keyword)[:4]},{key(keyword)[4:]})".lower()


def model(attributes: Mapping[str, Any]) -> Model:
    """A DICOM JSON object: None leaves out, a tuple is several values (or none), a list has items."""
    return {key(word): entry(word, value) for word, value in attributes.items() if value is not None}


def entry(keyword: str, value: Any) -> Model:
    """One DICOM JSON element."""
    vr = dictionary_VR(keyword)
    if isinstance(value, list):
        return {"vr": vr, "Value": [model(item) for item in value]}
    values = list(value) if isinstance(value, tuple) else [value]
    if vr == "PN":
        values = [{"Alphabetic": name} for name in values]
    return {"vr": vr, "Value": values} if values else {"vr": vr}


def first(item: Model, keyword: str) -> Any:
    """The first value of an element, None when it is absent or empty."""
    values = item.get(key(keyword), {}).get("Value", [])
    return values[0] if values else None


def refused(answer: Response, status: int, *texts: str, because: str = "") -> None:
    """Assert a status whose body contains the texts, compared without regard to case."""
    body = answer.body.decode("utf-8", "replace").lower()
    missing = [text for text in texts if text.lower() not in body]
    assert (answer.status, missing) == (status, []), f"{because} {answer.describe()}"


def is_recent(value: str) -> bool:
    """Whether a DICOM date-time lies within a day of now: services differ in whether they name the offset."""
    moment = datetime.strptime(value[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return abs((datetime.now(UTC) - moment).total_seconds()) < 86400


@dataclass
class WorkItems:
    """The work item resources of one API version, and the items that tests made there."""

    web: DicomWeb
    make: Maker
    made: list[str] = field(default_factory=list)

    def uid(self) -> str:
        """A UID nobody has had before."""
        return self.make.uid()

    def payload(self, **changes: Any) -> Model:
        """A complete create payload with changes: a value replaces, None removes. The patient is the test's own."""
        own = {"PatientID": self.make.patient_id()} if "PatientID" not in changes else {}
        return model({**COMPLETE, **own, **changes})

    def send(
        self,
        method: str,
        path: str,
        body: Any,
        *,
        query: str = "",
        accept: str | None = DICOM_JSON,
        content_type: str | None = DICOM_JSON,
        headers: Iterable[tuple[str, str]] = (),
    ) -> Response:
        """A request with a body: bytes go out as they are, anything else as JSON; None leaves a header out."""
        sent = [*headers]
        sent += [("Accept", accept)] if accept is not None else []
        sent += [("Content-Type", content_type)] if content_type is not None else []
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.web.request(method, f"/workitems{path}", query=query, headers=sent, body=content)

    def create(self, payload: Model, uid: str | None = None, *, accept: str | None = DICOM_JSON) -> Response:
        """POST a payload, with the UID as the name of the first query parameter."""
        answer = self.send("POST", "", [payload], query=uid or "", accept=accept)
        if answer.status == 201:
            self.made.append(answer.header("Location").rpartition("/")[2])
        return answer

    def new(self, **changes: Any) -> str:
        """Create a complete work item and return its UID."""
        uid = self.uid()
        answer = self.create(self.payload(**changes), uid)
        assert answer.status == 201, f"create: {answer.describe()}"
        return uid

    def get(self, uid: str) -> Model:
        """The work item as it is stored."""
        answer = self.web.get(f"/workitems/{uid}", accept=DICOM_JSON)
        assert answer.status == 200, f"retrieve: {answer.describe()}"
        found: Model = answer.json()
        return found

    def state(self, uid: str) -> str:
        """Its Procedure Step State."""
        return str(first(self.get(uid), "ProcedureStepState"))

    def update(
        self, uid: str, changes: Mapping[str, Any], lock: str = "", *, accept: str | None = None
    ) -> Response:
        """POST changes, with the transaction UID as the name of the first query parameter."""
        return self.send("POST", f"/{uid}", [model(changes)], query=lock, accept=accept)

    def change_state(self, uid: str, state: str, lock: str, *, accept: str | None = None) -> Response:
        """PUT a state with a transaction UID."""
        wanted = {"TransactionUID": lock, "ProcedureStepState": state}
        return self.send("PUT", f"/{uid}/state", [model(wanted)], accept=accept)

    def claim(self, uid: str) -> str:
        """Take a work item IN PROGRESS and return the transaction UID."""
        lock = self.uid()
        answer = self.change_state(uid, "IN PROGRESS", lock)
        assert answer.status == 200, f"claim: {answer.describe()}"
        return lock

    def finished(self, state: str) -> tuple[str, str]:
        """A work item that was claimed and then COMPLETED or CANCELED, and its transaction UID."""
        uid = self.new()
        lock = self.claim(uid)
        needed = (
            {"UnifiedProcedureStepPerformedProcedureSequence": [PERFORMED]}
            if state == "COMPLETED"
            else {"ProcedureStepProgressInformationSequence": [CANCELLED]}
        )
        answers = [self.update(uid, needed, lock), self.change_state(uid, state, lock)]
        assert [answer.status for answer in answers] == [200, 200], answers[-1].describe()
        return uid, lock

    def cancel(self, uid: str, request: Mapping[str, Any] | None = None) -> Response:
        """POST a cancel request."""
        return self.send("POST", f"/{uid}/cancelrequest", [model(request or {})])

    def search(self, **filters: Any) -> Response:
        """GET /workitems; `filters` are query parameters in order."""
        return self.search_pairs([(name, str(value)) for name, value in filters.items()])

    def search_pairs(self, pairs: Iterable[tuple[str, str]]) -> Response:
        """GET /workitems with any query parameters."""
        return self.web.get("/workitems", accept=DICOM_JSON, query=list(pairs))

    def found(self, *more: tuple[str, str], **filters: Any) -> list[str]:
        """The UIDs that a search finds, in its order."""
        answer = self.search_pairs([*((name, str(value)) for name, value in filters.items()), *more])
        assert answer.status in (200, 204), f"search: {answer.describe()}"
        matches = [] if answer.status == 204 else answer.json()
        return [first(match, "SOPInstanceUID") for match in matches]

    def clean_up(self) -> None:
        """Nothing deletes a work item: take what is still SCHEDULED off everybody's list."""
        for uid in self.made:
            status = self.cancel(uid).status
            assert status in (202, 400, 409), f"clean-up of work item {uid}: {status}"


def warned(items: WorkItems, answer: Response, text: str | None = None) -> None:
    """Assert a Warning header: 299, the host with a colon, then the text quoted, by default the answer's (UPS-033)."""
    host = urlsplit(items.web.http.base_url).hostname
    quoted = answer.body.decode() if text is None else text
    assert answer.header("Warning") == f'299 {host}: "{quoted}"', answer.describe()
