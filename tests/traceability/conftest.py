"""A small catalogue of its own, and the repository's."""

import shutil
from pathlib import Path

import pytest

from fixtures.traceability.catalogue import Catalogue

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return Catalogue.load(REPOSITORY / "requirements")


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    """A copy of the catalogue that a test may spoil."""
    return Path(shutil.copytree(REPOSITORY / "requirements", tmp_path / "requirements"))
