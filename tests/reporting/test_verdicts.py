"""Each verdict and each exit code, on a real run of pytest."""

import signal
import subprocess

import pytest

from fixtures.waiting import eventually
from tests.reporting.conftest import Checkout

PASSING = '@requirement("CLAIM-DUAL-01")\ndef test_it(): assert 1 + 1 == 2\n'


def test_all_pass_ends_with_0_and_pytests_own_last_line(checkout: Checkout) -> None:
    checkout.suite("demo/test_a.py", PASSING)
    ran = checkout.run("-m", "demo")
    assert ran.code == 0, ran.out
    assert "1 passed" in ran.last_line
    assert ran.record("CLAIM-DUAL-01")["verdict"] == "pass"
    assert "✓ CLAIM-DUAL-01  A new study from the modality appears in both places" in ran.out
    assert "\nDual delivery\n" in ran.out


def test_failed_claim_ends_with_1_names_the_reason_and_how_to_repeat_it(checkout: Checkout) -> None:
    checkout.suite(
        "demo/test_a.py", '@requirement("CLAIM-DUAL-01")\ndef test_it(): assert False, "lost 2.25.1"\n'
    )
    ran = checkout.run("-m", "demo", "--runner", "process")
    assert ran.code == 1
    assert "why: lost 2.25.1" in ran.out
    assert "again: pytest suites/demo/test_a.py::test_it --profile reference --runner process" in ran.out
    assert ran.record("CLAIM-DUAL-01")["verdict"] == "fail"
    assert "1 failed" in ran.last_line


@pytest.mark.parametrize(
    ("body", "verdict", "code", "reason"),
    [
        ("blocked('nothing was migrated')", "blocked", 1, "nothing was migrated"),
        ("raise KeyError('x')", "error", 4, "KeyError: 'x'"),
        ("raise HarnessError('the ledger is empty')", "error", 4, "the ledger is empty"),
        ("pytest.skip('later')", "error", 4, "pytest's own means"),
        (
            "not_applicable('no FUSE', probe='/dev/fuse is absent')",
            "not-applicable",
            5,
            "no FUSE (seen by: /dev/fuse is absent)",
        ),
    ],
    ids=["blocked", "exception", "harness-error", "plain-skip", "not-applicable"],
)
def test_how_a_test_ends_gives_its_verdict(
    checkout: Checkout, body: str, verdict: str, code: int, reason: str
) -> None:
    checkout.suite("demo/test_a.py", f'@requirement("CLAIM-DUAL-01")\ndef test_it(): {body}\n')
    ran = checkout.run("-m", "demo")
    record = ran.record("CLAIM-DUAL-01")
    assert record["verdict"] == verdict
    assert reason in record["reason"]
    assert ran.code == code, ran.out


@pytest.mark.parametrize("phase", ["setup", "teardown"])
def test_assertion_outside_the_call_is_an_error_of_the_harness(checkout: Checkout, phase: str) -> None:
    checkout.suite(
        "demo/test_a.py",
        f"""
        @pytest.fixture
        def world():
            assert {phase != "setup"}
            yield
            assert {phase != "teardown"}
        @requirement("CLAIM-DUAL-01")
        def test_it(world): pass
        """,
    )
    ran = checkout.run("-m", "demo")
    assert ran.record("CLAIM-DUAL-01")["verdict"] == "error"
    assert ran.code == 4


def test_xfail_and_module_skip_hide_nothing(checkout: Checkout) -> None:
    checkout.suite(
        "demo/test_a.py", '@pytest.mark.xfail\n@requirement("CLAIM-DUAL-01")\ndef test_it(): assert False\n'
    )
    checkout.suite("demo/test_b.py", 'pytest.skip("not now", allow_module_level=True)\n')
    ran = checkout.run("-m", "demo", "--continue-on-collection-errors")
    assert ran.code == 4
    assert ran.record("CLAIM-DUAL-01")["verdict"] == "error"
    assert "ERROR collecting suites/demo/test_b.py" in ran.out


def test_missing_capability_is_not_applicable_with_the_reason(checkout: Checkout) -> None:
    checkout.profile("small", "[capabilities]\nlink = true\ncontrol = true\n[allow]\nfaults = true\n")
    checkout.suite(
        "demo/test_a.py",
        """
        @requirement("CLAIM-DUAL-01")
        def test_plain(): pass
        @requirement("CLAIM-DUAL-06")
        @needs("link")
        def test_link(): pass
        @requirement("CLAIM-DUAL-07")
        @needs("control")
        def test_control(): pass
        @requirement("CLAIM-VIEWER-01")
        @needs("link", "viewer")
        def test_viewer(): pass
        """,
    )
    ran = checkout.run("-m", "demo", "--profile", "small")
    assert ran.code == 0, ran.out
    assert ran.record("CLAIM-DUAL-06")["verdict"] == "pass"
    assert ran.record("CLAIM-DUAL-07")["verdict"] == "not-applicable"
    assert "does not allow 'stop_systems'" in ran.record("CLAIM-DUAL-07")["reason"]
    assert ran.record("CLAIM-VIEWER-01")["reason"] == "profile small has no capability 'viewer'"
    assert "2 passed, 2 skipped" in ran.last_line


DEVIATION = '[[deviations]]\nrecord = "CLAIM-DUAL-01"\nreason = "known"\nlink = "https://tickets.example/1"\n'


def test_known_deviation_is_accepted_while_it_fails(checkout: Checkout) -> None:
    checkout.profile("ours", DEVIATION)
    checkout.suite(
        "demo/test_a.py", '@requirement("CLAIM-DUAL-01")\ndef test_it(): assert False, "lost one"\n'
    )
    ran = checkout.run("-m", "demo", "--profile", "ours")
    assert ran.code == 0, ran.out
    assert ran.record("CLAIM-DUAL-01")["verdict"] == "known-deviation"
    assert "https://tickets.example/1" in ran.record("CLAIM-DUAL-01")["reason"]


@pytest.mark.parametrize("tests", [1, 2])
def test_known_deviation_that_holds_is_a_failure(checkout: Checkout, tests: int) -> None:
    checkout.profile("ours", DEVIATION)
    checkout.suite("demo/test_a.py", "".join(PASSING.replace("test_it", f"test_{n}") for n in range(tests)))
    ran = checkout.run("-m", "demo", "--profile", "ours")
    assert ran.code == 1, ran.out
    assert ran.record("CLAIM-DUAL-01")["verdict"] == "fail"
    assert "unexpected pass" in ran.record("CLAIM-DUAL-01")["reason"]


def test_deviation_does_not_excuse_another_record_of_the_same_test(checkout: Checkout) -> None:
    checkout.profile("ours", DEVIATION)
    checkout.suite(
        "demo/test_a.py", '@requirement("CLAIM-DUAL-01", "CLAIM-DUAL-03")\ndef test_it(): assert False\n'
    )
    ran = checkout.run("-m", "demo", "--profile", "ours")
    assert ran.code == 1
    assert ran.record("CLAIM-DUAL-03")["verdict"] == "fail"


def test_failure_on_a_full_disk_is_the_machines_problem(checkout: Checkout) -> None:
    checkout.suite(
        "demo/test_a.py",
        """
        import collections, shutil
        @requirement("CLAIM-DUAL-01")
        def test_it(monkeypatch):
            full = collections.namedtuple("usage", "total used free")(100, 99, 1_000_000)
            monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
            assert False, "A700 the spool is full"
        @requirement("CLAIM-DUAL-03")
        def test_never_run(): pass
        """,
    )
    ran = checkout.run()
    assert ran.code == 3
    assert "the disk is full" in ran.out
    assert "make clean" in ran.out
    assert "A700 the spool is full" in ran.out
    assert ran.record("CLAIM-DUAL-01")["verdict"] == "error"
    assert ran.record("CLAIM-DUAL-03")["verdict"] == "not-run"


@pytest.mark.parametrize(("code", "attribute"), [(2, "2"), (3, "3"), (4, "4")])
def test_problem_with_an_exit_code_ends_the_run_with_one_message(
    checkout: Checkout, code: int, attribute: str
) -> None:
    checkout.suite(
        "demo/test_a.py",
        f"""
        class Problem(Exception):
            exit_code = {attribute}
        @pytest.fixture(scope="session")
        def deployment(): raise Problem("port 4242: in use\\n  What to do: stop what uses it")
        @requirement("CLAIM-DUAL-01")
        def test_1(deployment): pass
        @requirement("CLAIM-DUAL-03")
        def test_2(deployment): pass
        """,
    )
    ran = checkout.run("-m", "demo")
    assert ran.code == code, ran.out
    assert "What to do: stop what uses it" in ran.out
    assert "Traceback" not in ran.out
    assert "raise Problem" not in ran.out
    assert ran.record("CLAIM-DUAL-03")["verdict"] == "not-run"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--profile", "nosuch"), "there is no file"),
        (("--requirement", "CLAIM-DUAL-99"), "the catalogue has no such record"),
        (("suites/demo/test_nosuch.py",), "file or directory not found"),
    ],
)
def test_wrong_usage_ends_with_2(checkout: Checkout, arguments: tuple[str, ...], message: str) -> None:
    checkout.suite("demo/test_a.py", PASSING)
    ran = checkout.run(*arguments)
    assert ran.code == 2, ran.out
    assert message in ran.out
    assert "Traceback" not in ran.out


def test_nothing_selected_ends_with_5(checkout: Checkout) -> None:
    checkout.suite("demo/test_a.py", PASSING)
    assert checkout.run("-m", "demo", "-k", "nosuch").code == 5
    assert checkout.run("-m", "azure").code == 5


def test_interrupt_ends_with_130_and_what_did_not_run_is_not_passed(checkout: Checkout) -> None:
    checkout.suite(
        "demo/test_a.py",
        """
        import pathlib
        @requirement("CLAIM-DUAL-01")
        def test_1():
            pathlib.Path("reached").touch()
            while True: time.sleep(0.05)
        @requirement("CLAIM-DUAL-03")
        def test_0(): pass
        @requirement("CLAIM-ONPREM-01")
        def test_2(): pass
        """,
    )
    environment = {**checkout.environment, "PATH": "/nowhere"}
    process = subprocess.Popen(
        checkout.command("-m", "demo"),
        cwd=checkout.root,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually((checkout.root / "reached").exists, within=20, because="the second test to begin")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    finally:
        process.kill()
        process.wait()
    text = (checkout.root / "reports/out/conformance.json").read_text()
    assert '"verdict": "not-run"' in text


def test_story_order_prevails_over_the_order_of_files(checkout: Checkout) -> None:
    checkout.suite("demo/test_a.py", '@requirement("CLAIM-OFFLINE-01")\ndef test_last(): pass\n')
    checkout.suite("demo/test_b.py", '@requirement("CLAIM-ONPREM-01")\ndef test_first(): pass\n')
    by_story = checkout.run("-v", "--no-report").out
    assert by_story.index("test_first") < by_story.index("test_last")
    by_file = checkout.run("-v", "--no-report", "--order", "file").out
    assert by_file.index("test_last") < by_file.index("test_first")


def test_marks_are_checked_at_collection(checkout: Checkout) -> None:
    checkout.suite(
        "demo/test_a.py",
        """
        @requirement("CLAIM-DUAL-77")
        def test_unknown(): pass
        def test_unmarked(): pass
        @requirement("CLAIM-DUAL-01")
        @needs("lnik")
        def test_misspelt(): pass
        """,
    )
    ran = checkout.run("-m", "demo")
    assert ran.code == 4, ran.out
    assert "CLAIM-DUAL-77, which is not in the catalogue; nearest are CLAIM-DUAL-0" in ran.out
    assert "test_unmarked names no record" in ran.out
    assert "needs 'lnik'" in ran.out


def test_same_verdicts_with_workers(checkout: Checkout) -> None:
    checkout.suite(
        "demo/test_a.py",
        """
        @requirement("CLAIM-DUAL-01")
        @pytest.mark.parametrize("n", [1, 2, 3])
        def test_many(n, evidence): evidence.note(f"part {n}")
        @requirement("CLAIM-DUAL-03")
        def test_bad(): assert False, "altered"
        @requirement("CLAIM-DUAL-04")
        def test_blocked(): blocked("no PACS")
        @requirement("CLAIM-DUAL-05")
        def test_dies(): os._exit(9)
        """,
    )
    ran = checkout.run("-m", "demo", "-p", "xdist", "-n", "2")
    assert ran.code == 1, ran.out
    verdicts = {r["id"]: r["verdict"] for r in ran.conformance["records"] if r["tests"]}
    assert verdicts["CLAIM-DUAL-01"] == "pass"
    assert verdicts["CLAIM-DUAL-03"] == "fail"
    assert verdicts["CLAIM-DUAL-04"] == "blocked"
    assert ran.record("CLAIM-DUAL-05")["verdict"] != "pass"
    assert "part 1" in ran.story
    assert "part 3" in ran.story


def test_sabotaged_worlds_judge_the_checks_not_the_claims(checkout: Checkout) -> None:
    checkout.suite("controls/test_a.py", PASSING)
    checkout.suite("demo/test_b.py", '@requirement("CLAIM-DUAL-03")\ndef test_it(): pass\n')
    ran = checkout.run()
    assert ran.code == 0, ran.out
    assert ran.record("CLAIM-DUAL-01")["verdict"] == "hole"
    assert ran.conformance["controls"][0]["records"] == ["CLAIM-DUAL-01"]
    alone = checkout.run("-m", "controls")
    assert alone.code == 0, alone.out
    assert "1 passed" in alone.last_line
