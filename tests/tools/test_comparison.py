"""The page that compares systems: built from results, honest about what did not run, and true to the profiles in git."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tools.common import Stop
from tools.comparison import COLUMNS, PAGE, PROFILES, page, read_column


def record(claim: str, verdict: str, *tests: str, reason: str = "") -> dict[str, Any]:
    made = [{"nodeid": f"t{n}", "verdict": one, "seconds": 0} for n, one in enumerate(tests)]
    return {
        "id": claim,
        "title": f"About {claim}",
        "suite": "demo",
        "verdict": verdict,
        "reason": reason,
        "tests": made,
    }


def write(
    folder: Path, profile: str, *records: dict[str, Any], named: str | None = None, number: int = 1
) -> None:
    (folder / profile / str(number)).mkdir(parents=True)
    run = {
        "started": f"2026-11-22T11:0{number}:00+00:00",
        "profile": named or profile,
        "runner": "process",
        "finished": "2026-11-22T12:00:00+00:00",
        "versions": {},
    }
    text = json.dumps({"run": run, "records": records})
    (folder / profile / str(number) / "conformance.json").write_text(text)
    (folder / f"{profile}.toml").write_text(
        '[[deviations]]\nrecord = "C-1"\nreason = "It is | so."\nlink = "l"\n'
        if profile != "reference"
        else ""
    )


def test_page_has_each_claim_with_its_reason(tmp_path: Path) -> None:
    write(tmp_path, "reference", record("C-1", "pass", "pass", "pass"), record("C-2", "hole"))
    write(tmp_path, "orthanc-cloud", record("C-1", "known-deviation", "known-deviation", "pass"))
    write(
        tmp_path, "orthanc-router", record("C-1", "not-applicable", "not-applicable", reason="lacks it\nmore")
    )
    text = page([read_column(profile, tmp_path, tmp_path) for profile in COLUMNS])
    assert "| C-1: About C-1 | holds | **does not hold** (1 of 2 checks) | not applicable |" in text
    assert "- C-1, does not hold: It is \\| so." in text
    assert "C-2" not in text


def test_later_result_of_a_check_counts_and_what_did_not_run_again_stays(tmp_path: Path) -> None:
    write(tmp_path, "reference", record("C-1", "fail", "fail", "pass"), record("C-2", "pass", "pass"))
    write(tmp_path, "reference", record("C-1", "pass", "pass"), record("C-2", "not-run", "not-run"), number=2)
    records = read_column("reference", tmp_path, tmp_path).records
    assert (records["C-1"].verdict, records["C-2"].verdict) == ("pass", "pass")
    assert records["C-1"].checks == {"pass": 2}


def test_listed_claim_that_holds_and_listed_records_that_are_no_claims_are_told(tmp_path: Path) -> None:
    write(tmp_path, "orthanc-cloud", record("C-1", "pass", "pass"))
    profile = tmp_path / "orthanc-cloud.toml"
    profile.write_text(profile.read_text() + '[[deviations]]\nrecord = "R-1"\nreason = "As R."\nlink = "l"\n')
    text = page([read_column("orthanc-cloud", tmp_path, tmp_path)])
    assert "| C-1: About C-1 | **holds, though it is listed as a deviation** |" in text
    assert "- R-1, does not hold: As R." in text


def test_missing_or_foreign_results_stop_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(Stop, match="--run"):
        read_column("reference", tmp_path, tmp_path)
    write(tmp_path, "reference", named="azure")
    with pytest.raises(Stop, match="azure"):
        read_column("reference", tmp_path, tmp_path)


@pytest.mark.parametrize("profile", [name for name in COLUMNS if name != "reference"])
def test_every_deviation_of_the_profiles_is_on_the_page_in_git(profile: str) -> None:
    deviations = tomllib.loads((PROFILES / f"{profile}.toml").read_text("utf-8")).get("deviations", ())
    told = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("- ")]
    missing = [
        one["record"]
        for one in deviations
        if not any(line.startswith(f"- {one['record']},") and line.endswith(one["reason"]) for line in told)
    ]
    assert not missing, "write the page anew: python3 -m tools.comparison"
