"""A cloud with its viewer for each module, and a fresh browser for each test.

`stand` has cloud, identity provider and viewer, and with `on_prem = True` in the module the hospital's side too.
`viewer` is a browser with an empty profile, nowhere yet.
"""

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from fixtures.clients.browser import Browser, browser
from fixtures.data import Run
from fixtures.deployment.deploy import choose_runner, deploy
from fixtures.deployment.deployment import Overrides
from fixtures.deployment.spec import SystemSpec
from fixtures.reporting.evidence import Evidence
from fixtures.reporting.run import RunRecord
from fixtures.traceability import Profile, blocked
from fixtures.viewer.ohif import Ohif
from fixtures.viewer.ready import obstacle
from suites.viewer.stand import Stand

_RUNS = Path(".local/runs")
_OWN = count(1)


@pytest.fixture(scope="module")
def stand(request: pytest.FixtureRequest, profile: Profile, run_record: RunRecord) -> Iterator[Stand]:
    """The systems of one module."""
    config = request.config
    named = config.getoption("--runner") or (profile.runner if profile.runner == "external" else None)
    runner = named or choose_runner(None)
    why = obstacle(runner)
    if why:
        blocked(why)
    run_id = f"{run_record.run_id}{_worker()}-viewer{next(_OWN)}"
    overrides = {} if getattr(request.module, "on_prem", False) else _CLOUD_ONLY
    with deploy(
        profile, runner, config.rootpath / _RUNS / run_id, overrides=overrides, also=("viewer",)
    ) as up:
        run_record.version("runner", up.runner)
        secrets = [one.secret for one in up.identity.applications.values()]
        for secret in (up.viewer.password, up.identity.admin_key, *secrets):
            if secret:
                run_record.secrets.add(secret)
        yield Stand(up, Run(run_id))


@pytest.fixture
def viewer(stand: Stand, tmp_path: Path, evidence: Evidence, profile: Profile) -> Iterator[Ohif]:
    """The viewer in a browser that has never been used, not loaded yet."""
    with browser(tmp_path / "home", stand.deployment.viewer.ca_file) as started:
        yield _opened(started, stand, evidence, profile)


@pytest.fixture
def answered(stand: Stand, tmp_path: Path, evidence: Evidence, profile: Profile) -> Iterator[Ohif]:
    """The same in a browser whose requests a test may answer itself (`browser.context.route`)."""
    with browser(tmp_path / "answered", stand.deployment.viewer.ca_file, workers=False) as started:
        yield _opened(started, stand, evidence, profile)


def _opened(started: Browser, stand: Stand, evidence: Evidence, profile: Profile) -> Ohif:
    evidence.on_failure("what the browser asked for", lambda: _requests(started), "text/plain")
    if profile.data == "synthetic":  # a screen shows whom it shows
        evidence.on_failure("the screen", started.page.screenshot, "image/png")
    return Ohif(started, stand.deployment.viewer)


def _requests(started: Browser) -> str:
    """Without queries: they name patients."""
    lines = [
        f"{one.status or one.failure} {one.method} https://{one.host}{one.path}"
        for one in started.record.requests
    ]
    return "\n".join([*lines[-300:], "", "Errors of the page:", *started.record.errors])


def _absent(_: SystemSpec) -> None:
    return None


_CLOUD_ONLY: Overrides = {"pacs": _absent, "router": _absent, "link": _absent}


def _worker() -> str:
    name = os.environ.get("PYTEST_XDIST_WORKER", "")
    return f"-{name}" if name else ""
