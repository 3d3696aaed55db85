"""Without a sign-in nothing is shown or obtained, and no secret is in the page (CLAIM-VIEWER-04)."""

from urllib.parse import urlsplit

import pytest

from fixtures.clients.http import HttpClient
from fixtures.data import Study, make_cast
from fixtures.reporting.evidence import Evidence
from fixtures.traceability import needs, requirement
from fixtures.viewer.ohif import Ohif
from fixtures.viewer.signing import TOKEN, anonymously, served_files, tokens_of
from suites.viewer.stand import Stand

pytestmark = [pytest.mark.viewer, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def study(stand: Stand) -> Study:
    """A study in the cloud."""
    one = make_cast(stand.run, 1).study(1, "new")
    stand.store([one])
    return one


@needs("viewer")
@requirement("CLAIM-VIEWER-04")
def test_only_who_has_signed_in_sees_studies(
    stand: Stand, study: Study, viewer: Ohif, evidence: Evidence
) -> None:
    """Before, after a wrong password, and after the sign-out and Back, nothing is shown or obtained; between, all is."""
    cloud = urlsplit(stand.deployment.cloud.url).netloc
    viewer.visit()
    viewer.page.locator("#password").wait_for()
    viewer.sign_in(password="not this one")  # noqa: S106 - on purpose
    viewer.page.get_by_role("alert").wait_for()
    assert cloud not in viewer.browser.record.hosts()
    assert anonymously(stand.anonymous, stand.deployment, study) == [401, 401, 401]

    viewer.sign_in()
    viewer.list_loaded()
    assert [row.accession_number for row in viewer.rows()] == [study.accession_number]
    tokens = tokens_of(viewer)
    assert tokens
    assert not any(token in viewer.stored() for token in tokens)

    viewer.sign_out()
    evidence.attach_png("signed out", viewer.screenshot())
    mark = viewer.browser.record.mark()
    viewer.page.go_back()
    viewer.signed_out()
    assert study.accession_number not in viewer.page.inner_text("body")
    viewer.visit()
    viewer.page.locator("#password").wait_for()
    assert not [one for one in viewer.browser.record.since(mark) if one.host == cloud]
    assert anonymously(stand.anonymous, stand.deployment, study) == [401, 401, 401]
    assert not [
        one.path for one in viewer.browser.record.requests if any(token in one.url for token in tokens)
    ]


@needs("viewer")
@requirement("CLAIM-VIEWER-04")
def test_no_file_of_the_viewer_holds_a_secret(stand: Stand, study: Study, viewer: Ohif) -> None:
    """Of everything the viewer's host gives to a browser, nothing holds a client secret, a password or a token."""
    viewer.enter()
    viewer.open(study.accession_number)
    viewer.image()
    http = HttpClient(
        stand.deployment.viewer.url, recorder=stand.recorder, ca_file=stand.deployment.viewer.ca_file
    )
    secrets = [one.secret for one in stand.deployment.identity.applications.values()]
    secrets += [stand.deployment.viewer.password]
    served = served_files(viewer, http)
    assert {"/", "/app-config.js"} <= served.keys()
    for path, content in served.items():
        assert not [secret for secret in secrets if secret.encode() in content], f"{path} holds a secret"
        assert not TOKEN.search(content), f"{path} holds a token"
