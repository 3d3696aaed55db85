"""The viewer's token goes to nobody whose certificate is wrong (CLAIM-AUTH-07)."""

import datetime as dt
from urllib.parse import urlsplit

import pytest

from fixtures.deployment.credentials import authority
from fixtures.faults.false_server import FalseServer, wrong_certificates
from fixtures.reporting.evidence import Evidence
from fixtures.traceability import needs, requirement
from fixtures.viewer.ohif import Ohif
from fixtures.waiting import eventually
from suites.viewer.stand import Stand

pytestmark = [pytest.mark.viewer, pytest.mark.timeout(600)]


@needs("viewer", "control")
@requirement("CLAIM-AUTH-07")
def test_server_with_a_wrong_certificate_is_asked_nothing(
    stand: Stand, viewer: Ohif, evidence: Evidence
) -> None:
    """In the service's place stands a server that is unknown, misnamed or expired: the page's connections end before a request."""
    control, at = stand.deployment.control, urlsplit(stand.deployment.cloud.url)
    assert control is not None
    assert at.hostname is not None
    own = authority(stand.deployment.run_dir)
    wrong = wrong_certificates(own, at.hostname, now=dt.datetime.now(dt.UTC))
    control.kill("cloud")
    try:
        with FalseServer(at.hostname, at.port or 443) as false:
            for name, certificate in wrong.items():
                false.show(certificate)
                _signs_in_and_asks(viewer, false)
                assert false.heads == [], f"with a certificate {name}: {false.heads}"
            false.show(own.issue_cert(at.hostname))
            _signs_in_and_asks(viewer, false)
            eventually(
                lambda: bool(false.heads), within=20, because="a request to a server with a right certificate"
            )
    finally:
        control.start("cloud")
    viewer.visit()
    viewer.sign_in()
    viewer.list_loaded()
    evidence.note(f"A server with a certificate {', '.join(wrong)} was sent no request by the viewer's page.")


def _signs_in_and_asks(viewer: Ohif, false: FalseServer) -> None:
    """The page asks for its list as soon as somebody has signed in."""
    viewer.visit()
    viewer.sign_in()
    eventually(lambda: false.connections > 0, within=60, because="the viewer's page to ask for its list")
    viewer.page.wait_for_timeout(500)
