"""The nightly workflow by its text: what it may do, and that it hands over what the nightly run reads. A lint, not a run."""

import re
from typing import Any, cast

import pytest
import yaml

from tools.common import CHECKOUT
from tools.nightly_plan import GROUPS, NEEDED, READER

TEXT = (CHECKOUT / ".github" / "workflows" / "nightly.yml").read_text("utf-8")
WORKFLOW: dict[str, Any] = yaml.safe_load(TEXT)
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]


def steps(job: str) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", JOBS[job]["steps"])


def test_nothing_is_permitted_that_a_job_does_not_need() -> None:
    assert WORKFLOW["permissions"] == {}
    assert JOBS["reference"]["permissions"] == {"contents": "read"}
    assert JOBS["hosted"]["permissions"] == {"contents": "read", "id-token": "write"}


def test_no_secret_is_read() -> None:
    assert "secrets." not in TEXT


def test_strangers_do_not_start_it() -> None:
    """`on` is read as true by YAML 1.1."""
    assert set(cast("dict[Any, Any]", WORKFLOW)[True]) == {"schedule", "workflow_dispatch"}


def test_actions_are_of_github_itself_and_pinned_by_major_version() -> None:
    used = [step["uses"] for job in JOBS for step in steps(job) if "uses" in step]
    assert used
    for action in used:
        assert re.fullmatch(r"actions/[a-z/-]+@v\d+", action), action


def test_hosted_job_hands_over_every_variable_of_the_nightly_run() -> None:
    names = {*NEEDED, READER}
    assert JOBS["hosted"]["env"] == {name: f"${{{{ vars.{name} }}}}" for name in names}


def test_hosted_job_runs_where_any_needed_variable_is_set() -> None:
    """Half a description has to fail by name."""
    assert set(re.findall(r"vars\.(\w+) != ''", JOBS["hosted"]["if"])) == set(NEEDED)


@pytest.mark.parametrize("job", ["reference", "hosted"])
def test_each_job_runs_its_parts_and_keeps_what_came_of_them(job: str) -> None:
    commands = [step["run"] for step in steps(job) if "make nightly" in step.get("run", "")]
    assert len(commands) == 1
    assert f"--only {job} " in commands[0]
    assert job in GROUPS
    kept = [step for step in steps(job) if "upload-artifact" in step.get("uses", "")]
    assert [step["with"]["path"] for step in kept] == ["reports/out/nightly"]
    assert kept[0]["if"] == "${{ !cancelled() }}", "a red night is the one whose report is wanted"


@pytest.mark.parametrize("job", ["reference", "hosted"])
def test_history_of_a_job_goes_from_night_to_night(job: str) -> None:
    restore, save = (step["with"] for step in steps(job) if "actions/cache/" in step.get("uses", ""))
    assert restore["path"] == save["path"]
    assert restore["key"] == save["key"]
    assert save["key"].startswith(restore["restore-keys"])
