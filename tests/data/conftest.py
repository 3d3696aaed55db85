import pytest

from fixtures.data import Cast, Run, make_cast


@pytest.fixture(scope="session")
def run() -> Run:
    return Run("tests of the data")


@pytest.fixture(scope="session")
def cast(run: Run) -> Cast:
    return make_cast(run, 1)
