"""Each check must notice the defect it exists for: the demo's tests, run in worlds made wrong on purpose (house rule 5)."""

import re

import pytest

from fixtures.traceability import not_applicable, requirement
from suites.controls.case import Case
from suites.controls.cases import CASES
from suites.controls.conftest import CLEAN
from suites.controls.runs import Ran, Runs

pytestmark = pytest.mark.controls

PARAMETERS = [pytest.param(case, id=case.sabotage.name, marks=requirement(*case.claims)) for case in CASES]


@pytest.mark.parametrize("case", PARAMETERS)
def test_sabotage_turns_the_right_checks_red(case: Case, runs: Runs) -> None:
    """In the real world the tests pass; in the sabotaged one exactly those fail that look at what is wrong, and say so."""
    clean = runs.result(CLEAN)
    _leave_out_what_cannot_be_seen_here(case, clean)
    failed = {test: verdict for test in case.tests if (verdict := clean.verdicts.get(test)) != "pass"}
    assert not failed, f"without sabotage, so that red would mean nothing: {failed}"
    assert clean.sabotage is None

    sabotaged = runs.result(case.sabotage.name)

    wanted = {red.test: "fail" for red in case.red} | dict.fromkeys(case.spares, "pass")
    seen = {test: sabotaged.verdicts.get(test, "did not run") for test in case.tests}
    assert seen == wanted, f"{case.sabotage.sentence}:\n{sabotaged.output[-4000:]}"
    for red in case.red:
        reason = sabotaged.reason(red.claim)
        assert re.search(red.says, reason), f"{red.claim} fails without naming what is wrong: {reason}"
        assert sabotaged.commands(red.test), f"{red.test} failed without a command that repeats it"


@pytest.mark.parametrize("case", PARAMETERS)
def test_sabotaged_run_is_never_taken_for_a_real_one(case: Case, runs: Runs) -> None:
    """The report for machines, the progress and the line that repeats a test name the sabotage."""
    _leave_out_what_cannot_be_seen_here(case, runs.result(CLEAN))
    sabotaged = runs.result(case.sabotage.name)
    assert sabotaged.sabotage == case.sabotage.name
    assert f"SABOTAGED WORLD {case.sabotage.name!r}" in sabotaged.output
    again = [line for line in sabotaged.output.splitlines() if line.strip().startswith("again: ")]
    assert again
    assert all(line.endswith(f"--sabotage {case.sabotage.name}") for line in again)


def _leave_out_what_cannot_be_seen_here(case: Case, clean: Ran) -> None:
    """A check that says in the real world that this machine lacks something says it in every world."""
    absent = [test for test in case.tests if clean.verdicts.get(test) == "not-applicable"]
    if absent:
        not_applicable(
            "this machine lacks what the checks need", probe=f"without sabotage: {', '.join(absent)}"
        )
