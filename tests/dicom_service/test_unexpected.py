"""A fault of the service itself: the client learns that there was one, and nothing else (ERR-009)."""

import sqlite3
from pathlib import Path

import pytest

from tests.dicom_service.conftest import Starter, dataset, part10, path_of

SENTENCE = "The server encountered an internal error. Please retry the request."


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_unexpected_error_is_500_with_a_fixed_sentence(
    starter: Starter, tmp_path: Path, version: str
) -> None:
    """An index entry that no code writes stands for a defect: every reading of it fails unexpectedly."""
    service = starter(tmp_path / "data")
    made, sound = dataset(PatientName="Secret^Name"), dataset()
    service.store(part10(made))
    service.store(part10(sound))
    with sqlite3.connect(tmp_path / "data" / "index.sqlite") as index:
        changed = index.execute(
            "UPDATE instance SET dropped = 'Secret^Name {' WHERE sop_uid = ?", (made.SOPInstanceUID,)
        )
        assert changed.rowcount == 1
    answer = service.get(f"{path_of(made, version=version)}/metadata")
    assert (answer.status, answer.body.decode()) == (500, SENTENCE)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert service.get(f"{path_of(sound, version=version)}/metadata").status == 200
    log = service.log.read_text()
    assert "failed unexpectedly" in log
    assert "Secret" not in log
