"""One pair of hands for all runs of the controls."""

from collections.abc import Iterator

import pytest

from fixtures.deployment.deploy import choose_runner
from fixtures.traceability import Profile
from suites.controls.case import Case
from suites.controls.cases import CASES
from suites.controls.runs import Runs

CLEAN = "clean"


def _selected(session: pytest.Session) -> list[Case]:
    parameters = [getattr(item, "callspec", None) for item in session.items]
    chosen = [known.params.get("case") for known in parameters if known is not None]
    return [case for case in CASES if case in chosen]


@pytest.fixture(scope="session")
def runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, profile: Profile
) -> Iterator[Runs]:
    """All runs that the selected controls need: the tests of all in the real world first, then each sabotaged one."""
    given = request.config.getoption("--runner")
    runner = given or (profile.runner if profile.runner != "external" else "process")
    made = Runs(tmp_path_factory.mktemp("controls"), choose_runner(given) if given else runner)
    cases = _selected(request.session)
    made.announce(CLEAN, (test for case in cases for test in case.tests))
    for case in cases:
        made.announce(case.sabotage.name, case.tests, case.sabotage.name)
    yield made
    made.close()
