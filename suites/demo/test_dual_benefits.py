"""What dual delivery unlocks is said only as far as it was proven (CLAIM-DUAL-11)."""

import datetime as dt
import html
import re
from collections.abc import Mapping

import pytest

from fixtures.reporting.benefits import load_promises
from fixtures.reporting.evidence import Evidence, Figure, Shown
from fixtures.reporting.finish import judgement_of
from fixtures.reporting.results import TestResult
from fixtures.reporting.run import REPOSITORY, SuiteRun, suite_run
from fixtures.reporting.story import Story, render
from fixtures.traceability import Verdict, requirement
from fixtures.traceability.coverage import Outcome

pytestmark = pytest.mark.demo

PROMISES = load_promises(REPOSITORY / "reports" / "benefits.toml")
TOPICS = {
    "an off-site copy of every new study": "CLAIM-DUAL",
    "access from anywhere": "CLAIM-VIEWER",
    "a PACS that can be kept small": "CLAIM-MIGRATE",
    "priors on demand": "CLAIM-PRIORS",
    "survival of the internet's outage": "CLAIM-OFFLINE",
    "survival of the PACS's outage": "CLAIM-RECOVERY",
    "gradual and reversible introduction": "CLAIM-PROVISION",
}
_LINE = re.compile(r"<li><span class=\"badge \w+\">(proven|not proven)</span>(.*?)</li>", re.DOTALL)


@requirement("CLAIM-DUAL-11")
def test_benefits_are_stated_only_where_their_claims_have_passed(
    pytestconfig: pytest.Config, evidence: Evidence
) -> None:
    """The report names each benefit with its claims, verdicts and figures; one failed or skipped claim, and it is not proven.

    CLAIM-DUAL-11: the report is written for verdicts of all kinds, and for this run as it stands now.
    """
    claims = {claim for promise in PROMISES for claim in promise.claims}
    for topic, area in TOPICS.items():
        assert any(claim.startswith(area) for claim in claims), f"no benefit speaks of {topic}"
    run = suite_run(pytestconfig)
    assert {run.catalogue.records[claim].suite for claim in claims} == {"demo"}

    passed = dict.fromkeys(claims, Verdict.PASS)
    lines = _summary(run, passed)
    assert [proven for proven, _ in lines] == ["proven"] * len(PROMISES)
    for (_, text), promise in zip(lines, PROMISES, strict=True):
        assert promise.sentence in text
        shown = [claim for claim in promise.claims if f">{claim}</a> holds" in text]
        assert shown == list(promise.claims), f"{promise.sentence}: not every claim with its verdict"
        assert f"seen for {promise.claims[0]} 42 s" in text, f"{promise.sentence}: no figures"

    for verdict in (Verdict.FAIL, Verdict.NOT_APPLICABLE, Verdict.BLOCKED, None):
        spoilt = passed | {promise.claims[-1]: verdict for promise in PROMISES}
        wrong = [text for proven, text in _summary(run, spoilt) if proven == "proven"]
        assert not wrong, f"stated as proven with claims that are {verdict or 'not run'}: {wrong}"

    so_far = {
        record: result.verdict
        for result in run.collector.results
        if not result.is_control
        for record in result.outcome.records
    }
    for (proven, _), promise in zip(_page(run), PROMISES, strict=True):
        unproven = [claim for claim in promise.claims if so_far.get(claim) is not Verdict.PASS]
        assert (proven == "proven") is not bool(unproven), f"{promise.sentence}: {unproven}"
    evidence.note(
        f"{len(PROMISES)} benefits rest on {len(claims)} claims; a claim that fails, is skipped or does not run takes its "
        "benefit out of the summary."
    )


def _summary(run: SuiteRun, verdicts: Mapping[str, Verdict | None]) -> list[tuple[str, str]]:
    """The summary of a run in which the claims came to these verdicts."""
    other = SuiteRun(run.config, run.run_id, run.started)
    other.collector.results.extend(
        TestResult(
            outcome=Outcome(f"suites/demo/test_of.py::{claim}", (claim,), verdict),
            folder="demo",
            title=claim,
            parameters="",
            started=0.0,
            stopped=1.0,
            shown=Shown(figures=(Figure(f"seen for {claim}", 42, "s"),)),
        )
        for claim, verdict in verdicts.items()
        if verdict is not None
    )
    return _page(other)


def _page(run: SuiteRun) -> list[tuple[str, str]]:
    """`proven` or `not proven`, and the rest of the line, of each benefit of the run's report."""
    judgement = judgement_of(run)
    if "demo" not in judgement.suites:
        return [("not proven", "") for _ in PROMISES]
    text = render(Story.of(run, judgement, dt.datetime.now(dt.UTC)), has_index=False)
    return [(proven, html.unescape(" ".join(rest.split()))) for proven, rest in _LINE.findall(text)]
