"""What a run writes: conformance.json, JUnit, the story, Allure's page; and what it must never write."""

import json
import shutil
import xml.etree.ElementTree as ET

import pytest

from fixtures.reporting.allure_report import external_loads, without_analytics
from tests.reporting.conftest import REPOSITORY, Checkout

MIXED = """
import io
from PIL import Image
from types import SimpleNamespace

def png():
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG")
    return out.getvalue()

@pytest.fixture(scope="session", autouse=True)
def versions(run_record): run_record.version("PACS", "Orthanc 1.12.7")

@requirement("CLAIM-DUAL-01")
def test_good(evidence):
    '''A new study.'''
    evidence.note("Counts went <11/1>.")
    evidence.figure("last copy after", 1.5, "s")
    evidence.side_by_side(png(), png(), ("PACS", "Cloud"))
    evidence.fault_window(SimpleNamespace(name="cut", started=time.time() - 2, ended=time.time() - 1, proof="probe refused"))

@requirement("CLAIM-DUAL-06")
def test_bad(evidence):
    evidence.secrets.add("hunter2/secret")
    evidence.on_failure("exchange", lambda: '{"client_secret": "hunter2/secret", "form": "hunter2%2Fsecret"}', "application/json")
    evidence.on_failure("broken collector", lambda: 1 / 0, "text/plain")
    print("captured hunter2/secret")
    assert "hunter2/secret" == "", "token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln refused for hunter2/secret"

@requirement("CLAIM-PREFETCH-01")
@needs("hosted")
def test_absent(): pass
"""


def test_conformance_json_has_its_form_and_sums_up(checkout: Checkout) -> None:
    checkout.suite("demo/test_a.py", MIXED)
    document = checkout.run("-m", "demo").conformance
    assert list(document) == ["schema", "run", "records", "totals", "coverage"]
    assert document["schema"] == 1
    assert list(document["run"]) == ["id", "started", "finished", "profile", "runner", "versions"]
    assert document["run"]["versions"]["PACS"] == "Orthanc 1.12.7"
    assert {record["suite"] for record in document["records"]} == {"demo"}
    assert sum(document["totals"].values()) == len(document["records"]) == 125
    assert document["totals"]["pass"] == 1
    assert document["coverage"]["testable"] == 120
    assert document["coverage"]["tested"] == 3
    assert len(document["coverage"]["holes"]) == document["totals"]["hole"] == 117
    record = next(record for record in document["records"] if record["id"] == "CLAIM-DUAL-01")
    assert list(record) == ["id", "title", "suite", "verdict", "reason", "tests"]
    assert list(record["tests"][0]) == ["nodeid", "verdict", "seconds"]


def test_no_secret_is_written_anywhere(checkout: Checkout) -> None:
    checkout.suite(
        "demo/test_a.py",
        MIXED.replace('assert "hunter2/secret" == "",', "raise AssertionError(").replace(
            'for hunter2/secret"', 'for " + "hunter2" + "/secret")'
        ),
    )
    ran = checkout.run("-m", "demo")
    assert ran.record("CLAIM-DUAL-06")["verdict"] == "fail"
    files = [path for path in (checkout.root / "reports/out").rglob("*") if path.is_file()]
    assert any(b'"client_secret": "[redacted]"' in path.read_bytes() for path in files)
    assert any(b"ZeroDivisionError" in path.read_bytes() for path in files)
    for path in files:
        for secret in (b"hunter2/secret", b"hunter2%2Fsecret", b"eyJhbGciOiJSUzI1NiJ9"):
            assert secret not in path.read_bytes(), path
    assert "hunter2/secret" not in ran.out


def test_story_shows_evidence_and_loads_nothing(checkout: Checkout) -> None:
    checkout.suite("demo/test_a.py", MIXED)
    story = checkout.run("-m", "demo").story
    assert "1 claim of 2 does not hold." in story
    assert "Counts went &lt;11/1&gt;." in story
    assert "data:image/png;base64," in story
    assert "probe refused" in story
    assert "Orthanc 1.12.7" in story
    assert 'id="CLAIM-PREFETCH-01"' in story
    assert story.count("not proven</span>") == 7
    assert external_loads(story) == []
    assert "<script" not in story


def test_junit_tells_blocked_from_passed(checkout: Checkout) -> None:
    checkout.suite(
        "demo/test_a.py", '@requirement("CLAIM-DUAL-01")\ndef test_it(): blocked("no PACS")\n' + MIXED
    )
    checkout.run("-m", "demo", "--report-dir", "elsewhere")
    suite = ET.parse(checkout.root / "elsewhere/junit.xml").getroot()[0]  # noqa: S314 - our own file
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "2", "1")
    assert "blocked: no PACS" in (checkout.root / "elsewhere/junit.xml").read_text()


def test_results_of_an_earlier_run_are_removed_and_nothing_else(checkout: Checkout) -> None:
    checkout.suite("demo/test_a.py", MIXED)
    checkout.run("-m", "demo")
    results = checkout.root / "reports/out/allure-results"
    before = set(results.glob("*-result.json"))
    checkout.run("-m", "demo")
    assert not before & set(results.glob("*-result.json"))
    shutil.rmtree(results)
    results.mkdir()
    (results / "somebody's.txt").write_text("x")
    ran = checkout.run("-m", "demo")
    assert ran.code == 2
    assert "did not write" in ran.out
    assert (results / "somebody's.txt").exists()


def test_no_report_writes_nothing(checkout: Checkout) -> None:
    checkout.suite("demo/test_a.py", MIXED)
    checkout.run("-m", "demo", "--no-report")
    assert not (checkout.root / "reports").exists()


def test_tests_elsewhere_keep_pytests_own_ways(checkout: Checkout) -> None:
    (checkout.root / "tests").mkdir()
    (checkout.root / "tests/test_x.py").write_text(
        "import pytest\ndef test_s(): pytest.skip('fine')\ndef test_f(): assert 0\n"
    )
    ran = checkout.run("tests")
    assert ran.code == 1
    assert "1 failed, 1 skipped" in ran.last_line
    assert "tests/test_x.py sF" in ran.out
    assert not (checkout.root / "reports").exists()


def test_narrowed_run_tells_not_run_from_hole(checkout: Checkout) -> None:
    checkout.suite("demo/test_a.py", '@requirement("CLAIM-DUAL-01")\ndef test_it(): pass\n')
    checkout.suite("demo/test_b.py", '@requirement("CLAIM-DUAL-03")\ndef test_it(): pass\n')
    ran = checkout.run("suites/demo/test_a.py")
    assert ran.record("CLAIM-DUAL-03")["verdict"] == "not-run"
    assert ran.record("CLAIM-DUAL-04")["verdict"] == "hole"
    only = checkout.run("--requirement", "CLAIM-DUAL-03")
    assert only.record("CLAIM-DUAL-01")["verdict"] == "not-run"
    assert only.record("CLAIM-DUAL-03")["verdict"] == "pass"


def test_missing_node_is_said_in_a_line(checkout: Checkout) -> None:
    checkout.suite("demo/test_a.py", MIXED)
    ran = checkout.run("-m", "demo")
    assert "No index.html:" in ran.out
    assert "Node is not installed" in ran.out


@pytest.mark.skipif(
    not (REPOSITORY / ".local/node/node_modules/.bin/allure").exists() or shutil.which("node") is None,
    reason="Allure is not installed",
)
def test_allure_page_is_one_file_with_history_and_calls_nobody(checkout: Checkout) -> None:
    checkout.suite("demo/test_a.py", MIXED)
    checkout.run("-m", "demo", allure=True)
    checkout.run("-m", "demo", allure=True)
    out = checkout.root / "reports/out"
    page = (out / "index.html").read_text()
    assert external_loads(page) == []
    assert "googletagmanager.com" not in page
    assert len((out / "history.jsonl").read_text().splitlines()) == 2
    results = [json.loads(path.read_text()) for path in (out / "allure-results").glob("*-result.json")]
    by_name = {result["name"]: result for result in results}
    assert (
        by_name["[not applicable] CLAIM-PREFETCH-01 Priors come by themselves when an order arrives"][
            "status"
        ]
        == "skipped"
    )
    assert by_name["[no test] CLAIM-DUAL-03 Both copies are identical to the original"]["status"] == "unknown"
    good = by_name["CLAIM-DUAL-01 A new study from the modality appears in both places"]
    labels = {(label["name"], label["value"]) for label in good["labels"]}
    assert {("epic", "The demo"), ("feature", "Dual delivery"), ("tag", "CLAIM-DUAL-01")} <= labels
    assert "What would refute it" in good["description"]


def test_analytics_are_stripped_and_external_loads_found() -> None:
    loader = '<script async src="https://www.googletagmanager.com/gtag/js?id=G-1"></script>'
    starter = "<script>window.dataLayer = []; gtag('js')</script>"
    own = "<script>const page = '<img src=\"https://x.example/a.png\">';</script>"
    assert without_analytics(f"<p>{loader}{starter}{own}</p>") == f"<p>{own}</p>"
    assert external_loads(own) == []
    assert external_loads(loader) == ["https://www.googletagmanager.com/gtag/js?id=G-1"]
    assert external_loads('<link rel="stylesheet" href="//cdn.example/x.css">') == ["//cdn.example/x.css"]
