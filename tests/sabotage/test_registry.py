"""The sabotaged worlds as a whole: names, descriptions, and that each claim of the demo has a control."""

from pathlib import Path
from typing import ClassVar

import pytest

from fixtures.deployment.errors import DeploymentFailed, ProfileProblem
from fixtures.deployment.spec import SystemSpec
from fixtures.sabotage import SABOTAGES, named
from fixtures.sabotage.parts import with_text
from fixtures.traceability import Catalogue
from fixtures.traceability.inventory import named_in_sources
from suites.controls.case import Case
from suites.controls.cases import CASES

ROOT = Path(__file__).parents[2]
CATALOGUE = Catalogue.load(ROOT / "requirements")


def test_unknown_name_is_a_usage_error_that_names_the_nearest() -> None:
    with pytest.raises(ProfileProblem, match="nearest: cloud-loses-every-second") as refused:
        named("cloud-looses-every-tenth", SABOTAGES)
    assert refused.value.exit_code == 2


def test_hopeless_name_gets_the_whole_list() -> None:
    with pytest.raises(ProfileProblem, match=r"one of .*archive-lands-in-the-pacs, .*stop-is-swallowed"):
        named("xyz", SABOTAGES)


def test_each_sabotage_has_one_control_that_shows_all_it_breaks() -> None:
    by_name = {case.sabotage.name: set(case.claims) for case in CASES}
    assert by_name == {name: set(sabotage.breaks) for name, sabotage in SABOTAGES.items()}
    assert len(CASES) == len(SABOTAGES)


def test_each_claim_that_the_demo_tests_has_a_control() -> None:
    tested = {
        r for r in named_in_sources(ROOT / "suites" / "demo", CATALOGUE.records) if r.startswith("CLAIM-")
    }
    assert len(tested) >= 38
    without = tested - {claim for case in CASES for claim in case.claims}
    documented = (
        (ROOT / "docs" / "controls.md").read_text("utf-8").partition("## Claims without a control")[2]
    )
    assert {claim for claim in without if claim not in documented} == set()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.sabotage.name)
def test_control_spares_something_and_is_documented(case: Case) -> None:
    assert case.spares
    assert not set(case.spares) & {red.test for red in case.red}
    page = (ROOT / "docs" / "controls.md").read_text("utf-8")
    for claim in case.claims:
        assert f"| {claim} | `{case.sabotage.name}` |" in page


def test_change_that_does_not_find_its_place_is_an_error() -> None:
    spec = SystemSpec("link", "systems", (), {"link.toml": b"a = 1\na = 1\n"}, {}, lambda _: None)
    with pytest.raises(DeploymentFailed, match="2 times instead of once"):
        with_text(spec, "link.toml", "a = 1", "a = 2")
    with pytest.raises(DeploymentFailed, match="0 times instead of once"):
        with_text(spec, "link.toml", "b = 1", "b = 2")
    assert with_text(spec, "link.toml", "^a = 1", "a = 2").files["link.toml"] == b"a = 2\na = 1\n"


def test_somebody_elses_systems_are_never_sabotaged(tmp_path: Path) -> None:
    class Theirs:
        name = "theirs"
        roles: ClassVar[dict[str, dict[str, object]]] = {}
        systems: ClassVar[dict[str, str]] = {}

    sabotage = SABOTAGES["cloud-loses-every-second"]
    with (
        pytest.raises(ProfileProblem, match="belong to somebody"),
        sabotage.deployed(Theirs(), "external", tmp_path),
    ):
        pass
    with (
        pytest.raises(ProfileProblem, match="ends with the run"),
        sabotage.deployed(Theirs(), "process", tmp_path, keep=True),
    ):
        pass
