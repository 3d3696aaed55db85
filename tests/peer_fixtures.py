"""Fixtures of the tests that speak with a real Orthanc; a conftest.py that wants them imports them."""

from collections.abc import Iterator

import pytest

from fixtures.data import Run
from fixtures.evidence.exchange import Recorder
from tests.actors.orthanc_peer import OrthancPeer, running_orthanc


@pytest.fixture(scope="session")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrthancPeer]:
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def run() -> Run:
    return Run.new()
