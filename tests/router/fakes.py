"""Loopback peers of the router: a scripted DICOMweb cloud with an identity service, and a PACS."""

import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import blake3
import numpy as np
import orjson
import pydicom
import uvicorn
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, evt
from pynetdicom.presentation import build_context
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fixtures.waiting import eventually
from systems.shared.header_scan import read_file_meta, scan_part10

CT = "1.2.840.10008.5.1.4.1.1.2"
STUDY_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
Answer = tuple[int, dict[str, str], bytes]
Script = Callable[[list[bytes]], Answer | None]


def make_dataset(uid: str | None = None, study: str | None = None, **attributes: Any) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID = CT
    ds.SOPInstanceUID = UID(uid) if uid else generate_uid()
    ds.StudyDate = "20200101"
    ds.Modality = "CT"
    ds.PatientName = "Do^Not^Log"
    ds.PatientID = "SECRET-ID-7"
    ds.StudyInstanceUID = UID(study) if study else generate_uid()
    ds.SeriesInstanceUID = UID(ds.StudyInstanceUID[:60] + ".1")
    ds.Rows = ds.Columns = 32
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = 0
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.PixelData = np.arange(1024, dtype=np.uint16).tobytes()
    for name, value in attributes.items():
        setattr(ds, name, value)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = UID(CT)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    return ds


def part10(ds: Dataset) -> bytes:
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def digest(content: bytes) -> str:
    return "blake3:" + blake3.blake3(content[read_file_meta(content).data_set_offset :]).hexdigest()


def uid_of(content: bytes) -> str:
    return read_file_meta(content).sop_instance_uid


def stow_body(
    stored: Sequence[str] = (), failed: dict[str, int] | None = None, warning: int | None = None
) -> bytes:
    body: dict[str, Any] = {}
    if stored:
        body["00081199"] = {"vr": "SQ", "Value": [_item(uid, "00081196", warning) for uid in stored]}
    if failed:
        body["00081198"] = {
            "vr": "SQ",
            "Value": [_item(u, "00081197", reason) for u, reason in failed.items()],
        }
    return orjson.dumps(body)


def _item(uid: str, tag: str, reason: int | None) -> dict[str, Any]:
    item: dict[str, Any] = {"00081155": {"vr": "UI", "Value": [uid]}}
    if reason is not None:
        item[tag] = {"vr": "US", "Value": [reason]}
    return item


class FakeCloud:
    """Answers by its script first, then like Microsoft's service: 200, 202, or 409 with 45070 for duplicates."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.effects: Counter[str] = Counter()
        self.posts: list[list[str]] = []
        self.reads: list[str] = []
        self.script: list[Script] = []
        self.always: Script | None = None
        self.secret = "right"  # noqa: S105 - of a test
        self.token_requests: list[dict[str, str]] = []
        self.valid_tokens: set[str] = set()
        self.token_life = 3600
        app = Starlette(
            routes=[
                Route("/v2/studies", self._store, methods=["POST"]),
                Route("/v2/studies", self._search, methods=["GET"]),
                Route("/v2/studies/{study}/series/{series}/instances/{uid}", self._retrieve, methods=["GET"]),
                Route("/token", self._token, methods=["POST"]),
            ]
        )
        self._app = app
        self.port = 0
        self.start()

    def start(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", self.port))
        self.port = self._socket.getsockname()[1]
        self._server = uvicorn.Server(
            uvicorn.Config(self._app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
        )
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )
        self._thread.start()
        eventually(lambda: self._server.started, within=5, because="the fake cloud to start", every=0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(5)
        self._socket.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _token(self, request: Request) -> Response:
        form = {key: str(value) for key, value in (await _form(request)).items()}
        self.token_requests.append(form)
        if form.get("client_secret") != self.secret:
            return Response(orjson.dumps({"error": "invalid_client"}), 401)
        token = f"token-{len(self.token_requests)}"
        self.valid_tokens.add(token)
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": self.token_life}
        return Response(orjson.dumps(answer), 200)

    def _authorised(self, request: Request) -> bool:
        return request.headers.get("Authorization", "").removeprefix("Bearer ") in self.valid_tokens

    async def _store(self, request: Request) -> Response:
        body = await request.body()
        if not self._authorised(request):
            return Response(status_code=401)
        parts = _parts(request.headers["content-type"], body)
        self.posts.append([uid_of(part) for part in parts])
        script = self.script.pop(0) if self.script else self.always
        scripted = script(parts) if script else None
        status, headers, content = scripted or self.accept(parts)
        return Response(content, status, headers=headers)

    def accept(self, parts: list[bytes]) -> Answer:
        stored, failed = [], {}
        for part in parts:
            uid = uid_of(part)
            if uid in self.stored:
                failed[uid] = 45070
            else:
                self.stored[uid] = part
                self.effects[uid] += 1
                stored.append(uid)
        status = 409 if not stored else 202 if failed else 200
        return status, {"Content-Type": "application/dicom+json"}, stow_body(stored, failed)

    async def _search(self, request: Request) -> Response:
        return Response(status_code=204 if self._authorised(request) else 401)

    async def _retrieve(self, request: Request) -> Response:
        uid = request.path_params["uid"]
        self.reads.append(uid)
        if not self._authorised(request):
            return Response(status_code=401)
        content = self.stored.get(uid)
        if content is None:
            return Response(status_code=404)
        return Response(content, media_type="application/dicom")


async def _form(request: Request) -> dict[str, str]:
    from urllib.parse import parse_qsl

    return dict(parse_qsl((await request.body()).decode()))


def _parts(content_type: str, body: bytes) -> list[bytes]:
    if content_type == "application/dicom":
        return [body]
    match = re.search(r"boundary=([^;]+)", content_type)
    assert match
    pieces = body.split(b"--" + match.group(1).strip('"').encode())
    return [piece.partition(b"\r\n\r\n")[2][:-2] for piece in pieces[1:-1]]


class FakePacs:
    """A storage SCP that keeps what it gets, answers C-FIND for instances, and can be told to answer otherwise."""

    def __init__(self, ae_title: str = "ORTHANC") -> None:
        self.stored: dict[str, bytes] = {}
        self.effects: Counter[str] = Counter()
        self.order: list[str] = []
        self.calling: Counter[str] = Counter()
        self.script: list[int] = []
        self.always: int | None = None
        self.abort_on: str | None = None
        self._ae = AE(ae_title)
        # Only what the tests send: pynetdicom copies this list for every association.
        for abstract_syntax in (CT, "1.2.840.10008.1.1"):
            self._ae.add_supported_context(abstract_syntax)
        self._ae.add_supported_context(STUDY_FIND)
        self.port = 0
        self.start()

    def start(self) -> None:
        handlers = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_CONN_OPEN, _no_delay),
        ]
        self._server = self._ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        self.port = self._server.socket.getsockname()[1]

    def stop(self) -> None:
        self._server.shutdown()

    def _store(self, event: Any) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        self.order.append(uid)
        self.calling[event.assoc.requestor.ae_title] += 1
        if uid == self.abort_on:
            event.assoc.abort()
            return 0xC000
        status = self.script.pop(0) if self.script else self.always
        if status:
            return status
        self.effects[uid] += uid not in self.stored
        self.stored.setdefault(uid, event.request.DataSet.getvalue())
        return 0

    def _find(self, event: Any) -> Any:
        uid = event.identifier.SOPInstanceUID
        if uid in self.stored:
            match = Dataset()
            match.QueryRetrieveLevel = "IMAGE"
            match.SOPInstanceUID = uid
            yield 0xFF00, match


def _no_delay(event: Any) -> None:
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def send(
    port: int, datasets: Sequence[Dataset], *, called: str = "QIEROUTER", calling: str = "GDCM"
) -> list[int | None]:
    """C-STORE each data set on one association; None where no status came."""
    ae = AE(calling)
    ae.requested_contexts = [build_context(CT, ds.file_meta.TransferSyntaxUID) for ds in datasets[:1]]
    ae.acse_timeout = ae.network_timeout = 10
    ae.dimse_timeout = 20
    association = ae.associate(
        "127.0.0.1", port, ae_title=called, evt_handlers=[(evt.EVT_CONN_OPEN, _no_delay)]
    )
    if not association.is_established:
        return [None] * len(datasets)
    try:
        statuses: list[int | None] = []
        for ds in datasets:
            if not association.is_established:
                statuses.append(None)
                continue
            answer = association.send_c_store(ds)
            statuses.append(int(answer.Status) if "Status" in answer else None)
        return statuses
    finally:
        association.release()


def study_of(content: bytes) -> str:
    meta = read_file_meta(content)
    return scan_part10(content, meta, frozenset({0x0020000D}))[0x0020000D].decode().strip("\0")
