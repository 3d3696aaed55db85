"""One DICOM service for the session, its callers, and instances of one's own.

Fixtures: `v1` and `v2` are the owner's DICOMweb clients, `web` is either (a test that takes it runs for both), `service` has
everybody else's; `make` makes instances and deletes their studies when the module ends; `special_service` starts a
service of the test's own with other options.
"""

import json
import os
import ssl
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from urllib.parse import quote

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.data import Run
from fixtures.deployment.deploy import choose_runner, deploy
from fixtures.deployment.deployment import Deployment, Overrides
from fixtures.deployment.spec import Probe, Running, SystemSpec
from fixtures.evidence.curl import to_curl
from fixtures.evidence.exchange import Recorder, http_only
from fixtures.evidence.har import to_har
from fixtures.reporting.evidence import Evidence
from fixtures.reporting.run import RunRecord
from fixtures.traceability import Profile
from fixtures.traceability.verdicts import Blocked
from suites.azure.data import Maker
from suites.azure.service import VERSIONS, Service
from suites.azure.tags import Tags, tags_of
from suites.azure.unreadable import misread
from suites.azure.workitems import WorkItems

_RUNS = Path(".local/runs")
_OWN = count(1)
SpecialService = Callable[..., AbstractContextManager[Service]]


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> Generator[None, object, object]:
    """An answer that the check could not read is a failure of the service, see `unreadable`."""
    try:
        return (yield)
    except Exception as error:
        if misread(error):
            raise AssertionError(f"the answer cannot be read: {type(error).__name__}: {error}") from error
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    """What a fixture needs of the service and does not get blocks the test."""
    try:
        return (yield)
    except Exception as error:
        if isinstance(error, AssertionError) or misread(error):
            raise Blocked(f"what the check begins with is not there: {error}") from error
        raise


@pytest.fixture(scope="session")
def this_run(run_record: RunRecord) -> Run:
    """The names under which everything of this run lies; each xdist worker has its own."""
    return Run(f"{run_record.run_id}{_worker()}")


@pytest.fixture(scope="session")
def recorder() -> Recorder:
    """Every exchange of the session, the newest 2000."""
    return Recorder()


@pytest.fixture(scope="session")
def service(
    pytestconfig: pytest.Config, profile: Profile, run_record: RunRecord, recorder: Recorder
) -> Iterator[Service]:
    """The DICOM service and its identity provider, up for the whole session."""
    with _deployed(pytestconfig, profile, run_record, "-azure") as deployment:
        run_record.version("runner", deployment.runner)
        yield Service(deployment, recorder, profile.bounds.settle)


@pytest.fixture(scope="session")
def special_service(
    pytestconfig: pytest.Config, profile: Profile, run_record: RunRecord, recorder: Recorder
) -> SpecialService:
    """Starts a service of one's own with further command line options.

    `with special_service("--max-file-size", "1000") as own:` takes some seconds; the test carries `@needs("control")`.
    `without=("--authority",)` takes options of the reference away, with their values.
    """

    @contextmanager
    def start(*options: str, without: tuple[str, ...] = ()) -> Iterator[Service]:
        suffix = f"-azure-own{next(_OWN)}"
        with _deployed(pytestconfig, profile, run_record, suffix, options, without) as deployment:
            yield Service(deployment, recorder, profile.bounds.settle)

    return start


@pytest.fixture(scope="session")
def v1(service: Service) -> DicomWeb:
    """The owner on API version 1."""
    return service.web(version="v1")


@pytest.fixture(scope="session")
def v2(service: Service) -> DicomWeb:
    """The owner on API version 2."""
    return service.web(version="v2")


@pytest.fixture(scope="session", params=VERSIONS)
def web(request: pytest.FixtureRequest, service: Service) -> DicomWeb:
    """The owner on each API version in turn; `web.version` says which."""
    return service.web(version=request.param)


@pytest.fixture(scope="session")
def _numbers() -> "count[int]":
    return count(1)


@pytest.fixture(scope="module")
def make(this_run: Run, _numbers: "count[int]", service: Service) -> Iterator[Maker]:
    """Makes instances; their studies are deleted when the module ends."""
    maker = Maker(this_run, _numbers)
    yield maker
    owner = service.web(version="v2")
    for study in maker.studies:
        _cleaned_up(study, owner.delete(quote(study, safe="")).status)


def _cleaned_up(study: str, status: int) -> None:
    if status in (405, 501):
        # DEL-001 fails there; here it has to be known that something was left behind.
        warnings.warn(f"study {study} stays: the service deletes nothing ({status})", stacklevel=1)
        return
    assert status in (200, 204, 404, 400), f"clean-up of study {study}: {status}"


@pytest.fixture(scope="module")
def items(web: DicomWeb, make: Maker) -> Iterator[WorkItems]:
    """Work items on each API version in turn; what is left SCHEDULED is cancelled when the module ends."""
    made = WorkItems(web, make)
    yield made
    made.clean_up()


@pytest.fixture
def tags(web: DicomWeb) -> Iterator[Tags]:
    """The extended query tags, through each API version in turn; those a test adds are deleted after it."""
    with tags_of(web) as own:
        yield own


@pytest.fixture(autouse=True)
def _shown_on_failure(evidence: Evidence, recorder: Recorder, request: pytest.FixtureRequest) -> None:
    """Attach what was said to the service, and what it logged, to a test that fails."""
    mark = recorder.mark()
    evidence.on_failure("exchanges.har", lambda: _har(recorder, mark), "application/json")
    evidence.on_failure("how to repeat it", lambda: _curls(recorder, mark), "text/plain")
    if "service" in request.fixturenames:
        deployment = request.getfixturevalue("service").deployment
        if deployment.control is not None:
            evidence.on_failure("log of cloud", partial(deployment.control.logs, "cloud"), "text/plain")


def _har(recorder: Recorder, mark: int) -> str:
    return json.dumps(to_har(http_only(recorder.since(mark))))


def _curls(recorder: Recorder, mark: int) -> str:
    return "\n".join(to_curl(exchange) for exchange in http_only(recorder.since(mark))[-40:])


@contextmanager
def _deployed(
    config: pytest.Config,
    profile: Profile,
    run_record: RunRecord,
    suffix: str,
    options: tuple[str, ...] = (),
    without: tuple[str, ...] = (),
) -> Iterator[Deployment]:
    runner = config.getoption("--runner") or (
        profile.runner if profile.runner == "external" else choose_runner(None)
    )
    run_dir = config.rootpath / _RUNS / f"{run_record.run_id}{_worker()}{suffix}"
    keep = bool(config.getoption("--keep")) and not options
    with deploy(profile, runner, run_dir, keep=keep, overrides=_overrides(options, without)) as deployment:
        for secret in _secrets(deployment):
            run_record.secrets.add(secret)
        yield deployment


def _overrides(options: tuple[str, ...], without: tuple[str, ...]) -> Overrides:
    def absent(_: SystemSpec) -> None:
        return None

    def with_options(spec: SystemSpec) -> SystemSpec:
        if not options and not without:
            return spec
        taken = [place for place, word in enumerate(spec.command) if word in without]
        left = [
            word for place, word in enumerate(spec.command) if place not in taken and place - 1 not in taken
        ]
        return replace(spec, command=(*left, *options), ready=partial(_answers, spec.ready))

    return {"pacs": absent, "router": absent, "link": absent, "cloud": with_options}


def _answers(ready: Probe, running: Running) -> None:
    """Take any answer for readiness: with other options a service may refuse what the usual probe asks for, or have no TLS."""
    with suppress(AssertionError, ssl.SSLError):
        ready(running)


def _secrets(deployment: Deployment) -> list[str]:
    if not deployment.has("identity"):
        return []
    identity = deployment.identity
    secrets = [identity.admin_key, *(application.secret for application in identity.applications.values())]
    return [secret for secret in secrets if secret]


def _worker() -> str:
    name = os.environ.get("PYTEST_XDIST_WORKER", "")
    return f"-{name}" if name else ""
