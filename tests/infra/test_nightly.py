"""The nightly run: what runs when, what is read of it, and how it ends."""

import json
from pathlib import Path

import pytest

from tools import nightly
from tools.common import Stop
from tools.nightly import Result, command, describe, night, run_part, settings, summary
from tools.nightly_plan import (
    GITHUB_TOKEN,
    GITHUB_URL,
    HOSTED,
    OWNER,
    OWNER_SECRET,
    READER,
    READER_SECRET,
    REFERENCE,
    SERVICE_URL,
    TENANT,
    Plan,
    hosted_of,
    plan,
    worst,
)

GUID = "11111111-aaaa-4bbb-8ccc-00000000000{}".format
FULL = {
    TENANT: GUID(1),
    SERVICE_URL: "https://ws-imaging.dicom.azurehealthcareapis.com/",
    OWNER: GUID(2),
    READER: GUID(3),
}
GITHUB = {GITHUB_URL: "https://token.example/?a=b", GITHUB_TOKEN: "t"}
UNSET = dict.fromkeys(FULL, "")


def test_reference_systems_run_every_night() -> None:
    for environment in ({}, UNSET, FULL | GITHUB):
        assert plan(environment, "all", require_hosted=False).parts[:2] == REFERENCE


def test_hosted_service_runs_when_it_is_named() -> None:
    assert plan(FULL | GITHUB, "all", require_hosted=False) == Plan((*REFERENCE, HOSTED), {}, {})
    assert plan(FULL | GITHUB, "hosted", require_hosted=True) == Plan((HOSTED,), {}, {})
    assert plan(FULL | GITHUB, "reference", require_hosted=False) == Plan(REFERENCE, {}, {})


@pytest.mark.parametrize("environment", [{}, UNSET, GITHUB])
def test_hosted_service_that_nobody_names_is_left_out_with_the_reason(environment: dict[str, str]) -> None:
    todo = plan(environment, "all", require_hosted=False)
    assert (todo.parts, todo.refused) == (REFERENCE, {})
    assert "not set" in todo.left_out[HOSTED]


def test_hosted_service_that_is_required_is_not_left_out() -> None:
    todo = plan({}, "hosted", require_hosted=True)
    assert (todo.parts, todo.left_out) == ((), {})
    assert TENANT in todo.refused[HOSTED]


@pytest.mark.parametrize("missing", [TENANT, SERVICE_URL, OWNER])
def test_half_a_description_fails_by_name_and_the_rest_runs(missing: str) -> None:
    todo = plan(FULL | GITHUB | {missing: ""}, "all", require_hosted=False)
    assert (todo.parts, todo.left_out) == (REFERENCE, {})
    assert f"{missing} is not set" in todo.refused[HOSTED]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (TENANT, "contoso"),
        (SERVICE_URL, "http://ws.example"),
        (SERVICE_URL, "https://ws.example/v2"),
        (OWNER, "x"),
        (READER, "x"),
    ],
)
def test_malformed_variable_fails_by_name(name: str, value: str) -> None:
    with pytest.raises(Stop, match=name) as stop:
        hosted_of(FULL | GITHUB | {name: value})
    assert stop.value.exit_code == 2


def test_way_to_sign_in_is_asked_for() -> None:
    with pytest.raises(Stop, match=r"no way to sign in"):
        hosted_of(FULL)
    with pytest.raises(Stop, match=r"no way to sign in"):
        hosted_of(FULL | {GITHUB_URL: "https://token.example"})


def test_secrets_of_the_environment_serve_a_laptop() -> None:
    hosted = hosted_of(FULL | {OWNER_SECRET: "a", READER_SECRET: "b"})
    assert hosted is not None
    assert hosted.by_secret
    with pytest.raises(Stop, match=READER_SECRET):
        hosted_of(FULL | {OWNER_SECRET: "a"})


def test_description_is_read_as_it_is_used() -> None:
    hosted = hosted_of(FULL | GITHUB)
    assert hosted is not None
    assert hosted.url == FULL[SERVICE_URL].rstrip("/")
    assert hosted.applications == {"owner": GUID(2), "reader": GUID(3)}
    assert not hosted.by_secret
    alone = hosted_of(FULL | GITHUB | {READER: ""})
    assert alone is not None
    assert alone.applications == {"owner": GUID(2)}


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([0, 0], 0),
        ([0, 1], 1),
        ([2, 1, 4], 1),
        ([4, 2, 0], 4),
        ([3, 5], 3),
        ([0, 5], 5),
        ([1, 130], 130),
        ([0, -9], 4),
        ([0, 77], 4),
        ([], 5),
    ],
)
def test_worst_part_decides_how_the_night_ends(codes: list[int], expected: int) -> None:
    assert worst(codes) == expected


def test_each_part_runs_its_suite_and_keeps_its_own_report(tmp_path: Path) -> None:
    words = command("demo", "docker", tmp_path, ["-x"])
    assert words[1:6] == ["suites/demo", "-m", "demo", "--runner", "docker"]
    assert words[-3:] == ["--report-dir", str(tmp_path / "demo"), "-x"]
    hosted = command(HOSTED, "docker", tmp_path, [])
    assert hosted[1:3] == ["-m", "tools.azure_hosted"]
    assert str(tmp_path / HOSTED) in hosted
    assert "--runner" not in hosted


class Suite:
    """In the place of a part's command: writes the report it is told to, and ends with the code it is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, out: Path) -> None:
        self.ran: list[str] = []
        self.codes: dict[str, int] = {}
        self.totals: dict[str, int] | None = {"pass": 3, "fail": 0}
        self._out = out
        monkeypatch.setattr(nightly, "command", lambda part, *_: [*self._words(part)])

    def _words(self, part: str) -> list[str]:
        self.ran.append(part)
        folder = self._out / part
        folder.mkdir(parents=True, exist_ok=True)
        report = json.dumps({"run": {"id": "r", "finished": "t"}, "totals": self.totals})
        write = "" if self.totals is None else f"printf '%s' '{report}' > '{folder}/conformance.json'; "
        return ["sh", "-c", f"{write}exit {self.codes.get(part, 0)}"]


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Suite:
    monkeypatch.setattr(nightly, "prepare_reference", lambda _: None)
    return Suite(monkeypatch, tmp_path)


def test_part_leaves_a_line_a_night(suite: Suite, tmp_path: Path) -> None:
    run_part("demo", "process", tmp_path, [])
    suite.totals, suite.codes = {"pass": 2, "fail": 1}, {"demo": 1}
    result = run_part("demo", "process", tmp_path, [])
    assert (result.exit_code, result.totals, result.before) == (
        1,
        {"pass": 2, "fail": 1},
        {"pass": 3, "fail": 0},
    )
    lines = [json.loads(line) for line in (tmp_path / "demo" / "trend.jsonl").read_text().splitlines()]
    assert [(line["exit_code"], line["totals"]["pass"]) for line in lines] == [(0, 3), (1, 2)]
    assert describe(result.totals, result.before) == "1 fail (+1), 2 pass (-1)"


def test_green_part_without_a_report_proves_nothing(suite: Suite, tmp_path: Path) -> None:
    """Neither does the report of an earlier night."""
    run_part("demo", "process", tmp_path, [])
    suite.totals = None
    assert run_part("demo", "process", tmp_path, []).exit_code == 4


def test_line_that_was_cut_off_does_not_end_the_history(suite: Suite, tmp_path: Path) -> None:
    run_part("demo", "process", tmp_path, [])
    with (tmp_path / "demo" / "trend.jsonl").open("a") as file:
        file.write('{"part": "de\n')
    assert run_part("demo", "process", tmp_path, []).before == {"pass": 3, "fail": 0}
    assert suite.ran == ["demo", "demo"]


def test_failed_part_keeps_no_other_from_running(suite: Suite, tmp_path: Path) -> None:
    suite.codes = {"azure": 1}
    results = night(Plan((*REFERENCE, HOSTED), {}, {}), "process", tmp_path, [])
    assert [(one.part, one.exit_code) for one in results] == [("azure", 1), ("demo", 0), (HOSTED, 0)]


def test_interruption_ends_the_night(suite: Suite, tmp_path: Path) -> None:
    suite.codes = {"azure": 130}
    assert [one.part for one in night(Plan(REFERENCE, {}, {}), "process", tmp_path, [])] == ["azure"]


def test_demo_is_told_where_the_verdicts_on_the_service_are(suite: Suite, tmp_path: Path) -> None:
    """They are of the same night: the part that finds them out runs first (CLAIM-INTEGRITY-04)."""
    night(Plan(REFERENCE, {}, {}), "process", tmp_path, [])
    named = Path(settings("demo", tmp_path)["CONFORMANCE_SERVICE_REPORT"])
    assert (named.exists(), suite.ran) == (True, ["azure", "demo"])
    assert settings("azure", tmp_path) == {}


def test_machine_that_lacks_something_for_the_reference_still_judges_the_hosted(
    suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacks(_: str) -> None:
        raise Stop("Orthanc is missing")

    monkeypatch.setattr(nightly, "prepare_reference", lacks)
    results = night(Plan((*REFERENCE, HOSTED), {}, {}), "process", tmp_path, [])
    assert [(one.part, one.exit_code) for one in results] == [("azure", 3), ("demo", 3), (HOSTED, 0)]
    assert suite.ran == [HOSTED]


def test_refused_part_makes_the_night_fail(suite: Suite, tmp_path: Path) -> None:
    results = night(Plan(REFERENCE, {}, {HOSTED: "half a description"}), "process", tmp_path, [])
    assert worst(one.exit_code for one in results) == 2
    assert suite.ran == list(REFERENCE)


def test_summary_has_a_row_a_part_and_no_broken_table() -> None:
    text = summary(
        [Result("demo", 0, 1.0, {"pass": 3}, None), Result(HOSTED, 2, note="wrong:\n  a | b")],
        {"x": "not named"},
    )
    assert text.splitlines()[2:] == [
        "| demo | passed | 3 pass |",
        f"| {HOSTED} | **exit code 2** | wrong: a / b |",
        "| x | left out | not named |",
    ]
