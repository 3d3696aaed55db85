"""The catalogue: what is there is valid, and what is wrong is named."""

import json
import time
from pathlib import Path

import pytest

from fixtures.traceability import CatalogueProblem
from fixtures.traceability.catalogue import ID, OPTIONAL, REQUIRED, Catalogue

CLAIM = """
- id: CLAIM-ONPREM-01
  title: A title
  seed: [somewhere]
  claim: A promise.
  procedure: [do]
  evidence: [see]
  falsifiers: [break]
  related: []
"""


def test_the_repositorys_catalogue_is_valid_and_complete(catalogue: Catalogue) -> None:
    counts = {
        suite: len(catalogue.of_suites(frozenset({suite})))
        for suite in ("demo", "router", "azure", "dicomweb")
    }
    assert counts == {"demo": 125, "router": 116, "azure": 807, "dicomweb": 372}
    assert [record.order for record in catalogue] == list(range(len(catalogue)))
    assert all(catalogue.area_of(record) for record in catalogue)
    assert {record.level for record in catalogue} == {"must", "should", "may"}


def test_records_are_typed_and_frozen(catalogue: Catalogue) -> None:
    claim = catalogue.records["CLAIM-DUAL-01"]
    assert (claim.suite, claim.area, claim.level, claim.is_claim) == ("demo", "CLAIM-DUAL", "must", True)
    assert claim.falsifiers
    router = catalogue.records["ROUTER-002"]
    assert router.level == "must"
    assert router.table[0]["AE title"] == "QIETOAZURE"
    with pytest.raises(AttributeError):
        claim.title = "x"  # type: ignore[misc]


def test_testable_is_what_can_be_seen_and_decided_here(catalogue: Catalogue) -> None:
    hosted = frozenset({"hosted"})
    assert catalogue.records["CLAIM-DUAL-01"].testable()
    assert not catalogue.records["CLAIM-PUSH-08"].testable()
    assert catalogue.records["CLAIM-PUSH-08"].testable(hosted)
    assert not catalogue.records["CLAIM-VIEWER-09"].testable(hosted)
    assert sum(not record.observable for record in catalogue) == 21
    assert all(not record.testable(hosted) for record in catalogue if not record.observable)


def test_second_load_costs_nothing(catalogue: Catalogue, requirements: Path) -> None:
    first = Catalogue.load(requirements)
    started = time.perf_counter()
    assert Catalogue.load(requirements) is first
    assert time.perf_counter() - started < 0.05
    assert len(first) == len(catalogue)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (("  title: A title\n", ""), "CLAIM-ONPREM-01: `title` is missing"),
        (("CLAIM-ONPREM-01", "claim-1"), "an id is capitals and digits"),
        (("  claim: A promise.", "  claim: A promise.\n  clam: x"), "`clam` is not a key of a claim"),
        (("[break]", "[]"), "`falsifiers` is empty"),
        (("related: []", "related: [CLAIM-NO-99]"), "`related` names CLAIM-NO-99"),
        (("related: []", "related: []\n  decidable: god"), "`decidable` is 'god'"),
        (("CLAIM-ONPREM-01", "CLAIM-NEWAREA-01"), "area CLAIM-NEWAREA has no words"),
        (("CLAIM-ONPREM-01", "ROUTER-001"), "ROUTER-001 is used twice"),
        (("  title: A title", "  title: A title\n  title: B"), "key 'title' is given twice"),
        (("[do]", "[{a: b}]"), "`procedure` is a list of texts"),
        (("- id: CLAIM-ONPREM-01", "- ident: x"), "every record is a mapping with an `id`"),
        (("[do]", "[do"), "cannot be read"),
    ],
)
def test_faults_are_named_with_their_remedy(requirements: Path, spoil: tuple[str, str], message: str) -> None:
    (requirements / "demo-claims.yaml").write_text(CLAIM.replace(*spoil))
    with pytest.raises(CatalogueProblem, match=r"demo-claims|is not valid") as caught:
        Catalogue.load(requirements)
    assert message in str(caught.value)


def test_all_faults_are_told_at_once(requirements: Path) -> None:
    (requirements / "demo-claims.yaml").write_text(
        CLAIM.replace("  title: A title\n", "").replace("[see]", "[]")
    )
    with pytest.raises(CatalogueProblem) as caught:
        Catalogue.load(requirements)
    assert "`title` is missing" in str(caught.value)
    assert "`evidence` is empty" in str(caught.value)


def test_nearest_ids_are_useful(catalogue: Catalogue) -> None:
    assert "CLAIM-DUAL-01" in catalogue.nearest("CLAIM-DUEL-01")
    assert catalogue.nearest("XYZZY") == ()


def test_schema_for_editors_says_the_same(catalogue: Catalogue) -> None:
    schema = json.loads((Path(__file__).parents[2] / "requirements/schema.json").read_text())["$defs"]
    for kind in ("claim", "requirement"):
        assert set(schema[kind]["required"]) == set(REQUIRED[kind])
        assert set(schema[kind]["properties"]) == set(REQUIRED[kind]) | set(OPTIONAL[kind])
    assert schema["id"]["pattern"] == f"^{ID.pattern}$"
    assert len(catalogue) > 0
