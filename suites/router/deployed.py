"""A session's deployment under a name of its own: several suites may run in one session, each with its systems."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fixtures.data import Run
from fixtures.deployment.deploy import choose_runner, deploy
from fixtures.deployment.deployment import Deployment, Overrides
from fixtures.reporting.run import suite_run
from fixtures.traceability import Profile

_RUNS = Path(".local/runs")


@contextmanager
def deployed(
    config: pytest.Config, profile: Profile, run: Run, name: str, overrides: Overrides | None = None
) -> Iterator[Deployment]:
    """The profile's systems, in the sabotaged world that was asked for; with `overrides` a changed one."""
    runner = config.getoption("--runner") or (
        profile.runner if profile.runner == "external" else choose_runner(None)
    )
    run_dir = config.rootpath / _RUNS / f"{run.run_id}-{name}"
    if overrides is not None:
        with deploy(profile, runner, run_dir, overrides=overrides) as changed:
            yield changed
        return
    sabotage = suite_run(config).sabotage
    bring_up = deploy if sabotage is None else sabotage.deployed
    with bring_up(profile, runner, run_dir, keep=bool(config.getoption("--keep"))) as up:
        yield up
