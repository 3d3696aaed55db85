"""Memory does not grow with what is stored or retrieved; `large_bodies.py` does the same with gigabytes."""

import sys
from pathlib import Path

import pytest

from tests.dicom_service.conftest import Starter
from tests.dicom_service.large_bodies import measure


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells the resident memory on Linux")
def test_memory_stays_bounded(starter: Starter, tmp_path: Path) -> None:
    """Bodies of 240 MB leave the service below the bound that holds for 2 GB (LIM-003, LIM-006)."""
    done = measure(starter(tmp_path / "data"), 240_000_000, 4)
    assert done.failures == []
