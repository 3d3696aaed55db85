"""The study list is the cloud's, whole and true (CLAIM-VIEWER-01, CLAIM-VIEWER-05)."""

import datetime as dt
import re
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Route

from fixtures.data import Study
from fixtures.data.cast import make_patient
from fixtures.data.series import make_series
from fixtures.reporting.evidence import Evidence
from fixtures.traceability import needs, requirement
from fixtures.viewer.ohif import Ohif, Row
from fixtures.viewer.rows import shown_as
from suites.viewer.stand import Stand

pytestmark = [pytest.mark.viewer, pytest.mark.timeout(900)]

COUNTS = (0, 1, 99, 101, 150, 250)
_FIRST_DAY = dt.date(2001, 1, 31)


@pytest.fixture(scope="module")
def archive(stand: Stand) -> list[Study]:
    """As many small studies as the list has to show at last, each of another patient; none is stored yet."""
    return [_study(stand, number) for number in range(1, max(COUNTS) + 1)]


def _study(stand: Stand, number: int, count: int = 1) -> Study:
    day = _FIRST_DAY + dt.timedelta(days=17 * number)
    return make_series(
        stand.run,
        1,
        count,
        number=number,
        patient=make_patient(stand.run, 1, number),
        modality=("CT", "MR", "CR")[number % 3],
        rows=16,
        columns=16,
        study_date=f"{day:%Y%m%d}",
    )


def _sorted(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row.accession_number)


@needs("viewer", "wipe")
@requirement("CLAIM-VIEWER-01")
def test_the_list_has_every_study_of_the_cloud_and_no_other(
    stand: Stand, archive: list[Study], viewer: Ohif, evidence: Evidence
) -> None:
    """At 0 to 250 studies the rows of all pages are the cloud's studies, each once, with the stored values."""
    stand.clear()
    stored = 0
    for number in COUNTS:
        stand.store(archive[stored:number])
        stored = number
        viewer.enter()
        assert _sorted(viewer.rows()) == _sorted([shown_as(study) for study in archive[:number]])
        assert stand.truth.study_uids() == {study.study_instance_uid for study in archive[:number]}
    evidence.attach_png(f"the study list with {stored} studies", viewer.screenshot())
    gone = archive[7]
    assert stand.web.delete(gone.study_instance_uid).status == 204
    viewer.enter()
    assert gone.accession_number not in {row.accession_number for row in viewer.rows()}
    assert stand.truth.study_uids() == {study.study_instance_uid for study in archive if study is not gone}
    evidence.note(f"With {', '.join(map(str, COUNTS))} studies in the cloud the list had exactly those.")


@needs("viewer")
@requirement("CLAIM-VIEWER-01")
def test_a_list_cut_off_between_is_seen(stand: Stand, archive: list[Study], answered: Ohif) -> None:
    """The negative control: where offset is ignored on the way, the rows are not the cloud's studies any more."""
    missing = {study.study_instance_uid for study in archive} - stand.truth.study_uids()
    stand.store([study for study in archive if study.study_instance_uid in missing])

    def ignore_offset(route: Route) -> None:
        parts = urlsplit(route.request.url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if int(query.get("offset", "0")) > 0:
            route.fulfill(status=204, headers={"Access-Control-Allow-Origin": stand.deployment.viewer.url})
            return
        route.continue_(url=parts._replace(query=urlencode(query)).geturl())

    answered.browser.context.route(re.compile(r"/studies\?"), ignore_offset)
    answered.enter()
    assert len(answered.rows()) < len(archive)


@needs("viewer")
@requirement("CLAIM-VIEWER-05")
def test_new_studies_are_listed_on_the_next_visit(
    stand: Stand, archive: list[Study], viewer: Ohif, evidence: Evidence
) -> None:
    """Three studies stored between two visits are in the second list, once each, with all their instances."""
    viewer.enter()
    before = viewer.rows()
    new = [_study(stand, len(archive) + number, count=number + 1) for number in (1, 2, 3)]
    stand.store(new)
    viewer.enter()
    after = viewer.rows()
    assert _sorted(after) == _sorted([*before, *map(shown_as, new)])
    evidence.note(f"The list had {len(before)} studies, and {len(after)} after three were stored.")
