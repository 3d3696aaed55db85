"""What errors look like: plain sentences, empty bodies, and nothing of the inside (ERR-001 to ERR-006, API-003, API-004)."""

import pytest

from fixtures.clients.answers import Response
from fixtures.clients.dicomweb import AS_STORED, DICOM_JSON, OCTETS, DicomWeb
from fixtures.traceability import needs, requirement
from suites.azure import callers
from suites.azure.conftest import SpecialService
from suites.azure.data import Made, Maker
from suites.azure.service import VERSIONS, Service
from suites.azure.stow import post

pytestmark = pytest.mark.azure

J2K = "1.2.840.10008.1.2.4.90"


@pytest.fixture(scope="module")
def stored(v2: DicomWeb, make: Maker) -> Made:
    """One instance that is there."""
    made = make()
    assert v2.store([made.part10]).status == 200
    return made


@pytest.fixture(scope="module")
def broken(v2: DicomWeb, make: Maker) -> Made:
    """An instance with fewer pixels than it says: stored, but no image can be made of it."""
    made = make(PixelData=b"\1\2\3\4")
    assert v2.store([made.part10]).status == 200
    return made


def assert_sentence(answer: Response, status: int, *parts: str) -> None:
    """The answer is an error with one plain sentence that has these parts."""
    assert answer.status == status, answer.describe()
    assert answer.content_type.replace(" ", "").lower() == "text/plain;charset=utf-8", answer.describe()
    text = answer.body.decode()
    assert text.strip(), "an error of the application says what is wrong"
    assert not text.lstrip().startswith(("{", "[", "<")), "no JSON envelope, no problem+json, no page"
    assert "Traceback" not in text
    for part in parts:
        assert part.lower() in text.lower(), text


@requirement("ERR-001", "API-003", "API-004")
def test_plain_sentences(service: Service, web: DicomWeb, stored: Made) -> None:
    """Errors of each status are one plain sentence, text/plain in UTF-8 (ERR-001, API-003, API-004)."""
    assert_sentence(web.metadata("not-a-uid"), 400)
    assert_sentence(web.search("studies", limit="x"), 400)
    assert_sentence(web.search("studies", NoSuchAttribute="1"), 400)
    assert_sentence(web.change_feed(limit=0), 400)
    assert_sentence(service.web("norole", web.version).metadata(stored.study), 403)
    assert_sentence(web.metadata("1.2.3"), 404)
    assert_sentence(web.delete("1.2.3"), 404)
    assert_sentence(web.get(stored.path(), accept="text/plain"), 406)
    assert_sentence(post(web, stored.part10, None), 415)


@requirement("ERR-001", "ERR-006", "LIM-001", "API-004")
@needs("control")
def test_too_large(special_service: SpecialService, make: Maker) -> None:
    """A file above the limit is 413 with the limit in bytes, one of just that size is stored (ERR-006, LIM-001)."""
    fits = make()
    over = make(PatientComments="longer")
    limit = len(fits.part10)
    assert len(over.part10) > limit
    with special_service("--max-file-size", str(limit)) as own:
        for version in VERSIONS:
            web = own.web(version=version)
            for single in (True, False):
                answer = web.store([over.part10], single_part=single)
                assert_sentence(answer.response, 413, str(limit))
                assert web.metadata(over.study).status == 404, "nothing of it is stored"
            mixed = web.store([fits.part10, over.part10])
            assert_sentence(mixed.response, 413, str(limit))
            assert web.store([fits.part10]).status == 200
            assert web.delete(fits.study).status == 204


@requirement("ERR-002")
@pytest.mark.parametrize("version", VERSIONS)
def test_empty_bodies(service: Service, stored: Made, version: str) -> None:
    """406 of the Accept filter, 401, 404 of routing, 405 and 415 of routing have no body (ERR-002)."""
    http, study = service.http(), stored.path("study")
    xml = ("Accept", "application/xml")
    for answer, status in (
        (
            http.request("POST", f"/{version}/studies", headers=[xml, ("Content-Type", "application/dicom")]),
            406,
        ),
        (http.request("GET", f"/{version}{study}/metadata", headers=[xml]), 406),
        (service.anonymous.request("GET", f"/{version}{study}/metadata", headers=callers.JSON), 401),
        (http.request("GET", f"/{version}/nothing"), 404),
        (http.request("GET", "/studies"), 404),
        (http.request("PUT", f"/{version}/studies"), 405),
        (
            http.request("POST", f"/{version}/studies", headers=[("Content-Type", "text/plain")], body=b"x"),
            415,
        ),
    ):
        assert (answer.status, answer.body) == (status, b""), answer.describe()


@requirement("ERR-002")
@pytest.mark.parametrize(
    ("content_type", "body", "named"),
    [
        (None, b"x", "content type"),
        ("application/dicom; transfer-syntax=*", b"x", "application/dicom"),
        ("multipart/related; type=application/dicom", b"x", "multipart/related"),
        (
            "multipart/related; type=application/dicom; boundary=b",
            b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--\r\n",
            "text/plain",
        ),
    ],
    ids=["none", "parameters", "no boundary", "part"],
)
def test_media_types_named(web: DicomWeb, content_type: str | None, body: bytes, named: str) -> None:
    """The 415 that STOW itself raises says which content type is wrong (ERR-002)."""
    assert_sentence(post(web, body, content_type), 415, named)


@requirement("ERR-003", "API-004")
def test_bad_input(web: DicomWeb, stored: Made) -> None:
    """Bad UIDs, frame lists, query values, multipart bodies and switched-off features are 400 (ERR-003, API-004)."""
    study, series, instance = stored.uids
    assert_sentence(web.get("/studies/1.2.x", accept=AS_STORED), 400)
    assert_sentence(web.frames(study, series, instance, "0"), 400)
    assert_sentence(web.frames(study, series, instance, "one"), 400)
    assert_sentence(web.rendered(study, series, instance, query=[("quality", "0")]), 400)
    assert_sentence(web.search("studies", StudyDate="someday"), 400)
    assert_sentence(
        post(web, b"no boundary in here", "multipart/related; type=application/dicom; boundary=b"), 400
    )
    assert_sentence(web.get("/partitions", accept=DICOM_JSON), 400, "disabled")
    assert web.frames(study, series, instance, "1").status == 200


@requirement("ERR-004", "API-004")
def test_missing_resources(web: DicomWeb, stored: Made, make: Maker) -> None:
    """What is not there is 404 in one line that names its kind (ERR-004, API-004)."""
    study, series, instance = stored.uids
    other = make.uid()
    for answer, kind in (
        (web.get(f"/studies/{other}", accept=AS_STORED), "study"),
        (web.get(f"/studies/{study}/series/{other}", accept=AS_STORED), "series"),
        (web.get(f"/studies/{study}/series/{series}/instances/{other}", accept=AS_STORED), "instance"),
        (web.frames(study, series, instance, "2", accept=OCTETS), "frame"),
        (web.metadata(other), "study"),
        (web.metadata(study, other), "series"),
        (web.metadata(study, series, other), "instance"),
        (web.delete(study, series, other), "instance"),
    ):
        assert_sentence(answer, 404, kind)
        assert b"\n" not in answer.body.strip()


@requirement("ERR-005", "API-004")
def test_not_acceptable(web: DicomWeb, stored: Made, broken: Made) -> None:
    """An unsupported Accept, a transcoding that fails and a rendering that fails are 406 (ERR-005, API-004)."""
    transcoded = f"application/dicom; transfer-syntax={J2K}"
    assert_sentence(web.get(stored.path(), accept="application/pdf"), 406)
    assert_sentence(web.get(stored.path(), accept="application/dicom; transfer-syntax=1.2.3"), 406)
    for accept, path in ((transcoded, ""), ("image/jpeg", "/rendered")):
        assert_sentence(web.get(broken.path() + path, accept=accept), 406)
        assert web.get(stored.path() + path, accept=accept).status == 200, "the same of a sound image"
    assert web.retrieve(*broken.uids) == [broken.part10]
