"""Every complaint about the configuration names the key and the remedy."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from systems.router.config import Config, export, parse
from systems.router.errors import ConfigError
from tests.router.conftest import REPOSITORY

EXAMPLE = REPOSITORY / "systems" / "router" / "example.toml"
SECRETS = {
    "ROUTER_ADMIN_TOKEN": "hush-admin",
    "ROUTER_CLIENT_SECRET": "hush-client",
    "PACS_PASSWORD": "hush-pacs",
}


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


def example(**changes: Any) -> Config:
    """The example with values replaced: keys are dotted paths with `__` between the parts."""
    values = tomllib.loads(EXAMPLE.read_text())
    for name, value in changes.items():
        *tables, key = name.split("__")
        table = values
        for part in tables:
            table = (
                table[int(part) if part.isdigit() else part]
                if not isinstance(table, dict)
                else table.setdefault(part, {})
            )
        if value is None:
            del table[key]
        else:
            table[key] = value
    return parse(values, EXAMPLE.parent)


def test_example_has_the_addresses_of_the_demo_and_no_warnings() -> None:
    config = example()
    assert (config.cloud_bridge.ae_title, config.cloud_bridge.port) == ("QIETOAZURE", 4006)
    assert (config.modality_intake.ae_title, config.modality_intake.port) == ("QIEROUTER", 4007)
    assert config.bound_for("ORTHANC") == 8
    assert config.backoff.ceiling_seconds == 300
    assert config.warnings == ()


def test_export_holds_no_secret() -> None:
    text = str(export(example()))
    assert not any(secret in text for secret in SECRETS.values())
    assert "ROUTER_CLIENT_SECRET" in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cloud__base_url": "ftp://cloud"}, "cloud.base_url"),
        ({"cloud__base_url": "https://me:secret@cloud"}, "cloud.base_url"),
        ({"cloud__base_url": None}, "cloud.base_url: is missing"),
        ({"cloud__version": "v3"}, "cloud.version"),
        ({"cloud__ca_file": "nowhere.pem"}, "cloud.ca_file"),
        ({"cloud__credential__form": "v1"}, "cloud.credential.scope"),
        ({"cloud__credential__secret": "oops"}, "cloud.credential.secret"),
        ({"cloud__credential__secret_file": "also"}, "cloud.credential.secret_env"),
        ({"cloud__credential__secret_env": "NOT_SET_ANYWHERE"}, "NOT_SET_ANYWHERE"),
        ({"paths__cloud-bridge__port": 70000}, "paths.cloud-bridge.port"),
        ({"paths__cloud-bridge__ae_title": "MUCH-TOO-LONG-A-TITLE"}, "paths.cloud-bridge.ae_title"),
        ({"paths__cloud-bridge__prot": 1}, "did you mean port"),
        ({"paths__modality-intake__destinations": ["nowhere"]}, "nowhere"),
        ({"paths__modality-intake__destinations": []}, "paths.modality-intake.destinations"),
        ({"paths__modality-intake__allowed_networks": ["10.0.0.1/33"]}, "allowed_networks"),
        ({"paths__pacs-bridge__peer": "NOBODY"}, "NOBODY"),
        ({"backoff__ceiling_seconds": 0.5}, "backoff.ceiling_seconds"),
        ({"backoff__factor": "two"}, "backoff.factor"),
        ({"delivery__step_back_seconds": -1}, "delivery.step_back_seconds"),
        ({"delivery__step_back": 1}, "did you mean step_back_seconds"),
        ({"spool__soft_limit_percent": 95}, "spool.soft_limit_percent"),
        ({"peers__0__port": 0}, r"peers\[0\].port"),
        ({"peers__1__ae_title": "ORTHANC"}, "ORTHANC is there twice"),
        ({"destinations__0__kind": "ftp"}, r"destinations\[0\].kind"),
        ({"nonsense__key": 1}, "nonsense"),
        ({"router__data": True}, "router.data"),
    ],
)
def test_complaint_names_the_key(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("[", "[") if "\\" in message else message):
        example(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"client_id": "router"}, r"client_id.*'router'.*GUID"),
        ({"token_url": "https://login.example/tenant/oauth2/v2.0/token"}, r"token_url.*'tenant'.*GUID"),
        ({"token_url": "https://login.example/hospital.example/oauth2/token"}, None),
        ({"token_url": "https://sign-in.example/token", "client_id": "router"}, None),
    ],
)
def test_registrations_of_entra_id_are_guids(changes: dict[str, str], message: str | None) -> None:
    changed = {f"cloud__credential__{key}": value for key, value in changes.items()}
    if message is None:
        assert example(**changed).cloud.credential is not None
        return
    with pytest.raises(ConfigError, match=message):
        example(**changed)


def test_bound_not_below_the_peers_timer_is_a_warning() -> None:
    (warning,) = example(peers__0__bound_seconds=12).warnings
    assert "ORTHANC" in warning
    assert "queued" in warning


def test_check_shows_what_is_in_force_and_ends_with_2_on_a_fault(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "systems.router.cli", "check", "--config"]
    run = {
        "cwd": REPOSITORY,
        "env": {**os.environ, **SECRETS},
        "capture_output": True,
        "text": True,
    }
    good = subprocess.run([*command, str(EXAMPLE)], check=False, **run)  # type: ignore[call-overload]
    assert (good.returncode, '"QIETOAZURE"' in good.stdout) == (0, True)

    broken = tmp_path / "broken.toml"
    broken.write_text(EXAMPLE.read_text().replace("4006", '"4006"'))
    bad = subprocess.run([*command, str(broken)], check=False, **run)  # type: ignore[call-overload]
    assert bad.returncode == 2
    assert bad.stderr.count("\n") == 1
    assert "paths.cloud-bridge.port" in bad.stderr
