"""The runner `external`: endpoints from the profile, messages that name the key."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fixtures.deployment.deploy import deploy
from fixtures.deployment.endpoints import DimseAddress
from fixtures.deployment.errors import ProfileProblem

CLOUD = {"url": "https://dicom.example/", "version": "v2", "audience": "https://dicom.example"}


@dataclass(frozen=True)
class Profile:
    roles: Mapping[str, Mapping[str, Any]]
    name: str = "ours"
    systems: Mapping[str, str] = field(default_factory=dict)


def test_endpoints_come_from_the_profile_and_secrets_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWNER_SECRET", "s3cret")
    roles: dict[str, dict[str, Any]] = {
        "cloud": CLOUD,
        "router": {
            "bridge": {"ae_title": "B", "host": "router", "port": 4006},
            "intake": {"ae_title": "I", "host": "router", "port": 4007},
        },
        "identity": {
            "authority": "https://login.example",
            "tenant": "t",
            "applications": {"owner": {"client_id": "c", "secret_env": "OWNER_SECRET"}},
        },
        "workstation": {
            "ae_title": "WORKSTATION",
            "host": "here.example",
            "port": 11112,
            "bind_host": "0.0.0.0",  # noqa: S104 - never bound here
            "bind_port": 11113,
        },
    }
    with deploy(Profile(roles), "external", tmp_path / "r") as up:
        assert up.control is None
        assert up.cloud.url == "https://dicom.example"
        assert up.router.bridge == DimseAddress("B", "router", 4006)
        assert up.router.admin_url == ""
        assert up.identity.applications["owner"].secret == "s3cret"  # noqa: S105
        assert (up.workstation.port, up.workstation_bind.port) == (11112, 11113)
        assert up.link is None
        assert not up.has("pacs")
        with pytest.raises(ProfileProblem, match=r"roles\.pacs"):
            _ = up.pacs
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ({}, "no .roles.* table"),
        ({"cloud": {**CLOUD, "url": "dicom.example"}}, r"roles\.cloud\.url.*https://host:port"),
        ({"link": {"control_url": "http://l:1", "control_key_env": "UNSET_X"}}, "UNSET_X, which is not set"),
        ({"pacs": {"ae_title": "A", "host": "h", "port": 0}}, r"roles\.pacs\.port.*1 to 65535"),
        ({"cloud": {**CLOUD, "ca_file": "absent.pem"}}, r"absent\.pem, which is not there"),
        ({"router": {"bridge": "x"}}, r"\[roles\.router\.bridge\]"),
    ],
)
def test_wrong_profile_is_refused_with_key_and_remedy(
    roles: Mapping[str, Mapping[str, Any]], message: str, tmp_path: Path
) -> None:
    with (
        pytest.raises(ProfileProblem, match=f"(?s){message}"),
        deploy(Profile(roles), "external", tmp_path / "r"),
    ):
        pytest.fail("a profile that cannot be used must not deploy")
