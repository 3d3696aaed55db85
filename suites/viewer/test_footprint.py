"""What stays on the reader's computer (CLAIM-VIEWER-07)."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fixtures.clients.browser import browser
from fixtures.data import Study, make_cast
from fixtures.reporting.evidence import Evidence
from fixtures.traceability import needs, requirement
from fixtures.viewer.footprint import found_in, markers_of
from fixtures.viewer.ohif import Ohif
from fixtures.viewer.pictures import look_through
from suites.viewer.stand import Stand

pytestmark = [pytest.mark.viewer, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def study(stand: Stand) -> Study:
    """A study in the cloud; its frames are not compressed, so that they can be found by their bytes."""
    one = make_cast(stand.run, 1).study(1, "recent")
    stand.store([one])
    return one


@needs("viewer")
@requirement("CLAIM-VIEWER-07")
def test_nothing_of_the_studies_stays_on_disk(
    stand: Stand, study: Study, tmp_path: Path, evidence: Evidence
) -> None:
    """After sign-out and the browser's end its profile, empty before, holds no name, no frame and no token."""
    endpoint = stand.deployment.viewer
    home = tmp_path / "reader"
    with browser(home, endpoint.ca_file) as started:
        viewer = Ohif(started, endpoint)
        viewer.enter()
        viewer.open(study.accession_number)
        shown = look_through(viewer, study)
        sent = {one.headers.get("authorization", "") for one in started.record.requests}
        kept = viewer.stored()
        viewer.visit()
        viewer.sign_in()
        viewer.list_loaded()
        viewer.sign_out()
        assert started.record.downloads == []
    tokens = [value.removeprefix("Bearer ") for value in sent if value]
    assert tokens
    markers = markers_of(study) | {f"token {number}": one.encode() for number, one in enumerate(tokens)}
    assert not [name for name, marker in markers.items() if marker.decode("latin-1") in kept]
    found = found_in(home, markers)
    host = urlsplit(stand.deployment.viewer.url).netloc.encode()
    assert found_in(home, {"the viewer's address": host}), (
        "the profile holds no trace at all: was it searched?"
    )
    evidence.attach_json("what was found on disk", found)
    assert found == {}
    evidence.note(
        f"{shown} images were looked at; the profile on disk holds none of {len(markers)} markers of them."
    )
