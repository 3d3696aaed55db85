"""Opening a study shows its true images (CLAIM-VIEWER-02)."""

import re

import pytest
from playwright.sync_api import Route

from fixtures.data import Study, make_cast
from fixtures.reporting.evidence import Evidence
from fixtures.traceability import needs, requirement
from fixtures.viewer.ohif import Ohif
from fixtures.viewer.pictures import look_through
from suites.viewer.stand import Stand

pytestmark = [pytest.mark.viewer, pytest.mark.timeout(600)]

OPENED = ((1, "recent"), (2, "recent"), (3, "new"), (5, "recent"))
"""Of the cast, by patient and kind: CT with a radiograph, MR, two series, and a digital radiograph."""


@pytest.fixture(scope="module")
def studies(stand: Stand) -> tuple[Study, ...]:
    """Some studies in the cloud, among others that stay closed."""
    cast = make_cast(stand.run, 1)
    chosen = tuple(cast.study(patient, kind) for patient, kind in OPENED)  # type: ignore[arg-type]
    stand.store([*chosen, cast.study(1, "prior")])
    return chosen


@needs("viewer")
@requirement("CLAIM-VIEWER-02")
def test_every_image_of_a_study_is_shown_as_it_was_sent(
    studies: tuple[Study, ...], viewer: Ohif, evidence: Evidence
) -> None:
    """Series and images are all there; their values equal the instance's, and the drawn canvas within a grey level."""
    shown = 0
    for study in studies:
        viewer.enter()
        viewer.open(study.accession_number)
        shown += look_through(viewer, study, drawn=True)
        evidence.attach_png(f"{study.modality} study in the viewer", viewer.screenshot())
    evidence.note(f"All {shown} images of {len(studies)} studies were shown with the values that were sent.")
    assert not viewer.browser.record.errors


@needs("viewer")
@requirement("CLAIM-VIEWER-02")
def test_frames_that_do_not_arrive_are_not_drawn(
    stand: Stand, studies: tuple[Study, ...], answered: Ohif, evidence: Evidence
) -> None:
    """The negative control: where frames are answered with failures, the check above has nothing to compare."""
    refused: list[str] = []

    def refuse(route: Route) -> None:
        refused.append(route.request.url)
        route.fulfill(status=503, headers={"Access-Control-Allow-Origin": stand.deployment.viewer.url})

    answered.browser.context.route(re.compile(r"/frames/"), refuse)
    answered.enter()
    answered.open(studies[0].accession_number)
    answered.series()
    answered.page.wait_for_function("() => document.querySelector('canvas.cornerstone-canvas')")
    answered.page.wait_for_timeout(2000)
    assert refused
    assert answered.colours() <= 1
    evidence.attach_png("the viewer without frames", answered.screenshot())
