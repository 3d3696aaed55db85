"""The command line of dicom-viewer."""

from pathlib import Path

import pytest

from systems.viewer.cli import main

GOOD = ("--dicomweb", "https://cloud.example/v2", "--port", "0")


def test_a_folder_that_is_no_viewer_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--files", str(tmp_path), *GOOD]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "--files" in said


def test_one_half_of_tls_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "index.html").touch()
    key = tmp_path / "key.pem"
    key.touch()
    assert main(["serve", "--files", str(tmp_path), *GOOD, "--tls-key", str(key)]) == 2
    assert "--tls-cert" in capsys.readouterr().err


def test_what_is_missing_is_wrong_usage() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve"])
    assert ended.value.code == 2
