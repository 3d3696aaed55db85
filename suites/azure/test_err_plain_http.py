"""A service without TLS (ERR-018)."""

from urllib.parse import urlsplit

import pytest

from fixtures.clients.dicomweb import DICOM_JSON
from fixtures.clients.http import HttpClient
from fixtures.traceability import needs, requirement
from suites.azure.conftest import SpecialService
from suites.azure.service import VERSIONS

pytestmark = [pytest.mark.azure, needs("control", "open-source")]


@requirement("ERR-018")
def test_served_without_redirect(special_service: SpecialService) -> None:
    """Where only http is bound, as in the shipped container, requests are served and nothing leads to https (ERR-018)."""
    with special_service(without=("--tls-cert", "--tls-key")) as own:
        address = urlsplit(own.deployment.cloud.url).netloc
        plain = HttpClient(f"http://{address}", recorder=own.recorder)
        report = plain.request("GET", "/health/check")
        assert (report.status, report.header("Location")) == (200, ""), report.describe()
        assert report.json()["overallStatus"] == "Healthy"
        owner = plain.with_token(own.tokens("owner"))
        for version in VERSIONS:
            answer = owner.request("GET", f"/{version}/studies", headers=[("Accept", DICOM_JSON)])
            assert (answer.status, answer.header("Location")) == (204, ""), answer.describe()
            refused = plain.request("GET", f"/{version}/studies", headers=[("Accept", DICOM_JSON)])
            assert (refused.status, refused.header("Location")) == (401, ""), refused.describe()
