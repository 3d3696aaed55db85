import json
import shlex
import subprocess
import threading
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from fixtures.clients.http import HttpClient
from fixtures.deployment.endpoints import DimseAddress
from fixtures.evidence.curl import to_curl, to_dimse_command
from fixtures.evidence.exchange import Body, BodyTally, DimseOperation, HttpExchange, Recorder
from fixtures.evidence.har import to_har
from fixtures.evidence.redaction import redact, redact_headers

PACS = DimseAddress("ORTHANC", "127.0.0.1", 4242)


def operation(service: str, **fields: object) -> DimseOperation:
    common: dict[str, object] = {
        "started": 1.0,
        "duration": 0.5,
        "service": service,
        "calling_ae_title": "GDCM",
        "to": PACS,
        "association": "accepted",
    }
    return DimseOperation(**{**common, **fields})  # type: ignore[arg-type]


def exchange(**fields: object) -> HttpExchange:
    common: dict[str, object] = {
        "started": 1669075200.25,
        "duration": 0.125,
        "method": "GET",
        "url": "https://127.0.0.1:8443/v2/studies?PatientName=a%5Eb&x=",
        "request_headers": (("Host", "127.0.0.1:8443"), ("Authorization", "Bearer [redacted]")),
        "request_body": Body(),
        "status": 200,
    }
    return HttpExchange(**{**common, **fields})  # type: ignore[arg-type]


def test_recorder_keeps_the_newest_and_counts_what_it_dropped() -> None:
    recorder = Recorder(limit=3)
    items = [exchange(started=float(number)) for number in range(5)]
    for item in items[:4]:
        recorder.record(item)
    mark = recorder.mark()
    recorder.record(items[4])

    assert recorder.exchanges == tuple(items[2:])
    assert recorder.dropped == 2
    assert recorder.since(mark) == (items[4],)
    assert recorder.since(0) == tuple(items[2:])


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ('{"access_token":"abc.def","expires_in":1}', '{"access_token":"[redacted]","expires_in":1}'),
        ('{"access_token" : "cut off at the end', '{"access_token" : "[redacted]'),
        ('{"secret": "a\\"b", "x": 1}', '{"secret": "[redacted]", "x": 1}'),
        ("grant_type=x&client_secret=s%2Bs&scope=y", "grant_type=x&client_secret=[redacted]&scope=y"),
        ("/viewer?StudyInstanceUIDs=1.2&token=abc", "/viewer?StudyInstanceUIDs=1.2&token=[redacted]"),
        ("said eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2ln here", "said [redacted] here"),
        ('{"error":{"code":"NotFound"}}', '{"error":{"code":"NotFound"}}'),
    ],
)
def test_secrets_in_text_are_replaced_and_the_rest_stays(text: str, clean: str) -> None:
    assert redact(text) == clean


def test_header_secrets_are_replaced_and_the_scheme_stays() -> None:
    headers = [("Authorization", "Basic abc="), ("X-Control-Key", "k"), ("Cookie", "c"), ("Accept", "a/b")]

    assert redact_headers(headers) == (
        ("Authorization", "Basic [redacted]"),
        ("X-Control-Key", "[redacted]"),
        ("Cookie", "[redacted]"),
        ("Accept", "a/b"),
    )


def test_pixels_that_look_like_a_secret_are_left_alone() -> None:
    tally = BodyTally()
    tally.add(b'--b\r\n\r\n"token":"x"')
    body = tally.body('multipart/related; type="application/dicom"; boundary=b')

    assert body.content == b'--b\r\n\r\n"token":"x"'
    assert not body.redacted


def test_har_holds_requests_answers_and_failures() -> None:
    binary = Body(b"\xff\xfe", 100, "d" * 64)
    har = to_har(
        [
            exchange(
                request_body=binary,
                request_headers=(("Content-Type", "application/dicom"),),
                response_headers=(("Content-Type", "application/json"), ("Location", "/there")),
                response_body=Body(b"{}", 2, "e" * 64),
                reason="OK",
            ),
            operation("C-ECHO"),
            exchange(status=None, error="GET x: no answer while waiting (TimeoutError: timed out)"),
        ]
    )

    answered, lost = json.loads(json.dumps(har))["log"]["entries"]
    assert har["log"]["version"] == "1.2"
    assert datetime.fromisoformat(answered["startedDateTime"]).timestamp() == 1669075200.25
    assert answered["time"] == 125.0
    request = answered["request"]
    assert request["queryString"] == [{"name": "PatientName", "value": "a^b"}, {"name": "x", "value": ""}]
    assert request["postData"] == {
        "mimeType": "application/dicom",
        "params": [],
        "text": "//4=",
        "_encoding": "base64",
        "_sha256": "d" * 64,
        "comment": "first 2 of 100 bytes",
    }
    assert answered["response"]["content"]["text"] == "{}"
    assert answered["response"]["redirectURL"] == "/there"
    assert lost["response"]["status"] == 0
    assert "timed out" in lost["_error"]
    required = {"startedDateTime", "time", "request", "response", "cache", "timings"}
    assert required <= set(answered)
    assert set(answered["timings"]) == {"send", "wait", "receive"}


def test_curl_line_has_variables_in_the_place_of_secrets() -> None:
    line = to_curl(
        exchange(
            method="POST",
            request_headers=(
                ("Host", "h"),
                ("Authorization", "Bearer [redacted]"),
                ("X-Admin-Key", "[redacted]"),
                ("Accept", 'multipart/related; type="application/dicom"'),
                ("Content-Length", "3"),
            ),
            request_body=Body(b"abc", 3, "0" * 64),
        )
    )

    assert '-H "Authorization: Bearer $TOKEN"' in line
    assert '-H "X-Admin-Key: $X_ADMIN_KEY"' in line
    assert "-H 'Accept: multipart/related; type=\"application/dicom\"'" in line
    assert '--cacert "$CA_FILE"' in line
    assert "--data-binary @request-body.bin" in line
    assert "Content-Length" not in line
    assert line.endswith("'https://127.0.0.1:8443/v2/studies?PatientName=a%5Eb&x='")


def test_curl_sends_what_the_client_sent(tmp_path: Path) -> None:
    seen: list[tuple[str, str, dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name: value for name, value in self.headers.items() if name != "Connection"}
            seen.append((self.command, self.path, headers, body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    recorder = Recorder()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    client = HttpClient(url, recorder=recorder, token=lambda: "abc")
    body = b"--b\r\n\r\n\x00\xff'$HOME\r\n--b--"
    headers = [("Content-Type", "multipart/related; boundary=b"), ("Accept", "x/y")]
    client.request("POST", "/v2/a/../st[1]dies", query="q=a*b%5C", headers=headers, body=body)
    (recorded,) = recorder.exchanges
    assert isinstance(recorded, HttpExchange)
    (tmp_path / "request-body.bin").write_bytes(recorded.request_body.content)

    subprocess.run(
        ["/bin/sh", "-c", to_curl(recorded)],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "TOKEN": "abc"},
        check=True,
    )
    client.close()
    server.shutdown()
    server.server_close()

    assert len(seen) == 2
    assert seen[0] == seen[1]


def test_dcmtk_lines_repeat_each_service() -> None:
    find = operation(
        "C-FIND", level="STUDY", root="study", keys=(("PatientName", "O'Neil*"), ("StudyInstanceUID", ""))
    )
    move = operation("C-MOVE", level="STUDY", root="patient", keys=(("PatientID", "1"),), destination="WS")
    store = operation("C-STORE", sop_instance_uid="1.2.3", transfer_syntax_uid="1.2.840.10008.1.2.4.90")

    assert to_dimse_command(operation("C-ECHO")) == "echoscu -v -aet GDCM -aec ORTHANC 127.0.0.1 4242"
    assert shlex.split(to_dimse_command(find)) == [
        *["findscu", "-v", "-S", "-aet", "GDCM", "-aec", "ORTHANC", "-k", "QueryRetrieveLevel=STUDY"],
        *["-k", "PatientName=O'Neil*", "-k", "StudyInstanceUID", "127.0.0.1", "4242"],
    ]
    assert to_dimse_command(move).startswith(
        "movescu -v -P -aet GDCM -aec ORTHANC -aem WS -k QueryRetrieveLevel"
    )
    assert to_dimse_command(store) == "storescu -v -R -xv -aet GDCM -aec ORTHANC 127.0.0.1 4242 1.2.3.dcm"
    with pytest.raises(ValueError, match="N-ACTION"):
        to_dimse_command(operation("N-ACTION"))


def test_operations_and_exchanges_describe_themselves() -> None:
    lost = operation("C-STORE", sop_instance_uid="1.2", statuses=(None,), comment="no response")

    assert lost.describe() == "C-STORE 1.2 GDCM -> ORTHANC@127.0.0.1:4242: status none (no response)"
    assert exchange(status=None, error="closed").describe().endswith("-> no answer: closed")
