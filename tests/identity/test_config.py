"""The configuration file: what is wrong is named with its key, and secrets stay out of sight."""
# ruff: noqa: S106 - test secrets and a test address

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from systems.identity.config import Application, ConfigError, parse_config

GOOD: dict[str, Any] = {
    "tenant": "t-1",
    "audience": ["https://a.test/", "https://b.test"],
    "applications": [{"client_id": "c", "object_id": "o", "secret_env": "S"}],
}


def changed(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in (GOOD | changes).items() if value is not None}


def application(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = GOOD["applications"][0]
    return changed(
        applications=[{key: value for key, value in (base | changes).items() if value is not None}]
    )


def test_good_configuration(tmp_path: Path) -> None:
    config = parse_config(GOOD, tmp_path, {"S": "hush"})
    assert config.audiences == ("https://a.test", "https://b.test")
    assert config.applications == (Application("c", "o", secret="hush"),)
    assert "hush" not in repr(config)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (changed(tenant=None), "tenant"),
        (changed(tenant="../up"), "tenant"),
        (changed(tenant="admin"), "tenant"),
        (changed(audience=None), "audience"),
        (changed(audience=[]), "audience"),
        (changed(authority="http://plain.test"), "authority"),
        (changed(token_lifetime=0), "token_lifetime"),
        (changed(tokenlifetime=5), "tokenlifetime"),
        (changed(admin_key_env="NOT_SET"), "NOT_SET"),
        (application(object_id=None), "applications[1].object_id"),
        (application(secret_env=None), "applications[1].secret_file"),
        (application(secret_file="x"), "applications[1].secret_file"),
        (application(secret_env=None, secret_file="absent"), "absent"),
        (application(public=True), "applications[1].secret_file"),
        (application(roles="one"), "applications[1].roles"),
        (changed(applications=GOOD["applications"] * 2), "client_id"),
        (changed(users=[{"name": "u", "object_id": "o"}]), "users[1].password_file"),
    ],
)
def test_wrong_configuration_names_the_key(tmp_path: Path, values: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(values, tmp_path, {"S": "hush"})
    assert named in str(caught.value)
    assert "hush" not in str(caught.value)


def test_wrong_configuration_ends_with_code_two_and_one_line(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("tenant = 5\n")
    command = [sys.executable, "-m", "systems.identity.cli", "serve", "--config", str(tmp_path / "c.toml")]
    ended = subprocess.run(
        [*command, "--tls-cert", "x", "--tls-key", "y"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert "tenant" in ended.stderr
