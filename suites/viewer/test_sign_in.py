"""Without a sign-in nothing is shown or obtained, and no secret is in the page (CLAIM-VIEWER-04)."""

import gzip
import re
from urllib.parse import urlsplit

import pytest

from fixtures.clients.answers import Response
from fixtures.clients.http import HttpClient
from fixtures.data import Study, make_cast
from fixtures.reporting.evidence import Evidence
from fixtures.traceability import needs, requirement
from fixtures.viewer.ohif import Ohif
from suites.viewer.stand import Stand

pytestmark = [pytest.mark.viewer, pytest.mark.timeout(600)]

_TOKEN = re.compile(rb"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}")
"""A signed token (RFC 7519) as it is written."""


@pytest.fixture(scope="module")
def study(stand: Stand) -> Study:
    """A study in the cloud."""
    one = make_cast(stand.run, 1).study(1, "new")
    stand.store([one])
    return one


def _tokens(viewer: Ohif) -> set[str]:
    """The bearer tokens that the browser has sent."""
    sent = [one.headers.get("authorization", "") for one in viewer.browser.record.requests]
    return {value.removeprefix("Bearer ") for value in sent if value.startswith("Bearer ")}


def _anonymously(stand: Stand, study: Study) -> list[int]:
    """How list, metadata and frames are answered without a token, at the root the viewer is set up with."""
    first = study.instances[0].fingerprint
    whole = f"/studies/{study.study_instance_uid}"
    frame = f"{whole}/series/{first.series_instance_uid}/instances/{first.sop_instance_uid}/frames/1"
    root = f"/{stand.deployment.cloud.version}"
    return [
        stand.anonymous.request("GET", root + path).status
        for path in ("/studies", f"{whole}/metadata", frame)
    ]


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
    assert _anonymously(stand, study) == [401, 401, 401]

    viewer.sign_in()
    viewer.list_loaded()
    assert [row.accession_number for row in viewer.rows()] == [study.accession_number]
    tokens = _tokens(viewer)
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
    assert _anonymously(stand, study) == [401, 401, 401]
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
    host = urlsplit(stand.deployment.viewer.url).netloc
    paths = {one.path for one in viewer.browser.record.requests if one.host == host and one.method == "GET"}
    assert {"/", "/app-config.js"} <= paths
    http = HttpClient(
        stand.deployment.viewer.url, recorder=stand.recorder, ca_file=stand.deployment.viewer.ca_file
    )
    secrets = [one.secret for one in stand.deployment.identity.applications.values()]
    secrets += [stand.deployment.viewer.password]
    for path in sorted(paths):
        body = _body(http.request("GET", path))
        assert not [secret for secret in secrets if secret.encode() in body], f"{path} holds a secret"
        assert not _TOKEN.search(body), f"{path} holds a token"


def _body(answer: Response) -> bytes:
    packed = answer.header("Content-Encoding") == "gzip"
    return gzip.decompress(answer.body) if packed else answer.body
