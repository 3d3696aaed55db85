"""Versions, errors and limits, start-up and ends."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.waiting import eventually
from tests.dicom_service.conftest import Service, Starter, closed, dataset, free_port, part10, path_of

ORIGINAL = "application/dicom; transfer-syntax=*"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/studies", 404),
        ("GET", "/vabc/studies", 404),
        ("GET", "/v3/studies", 400),
        ("GET", "/v99/studies/1.2.3/metadata", 400),
        ("GET", "/v2.0/studies?PatientID=nobody", 204),
        ("GET", "/V2/Studies/?PatientID=nobody", 204),
        ("GET", "/v1-prerelease/studies?PatientID=nobody", 204),
        ("PUT", "/v2/studies", 405),
        ("DELETE", "/v2/studies", 405),
        ("PUT", "/v3/studies", 405),
        ("HEAD", "/v2/studies/1.2", 405),
        ("POST", "/v2/studies/1.2/series", 405),
        ("GET", "/v2/studies/1.2/rendered", 404),
        ("GET", "/health/check/", 404),
        ("GET", "/health/check?%3C", 400),
        ("GET", "/v2/api.json", 200),
        ("GET", "/v1-prerelease/api.yaml", 200),
        ("GET", "/v1.0-prerelease/api.yaml", 404),
        ("GET", "/", 404),
    ],
)
def test_versions_and_routes(service: Service, method: str, path: str, status: int) -> None:
    """VER-001 to VER-015, ERR-011, HLTH-004, API-009."""
    answer = service.request(method, path)
    assert answer.status == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    if status == 405:
        assert "allow" in answer.headers
        assert answer.body == b""
    if path.startswith(("/v3", "/v99")) and status == 400:
        assert answer.json()["error"]["code"] == "UnsupportedApiVersion"


def test_health_report(service: Service) -> None:
    """HLTH-001, HLTH-002, HLTH-006."""
    report = service.get("/health/check").json()
    assert report["overallStatus"] == "Healthy"
    assert {detail["name"] for detail in report["details"]} >= {"DcmHealthCheck", "MetadataHealthCheck"}
    assert all(set(detail) == {"name", "status", "description"} for detail in report["details"])


def test_audit_headers_have_limits(service: Service) -> None:
    """ERR-015, ERR-016."""
    many = {f"X-MS-AZUREDICOM-AUDIT-{n}": "x" for n in range(11)}
    assert service.request("GET", "/v2/studies", headers=many).status == 400
    many.popitem()
    assert service.request("GET", "/v2/studies", headers={**many}).status in (200, 204)
    assert (
        service.request("GET", "/v2/studies", headers={"x-ms-azuredicom-audit-a": "x" * 2049}).status == 400
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    damage=st.lists(
        st.tuples(st.integers(0, 2000), st.binary(min_size=1, max_size=6)), min_size=1, max_size=6
    )
)
def test_damaged_instances_never_break_the_service(service: Service, damage: list[tuple[int, bytes]]) -> None:
    """ERR-003, ERR-009: bad input is a documented status, and what was stored can be described."""
    made = dataset(RequestAttributesSequence=[dataset(PixelData=None)])
    data = bytearray(part10(made))
    for position, patch in damage:
        at = position % len(data)
        data[at : at + len(patch)] = patch
    answer = service.store(bytes(data))
    assert answer.status in (200, 202, 409)
    for item in answer.json().get("00081199", {}).get("Value", []):
        path = item["00081190"]["Value"][0].split(str(service.port), 1)[1].replace(" ", "%20")
        assert service.get(path, ORIGINAL).body == bytes(data)
        assert service.get(path + "/metadata").status == 200
        for resource, accept in (("/rendered", "image/png"), ("/frames/1", "*/*"), ("", "application/dicom")):
            assert service.get(path + resource, accept).status in (200, 404, 406)


def test_garbage_on_the_wire_is_answered_orclosed(service: Service) -> None:
    for garbage in (
        b"\0\0\0\0\r\n\r\n",
        b"POST /v2/studies HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"GET  HTTP/9\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
            connection.sendall(garbage)
            assert connection.recv(100)[:12] in (b"HTTP/1.1 400", b"")
    assert service.get("/health/check").status == 200


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "systems.dicom_service.cli", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=30, check=False, cwd=Path(__file__).parents[2]
    )


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["serve", "--data", "folder"], "--authority"),
        (["serve", "--host", "192.0.2.1"], "--authority"),
        (["serve", "--port", "x", "--data", ":memory:", "--no-auth"], "--port"),
        (["serve", "--port", "1", "--data", ":memory:", "--authority", "http://x/t"], "https://"),
        (["serve", "--port", "1", "--data", ":memory:", "--no-auth", "--tls-cert", "/nowhere"], "--tls-key"),
        ([], "command"),
    ],
)
def test_wrong_usage_ends_with_2_and_one_line(arguments: list[str], word: str) -> None:
    ended = _run(*arguments)
    assert ended.returncode == 2
    assert word in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_help_is_for_strangers() -> None:
    ended = _run("serve", "--help")
    assert ended.returncode == 0
    assert "--no-auth" in ended.stdout


@pytest.mark.parametrize("port", [[], ["--port", "0"]])
def test_serve_alone_says_where_it_is_and_what_it_is(port: list[str]) -> None:
    """Without options: this computer only, nothing kept, no tokens; said in one line. Its port may be taken here."""
    process = subprocess.Popen(
        [sys.executable, "-m", "systems.dicom_service.cli", "serve", *port],
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stderr is not None
    lines = iter(process.stderr.readline, "")
    line = next((line for line in lines if "serving" in line or "taken" in line), "")
    if "taken" in line and not port:
        assert process.wait(timeout=20) == 3
        assert "--port" in line
        return
    said = json.loads(line)
    assert said["message"].startswith(f"serving http://127.0.0.1:{said['port']}/v2, without authentication")
    assert port or said["port"] == 8080
    service = Service(process, said["port"], Path())  # type: ignore[arg-type]
    eventually(lambda: service.get("/health/check").status == 200, within=20, because="it should answer")
    made = dataset()
    assert service.store(part10(made)).status == 200
    assert service.get(path_of(made), ORIGINAL).body == part10(made)
    process.send_signal(signal.SIGTERM)
    process.stderr.read()
    assert process.wait(timeout=20) == 0


def test_taken_port_and_folder_end_with_3(starter: Starter, tmp_path: Path) -> None:
    service = starter(tmp_path / "data")
    taken = _run("serve", "--port", str(service.port), "--data", ":memory:", "--no-auth")
    assert (taken.returncode, "taken" in taken.stderr) == (3, True)
    used = _run("serve", "--port", str(free_port()), "--data", str(tmp_path / "data"), "--no-auth")
    assert (used.returncode, "in use" in used.stderr) == (3, True)
    (tmp_path / "file").touch()
    wrong = _run("serve", "--port", str(free_port()), "--data", str(tmp_path / "file"), "--no-auth")
    assert (wrong.returncode, "cannot be written" in wrong.stderr) == (3, True)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_finishes_running_requests_and_ends_with_0(starter: Starter, workers: str) -> None:
    service = starter(":memory:", "--workers", workers)
    made = dataset()
    body = part10(made)
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
    connection.putrequest("POST", "/v2/studies")
    for name, value in (
        ("Accept", "*/*"),
        ("Content-Type", "application/dicom"),
        ("Content-Length", str(len(body))),
    ):
        connection.putheader(name, value)
    connection.endheaders(body[:500])
    eventually(
        lambda: service.get("/health/check").status == 200, within=5, because="the first bytes should arrive"
    )
    service.process.send_signal(signal.SIGTERM)
    eventually(lambda: closed(service.port), within=10, because="no new connection should be taken")
    connection.send(body[500:])
    assert connection.getresponse().status == 200
    assert service.process.wait(timeout=20) == 0


def test_workers_share_one_store_and_end_with_their_parent(starter: Starter, tmp_path: Path) -> None:
    service = starter(tmp_path / "data", "--workers", "2")
    files = [dataset() for _ in range(20)]
    threads = [threading.Thread(target=service.store, args=(part10(made),)) for made in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(service.get(path_of(made), ORIGINAL).status == 200 for made in files)
    assert [
        entry["sequence"] for entry in service.get("/v2/changefeed?includeMetadata=false").json()
    ] == list(range(1, 21))
    service.process.kill()
    service.process.wait()
    eventually(
        lambda: closed(service.port), within=10, because="workers should end when their parent is killed"
    )


def test_race_for_one_instance_has_one_winner(service: Service) -> None:
    """STOW-066."""
    body = part10(dataset())
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(service.store(body).status)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [409] * 7


def test_patient_data_stays_out_of_the_log(starter: Starter, tmp_path: Path) -> None:
    service = starter(":memory:", "--log-level", "debug")
    made = dataset(PatientName="Secret^Name", PatientID="SECRETID")
    made["StudyDate"]._value = "SECRETDATE"
    service.store(part10(made))
    service.get("/v2/studies?PatientName=Secret^Name&foo=SECRETID")
    assert service.stop() == 0
    assert "SECRET" not in (tmp_path / "log").read_text().upper()
