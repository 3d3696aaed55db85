"""Input that nobody should send: always answered, always with a 4xx, and nothing grows, hangs or is logged as a fault."""

import json
import socket
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, generate_uid

from tests.dicom_service.conftest import Service, dataset, multipart, part10

_SECONDS = 30.0
_JSON = {"Content-Type": "application/dicom+json", "Accept": "application/dicom+json"}
_QUICK = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
_FILE = part10(dataset())
_RELATED, _BODY = multipart([_FILE, _FILE])


def _resident(service: Service) -> int:
    """Return the resident memory of the service in bytes."""
    for line in Path(f"/proc/{service.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the kernel names no resident memory")


def _no_faults(service: Service) -> None:
    assert service.process.poll() is None
    log = service.log.read_text()
    assert "failed unexpectedly" not in log, log[-2000:]
    assert "could not be" not in log, log[-2000:]
    assert service.get("/health/check").status == 200


def _answered(
    service: Service, method: str, path: str, body: bytes | None, headers: dict[str, str | None]
) -> int:
    started = time.monotonic()
    answer = service.request(method, path, body, headers)
    assert time.monotonic() - started < _SECONDS, f"{method} {path[:80]} took too long"
    assert answer.status < 500, f"{method} {path[:200]}: {answer.status} {answer.body[:300]!r}"
    return answer.status


_PATHS = [
    *(f"/v2/{resource}" for resource in ("studies", "series", "instances", "workitems", "changefeed")),
    "/v1/changefeed",
    "/v2/studies/1.2.3/series",
    "/v2/studies/1.2.3/metadata",
    "/v2/studies/1.2/series/3/instances/4/rendered",
]
_NAMES = st.sampled_from(
    [
        *(
            "limit",
            "offset",
            "fuzzymatching",
            "includefield",
            "PatientName",
            "PatientID",
            "StudyDate",
            "startTime",
        ),
        *(
            "00100010",
            "ModalitiesInStudy",
            "includeMetadata",
            "quality",
            "ScheduledProcedureStepStartDateTime",
        ),
        *("ReferencedRequestSequence.AccessionNumber", "ProcedureStepState", "99999999", "x" * 3000),
    ]
)
_VALUES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            b"1" * 4000,
            b"-",
            b"20200101-",
            b"-1",
            b"9" * 30,
            b"all,all",
            b"\xff\xfe",
            b"\0",
            b"(((((",
            b"%",
            b"'--",
            b'"',
        ]
    ),
)


@_QUICK
@given(path=st.sampled_from(_PATHS), pairs=st.lists(st.tuples(_NAMES, _VALUES), max_size=5))
def test_queries(service: Service, path: str, pairs: list[tuple[str, bytes]]) -> None:
    """Any query is answered with a match, nothing or a 4xx."""
    query = "&".join(f"{name}={quote_from_bytes(value)}" for name, value in pairs)
    status = _answered(service, "GET", f"{path}?{query}", None, {"Accept": "application/dicom+json"})
    assert status in (200, 204, 400, 404, 406), status


@_QUICK
@given(data=st.data())
def test_multipart_bodies(service: Service, data: st.DataObject) -> None:
    """A body cut, changed or repeated anywhere is stored in part or refused."""
    body = bytearray(_BODY)
    for _ in range(data.draw(st.integers(1, 4), "changes")):
        at = data.draw(st.integers(0, len(body) - 1), "at")
        kind = data.draw(st.sampled_from(["flip", "cut", "insert", "repeat"]), "kind")
        if kind == "flip":
            body[at] ^= data.draw(st.integers(1, 255), "bits")
        elif kind == "cut":
            del body[at : at + data.draw(st.integers(1, 400), "length")]
        elif kind == "insert":
            body[at:at] = data.draw(
                st.sampled_from([b"\r\n--frontier", b"--", b"\r\n\r\n", b"\0" * 64, b"\r\n"]), "what"
            )
        else:
            body[at:at] = body[max(0, at - 100) : at]
        if not body:
            body += b"x"
    status = _answered(service, "POST", "/v2/studies", bytes(body), {"Content-Type": _RELATED})
    assert status in (200, 202, 204, 400, 409, 415), status


@_QUICK
@given(
    content_type=st.one_of(
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60),
        st.sampled_from([f"{_RELATED}; boundary=other", 'multipart/related; boundary="', _RELATED * 40]),
    )
)
def test_content_types(service: Service, content_type: str) -> None:
    """Any Content-Type is taken or refused."""
    status = _answered(service, "POST", "/v2/studies", _BODY, {"Content-Type": content_type})
    assert status in (200, 202, 204, 400, 409, 415), status


@_QUICK
@given(accept=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80))
def test_accept_headers(service: Service, accept: str) -> None:
    """Any Accept is satisfied or refused."""
    for path in ("/v2/studies?PatientID=none", "/v2/studies/1.2.3", "/v2/workitems?PatientID=none"):
        assert _answered(service, "GET", path, None, {"Accept": accept}) in (200, 204, 400, 404, 406)


_ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda below: (
        st.lists(below, max_size=4)
        | st.dictionaries(
            st.sampled_from(["vr", "Value", "00400400", "00081195", "Alphabetic", "0040a370", ""]), below
        )
    ),
    max_leaves=12,
)


@_QUICK
@given(body=st.one_of(_ANY_JSON.map(lambda value: json.dumps([value]).encode()), st.binary(max_size=60)))
def test_json_bodies(service: Service, body: bytes) -> None:
    """Any body of a work item request is refused with a 4xx."""
    uid = generate_uid()
    for method, path in (
        ("POST", f"?{uid}"),
        ("POST", f"/{uid}"),
        ("PUT", f"/{uid}/state"),
        ("POST", f"/{uid}/cancelrequest"),
    ):
        assert 400 <= _answered(service, method, f"/v2/workitems{path}", body, {**_JSON}) < 500


def test_json_that_nests_deep(service: Service) -> None:
    """JSON of a thousand levels is a 400, by bracket or by sequence."""
    deep: Any = {}
    for _ in range(200):
        deep = {"0040A370": {"vr": "SQ", "Value": [deep]}}
    for body in (b"[" * 100_000, b"[" * 500 + b"]" * 500, json.dumps([deep]).encode()):
        assert _answered(service, "POST", "/v2/workitems?1.2.3", body, {**_JSON}) == 400
    _no_faults(service)


def _explicit(group: int, element: int, vr: bytes, length: int, value: bytes = b"") -> bytes:
    long = vr in (b"OB", b"OW", b"SQ", b"UN", b"UT")
    head = struct.pack("<HH2s", group, element, vr)
    return head + (struct.pack("<HL", 0, length) if long else struct.pack("<H", length)) + value


def _file(body: bytes, syntax: str = ExplicitVRLittleEndian) -> bytes:
    meta = part10(dataset(), ExplicitVRLittleEndian)
    head = _explicit(2, 16, b"UI", len(syntax) + len(syntax) % 2, syntax.encode() + b"\0" * (len(syntax) % 2))
    return meta[:132] + _explicit(2, 0, b"UL", 4, struct.pack("<L", len(head))) + head + body


_START = _FILE[_FILE.index(b"\x08\x00\x05\x00CS") :]
_ITEM = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
_MONSTERS = {
    "a giant length": _START[:200] + _explicit(0x0009, 0x1001, b"UN", 0xFFFFFFF0, b"abc"),
    "a giant sequence": _explicit(0x0008, 0x1140, b"SQ", 0xFFFFFFF0) + _START,
    "a deep sequence": (_explicit(0x0008, 0x1140, b"SQ", 0xFFFFFFFF) + _ITEM) * 50_000,
    "many empty items": _explicit(0x0008, 0x1140, b"SQ", 0xFFFFFFFF)
    + struct.pack("<HHL", 0xFFFE, 0xE000, 0) * 50_000,
    "nothing but a header": b"",
    "zeros": b"\0" * 500_000,
    "a sequence without an end": _explicit(0x0008, 0x1140, b"SQ", 0xFFFFFFFF),
    "an odd length": _explicit(0x0008, 0x0005, b"CS", 7, b"ISO_IR ") + _START,
    "no vr": struct.pack("<HH2sH", 8, 5, b"\0\0", 10) + _START,
}


@pytest.mark.parametrize("monster", _MONSTERS)
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_monsters(service: Service, version: str, monster: str) -> None:
    """A file that is wrong inside is refused or stored, soon, and can be asked for and deleted."""
    headers: dict[str, str | None] = {"Content-Type": "application/dicom"}
    status = _answered(service, "POST", f"/{version}/studies", _file(_MONSTERS[monster]), headers)
    assert status in (200, 202, 409), status
    _no_faults(service)


def _bomb() -> bytes:
    """Return a file of some hundred kilobytes whose data set inflates to a gigabyte."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    head = _START.partition(b"\xe0\x7f\x10\x00")[0] + _explicit(0x7FE0, 0x0010, b"OW", 1 << 30)
    begin = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    # After a full flush the same block can follow itself.
    block = packer.compress(b"\0" * (1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH)
    return _file(begin + block * 64 + packer.flush(), DeflatedExplicitVRLittleEndian)


def test_deflate_bomb(service: Service) -> None:
    """A bomb is answered soon, others are served meanwhile, and no memory stays behind."""
    bomb = _bomb()
    assert len(bomb) < 2 << 20
    before = _resident(service)
    headers: dict[str, str | None] = {"Content-Type": "application/dicom"}
    with ThreadPoolExecutor(1) as pool:
        for _ in range(2):
            sent = pool.submit(_answered, service, "POST", "/v2/studies", bomb, headers)
            served = 0
            while not wait([sent], timeout=0.02).done:
                served += service.get("/health/check").status == 200
            assert sent.result() in (200, 202, 409)
            assert served > 5, "others waited for the bomb"
    assert _resident(service) - before < 64 << 20, "a bomb must not stay in memory"
    _no_faults(service)


def test_many_small_requests_do_not_grow(service: Service) -> None:
    """Refused bodies leave nothing behind."""
    headers: dict[str, str | None] = {"Content-Type": _RELATED}
    body = b"--frontier\r\nContent-Type: application/dicom\r\n\r\n" + b"x" * 400_000

    def send(times: int) -> None:
        for _ in range(times):
            assert service.request("POST", "/v2/studies", body, headers).status < 500

    send(20)
    before = _resident(service)
    send(100)
    assert _resident(service) - before < 32 << 20


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /v2/studies HTTP/1.1\r\nHost: x\r\n" + b"X-Long: " + b"y" * 200_000 + b"\r\n\r\n",
        b"GET /v2/studies?" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v2/studies HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v2/studies HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /v2/studies HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\n",
        b"\0\1\2\3" * 100 + b"\r\n\r\n",
        b"GET /v2/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ],
)
def test_raw_bytes(service: Service, raw: bytes) -> None:
    """What is hardly HTTP is answered with a 4xx or cut off, and the next client is served."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=_SECONDS) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        try:
            answer = connection.recv(4096)
        except ConnectionResetError:
            answer = b""
    assert not answer or answer.split(b" ", 2)[1][:1] == b"4", answer[:200]
    _no_faults(service)


def test_nothing_was_logged_as_a_fault(service: Service) -> None:
    """All of the above together made no error of the program."""
    _no_faults(service)
