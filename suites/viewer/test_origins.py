"""Only pages of the viewer may read from the DICOM service (CLAIM-VIEWER-08)."""

import pytest

from fixtures.data import Study, make_cast
from fixtures.reporting.evidence import Evidence
from fixtures.traceability import needs, requirement
from fixtures.viewer.ohif import Ohif
from fixtures.viewer.origins import FETCH, calls_of_a_page, preflight
from suites.viewer.stand import Stand

pytestmark = [pytest.mark.viewer, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def studies(stand: Stand) -> tuple[Study, Study]:
    """A study in the cloud, and one with a report that is not there yet."""
    cast = make_cast(stand.run, 1)
    stored = cast.study(1, "new")
    stand.store([stored])
    return stored, cast.study(7, "new")


@needs("viewer")
@requirement("CLAIM-VIEWER-08")
def test_pages_of_other_origins_read_nothing(
    stand: Stand, studies: tuple[Study, Study], viewer: Ohif, evidence: Evidence
) -> None:
    """With the same token a page of the viewer reads and stores, and one of another origin gets no answer at all."""
    calls = calls_of_a_page(stand.deployment, stand.token(), *studies)
    foreign = stand.deployment.identity.authority
    viewer.page.goto(f"{foreign}/health")
    for name, call in calls.items():
        assert viewer.page.evaluate(FETCH, call) == [0, 0], f"another origin got an answer to {name}"
    viewer.enter()
    for name, call in calls.items():
        status, size = viewer.page.evaluate(FETCH, call)
        assert status == 200, name
        assert size > 0, name
    evidence.note(f"{', '.join(calls)}: answered to the viewer's page, to no page of another host.")


@needs("viewer")
@requirement("CLAIM-VIEWER-08")
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_preflights_allow_the_declared_origin_only(stand: Stand, method: str) -> None:
    """A preflight needs no token, names the declared origin and no other, and never a wildcard with credentials."""
    declared = preflight(stand.anonymous, stand.deployment, stand.deployment.viewer.url, method)
    assert declared.status in (200, 204)  # CORS protocol: any ok status (Fetch, 3.2.3)
    assert declared.header("Access-Control-Allow-Origin") == stand.deployment.viewer.url
    assert method in declared.header("Access-Control-Allow-Methods")
    assert "authorization" in declared.header("Access-Control-Allow-Headers").lower()
    assert declared.header("Access-Control-Allow-Credentials") == ""
    other = preflight(stand.anonymous, stand.deployment, stand.deployment.identity.authority, method)
    assert other.header("Access-Control-Allow-Origin") == ""
