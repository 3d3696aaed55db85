"""Requests that nobody should send: always answered, always with a 4xx, and nothing grows, hangs or is logged as a fault."""

import json
import socket
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import generate_uid

from tests.dicom_service.bad_input import FILE, SECONDS, answered, no_faults, resident
from tests.dicom_service.conftest import Service, multipart

_JSON = {"Content-Type": "application/dicom+json", "Accept": "application/dicom+json"}
_QUICK = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
_RELATED, _BODY = multipart([FILE, FILE])

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
    status = answered(service, "GET", f"{path}?{query}", None, {"Accept": "application/dicom+json"})
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
    status = answered(service, "POST", "/v2/studies", bytes(body), {"Content-Type": _RELATED})
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
    status = answered(service, "POST", "/v2/studies", _BODY, {"Content-Type": content_type})
    assert status in (200, 202, 204, 400, 409, 415), status


@_QUICK
@given(accept=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80))
def test_accept_headers(service: Service, accept: str) -> None:
    """Any Accept is satisfied or refused."""
    for path in ("/v2/studies?PatientID=none", "/v2/studies/1.2.3", "/v2/workitems?PatientID=none"):
        assert answered(service, "GET", path, None, {"Accept": accept}) in (200, 204, 400, 404, 406)


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
        assert 400 <= answered(service, method, f"/v2/workitems{path}", body, {**_JSON}) < 500


def test_json_that_nests_deep(service: Service) -> None:
    """JSON of a thousand levels is a 400, by bracket or by sequence."""
    deep: Any = {}
    for _ in range(200):
        deep = {"0040A370": {"vr": "SQ", "Value": [deep]}}
    for body in (b"[" * 100_000, b"[" * 500 + b"]" * 500, json.dumps([deep]).encode()):
        assert answered(service, "POST", "/v2/workitems?1.2.3", body, {**_JSON}) == 400
    no_faults(service)


def test_many_small_requests_do_not_grow(service: Service) -> None:
    """Refused bodies leave nothing behind."""
    headers: dict[str, str | None] = {"Content-Type": _RELATED}
    body = b"--frontier\r\nContent-Type: application/dicom\r\n\r\n" + b"x" * 400_000

    def send(times: int) -> None:
        for _ in range(times):
            assert service.request("POST", "/v2/studies", body, headers).status < 500

    send(20)
    before = resident(service)
    send(100)
    assert resident(service) - before < 32 << 20


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
    with socket.create_connection(("127.0.0.1", service.port), timeout=SECONDS) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        try:
            answer = connection.recv(4096)
        except ConnectionResetError:
            answer = b""
    assert not answer or answer.split(b" ", 2)[1][:1] == b"4", answer[:200]
    no_faults(service)


def test_nothing_was_logged_as_a_fault(service: Service) -> None:
    """All of the above together made no error of the program."""
    no_faults(service)
