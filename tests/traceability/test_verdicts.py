"""The lattice of verdicts, the verdict of a record, and the exit code: pure functions on literal outcomes."""

from pathlib import Path

import pytest

from fixtures.traceability import (
    Blocked,
    Catalogue,
    Deviation,
    ExitCode,
    NotApplicable,
    Verdict,
    blocked,
    not_applicable,
    worst,
)
from fixtures.traceability.coverage import Outcome, RecordResult, Target, coverage_of, judge
from fixtures.traceability.inventory import named_in_sources
from fixtures.traceability.verdicts import exit_code

DEMO = frozenset({"demo"})
ID = "CLAIM-DUAL-01"


def outcome(verdict: Verdict, *ids: str, of: int = 1, reason: str = "") -> Outcome:
    ids = ids or (ID,)
    return Outcome(f"t::{verdict}", ids, verdict, reason, 0.1, dict.fromkeys(ids, of), dict.fromkeys(ids, of))


def record(catalogue: Catalogue, outcomes: list[Outcome], target: Target | None = None) -> RecordResult:
    judgement = judge(outcomes, DEMO, catalogue, target or Target())
    return next(result for result in judgement.records if result.record.id == ID)


@pytest.mark.parametrize(
    ("verdicts", "prevails"),
    [
        ((Verdict.PASS, Verdict.FAIL, Verdict.ERROR), Verdict.FAIL),
        ((Verdict.PASS, Verdict.ERROR, Verdict.BLOCKED), Verdict.ERROR),
        ((Verdict.PASS, Verdict.BLOCKED, Verdict.KNOWN_DEVIATION), Verdict.BLOCKED),
        ((Verdict.PASS, Verdict.KNOWN_DEVIATION), Verdict.KNOWN_DEVIATION),
        ((Verdict.PASS, Verdict.NOT_APPLICABLE), Verdict.PASS),
        ((Verdict.NOT_APPLICABLE,), Verdict.NOT_APPLICABLE),
    ],
)
def test_worst_prevails(verdicts: tuple[Verdict, ...], prevails: Verdict) -> None:
    assert worst(verdicts) is prevails
    assert worst(reversed(verdicts)) is prevails


def test_no_evidence_is_no_verdict() -> None:
    with pytest.raises(ValueError, match="empty"):
        worst(())


def test_ways_to_end_a_test_carry_their_reason() -> None:
    with pytest.raises(Blocked, match="no PACS"):
        blocked("no PACS")
    with pytest.raises(NotApplicable, match=r"no FUSE \(seen by: ls /dev/fuse\)"):
        not_applicable("no FUSE", probe="ls /dev/fuse")


def test_record_without_tests_is_a_hole_not_run_or_not_testable(catalogue: Catalogue) -> None:
    assert record(catalogue, []).verdict is Verdict.HOLE
    assert record(catalogue, [], Target(in_sources=frozenset({ID}))).verdict is Verdict.NOT_RUN
    judgement = judge([], DEMO, catalogue, Target())
    by_id = {result.record.id: result for result in judgement.records}
    assert by_id["CLAIM-PUSH-08"].verdict is Verdict.NOT_APPLICABLE
    assert "hosted service" in by_id["CLAIM-PUSH-08"].reason
    assert len(judgement.holes) == 120
    assert coverage_of(judgement, frozenset()) == (120, 0)


def test_record_takes_the_worst_verdict_and_its_reason(catalogue: Catalogue) -> None:
    result = record(catalogue, [outcome(Verdict.PASS, of=2), outcome(Verdict.FAIL, of=2, reason="lost one")])
    assert (result.verdict, result.reason) == (Verdict.FAIL, "lost one")


def test_record_whose_tests_did_not_all_run_has_not_passed(catalogue: Catalogue) -> None:
    result = record(catalogue, [outcome(Verdict.PASS, of=3)])
    assert result.verdict is Verdict.NOT_RUN
    assert "before 2 of its tests" in result.reason
    assert record(catalogue, [outcome(Verdict.FAIL, of=3)]).verdict is Verdict.FAIL


def test_pass_says_what_was_left_out(catalogue: Catalogue) -> None:
    result = record(
        catalogue, [outcome(Verdict.PASS, of=2), outcome(Verdict.NOT_APPLICABLE, of=2, reason="no link")]
    )
    assert result.verdict is Verdict.PASS
    assert result.reason == "1 of 2 tests not applicable: no link"


def test_listed_record_must_not_pass(catalogue: Catalogue) -> None:
    target = Target(deviations={ID: Deviation(ID, "known", "link")})
    assert record(catalogue, [outcome(Verdict.PASS)], target).verdict is Verdict.FAIL
    assert record(catalogue, [outcome(Verdict.KNOWN_DEVIATION)], target).verdict is Verdict.KNOWN_DEVIATION
    mixed = [outcome(Verdict.PASS, of=2), outcome(Verdict.KNOWN_DEVIATION, of=2)]
    assert record(catalogue, mixed, target).verdict is Verdict.KNOWN_DEVIATION


def test_totals_count_every_record_once(catalogue: Catalogue) -> None:
    totals = judge([outcome(Verdict.PASS)], DEMO, catalogue, Target()).totals
    assert sum(totals.values()) == 125
    assert totals == {**dict.fromkeys(totals, 0), "pass": 1, "hole": 119, "not-applicable": 5}


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([Verdict.PASS], 0),
        ([Verdict.PASS, Verdict.KNOWN_DEVIATION, Verdict.NOT_APPLICABLE], 0),
        ([Verdict.PASS, Verdict.FAIL, Verdict.ERROR], 1),
        ([Verdict.PASS, Verdict.BLOCKED], 1),
        ([Verdict.PASS, Verdict.ERROR, Verdict.BLOCKED], 4),
        ([Verdict.NOT_APPLICABLE], 5),
        ([], 5),
    ],
)
def test_exit_code_follows_from_the_verdicts(verdicts: list[Verdict], code: int) -> None:
    assert exit_code(verdicts) == code


def test_exit_code_of_a_run_that_was_cut_short() -> None:
    assert exit_code([Verdict.FAIL], interrupted=True) == ExitCode.INTERRUPTED
    assert exit_code([Verdict.FAIL], stopped_with=3) == ExitCode.MACHINE
    assert exit_code([Verdict.PASS], collection_failed=True) == ExitCode.HARNESS


def test_sources_tell_which_records_have_tests(tmp_path: Path, catalogue: Catalogue) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "controls").mkdir()
    (tmp_path / "demo/test_a.py").write_text(
        '"""CLAIM-DUAL-03"""\nT = [("CLAIM-DUAL-01", 1)]\n# "CLAIM-DUAL-04"\n'
    )
    (tmp_path / "demo/test_broken.py").write_text("def (")
    (tmp_path / "controls/test_b.py").write_text('X = "CLAIM-DUAL-05"\n')
    assert named_in_sources(tmp_path, catalogue.records) == {"CLAIM-DUAL-01", "CLAIM-DUAL-03"}
