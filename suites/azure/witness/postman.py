"""The 39 requests of Microsoft's Postman conformance collection, as facts: method, path, headers and what a body says.

Source: microsoft/dicom-server docs/resources/Conformance-as-Postman.postman_collection.json @eeefbe4. The names, bodies
and expectations are ours. The collection is played in its order: later requests meet what earlier ones left.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fixtures.clients.answers import Response
from fixtures.clients.dicomweb import DICOM_JSON, DicomWeb
from suites.azure.data import Maker
from suites.azure.witness.sample import Sample
from suites.azure.witness.tutorial import ALL_AS_STORED, FRAMES, LEVELS, ONE_AS_STORED
from suites.azure.workitems import CODE, WorkItems, model

JSON, DICOM = "application/json", "application/dicom"
EXPLICIT = "1.2.840.10008.1.2.1"
TAG = "ManufacturerModelName"
_STUDY, _SERIES, _INSTANCE = LEVELS["study"], LEVELS["series"], LEVELS["instance"]
_ITEM = "/workitems/{workitem}"


@dataclass(frozen=True)
class Sent:
    """One request of the collection."""

    number: int
    name: str
    method: str
    path: str
    status: int
    """As the catalogue has it: on v2, and on v1 unless `v1` differs."""
    record: str
    """The catalogue's record that says so."""
    accept: str = "*/*"
    content_type: str | None = None
    body: str = ""
    """What it sends, by the name that `Collection` gives it."""
    shows: str = ""
    """What an answer with content has to contain: a name of `Collection.names`, or nothing that can be named."""
    v1: int | None = None
    why: str = ""
    """What makes it fail as shipped."""

    def expected(self, version: str) -> int:
        """The status on an API version."""
        return self.v1 if version == "v1" and self.v1 is not None else self.status


def _store(number: int, name: str) -> Sent:
    sent = Sent(number, f"store {name}", "POST", "/studies", 200, "STOW-010", DICOM_JSON, DICOM)
    return replace(sent, body=name, shows=name)


def _get(
    number: int,
    path: str,
    record: str,
    shows: str,
    accept: str = DICOM_JSON,
    status: int = 200,
    why: str = "",
) -> Sent:
    name = f"get {path.removeprefix('/')}"
    return Sent(number, name, "GET", path, status, record, accept, shows=shows, why=why)


def _search(number: int, path: str, parameter: str, name: str) -> Sent:
    return _get(number, f"{path}?{parameter}={{{name}}}", f"QIDO-00{number - 14}", name)


def _item(
    number: int,
    name: str,
    path: str,
    status: int,
    record: str,
    body: str,
    method: str = "POST",
    why: str = "",
) -> Sent:
    return Sent(number, name, method, path, status, record, "*/*", DICOM_JSON, body, why=why)


_NOT_A_TYPE = "application/jpeg is no media type of images; the service has image/jpeg"
_NO_FRAME = "the variable `frame` is set nowhere, so its braces are sent; and application/jpeg as before"
_POSTMAN_CANNOT = "its authors say that it will not work: Postman sends form data, not multipart/related"
_CANCELED = "the collection has canceled the work item with an earlier request"
_BUILT_IN = "the attribute can be searched without an extended query tag"
_NO_TAG = "adding the extended query tag was refused"

REQUESTS: Sequence[Sent] = (
    _store(1, "triangle"),
    _store(2, "square"),
    _store(3, "circle"),
    replace(
        Sent(4, "store as multipart", "POST", "/studies", 400, "STOW-027", DICOM_JSON, why=_POSTMAN_CANNOT),
        content_type="multipart/related;boundary=ABCD1234",
        body="form data",
    ),
    Sent(5, "store into study as multipart", "POST", _STUDY, 415, "STOW-015", why=_POSTMAN_CANNOT),
    _get(6, _STUDY, "WADO-001", "instance", ALL_AS_STORED),
    _get(7, f"{_STUDY}/metadata", "META-001", "series"),
    _get(8, _SERIES, "WADO-002", "instance", ALL_AS_STORED),
    _get(9, f"{_SERIES}/metadata", "META-002", "instance"),
    _get(10, _INSTANCE, "WADO-005", "instance", ONE_AS_STORED),
    _get(11, f"{_INSTANCE}/metadata", "META-003", "instance"),
    _get(12, f"{_INSTANCE}/rendered?quality=100", "REND-007", "", "application/jpeg", 406, _NOT_A_TYPE),
    _get(
        *(13, f"{_INSTANCE}/frames/%7B%7Bframe%7D%7D/rendered?quality=100", "REND-012", ""),
        *("application/jpeg", 400, _NO_FRAME),
    ),
    _get(14, f"{_INSTANCE}/frames/1", "FRAME-005", "pixels", FRAMES + EXPLICIT),
    _search(15, "/studies", "StudyInstanceUID", "study"),
    _search(16, "/series", "SeriesInstanceUID", "series"),
    replace(_search(17, f"{_STUDY}/series", "SeriesInstanceUID", "series"), record="QIDO-004"),
    replace(_search(18, "/instances", "SOPInstanceUID", "instance"), record="QIDO-003"),
    _search(19, f"{_STUDY}/instances", "SOPInstanceUID", "instance"),
    _search(20, f"{_SERIES}/instances", "SOPInstanceUID", "instance"),
    Sent(21, "delete instance", "DELETE", _INSTANCE, 204, "DEL-003"),
    Sent(22, "delete series", "DELETE", _SERIES, 204, "DEL-002"),
    Sent(23, "delete study", "DELETE", _STUDY, 204, "DEL-001"),
    replace(
        Sent(24, "add tag", "POST", "/extendedquerytags", 400, "TAG-012", content_type=JSON, why=_BUILT_IN),
        body="tag",
    ),
    _get(25, "/extendedquerytags", "TAG-038", "a list", "*/*"),
    _get(26, f"/extendedquerytags/{TAG}", "TAG-041", "", "*/*", 404, _NO_TAG),
    Sent(27, "delete tag", "DELETE", f"/extendedquerytags/{TAG}", 404, "TAG-060", why=_NO_TAG),
    replace(
        Sent(28, "disable tag", "PATCH", f"/extendedquerytags/{TAG}", 404, "TAG-057", why=_NO_TAG),
        content_type=JSON,
        body="query",
    ),
    _get(29, f"/extendedquerytags/{TAG}/errors", "TAG-050", "", "*/*", 404, _NO_TAG),
    replace(
        Sent(30, "bulk update", "POST", "/studies/$bulkupdate", 202, "UPD-001", v1=404),
        content_type=JSON,
        body="update",
        why="on v1, which is the collection's own base address: there is no bulk update",
    ),
    _get(31, "/operations/1", "OPS-015", "", "*/*", 404, "1 is no id of an operation"),
    _get(32, "/partitions", "PART-001", "", "*/*", 400, "data partitions are switched off by default"),
    _item(33, "create work item", "/workitems?{workitem}", 201, "UPS-005", "create"),
    replace(
        _get(34, "/workitems?PatientName={patient}", "UPS-058", "workitem"),
        content_type=DICOM_JSON,
        body="create",
    ),
    _item(35, "request cancellation", f"{_ITEM}/cancelrequest", 202, "UPS-050", "cancel"),
    _item(36, "claim", f"{_ITEM}/state", 400, "UPS-047", "claim", "PUT", _CANCELED),
    _item(37, "update unclaimed", _ITEM, 409, "UPS-029", "relabel", why=_CANCELED),
    _item(38, "update claimed", _ITEM + "?{transaction}", 409, "UPS-029", "relabel", why=_CANCELED),
    _get(39, _ITEM, "UPS-019", "workitem"),
)


@dataclass
class Collection:
    """One play of the collection at an API version, on a study and a work item of its own."""

    web: DicomWeb
    sample: Sample
    make: Maker
    answers: dict[int, Response] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names: Mapping[str, str] = {
            **self.sample.names,
            "square": self.sample.square.instance,
            "circle": self.sample.circle.instance,
            "triangle": self.sample.triangle.instance,
            "workitem": self.make.uid(),
            "transaction": self.make.uid(),
            "patient": self.make.patient_id(),
        }

    def play(self) -> None:
        """Send all requests in their order."""
        self.answers = {one.number: self._send(one) for one in REQUESTS}

    def _send(self, one: Sent) -> Response:
        headers = [("Accept", one.accept)]
        headers += [("Content-Type", one.content_type)] if one.content_type else []
        path = one.path.format(**self.names)
        return self.web.request(one.method, path, headers=headers, body=self._body(one.body))

    def _body(self, name: str) -> bytes:
        files = {"triangle": self.sample.triangle, "square": self.sample.square, "circle": self.sample.circle}
        if not name:
            return b""
        if name in files:
            return files[name].part10
        if name == "form data":
            # What Postman makes of it: a boundary of its own, whatever the header says.
            head = b'--other\r\nContent-Disposition: form-data; name="file"\r\nContent-Type: application/dicom\r\n\r\n'
            return head + self.sample.triangle.part10 + b"\r\n--other--\r\n"
        return json.dumps(self._content(name)).encode()

    def _content(self, name: str) -> Any:
        claim = {"ProcedureStepState": "IN PROGRESS", "TransactionUID": self.names["transaction"]}
        reason = {
            "ReasonForCancellation": "No longer needed",
            "ProcedureStepDiscontinuationReasonCodeSequence": [CODE],
        }
        payload = WorkItems(self.web, self.make).payload(PatientName=self.names["patient"])
        contents: dict[str, Any] = {
            "tag": [{"Path": TAG, "VR": "LO", "Level": "Series"}],
            "query": {"QueryStatus": "Disabled"},
            "update": {
                "studyInstanceUids": [self.sample.triangle.study],
                "changeDataset": model({"PatientName": "Another^Name"}),
            },
            "create": [payload],
            "cancel": [model(reason)],
            "claim": [model(claim)],
            "relabel": [model({"WorklistLabel": "Another label"})],
        }
        return contents[name]

    def assert_shown(self, one: Sent) -> None:
        """The answer has the content that the request asked for."""
        answer = self.answers[one.number]
        if one.shows == "a list":
            assert isinstance(answer.json(), list), answer.describe()
        elif one.shows == "pixels":
            assert self.sample.triangle.dataset.PixelData in answer.body, answer.describe()
        elif one.shows:
            wanted = self.names[one.shows]
            assert wanted.encode() in answer.body, f"{one.shows} {wanted} is not in {answer.describe()}"
