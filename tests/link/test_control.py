"""The control interface and the command line."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from systems.link.config import Address, ConfigError, parse_config
from tests.link.conftest import KEY, Running

GOOD: dict[str, Any] = {
    "control": "127.0.0.1:9000",
    "control_key_env": "K",
    "routes": [{"name": "a", "mode": "tcp", "listen": "[::1]:1", "target": "host.test:2"}],
}


def route(**changes: Any) -> dict[str, Any]:
    return GOOD | {"routes": [GOOD["routes"][0] | changes]}


def test_key_is_needed(link: Running) -> None:
    assert link.request("GET", "/routes")[0] == 200
    assert link.request("GET", "/routes", key="wrong")[0] == 401
    assert link.request("PUT", "/routes/raw/fault", {"kind": "refuse"}, key="")[0] == 401
    assert link.request("GET", "/health", key="")[0] == 200


def test_routes_are_listed(link: Running) -> None:
    rows = {row["name"]: row for row in link.request("GET", "/routes")[1]}
    assert set(rows) == {"raw", "web", "plain", "stranger"}
    assert (rows["raw"]["mode"], rows["web"]["mode"]) == ("tcp", "http")
    assert rows["raw"]["fault"] == {"kind": "pass"}
    link.fault("raw", "cut-after", bytes=7, direction="up")
    assert link.route("raw")["fault"] == {"kind": "cut-after", "bytes": 7, "direction": "up"}


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ([], "object"),
        ({"kind": "magic"}, "kind"),
        ({"kind": "delay"}, "seconds"),
        ({"kind": "delay", "seconds": 0}, "seconds"),
        ({"kind": "delay", "seconds": 1, "direction": "left"}, "direction"),
        ({"kind": "bandwidth", "bytes_per_second": 0}, "bytes_per_second"),
        ({"kind": "cut-after", "bytes": "7"}, "bytes"),
        ({"kind": "refuse", "seconds": 1}, "seconds"),
    ],
)
def test_wrong_faults_are_refused_and_change_nothing(link: Running, document: object, named: str) -> None:
    status, answer = link.request("PUT", "/routes/raw/fault", document)
    assert status == 400
    assert named in answer["error"]
    assert link.route("raw")["fault"] == {"kind": "pass"}


def test_unknown_routes_and_wrong_modes(link: Running) -> None:
    assert link.request("DELETE", "/routes/nowhere/fault")[0] == 404
    assert link.request("GET", "/routes/raw/exchanges")[0] == 409
    assert link.request("GET", "/routes/web/exchanges?since=x")[0] == 400


def test_good_configuration(tmp_path: Path) -> None:
    config = parse_config(GOOD, tmp_path, {"K": KEY})
    assert config.routes[0].listen == Address("::1", 1)
    assert config.routes[0].target == Address("host.test", 2)
    assert KEY not in repr(config)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (GOOD | {"control": "9000"}, "control"),
        (GOOD | {"control_key_env": "ABSENT"}, "ABSENT"),
        (GOOD | {"routes": []}, "routes"),
        (GOOD | {"routes": GOOD["routes"] * 2}, "occurs twice"),
        (GOOD | {"extra": 1}, "extra"),
        (route(mode="udp"), "routes[1].mode"),
        (route(target="host.test"), "routes[1].target"),
        (route(listen="host:99999"), "routes[1].listen"),
        (route(target_ca="x"), "routes[1].target_ca"),
        (route(mode="http", tls_cert="absent.pem"), "routes[1].tls_cert"),
        (route(name="a b"), "routes[1].name"),
        (route(nmae="x"), "routes[1].nmae"),
    ],
)
def test_wrong_configuration_names_the_key(tmp_path: Path, values: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(values, tmp_path, {"K": KEY})
    assert named in str(caught.value)


def run(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "c.toml").write_text(text)
    command = [sys.executable, "-m", "systems.link.cli", "serve", "--config", str(folder / "c.toml")]
    environment = os.environ | {"K": KEY}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=20)


def test_wrong_configuration_ends_with_two_and_a_taken_port_with_three(tmp_path: Path, link: Running) -> None:
    wrong = run(tmp_path, "control = 1\n")
    text = 'control = "127.0.0.1:0"\ncontrol_key_env = "K"\n[[routes]]\nname = "a"\nmode = "tcp"\ntarget = "x:1"\n'
    taken = run(tmp_path, f'{text}listen = "127.0.0.1:{link.ports["raw"]}"\n')
    assert (wrong.returncode, taken.returncode) == (2, 3)
    assert len(wrong.stderr.splitlines()) == len(taken.stderr.splitlines()) == 1
