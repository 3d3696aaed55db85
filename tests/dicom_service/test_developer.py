"""The switches for developers: faults by rule and an empty store, under a key."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydicom.uid import generate_uid

from tests.dicom_service.conftest import Answer, Service, Starter, dataset, free_port, part10, path_of
from tests.dicom_service.test_security import Tenant

_KEY = "not-a-secret"


@pytest.fixture
def switched(starter: Starter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Service:
    """A service whose switches are open."""
    monkeypatch.setenv("SWITCH_KEY", _KEY)
    return starter(tmp_path / "data", "--admin-key-env", "SWITCH_KEY")


def _admin(service: Service, method: str, path: str, value: Any = None, key: str | None = _KEY) -> Answer:
    body = b"" if value is None else json.dumps(value).encode()
    return service.request(method, f"/admin/{path}", body, {"X-Admin-Key": key})


def _rules(service: Service, *rules: dict[str, Any]) -> None:
    answer = _admin(service, "PUT", "faults", list(rules))
    assert answer.status == 204, answer.body


def test_throttling(switched: Service) -> None:
    """A rule answers chosen requests with its status and Retry-After, as often as it says; others pass."""
    action = {"status": 429, "headers": {"Retry-After": "7"}, "body": "Too many requests."}
    _rules(
        switched,
        {"name": "busy", "match": {"method": "GET", "path_regex": "/studies", "times": 2}, "action": action},
    )
    answers = [switched.get("/v2/studies", accept="application/dicom+json") for _ in range(3)]
    assert [answer.status for answer in answers] == [429, 429, 204]
    assert (answers[0].headers["retry-after"], answers[0].body) == ("7", b"Too many requests.")
    assert switched.get("/v2/changefeed").status == 200
    assert switched.store(part10(dataset())).status == 200, "another method"
    assert _admin(switched, "GET", "faults").json() == [{"name": "busy", "matched": 3, "hits": 2}]
    assert _admin(switched, "DELETE", "faults").status == 204
    assert switched.get("/v2/studies", accept="application/dicom+json").status == 200


def test_every_other_request_fails(switched: Service) -> None:
    """`skip` and `every` choose which of the matching requests."""
    _rules(
        switched, {"match": {"path_regex": "changefeed", "skip": 1, "every": 2}, "action": {"status": 503}}
    )
    statuses = [switched.get("/v2/changefeed").status for _ in range(5)]
    assert statuses == [200, 503, 200, 503, 200]


def test_a_failed_store_stores_nothing(switched: Service) -> None:
    """An injected error comes before the request is carried out, also one with a body."""
    made = dataset()
    _rules(switched, {"match": {"method": "POST", "times": 1}, "action": {"status": 503}})
    assert switched.store(part10(made)).status == 503
    assert switched.get(path_of(made) + "/metadata").status == 404
    assert switched.store(part10(made)).status == 200


def test_latency(switched: Service) -> None:
    """A delay alone lets the request pass, later."""
    _rules(switched, {"match": {"path_regex": "limit=1$"}, "action": {"delay": 0.4}})
    started = time.monotonic()
    assert switched.get("/v2/changefeed?limit=1").status == 200
    assert time.monotonic() - started >= 0.4


def test_reset(switched: Service) -> None:
    """Reset empties the store, large files and work items included, and takes all rules back."""
    made = dataset()
    large = dataset(Rows=1024, Columns=1024, PixelData=b"\1\2" * (1 << 20))
    for one in (made, large):
        assert switched.store(part10(one)).status == 200
    sequence = switched.get("/v2/changefeed/latest").json()["sequence"]
    _rules(switched, {"match": {"path_regex": "metadata"}, "action": {"status": 500}})
    assert _admin(switched, "POST", "reset").status == 204
    for one in (made, large):
        assert switched.get(path_of(one) + "/metadata").status == 404
    assert switched.get("/v2/changefeed").json() == []
    assert switched.store(part10(made)).status == 200
    assert switched.get("/v2/changefeed/latest").json()["sequence"] > sequence, (
        "numbers are not given out again"
    )
    assert switched.stop() == 0


def test_clock(starter: Starter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A token expires when the clock is moved on, is not valid yet when it is moved back, and rules stay."""
    certificates = trustme.CA()
    certificates.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tenant = Tenant(free_port(), tmp_path)
    tenant.rotate()
    tenant.up(certificates)
    monkeypatch.setenv("SWITCH_KEY", _KEY)
    authority = ("--authority", tenant.authority, "--authority-ca", str(tmp_path / "ca.pem"))
    service = starter(tmp_path / "data", *authority, "--admin-key-env", "SWITCH_KEY", auth=True)
    service.headers["Authorization"] = f"Bearer {tenant.token()}"
    _rules(service, {"name": "kept", "match": {"path_regex": "nowhere"}, "action": {"status": 500}})
    for offset, status in ((0, 200), (3600 + 301, 401), (3600 + 100, 200), (-900, 401), (-100, 200)):
        assert _admin(service, "PUT", "clock", {"offset": offset}).status == 204
        assert service.get("/v2/changefeed").status == status, offset
    assert [rule["name"] for rule in _admin(service, "GET", "faults").json()] == ["kept"]
    malformed: list[Any] = [{}, {"offset": "1"}, {"offset": True}, {"offset": 1e12}, []]
    for bad in malformed:
        assert _admin(service, "PUT", "clock", bad).status == 400
    assert tenant.server is not None
    tenant.server.shutdown()
    tenant.server.server_close()


def test_key(switched: Service) -> None:
    """Without the key nothing is told or changed."""
    for key in (None, "", "wrong"):
        for method, path in (("GET", "faults"), ("PUT", "faults"), ("POST", "reset")):
            assert _admin(switched, method, path, [], key).status == 401
    assert _admin(switched, "GET", "nothing").status == 404
    assert _KEY not in switched.log.read_text()


def test_closed_without_a_key(service: Service) -> None:
    """Nobody can switch a service that was given no key."""
    for key in (None, "", "None"):
        assert _admin(service, "GET", "faults", key=key).status == 404


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        ({}, "list"),
        ([1], "Rule 1"),
        ([{"match": {"verb": "GET"}, "action": {"status": 500}}], "verb"),
        ([{"action": {"status": 200}}], "status"),
        ([{"action": {}}], "delay"),
        ([{"action": {"delay": -1}}], "delay"),
        ([{"match": {"path_regex": "("}, "action": {"delay": 1}}], "path_regex"),
        ([{"match": {"every": 0}, "action": {"delay": 1}}], "every"),
        ([{"action": {"status": 500, "headers": []}}], "headers"),
    ],
)
def test_bad_rules(switched: Service, rules: Any, named: str) -> None:
    """A rule that is wrong is refused by name, and the rules of before stay."""
    _rules(switched, {"name": "kept", "match": {"path_regex": generate_uid()}, "action": {"status": 500}})
    answer = _admin(switched, "PUT", "faults", rules)
    assert answer.status == 400
    assert named in answer.body.decode()
    assert [rule["name"] for rule in _admin(switched, "GET", "faults").json()] == ["kept"]


def test_key_that_is_not_set() -> None:
    """A variable that is not there ends the start with the remedy."""
    command = [
        sys.executable,
        "-m",
        "systems.dicom_service.cli",
        "serve",
        "--port",
        "1",
        "--data",
        ":memory:",
    ]
    ended = subprocess.run(
        [*command, "--no-auth", "--admin-key-env", "NO_SUCH_VARIABLE"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        timeout=30,
    )
    assert ended.returncode == 2
    assert "NO_SUCH_VARIABLE" in ended.stderr
