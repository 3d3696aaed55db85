"""Profiles: those of the repository load, and every fault names its key."""

from pathlib import Path

import pytest

from fixtures.traceability import Catalogue, Profile, ProfileProblem
from tests.traceability.conftest import REPOSITORY

HEAD = 'name = "ours"\ndescription = "Ours"\n'


def load(tmp_path: Path, text: str, catalogue: Catalogue) -> Profile:
    path = tmp_path / "ours.toml"
    path.write_text(HEAD + text)
    return Profile.load(path, catalogue=catalogue)


@pytest.mark.parametrize(
    "name", ["reference", "azure", "external-example", "orthanc-cloud", "orthanc-router"]
)
def test_profiles_of_the_repository_are_valid(catalogue: Catalogue, name: str) -> None:
    profile = Profile.load(name, folder=REPOSITORY / "profiles", catalogue=catalogue)
    assert profile.name == name
    assert profile.capabilities


def test_reference_has_all_it_declares_and_defaults_to_docker(catalogue: Catalogue) -> None:
    profile = Profile.load("reference", folder=REPOSITORY / "profiles", catalogue=catalogue)
    assert profile.runner == "docker"
    assert profile.capabilities == profile.declared
    assert {
        "link",
        "control",
        "identity-admin",
        "http-interposer",
        "migration",
        "viewer",
    } <= profile.capabilities
    assert not profile.deviations


def test_capability_needs_its_permission(tmp_path: Path, catalogue: Catalogue) -> None:
    profile = load(
        tmp_path, "[capabilities]\nlink = true\nviewer = true\n[allow]\nfaults = false\n", catalogue
    )
    assert profile.capabilities == {"viewer"}
    assert profile.lacks("viewer") is None
    assert "does not allow 'faults'" in str(profile.lacks("link"))
    assert "has no capability 'control'" in str(profile.lacks("control"))


def test_deviations_and_bounds_are_read(tmp_path: Path, catalogue: Catalogue) -> None:
    text = '[bounds]\nsettle = 5\n[[deviations]]\nrecord = "CLAIM-DUAL-01"\nreason = "r"\nlink = "l"\nsince = 2026-01-31\n'
    profile = load(tmp_path, text, catalogue)
    assert profile.bounds.settle == 5.0
    assert profile.deviations["CLAIM-DUAL-01"].reason == "r"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nmae = 1", "`nmae` is not a known key"),
        ('data = "live"', "`data` is 'live'"),
        ('[runner]\ndefault = "podman"', "`runner.default` is 'podman'"),
        ("[bounds]\nsettle = -1", "`bounds.settle` is -1"),
        ("[bounds]\nsetle = 1", "`bounds.setle` is not a known key"),
        ("[allow]\neverything = true", "`allow.everything` is not a known name"),
        ("[capabilities]\nlnk = true", "`capabilities.lnk` is not a known name"),
        ('[capabilities]\nlink = "yes"', "it is true or false"),
        ("[roles.pax]\nhost = 'x'", "`roles.pax` is not a known role"),
        ("[roles.pacs]\nhots = 'x'", "`roles.pacs.hots` is not a known key"),
        ("[roles.pacs]\nport = 0", "`roles.pacs.port` is 0"),
        (
            "[roles.pacs]\npassword = 'x'",
            "would hold a secret; name an environment variable instead: password_env",
        ),
        ("[roles.identity.applications]\nowner = { client_id = 'x', secret = 'y' }", "has exactly the keys"),
        ("[[deviations]]\nrecord = 'CLAIM-DUAL-01'\nlink = 'l'", "`reason` is missing"),
        ("[[deviations]]\nrecord = 'CLAIM-DUAL-77'\nreason = 'r'\nlink = 'l'", "nearest: CLAIM-DUAL"),
        (
            "[[deviations]]\nrecord = 'CLAIM-DUAL-01'\nreason = 'r'\nlink = 'l'\nsince = '2026'",
            "`since` is a date",
        ),
        ("runner = 'docker'", "`runner` must be a table"),
        ("[", "cannot be read"),
    ],
)
def test_faults_name_the_key(tmp_path: Path, catalogue: Catalogue, text: str, message: str) -> None:
    with pytest.raises(ProfileProblem) as caught:
        load(tmp_path, text, catalogue)
    assert message in str(caught.value)
    assert caught.value.exit_code == 2


def test_unknown_name_lists_the_known_ones(catalogue: Catalogue) -> None:
    with pytest.raises(
        ProfileProblem,
        match="always-200, azure, external-example, orthanc-cloud, orthanc-dicomweb, orthanc-router, reference",
    ):
        Profile.load("nosuch", folder=REPOSITORY / "profiles", catalogue=catalogue)
