"""Where patients' data are, no content goes into the report (CLAIM-INTEGRITY-07)."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.reporting.judging import evidence_of
from fixtures.reporting.secrets import Secrets
from fixtures.traceability import Catalogue, Profile

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("data", ["real", "synthetic"])
def test_attachments_of_a_real_profile_are_sizes_and_digests(data: str, tmp_path: Path) -> None:
    profile = Profile.load(
        "reference", folder=ROOT / "profiles", catalogue=Catalogue.load(ROOT / "requirements")
    )
    evidence = evidence_of(replace(profile, data=data), tmp_path, Secrets())
    evidence.attach_text("a search", "Doe^Jane")
    evidence.on_failure("exchanges.har", lambda: b"Doe^Jane", "application/json")
    evidence.collect_on_failure()
    contents = [path.read_bytes() for path in tmp_path.iterdir()]
    assert len(contents) == 2
    assert all((b"Doe^Jane" in content) == (data == "synthetic") for content in contents)
    if data == "real":
        assert all(hashlib.sha256(b"Doe^Jane").hexdigest().encode() in content for content in contents)
