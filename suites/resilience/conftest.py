"""A DICOM service that may be killed, with its identity provider and nothing else."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from fixtures.data import Run
from fixtures.deployment.deploy import choose_runner, deploy
from fixtures.deployment.deployment import Deployment, Overrides
from fixtures.deployment.spec import SystemSpec
from fixtures.evidence.exchange import Recorder
from fixtures.reporting.run import RunRecord
from fixtures.traceability import Profile
from fixtures.world.stage import cast_of, make_world, turn, world
from suites.azure.service import Service
from suites.router.deployed import deployed

__all__ = ["cast_of", "make_world", "turn", "world"]

_RUNS = Path(".local/runs")
_ROUNDS = "CONFORMANCE_KILL_ROUNDS"
_FEW = 3
_NUMBERS = count(1)

ServiceOf = Callable[..., AbstractContextManager[Service]]


@pytest.fixture(scope="session")
def this_run(run_record: RunRecord) -> Run:
    """The names under which everything of this run lies; each xdist worker has its own."""
    return Run(run_record.run_id + _worker())


@pytest.fixture(scope="session")
def deployment(
    pytestconfig: pytest.Config, profile: Profile, run_record: RunRecord, this_run: Run
) -> Iterator[Deployment]:
    """All systems, for the tests of the router."""
    with deployed(pytestconfig, profile, this_run, "routing") as up:
        run_record.version("runner", up.runner)
        yield up


@pytest.fixture(scope="session")
def rounds() -> int:
    """How often the service is killed in each test: CONFORMANCE_KILL_ROUNDS, 3 by default."""
    text = os.environ.get(_ROUNDS, str(_FEW))
    if not text.isdigit() or int(text) < 1:
        raise pytest.UsageError(f"{_ROUNDS}={text}: give a number of rounds, 1 or more")
    return int(text)


@pytest.fixture(scope="session")
def service_of(pytestconfig: pytest.Config, profile: Profile, run_record: RunRecord) -> ServiceOf:
    """Starts a service with further command line options; the test carries `@needs("control")`."""

    @contextmanager
    def start(*options: str) -> Iterator[Service]:
        runner = pytestconfig.getoption("--runner") or (
            profile.runner if profile.runner == "external" else choose_runner(None)
        )
        name = f"{run_record.run_id}{_worker()}-resilience{next(_NUMBERS)}"
        run_dir = pytestconfig.rootpath / _RUNS / name
        with deploy(profile, runner, run_dir, overrides=_overrides(options)) as deployment:
            run_record.version("runner", deployment.runner)
            identity = deployment.identity
            for secret in (identity.admin_key, *(one.secret for one in identity.applications.values())):
                run_record.secrets.add(secret)
            yield Service(deployment, Recorder(), profile.bounds.settle)

    return start


def _overrides(options: tuple[str, ...]) -> Overrides:
    def absent(_: SystemSpec) -> None:
        return None

    def with_options(spec: SystemSpec) -> SystemSpec:
        return replace(spec, command=(*spec.command, *options))

    return {"pacs": absent, "router": absent, "link": absent, "cloud": with_options}


def _worker() -> str:
    name = os.environ.get("PYTEST_XDIST_WORKER", "")
    return f"-{name}" if name else ""
