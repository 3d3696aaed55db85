"""The viewer needs the cloud and nothing else (CLAIM-VIEWER-03, CLAIM-RECOVERY-01)."""

import socket

import pytest

from fixtures.data import Study, make_cast
from fixtures.deployment.deployment import Control
from fixtures.reporting.evidence import Evidence
from fixtures.traceability import needs, requirement
from fixtures.viewer.ohif import Ohif
from fixtures.viewer.pictures import look_through
from suites.viewer.stand import Stand

pytestmark = [pytest.mark.viewer, pytest.mark.timeout(600)]

on_prem = True


@pytest.fixture(scope="module")
def studies(stand: Stand) -> tuple[Study, ...]:
    """Three studies in the cloud."""
    chosen = make_cast(stand.run, 1).studies("recent")
    stand.store(chosen)
    return chosen


def _control(stand: Stand) -> Control:
    assert stand.deployment.control is not None
    return stand.deployment.control


def _lists_and_shows(viewer: Ohif, stand: Stand, studies: tuple[Study, ...]) -> int:
    """Compare the list with the cloud, and every image of each study with what was sent; returns their number."""
    shown = 0
    for study in studies:
        viewer.enter()
        assert {row.accession_number for row in viewer.rows()} == {one.accession_number for one in studies}
        assert stand.truth.study_uids() == {one.study_instance_uid for one in studies}
        viewer.open(study.accession_number)
        shown += look_through(viewer, study)
    return shown


def _closed(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return True
    return False


@needs("viewer")
@requirement("CLAIM-VIEWER-03")
def test_the_viewer_speaks_to_the_cloud_only(
    stand: Stand, studies: tuple[Study, ...], viewer: Ohif, evidence: Evidence
) -> None:
    """With everything on premises reachable, the browser asks the viewer, the service and the identity provider only."""
    _lists_and_shows(viewer, stand, studies)
    asked = viewer.browser.record.hosts()
    assert asked == stand.hosts
    evidence.note(
        f"{len(viewer.browser.record.requests)} requests went to {len(asked)} hosts, all of the cloud."
    )
    assert not viewer.browser.record.errors


@needs("viewer", "control")
@requirement("CLAIM-VIEWER-03", "CLAIM-RECOVERY-01")
def test_with_the_hospital_down_every_study_is_listed_and_shown(
    stand: Stand, studies: tuple[Study, ...], viewer: Ohif, evidence: Evidence
) -> None:
    """With PACS, router and link killed, list and images are what they were, and nobody asks for what is gone."""
    control, pacs = _control(stand), stand.deployment.pacs
    for role in ("pacs", "router", "link"):
        control.kill(role)
    try:
        assert _closed(pacs.dicom.host, pacs.dicom.port)
        assert not any(control.running(role) for role in ("pacs", "router", "link"))
        shown = _lists_and_shows(viewer, stand, studies)
        assert viewer.browser.record.hosts() == stand.hosts
        evidence.attach_png("the viewer with PACS, router and link killed", viewer.screenshot())
        evidence.note(f"With the PACS, the router and the link killed, {shown} images were shown unchanged.")
    finally:
        for role in ("link", "pacs", "router"):
            control.start(role)
