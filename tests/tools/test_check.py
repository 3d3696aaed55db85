"""`make test` and `make demo`: what they count, print and choose."""

from pathlib import Path

import pytest

from tools import common, demo, prepare
from tools.check import Check, Counts, _alone, read_junit
from tools.common import Stop


def test_counts_come_from_what_pytest_wrote(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    path.write_text(
        '<testsuites><testsuite tests="10" failures="2" errors="1" skipped="3"/></testsuites>',
        encoding="utf-8",
    )
    assert read_junit(path) == Counts(passed=4, failed=2, errors=1, skipped=3)
    assert read_junit(tmp_path / "absent.xml") == Counts()


def test_one_failed_step_fails_the_whole_and_is_named_in_the_closing_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    check = Check()
    check.step("good", ["true"])
    check.step("bad", ["false"])
    check.results[0].note = "3 passed, 1 failed"
    check.counts.add(Counts(passed=3, failed=1))
    assert check.close() == 1
    said = capsys.readouterr().out.splitlines()
    assert any(line.startswith("FAILED (exit code 1) bad") for line in said)
    assert said[-1].startswith("===== 1 failed, 3 passed, 1 of 2 steps failed in ")


def test_all_steps_good_is_exit_code_zero(capsys: pytest.CaptureFixture[str]) -> None:
    check = Check()
    check.step("good", ["true"])
    assert check.close() == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("===== all steps passed in ")


def test_step_that_could_not_be_run_counts_as_failed() -> None:
    check = Check()
    check.unmet("suites", Stop("Orthanc is missing"))
    assert check.close() == 1


@pytest.mark.parametrize(
    ("arguments", "runner"),
    [(["--runner", "docker"], "docker"), (["--runner=process", "-x"], "process"), (["--keep"], None)],
)
def test_runner_is_read_from_the_arguments(arguments: list[str], runner: str | None) -> None:
    assert demo.chosen_runner(arguments) == runner


def test_everything_is_cached_inside_the_checkout() -> None:
    environment = common.environment()
    for name in ("PIP_CACHE_DIR", "npm_config_cache", "TMPDIR"):
        assert Path(environment[name]).is_relative_to(common.LOCAL)


def test_packages_are_not_installed_without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "is_root_on_debian", lambda: False)
    with pytest.raises(Stop, match=r"sudo apt-get install python3-venv"):
        common.install_packages("python3-venv", reason="Python cannot make virtual environments")


def test_prepared_checkout_is_not_prepared_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stamp = tmp_path / "prepared"
    wanted = prepare._digest(
        common.CHECKOUT / "pyproject.toml", common.CHECKOUT / "constraints.txt", Path(prepare.__file__)
    )
    stamp.write_text(wanted)
    monkeypatch.setattr(prepare, "STAMP", stamp)
    monkeypatch.setattr(prepare, "must", lambda *_: pytest.fail("something was installed"))
    (common.VENV_BIN / "python").stat()
    prepare.prepare_venv()


def test_failed_command_says_what_it_said_and_what_to_do() -> None:
    with pytest.raises(Stop, match=r"(?s)failed:.*disk on fire.*get water"):
        common.must(["sh", "-c", "echo disk on fire >&2; exit 1"], "get water")


def test_a_second_try_runs_alone() -> None:
    arguments = ("suites", "-m", "demo", "-n", "3", "--dist", "worksteal", "--runner", "process")
    assert _alone(arguments) == ["suites", "-m", "demo", "--runner", "process"]


def test_what_fails_beside_others_and_passes_alone_is_unsteady(tmp_path: Path) -> None:
    marker = tmp_path / "seen"
    test = tmp_path / "test_unsteady.py"
    test.write_text(
        f"from pathlib import Path\ndef test_it():\n    p = Path({str(marker)!r})\n    first = not p.exists()\n"
        "    p.touch()\n    assert not first\n"
    )
    check = Check()
    check.pytest("unsteady", str(test))
    assert check.failed == []
    assert "UNSTEADY" in check.results[0].note
    assert (check.counts.passed, check.counts.failed) == (1, 0)


def test_what_fails_twice_has_failed(tmp_path: Path) -> None:
    test = tmp_path / "test_broken.py"
    test.write_text("def test_it():\n    assert False\n")
    check = Check()
    check.pytest("broken", str(test))
    assert [result.name for result in check.failed] == ["broken"]
    assert check.counts.failed == 1
