"""Parts of the report by themselves: evidence, secrets, benefits, timelines, headlines."""

import base64
import datetime as dt
import io
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from fixtures.reporting.benefits import Promise, judge_benefits, load_promises
from fixtures.reporting.composite import side_by_side
from fixtures.reporting.evidence import Evidence, Shown, Span
from fixtures.reporting.headline import headline_of
from fixtures.reporting.links import link_of
from fixtures.reporting.plugin import long_ones_early
from fixtures.reporting.secrets import Secrets
from fixtures.reporting.timeline import timeline
from fixtures.traceability import Catalogue, Verdict
from fixtures.traceability.coverage import Judgement, Outcome, RecordResult
from tests.reporting.conftest import REPOSITORY


def png(width: int = 10, height: int = 10, colour: int = 255) -> bytes:
    out = io.BytesIO()
    Image.new("L", (width, height), colour).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    return Evidence(tmp_path, Secrets())


def test_secret_is_found_in_every_spelling() -> None:
    secrets = Secrets()
    secrets.add('p/ss "w<rd')
    encoded = base64.b64encode(b'p/ss "w<rd').decode()
    for text in (
        'a p/ss "w<rd b',
        "x=p%2Fss%20%22w%3Crd",
        "x=p%2Fss+%22w%3Crd",
        r'"p/ss \"w<rd"',
        f"Basic {encoded}",
        "p/ss &quot;w&lt;rd",
    ):
        assert secrets.found_in(text.encode())
        assert "[redacted]" in secrets.redact(text)
        assert not secrets.found_in(secrets.redact(text).encode())
    assert not secrets.found_in(b"harmless")


def test_short_secret_is_refused_because_it_is_everywhere() -> None:
    with pytest.raises(ValueError, match="fewer than 4"):
        Secrets().add("abc")


def test_secret_registered_late_is_swept(evidence: Evidence, tmp_path: Path) -> None:
    evidence.attach_text("log", "user hunter22 in")
    evidence.note("hunter22 was used")
    evidence.secrets.add("hunter22")
    shown = evidence.shown()
    assert shown.notes == ("[redacted] was used",)
    assert (tmp_path / shown.attachments[0].source).read_text() == "user [redacted] in"


def test_binary_with_a_secret_is_withheld(evidence: Evidence, tmp_path: Path) -> None:
    evidence.secrets.add("hunter22")
    evidence.attach("dump", b"\x00\x01hunter22\x02", "application/octet-stream")
    attachment = evidence.shown().attachments[0]
    assert attachment.name == "dump (withheld)"
    assert b"hunter22" not in (tmp_path / attachment.source).read_bytes()


def test_collectors_run_once_and_may_fail(evidence: Evidence, tmp_path: Path) -> None:
    calls: list[int] = []

    def good() -> str:
        calls.append(1)
        return "text"

    evidence.on_failure("good", good, "text/plain")
    evidence.on_failure("bad", lambda: str(1 // 0), "text/plain")
    evidence.collect_on_failure()
    evidence.collect_on_failure()
    names = [attachment.name for attachment in evidence.shown().attachments]
    assert calls == [1]
    assert names == ["good", "bad (not collected)"]
    assert "ZeroDivisionError" in (tmp_path / evidence.shown().attachments[1].source).read_text()


def test_evidence_survives_the_way_from_worker_to_controller(evidence: Evidence) -> None:
    evidence.note("a")
    evidence.figure("time", 1.5, "s")
    evidence.attach_json("data", {"when": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)})
    evidence.fault_window(
        SimpleNamespace(name="cut", started=time.time(), ended=time.time() + 1, proof="refused")
    )
    shown = evidence.shown()
    assert Shown.from_dict(shown.to_dict()) == shown


def test_fault_times_may_come_from_any_clock(evidence: Evidence) -> None:
    now = time.time()
    for started in (now, dt.datetime.fromtimestamp(now, dt.UTC), time.monotonic()):
        evidence.fault_window(SimpleNamespace(name="cut", started=started, ended=started, proof=None))
    assert all(abs(span.started - now) < 1 for span in evidence.shown().faults)
    with pytest.raises(TypeError, match="seconds or datetimes"):
        evidence.fault_window(SimpleNamespace(name="cut", started="noon", ended="noon", proof=None))


def test_pictures_stand_beside_each_other() -> None:
    with Image.open(
        io.BytesIO(side_by_side(png(20, 10), png(10, 10, 0), ("PACS", "Cloud"), height=100))
    ) as sheet:
        assert sheet.height == 100 + 34 + 32
        assert sheet.getpixel((20, 100)) == (255, 255, 255)
        assert sheet.getpixel((240, 100)) == (0, 0, 0)


def test_benefit_is_proven_by_passes_only() -> None:
    promises = [Promise("Safe.", ("A-01", "A-02"))]
    proven = judge_benefits(promises, {"A-01": Verdict.PASS, "A-02": Verdict.PASS})[0]
    assert proven.proven
    for verdict in set(Verdict) - {Verdict.PASS}:
        assert not judge_benefits(promises, {"A-01": Verdict.PASS, "A-02": verdict})[0].proven
    missing = judge_benefits(promises, {"A-01": Verdict.PASS})[0]
    assert not missing.proven
    assert missing.why_not == "A-02 not run"


def test_promises_of_the_repository_name_real_claims() -> None:
    promises = load_promises(REPOSITORY / "reports/benefits.toml")
    catalogue = Catalogue.load(REPOSITORY / "requirements")
    assert len(promises) == 7
    assert all(catalogue.get(claim) for promise in promises for claim in promise.claims)


def test_promise_without_a_claim_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text('[[benefits]]\nsentence = "Good."\nclaims = []\n')
    with pytest.raises(ValueError, match="names no claim"):
        load_promises(tmp_path / "b.toml")


def test_timeline_keeps_faults_inside_the_drawing() -> None:
    drawn = timeline(100.0, 110.0, [Span("a", 102.0, 107.0, "p"), Span("b", 109.0, 112.0, "q")])
    assert drawn is not None
    assert all(drawn.left <= bar.x and bar.x + bar.width <= drawn.width for bar in drawn.bars)
    assert [bar.caption for bar in drawn.bars] == ["5.0 s", "3.0 s"]
    assert drawn.ticks[-1][1] == "12.0 s"
    assert timeline(0, 1, []) is None


def judged(*verdicts: Verdict) -> Judgement:
    records = list(Catalogue.load(REPOSITORY / "requirements"))
    results = [
        RecordResult(record, verdict, "", (Outcome("t", (), verdict),))
        for record, verdict in zip(records, verdicts, strict=False)
    ]
    return Judgement(frozenset({"demo"}), tuple(results))


@pytest.mark.parametrize(
    ("verdicts", "text", "tone"),
    [
        ((Verdict.PASS, Verdict.PASS), "All 2 claims hold.", "good"),
        ((Verdict.PASS, Verdict.FAIL, Verdict.ERROR), "1 claim of 2 does not hold.", "bad"),
        (
            (Verdict.PASS, Verdict.ERROR),
            "1 claim could not be judged, because the test software failed.",
            "bad",
        ),
        ((Verdict.PASS, Verdict.HOLE), "1 claim holds; not everything was judged.", "open"),
        (
            (Verdict.PASS, Verdict.PASS, Verdict.NOT_APPLICABLE),
            "2 claims hold; not everything was judged.",
            "open",
        ),
        ((Verdict.NOT_APPLICABLE, Verdict.BLOCKED), "No claim was judged.", "bad"),
    ],
)
def test_headline_is_never_better_than_the_verdicts(
    verdicts: tuple[Verdict, ...], text: str, tone: str
) -> None:
    headline = headline_of(judged(*verdicts))
    assert (headline.text, headline.tone) == (text, tone)


def test_sources_at_a_commit_become_links() -> None:
    assert (
        link_of("StevenBorg/RSNA-2022-Demo@998252a demo.md")
        == "https://github.com/StevenBorg/RSNA-2022-Demo/tree/998252a"
    )
    assert link_of("PS3.18 10.5") is None


def test_every_worker_begins_with_its_share_of_the_long_ones() -> None:
    def lasting(name: str, seconds: float) -> Any:
        mark = SimpleNamespace(args=(seconds,)) if seconds else None
        return SimpleNamespace(name=name, get_closest_marker=lambda _: mark)

    items = [lasting(*each) for each in (("a", 0), ("b", 10), ("c", 60), ("d", 0), ("e", 20), ("f", 0))]

    assert [item.name for item in long_ones_early(items, 2)] == ["c", "b", "d", "e", "a", "f"]
