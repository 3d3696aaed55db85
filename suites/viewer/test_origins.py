"""Only pages of the viewer may read from the DICOM service (CLAIM-VIEWER-08)."""

import base64

import pytest

from fixtures.clients.answers import Response
from fixtures.data import Instance, Study, make_cast
from fixtures.reporting.evidence import Evidence
from fixtures.traceability import needs, requirement
from fixtures.viewer.ohif import Ohif
from suites.viewer.stand import Stand

pytestmark = [pytest.mark.viewer, pytest.mark.timeout(600)]

_FETCH = """async ([method, url, headers, body]) => {
  const bytes = body ? Uint8Array.from(atob(body), c => c.charCodeAt(0)) : undefined;
  try {
    const answer = await fetch(url, { method, headers, body: bytes });
    return [answer.status, (await answer.arrayBuffer()).byteLength];
  } catch (error) {
    return [0, 0];
  }
}"""


@pytest.fixture(scope="module")
def studies(stand: Stand) -> tuple[Study, Study]:
    """A study in the cloud, and one with a report that is not there yet."""
    cast = make_cast(stand.run, 1)
    stored = cast.study(1, "new")
    stand.store([stored])
    return stored, cast.study(7, "new")


def _calls(stand: Stand, studies: tuple[Study, Study]) -> dict[str, list[object]]:
    """List, metadata, a frame and the store of a report, as a page would send them with the owner's token."""
    stored, new = studies
    first = stored.instances[0].fingerprint
    report = next(one for one in new.instances if one.dataset().Modality == "SR")
    content_type, body = _multipart(report)
    root = f"{stand.deployment.cloud.url}/{stand.deployment.cloud.version}"
    instance = f"/series/{first.series_instance_uid}/instances/{first.sop_instance_uid}"
    study = f"{root}/studies/{stored.study_instance_uid}"
    bearer = {"Authorization": f"Bearer {stand.token()}"}
    json = bearer | {"Accept": "application/dicom+json"}
    octets = bearer | {"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax="*"'}
    return {
        "list": ["GET", f"{root}/studies", json, None],
        "metadata": ["GET", f"{study}/metadata", json, None],
        "frame": ["GET", f"{study}{instance}/frames/1", octets, None],
        "store": [
            "POST",
            f"{root}/studies",
            json | {"Content-Type": content_type},
            base64.b64encode(body).decode("ascii"),
        ],
    }


def _multipart(instance: Instance) -> tuple[str, bytes]:
    """One instance as the body of a store request (PS3.18 10.5), with its content type."""
    head = b"--part\r\nContent-Type: application/dicom\r\n\r\n"
    body = head + instance.part10 + b"\r\n--part--\r\n"
    return 'multipart/related; type="application/dicom"; boundary=part', body


@needs("viewer")
@requirement("CLAIM-VIEWER-08")
def test_pages_of_other_origins_read_nothing(
    stand: Stand, studies: tuple[Study, Study], viewer: Ohif, evidence: Evidence
) -> None:
    """With the same token a page of the viewer reads and stores, and one of another origin gets no answer at all."""
    calls = _calls(stand, studies)
    foreign = stand.deployment.identity.authority
    viewer.page.goto(f"{foreign}/health")
    for name, call in calls.items():
        assert viewer.page.evaluate(_FETCH, call) == [0, 0], f"another origin got an answer to {name}"
    viewer.enter()
    for name, call in calls.items():
        status, size = viewer.page.evaluate(_FETCH, call)
        assert status == 200, name
        assert size > 0, name
    evidence.note(f"{', '.join(calls)}: answered to the viewer's page, to no page of another host.")


@needs("viewer")
@requirement("CLAIM-VIEWER-08")
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_preflights_allow_the_declared_origin_only(stand: Stand, method: str) -> None:
    """A preflight needs no token, names the declared origin and no other, and never a wildcard with credentials."""
    declared = _preflight(stand, stand.deployment.viewer.url, method)
    assert declared.status in (200, 204)  # CORS protocol: any ok status (Fetch, 3.2.3)
    assert declared.header("Access-Control-Allow-Origin") == stand.deployment.viewer.url
    assert method in declared.header("Access-Control-Allow-Methods")
    assert "authorization" in declared.header("Access-Control-Allow-Headers").lower()
    assert declared.header("Access-Control-Allow-Credentials") == ""
    other = _preflight(stand, stand.deployment.identity.authority, method)
    assert other.header("Access-Control-Allow-Origin") == ""


def _preflight(stand: Stand, origin: str, method: str) -> Response:
    asked = [
        ("Origin", origin),
        ("Access-Control-Request-Method", method),
        ("Access-Control-Request-Headers", "authorization,accept,content-type"),
    ]
    return stand.anonymous.request("OPTIONS", f"/{stand.deployment.cloud.version}/studies", headers=asked)
